//! Times and durations as people read them.

use std::time::Duration;

use fyr_model::parse_go_duration;
use jiff::Timestamp;

/// How long ago a time was: `12s`, `5m`, `3h`, `9d`. A time to come is `0s`: clocks differ a little.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long until a time: `12s`, `5m`. A time that has passed is `0s`.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> String {
    age(then, now)
}

/// How long ago a time was, or nothing when it is not known.
pub(crate) fn age_of(now: Timestamp, then: Option<Timestamp>) -> String {
    then.map(|then| age(now, then)).unwrap_or_default()
}

/// A short duration: `2.1s`, `1m05s`.
pub(crate) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{}.{}s", seconds, duration.subsec_millis() / 100)
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

/// Reads `--timeout`: `30s`, `5m`, `1h30m`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    parse_go_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ages_have_one_unit() {
        let cases = [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (864_000, "10d")];
        for (seconds, text) in cases {
            assert_eq!(age(at(1_000_000), at(1_000_000 - seconds)), text);
        }
        assert_eq!(age(at(0), at(10)), "0s");
        assert_eq!(until(at(0), at(10)), "10s");
        assert_eq!(age_of(at(0), None), "");
    }

    #[test]
    fn durations_show_tenths_only_while_they_matter() {
        assert_eq!(took(Duration::from_millis(2149)), "2.1s");
        assert_eq!(took(Duration::from_secs(65)), "1m05s");
    }

    #[test]
    fn a_timeout_needs_a_unit_or_is_seconds() {
        assert_eq!(parse("5m"), Ok(Duration::from_mins(5)));
        assert!(parse("soon").unwrap_err().contains("not a duration"));
    }
}
