//! Which images a rule of `images` is for.

use regex::Regex;

use super::pattern;

/// The name of a rule. It is a pattern in kustomize, where nearly every name is text in which only
/// the dots are more than themselves; such a name is compared without building an expression,
/// which costs more than all comparisons of a small application.
#[derive(Debug)]
pub(crate) enum ImagePattern {
    /// Text, in which a dot is any letter.
    Dotted(String),
    /// An expression.
    Expression(Regex),
}

impl ImagePattern {
    /// Reads a name; one that is no pattern matches nothing, and one that is too long is an error.
    pub(crate) fn new(name: &str) -> Result<Option<Self>, String> {
        pattern::check(name)?;
        let is_text = |letter: char| letter.is_ascii_alphanumeric() || "./:_-".contains(letter);
        if name.chars().all(is_text) {
            return Ok(Some(Self::Dotted(name.to_owned())));
        }
        let end = "(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?$";
        Ok(pattern::compile("^", name, end).ok().map(Self::Expression))
    }

    /// Whether an image has this name, with or without a tag and a digest.
    pub(crate) fn is_match(&self, image: &str) -> bool {
        match self {
            Self::Dotted(name) => after_name(name, image).is_some_and(is_tag_and_digest),
            Self::Expression(pattern) => pattern.is_match(image),
        }
    }
}

/// What stands behind the name that an image begins with.
fn after_name<'a>(name: &str, image: &'a str) -> Option<&'a str> {
    let mut letters = image.chars();
    for expected in name.chars() {
        let letter = letters.next()?;
        if letter != expected && (expected != '.' || letter == '\n') {
            return None;
        }
    }
    Some(letters.as_str())
}

fn is_tag_and_digest(rest: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_.{}-".contains(letter);
    let rest = rest.strip_prefix(':').map_or(rest, |rest| rest.trim_start_matches(is_part));
    let rest = rest.strip_prefix("@sha256:").map_or(rest, |rest| rest.trim_start_matches(is_part));
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(name: &str, image: &str) -> bool {
        ImagePattern::new(name).unwrap().is_some_and(|pattern| pattern.is_match(image))
    }

    #[test]
    fn a_rule_is_for_the_whole_name_only() {
        assert!(matches("nginx", "nginx") && matches("nginx", "nginx:1.2"));
        assert!(matches("nginx", "nginx:1.2@sha256:ab") && matches("nginx", "nginx@sha256:ab"));
        assert!(!matches("nginx", "my/nginx:1") && !matches("nginx", "nginx-x"));
        assert!(!matches("nginx", "nginx:1:2") && !matches("nginx", "nginx@sha1:ab"));
    }

    #[test]
    fn a_dot_is_any_letter_and_other_signs_make_an_expression() {
        assert!(matches("a.b/c", "aéb/c:1") && !matches("a.b", "ab"));
        assert!(matches("n.*", "nginx:1") && matches("(a|b)", "b:2"));
        assert!(!matches("a(", "a("), "what is no pattern matches nothing");
    }
}
