//! Durations as Go writes them: `1h30m`, `5s`, `1.5m`, and bare seconds.

use std::time::Duration;

/// The text is not a duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a duration such as 30s, 5m or 1h30m")]
pub struct ParseDurationError {
    text: String,
}

/// Reads a duration of Go's `time.ParseDuration`, or a bare integer of seconds as Argo CD allows.
///
/// Signs are refused: no setting of Fyr or Argo CD means anything with a negative duration.
pub fn parse_go_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let error = || ParseDurationError { text: text.chars().take(40).collect() };
    if let Ok(seconds) = text.parse::<u64>()
        && text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (part, after) = part(rest).ok_or_else(error)?;
        total = total.checked_add(part).ok_or_else(error)?;
        rest = after;
    }
    if text.is_empty() { Err(error()) } else { Ok(total) }
}

/// One number with its unit, and the text after it.
fn part(text: &str) -> Option<(Duration, &str)> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, rest) = text.split_at(unit_at);
    let unit_end =
        rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit_nanos: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(unit_nanos)?;
    // A digit that is worth less than a nanosecond is dropped, as in Go.
    let mut worth = unit_nanos;
    for digit in fraction.chars() {
        worth /= 10;
        nanos = nanos.checked_add(u64::from(digit.to_digit(10)?) * worth)?;
    }
    Some((Duration::from_nanos(nanos), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_and_bare_integers_are_seconds() {
        let cases = [
            ("5s", 5_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("250ms", 250),
            ("1m0.25s", 60_250),
            ("7", 7_000),
            ("0", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_go_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn signs_unknown_units_and_overflow_are_refused() {
        for text in ["", "-5s", "+5", "5 s", "5d", "s", ".s", "1..5s", "5s3", "9999999999999h"] {
            assert!(parse_go_duration(text).is_err(), "{text}");
        }
    }
}
