//! Kubernetes' label selectors: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1,j<2`.

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value;

/// Letters that end a word, space aside.
const SIGNS: &str = "=!(),<>";
/// Longest name of a label, and longest value.
const NAME_MAX: usize = 63;
/// Longest domain before a label's name.
const DOMAIN_MAX: usize = 253;

/// One requirement: what the label of this key has to be.
#[derive(Debug)]
pub(super) struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    There,
    Missing,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    Above(i64),
    Below(i64),
}

/// Reads a selector; all of its requirements have to hold.
pub(super) fn read(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text).into_iter().peekable() };
    parser.all().map_err(|why| format!("{text:?} is no label selector: {why}"))
}

impl Requirement {
    /// Whether it holds for these labels or annotations.
    pub(super) fn holds(&self, pairs: Option<&Value>) -> bool {
        let found = pairs.and_then(|pairs| pairs.get(&self.key)?.as_str());
        let is_in = |values: &[String]| {
            found.is_some_and(|found| values.iter().any(|value| value == found))
        };
        let number = found.and_then(|found| found.parse::<i64>().ok());
        match &self.test {
            Test::There => found.is_some(),
            Test::Missing => found.is_none(),
            Test::OneOf(values) => is_in(values),
            Test::NoneOf(values) => !is_in(values),
            Test::Above(limit) => number.is_some_and(|number| number > *limit),
            Test::Below(limit) => number.is_some_and(|number| number < *limit),
        }
    }
}

/// Words and signs; of `==` and `!=` two letters are one sign.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_two = rest.starts_with("==") || rest.starts_with("!=");
        let ends = |letter: char| letter.is_ascii_whitespace() || SIGNS.contains(letter);
        let length = match (SIGNS.contains(first), is_two) {
            (true, true) => 2,
            (true, false) => 1,
            (false, _) => rest.find(ends).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn is_word(token: &str) -> bool {
    !token.starts_with(|letter| SIGNS.contains(letter))
}

struct Parser<'t> {
    tokens: Peekable<IntoIter<&'t str>>,
}

impl<'t> Parser<'t> {
    fn all(&mut self) -> Result<Vec<Requirement>, String> {
        let mut all = Vec::new();
        if self.tokens.peek().is_none() {
            return Ok(all);
        }
        loop {
            all.push(self.one()?);
            match self.tokens.next() {
                None => return Ok(all),
                Some(",") => {}
                Some(other) => return Err(format!("{other:?} where a comma should be")),
            }
        }
    }

    fn one(&mut self) -> Result<Requirement, String> {
        let is_negated = self.tokens.next_if_eq(&"!").is_some();
        let key = self.word("a key")?;
        check_key(key)?;
        let test = match self.tokens.peek() {
            _ if is_negated => Test::Missing,
            None | Some(&",") => Test::There,
            Some(_) => self.test()?,
        };
        Ok(Requirement { key: key.to_owned(), test })
    }

    fn test(&mut self) -> Result<Test, String> {
        let operator = self.tokens.next().unwrap_or_default();
        let test = match operator {
            "=" | "==" => Test::OneOf(vec![self.value()?]),
            "!=" => Test::NoneOf(vec![self.value()?]),
            "in" => Test::OneOf(self.values()?),
            "notin" => Test::NoneOf(self.values()?),
            ">" => Test::Above(self.number()?),
            "<" => Test::Below(self.number()?),
            other => return Err(format!("{other:?} where =, ==, !=, in, notin, < or > should be")),
        };
        Ok(test)
    }

    fn word(&mut self, what: &str) -> Result<&'t str, String> {
        match self.tokens.next() {
            Some(token) if is_word(token) => Ok(token),
            Some(token) => Err(format!("{token:?} where {what} should be")),
            None => Err(format!("it ends where {what} should be")),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.tokens.peek() {
            None | Some(&",") => Ok(String::new()),
            Some(_) => checked(self.word("a value")?),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let word = self.word("a number")?;
        word.parse().map_err(|_| format!("{word:?} is no whole number"))
    }

    /// Values in parentheses, of which each may be empty.
    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.tokens.next_if_eq(&"(").is_none() {
            return Err("the values are not in parentheses".to_owned());
        }
        let mut values = Vec::new();
        loop {
            let word = self.tokens.next_if(|token| is_word(token));
            values.push(checked(word.unwrap_or_default())?);
            match self.tokens.next() {
                Some(")") => return Ok(values),
                Some(",") => {}
                Some(other) => return Err(format!("{other:?} where a comma should be")),
                None => return Err("a parenthesis is not closed".to_owned()),
            }
        }
    }
}

/// A value, which is empty or a name.
fn checked(value: &str) -> Result<String, String> {
    if value.is_empty() || is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(format!("{value:?} is no value of a label"))
    }
}

/// A key is a name, maybe behind a domain and a slash.
fn check_key(key: &str) -> Result<(), String> {
    let (domain, name) =
        key.split_once('/').map_or((None, key), |(left, right)| (Some(left), right));
    if is_name(name) && domain.is_none_or(is_domain) {
        Ok(())
    } else {
        Err(format!("{key:?} is no key of a label"))
    }
}

fn is_name(text: &str) -> bool {
    let is_edge =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    text.len() <= NAME_MAX
        && is_edge(text.chars().next())
        && is_edge(text.chars().last())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn is_domain(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_inner)
            && part.ends_with(is_inner)
            && part.chars().all(|letter| is_inner(letter) || letter == '-')
    };
    text.len() <= DOMAIN_MAX && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str) -> bool {
        let labels = json!({"tier": "front", "app": "x", "n": "3", "e": ""});
        read(text).unwrap().iter().all(|requirement| requirement.holds(Some(&labels)))
    }

    #[test]
    fn requirements_hold_as_kubernetes_has_them() {
        for text in [
            "",
            "tier=front",
            "tier == front",
            "tier in(front, back)",
            "tier,!other,app=x",
            "e=",
            "tier!=back",
            "other!=a",
            "other notin (a)",
            "n>2",
            "n<4",
            "tier in (,front)",
            "e in ()",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in ["tier=back", "other", "!tier", "tier=front,other=a", "n>3", "tier<1", "e!="] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_an_error() {
        for text in [
            "=x",
            ",",
            "a=b,",
            "a=b,,c",
            "a=b c",
            "a b=c",
            "a in b",
            "a in (b",
            "a in (b c)",
            "!a=b",
            "a=$",
            "-a",
            "x/y/z",
            "a>b",
            "!",
            "a!",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"a".repeat(64)).is_err() && read(&format!("a={}", "b".repeat(64))).is_err());
        assert!(read("example.com/a-b_c.d").is_ok());
    }
}
