//! Globs as Argo CD's projects write them.
//!
//! `*` is any run of characters and `?` any one, both short of the separator where there is one;
//! `**` is any run at all; `[a-z]` and `[!a-z]` are classes, `{a,b}` alternatives, and `\` takes
//! the next character as it is. The whole text must match. Matching takes time in proportion to
//! pattern times text, whatever the pattern: patterns come from repositories.

/// A compiled pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob {
    pattern: String,
    separator: Option<char>,
    alternatives: Vec<Vec<Token>>,
}

/// Why a pattern is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseGlobError {
    /// Too long.
    #[error("a pattern of more than {} characters", Glob::CHARS_MAX)]
    TooLong,
    /// `{a,b}` multiplied beyond the limit.
    #[error("{pattern:?} stands for more than {} patterns", Glob::ALTERNATIVES_MAX)]
    TooManyAlternatives {
        /// The pattern.
        pattern: String,
    },
    /// `[`, `{` or `\` without its end, or an empty class.
    #[error("{pattern:?} has a {what} without an end")]
    Unfinished {
        /// The pattern.
        pattern: String,
        /// What was begun.
        what: char,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Literal(char),
    One,
    Run,
    AnyRun,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// Longest pattern; far above any repository URL.
    pub const CHARS_MAX: usize = 1024;

    /// Most alternatives after all braces are multiplied out.
    pub const ALTERNATIVES_MAX: usize = 64;

    /// The pattern that every text matches.
    pub fn everything() -> Self {
        let alternatives = vec![vec![Token::AnyRun]];
        Self { pattern: "*".to_owned(), separator: None, alternatives }
    }

    /// Compiles a pattern. `separator` is what `*` and `?` stop at, if anything.
    pub fn parse(pattern: &str, separator: Option<char>) -> Result<Self, ParseGlobError> {
        if pattern.chars().count() > Self::CHARS_MAX {
            return Err(ParseGlobError::TooLong);
        }
        let unfinished = |what| ParseGlobError::Unfinished { pattern: pattern.to_owned(), what };
        let mut flat = Vec::new();
        let mut pending = vec![pattern.chars().collect::<Vec<char>>()];
        while let Some(next) = pending.pop() {
            match first_braces(&next).map_err(unfinished)? {
                None => flat.push(next),
                Some(braces) => pending.extend(braces.multiplied_out(&next)),
            }
            if flat.len() + pending.len() > Self::ALTERNATIVES_MAX {
                let pattern = pattern.to_owned();
                return Err(ParseGlobError::TooManyAlternatives { pattern });
            }
        }
        let alternatives: Result<_, char> = flat.iter().map(|chars| tokens(chars)).collect();
        let alternatives = alternatives.map_err(unfinished)?;
        Ok(Self { pattern: pattern.to_owned(), separator, alternatives })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.alternatives.iter().any(|tokens| self.tokens_match(tokens, text))
    }

    /// Keeps for each number of tokens whether they match the text so far.
    fn tokens_match(&self, tokens: &[Token], text: &str) -> bool {
        let mut reached = vec![false; tokens.len() + 1];
        reached[0] = true;
        skip_runs(tokens, &mut reached);
        for letter in text.chars() {
            let plain = Some(letter) != self.separator;
            let mut next = vec![false; tokens.len() + 1];
            for (index, token) in tokens.iter().enumerate().filter(|(index, _)| reached[*index]) {
                match token {
                    Token::Literal(wanted) => next[index + 1] |= *wanted == letter,
                    Token::One => next[index + 1] |= plain,
                    Token::Run => next[index] |= plain,
                    Token::AnyRun => next[index] = true,
                    Token::Class { negated, ranges } => {
                        let inside =
                            ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
                        next[index + 1] |= inside != *negated;
                    }
                }
            }
            skip_runs(tokens, &mut next);
            reached = next;
        }
        reached[tokens.len()]
    }
}

/// A run may be empty, so what reaches it reaches what follows.
fn skip_runs(tokens: &[Token], reached: &mut [bool]) {
    for (index, token) in tokens.iter().enumerate() {
        if reached[index] && matches!(token, Token::Run | Token::AnyRun) {
            reached[index + 1] = true;
        }
    }
}

/// The place of one `{a,b}` in a pattern.
struct Braces {
    open: usize,
    close: usize,
    commas: Vec<usize>,
}

impl Braces {
    /// The pattern once for each alternative.
    fn multiplied_out(&self, chars: &[char]) -> Vec<Vec<char>> {
        let mut start = self.open + 1;
        let ends = self.commas.iter().chain(std::iter::once(&self.close));
        let alternative = |end: &usize| {
            let middle = &chars[start..*end];
            start = end + 1;
            [&chars[..self.open], middle, &chars[self.close + 1..]].concat()
        };
        ends.map(alternative).collect()
    }
}

