//! Regular expressions that a repository writes, within limits.

use regex::{Regex, RegexBuilder};

/// Most bytes of a pattern as it is written: dozens of names. The parser takes some hundred times
/// as much memory, and as many microseconds.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of a pattern ready for use.
const READY_BYTES_MAX: usize = 1024 * 1024;

/// Checks the length of a pattern.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let length = text.len();
    if length > TEXT_BYTES_MAX {
        return Err(format!("a pattern has {length} bytes, over the limit of {TEXT_BYTES_MAX}"));
    }
    Ok(())
}

/// Makes a pattern ready for use: the expression `before`, the text, and `after`.
pub(crate) fn compile(before: &str, text: &str, after: &str) -> Result<Regex, String> {
    check(text)?;
    let whole = format!("{before}{text}{after}");
    RegexBuilder::new(&whole).size_limit(READY_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the pattern {text:?} stands for more than {limit} bytes when it is compiled")
        }
        error => {
            // The lines before the last show the pattern.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default();
            format!("{text:?} is no pattern: {}", why.trim_start_matches("error: "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_too_large_or_no_pattern_says_so() {
        let error = |text: &str| compile("^", text, "$").unwrap_err();
        assert!(error(&"(a|b)*c".repeat(150_000)).starts_with("a pattern has 1050000 bytes"));
        assert!(error("(x{1,1000}){1,1000}").contains("more than 1048576 bytes"));
        assert_eq!(error("a("), "\"a(\" is no pattern: unclosed group");
        assert!(compile("^", "a.c", "$").unwrap().is_match("abc"));
    }
}
