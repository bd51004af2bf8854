//! Which ways of writing a string its characters allow.

/// What [`Analysis::of`] found out about a string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Analysis {
    pub(super) plain_allowed: bool,
    pub(super) single_quoted_allowed: bool,
    pub(super) block_allowed: bool,
}

/// What one pass over the characters collects.
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
#[derive(Default)]
struct Findings {
    indicators: bool,
    breaks: bool,
    special: bool,
    edge: bool,
    space_last: bool,
    break_before_space: bool,
    space_before_break: bool,
}

impl Analysis {
    /// Looks at every character once.
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { plain_allowed: true, single_quoted_allowed: true, block_allowed: false };
        }
        let found = findings(text);
        let hard = found.space_before_break || found.special;
        Self {
            plain_allowed: !(hard
                || found.indicators
                || found.breaks
                || found.edge
                || found.break_before_space),
            single_quoted_allowed: !(hard || found.break_before_space),
            block_allowed: !(hard || found.space_last),
        }
    }
}

fn findings(text: &str) -> Findings {
    let mut found = Findings {
        indicators: text.starts_with("---") || text.starts_with("..."),
        ..Findings::default()
    };
    let mut previous = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let before_blank = next.is_none_or(is_blank_or_break);
        found.indicators |= match letter {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`'
                if previous.is_none() =>
            {
                true
            }
            '?' | '-' if previous.is_none() => before_blank,
            ':' => before_blank,
            '#' => previous.is_some_and(is_blank_or_break),
            _ => false,
        };
        found.special |= !is_printable(letter);
        let edge = previous.is_none() || next.is_none();
        if letter == ' ' {
            found.edge |= edge;
            found.space_last |= next.is_none();
            found.break_before_space |= previous.is_some_and(is_break);
        } else if is_break(letter) {
            found.breaks = true;
            found.edge |= edge;
            found.space_before_break |= previous == Some(' ');
        }
        previous = Some(letter);
    }
    found
}

/// Whether a text is letters, digits and marks that say nothing to the format where they stand,
/// beginning with a letter or a slash.
pub(super) fn is_word(text: &str) -> bool {
    let Some((first, last)) = text.as_bytes().first().zip(text.as_bytes().last()) else {
        return false;
    };
    let is_mark = |byte: &u8| matches!(byte, b'.' | b'/' | b'-' | b'_' | b':');
    (first.is_ascii_alphabetic() || *first == b'/')
        && *last != b':'
        && text.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// Line breaks of YAML 1.1.
pub(super) fn is_break(letter: char) -> bool {
    matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_break(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\0') || is_break(letter)
}

/// What may be written without an escape. Neither the tab nor anything above U+FFFF is.
pub(super) fn is_printable(letter: char) -> bool {
    matches!(
        letter,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
    )
}