/// Finds the first braces outside classes; an error names what lacks its end.
fn first_braces(chars: &[char]) -> Result<Option<Braces>, char> {
    let mut open = None;
    let mut commas = Vec::new();
    let mut depth = 0_usize;
    let mut index = 0;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 1,
            '[' => index = class_end(chars, index)?,
            '{' => {
                depth += 1;
                open = open.or(Some(index));
            }
            ',' if depth == 1 => commas.push(index),
            '}' if depth > 0 => {
                depth -= 1;
                if let (0, Some(open)) = (depth, open) {
                    return Ok(Some(Braces { open, close: index, commas }));
                }
            }
            _ => {}
        }
        index += 1;
    }
    if open.is_some() { Err('{') } else { Ok(None) }
}

/// Where the class that begins at `open` ends. `]` as its first character is part of it.
fn class_end(chars: &[char], open: usize) -> Result<usize, char> {
    let first = if chars.get(open + 1) == Some(&'!') { open + 2 } else { open + 1 };
    let rest = chars.get(first + 1..).ok_or('[')?;
    let length = rest.iter().position(|letter| *letter == ']').ok_or('[')?;
    Ok(first + 1 + length)
}

fn tokens(chars: &[char]) -> Result<Vec<Token>, char> {
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        match chars[index] {
            '\\' => {
                index += 1;
                tokens.push(Token::Literal(*chars.get(index).ok_or('\\')?));
            }
            '?' => tokens.push(Token::One),
            '*' => {
                let stars = chars[index..].iter().take_while(|letter| **letter == '*').count();
                index += stars - 1;
                tokens.push(if stars == 1 { Token::Run } else { Token::AnyRun });
            }
            '[' => {
                let end = class_end(chars, index)?;
                tokens.push(class(&chars[index + 1..end]));
                index = end;
            }
            letter => tokens.push(Token::Literal(letter)),
        }
        index += 1;
    }
    Ok(tokens)
}

/// The inside of `[…]`.
fn class(chars: &[char]) -> Token {
    let (negated, mut rest) = match chars {
        ['!', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        match rest {
            [from, '-', to, more @ ..] => {
                ranges.push((*from, *to));
                rest = more;
            }
            [one, more @ ..] => {
                ranges.push((*one, *one));
                rest = more;
            }
            [] => return Token::Class { negated, ranges },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, separator: Option<char>, text: &str) -> bool {
        Glob::parse(pattern, separator).unwrap().matches(text)
    }

    #[test]
    fn a_star_stops_at_the_separator_and_two_do_not() {
        let slash = Some('/');
        assert!(matches("https://h/org/*", slash, "https://h/org/x"));
        assert!(!matches("https://h/org/*", slash, "https://h/org/x/y"));
        assert!(matches("https://h/**", slash, "https://h/org/x/y"));
        assert!(!matches("a?b", slash, "a/b"));
        assert!(matches("team-*", None, "team-a/b"));
        assert!(matches("*", None, ""));
        assert_eq!(Glob::everything().as_str(), "*");
        assert!(Glob::everything().matches("a/b") && Glob::everything().matches(""));
    }

    #[test]
    fn the_whole_text_must_match() {
        assert!(!matches("prod", None, "production"));
        assert!(!matches("prod", None, "my-prod"));
        assert!(!matches("", None, "x"));
        assert!(matches("", None, ""));
    }

    #[test]
    fn classes_alternatives_and_escapes_are_understood() {
        assert!(matches("[a-c]x", None, "bx") && !matches("[a-c]x", None, "dx"));
        assert!(matches("[!a-c]x", None, "dx") && !matches("[!a-c]x", None, "ax"));
        assert!(matches("[]]", None, "]") && matches("[{,]", None, ","));
        for text in ["eu-prod", "us-prod", "us-west-dev"] {
            assert!(matches("{eu,us{,-west}}-{prod,dev}", None, text), "{text}");
        }
        assert!(!matches("{eu,us}-prod", None, "ap-prod"));
        assert!(matches("\\*", None, "*") && !matches("\\*", None, "x"));
        assert!(matches("a}b,c", None, "a}b,c"));
    }

    #[test]
    fn patterns_without_an_end_and_beyond_the_limits_are_refused() {
        for pattern in ["[a", "[", "[!", "[]", "{a,b", "{a,{b}", "a\\"] {
            assert!(Glob::parse(pattern, None).is_err(), "{pattern}");
        }
        let doubled = "{a,b}".repeat(7);
        assert!(Glob::parse(&doubled, None).is_err());
        assert!(Glob::parse(&"{a,b}".repeat(6), None).is_ok());
        assert_eq!(
            Glob::parse(&"a".repeat(Glob::CHARS_MAX + 1), None),
            Err(ParseGlobError::TooLong)
        );
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = "*a".repeat(500);
        assert!(!matches(&pattern, None, &"a".repeat(499)));
        assert!(matches(&pattern, None, &"a".repeat(2_000)));
    }
}
