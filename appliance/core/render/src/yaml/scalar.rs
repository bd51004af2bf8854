//! What a plain scalar means: the rules of go-yaml v3 when reading and of v2 when writing.
//!
//! Read, `yes`, `no`, `on`, `off` and `1:30` are text, `0644` is octal, `1_000` is a number and a
//! date is text in the form of RFC 3339. Written, everything that one of the two reads as something
//! else than text is quoted.

use serde_json::Value;

use super::Dialect;

/// A number as Go's libraries hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// What a plain scalar without a tag means; an error says why it means nothing in JSON. The merge
/// key `<<` is the reader's business. Kubernetes' own reader leaves dates as they are written, and
/// kustomizations are read with the booleans of YAML 1.1.
pub(super) fn plain(text: &str, dialect: Dialect) -> Result<Value, String> {
    let string = || Value::String(text.to_owned());
    let Some(first) = text.bytes().next() else { return Ok(Value::Null) };
    Ok(match first {
        _ if dialect == Dialect::Kustomization && is_old_bool(text) => Value::Bool(
            matches!(first, b'y' | b'Y' | b't' | b'T') || text.eq_ignore_ascii_case("on"),
        ),
        b'~' | b'n' | b'N' if is_null(text) => Value::Null,
        b't' | b'T' if is_bool(text) => Value::Bool(true),
        b'f' | b'F' if is_bool(text) => Value::Bool(false),
        b'.' | b'+' | b'-' if is_special_float(text) => {
            return Err(format!("{text} has no form in JSON"));
        }
        b'.' => dotted_float(text).map_or_else(string, json_float),
        b'+' | b'-' | b'0'..=b'9' => match (parse_time(text), parse_number(text)) {
            (Some(_), _) if dialect.is_of_kubernetes() => string(),
            (Some(time), _) => Value::String(time),
            (None, Some(Number::Signed(value))) => value.into(),
            (None, Some(Number::Unsigned(value))) => value.into(),
            (None, Some(Number::Float(value))) => json_float(value),
            (None, None) => string(),
        },
        _ => string(),
    })
}

/// A float as Go puts it into JSON: without a fraction it is an integer there.
fn json_float(value: f64) -> Value {
    let whole = format!("{value:.0}");
    match whole.parse::<i64>() {
        Ok(whole) if value.fract() == 0.0 => whole.into(),
        _ => value.into(),
    }
}

/// Whether go-yaml v2 reads a plain scalar as a string, so that no quotes are needed.
pub(super) fn is_plain_text_when_written(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            !is_null(text) && !is_old_bool(text)
        }
        b'.' => !is_special_float(text) && dotted_float(text).is_none(),
        b'+' | b'-' | b'0'..=b'9' => {
            !is_special_float(text)
                && parse_time(text).is_none()
                && parse_number(text).is_none()
                && !is_base_60(text)
        }
        _ => true,
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "~" | "null" | "Null" | "NULL")
}

fn is_bool(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// The booleans of YAML 1.1, which older tools still read.
fn is_old_bool(text: &str) -> bool {
    let words = ["y", "yes", "true", "on", "n", "no", "false", "off"];
    // All small, all capital, or the first letter capital.
    let rest = text.as_bytes().get(1..).unwrap_or_default();
    let styled = rest.iter().all(u8::is_ascii_lowercase)
        || text.bytes().all(|byte| byte.is_ascii_uppercase());
    styled && words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn is_special_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']);
    let infinite = |text: &str| matches!(text, ".inf" | ".Inf" | ".INF");
    infinite(text) || unsigned.is_some_and(infinite) || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn dotted_float(text: &str) -> Option<f64> {
    let digits = text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    text.parse().ok().filter(|value: &f64| digits && value.is_finite())
}

/// Reads an integer or a float as go-yaml v3 does: `_` anywhere, `0x`, `0o`, `0b` and a leading
/// zero for octal, what exceeds 64 bits as a float.
fn parse_number(text: &str) -> Option<Number> {
    let stripped;
    let plain = if text.contains('_') {
        stripped = text.replace('_', "");
        stripped.as_str()
    } else {
        text
    };
    if let Some(integer) = integer(plain) {
        return Some(integer);
    }
    if plain.starts_with('.') {
        return dotted_float(plain).map(Number::Float);
    }
    let value = is_decimal_float(plain).then(|| plain.parse::<f64>().ok()).flatten()?;
    value.is_finite().then_some(Number::Float(value))
}

fn integer(plain: &str) -> Option<Number> {
    let (sign, digits) = match plain.strip_prefix(['+', '-']) {
        Some(rest) => (plain.as_bytes().first().copied(), rest),
        None => (None, plain),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (digits, radix) = match lower.as_deref() {
        Some("0x") => (digits.get(2..)?, 16),
        Some("0b") => (digits.get(2..)?, 2),
        Some("0o") => (digits.get(2..)?, 8),
        Some(_) if digits.starts_with('0') => (digits, 8),
        _ => (digits, 10),
    };
    if !digits.chars().next()?.is_digit(radix) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match (sign, i64::try_from(magnitude)) {
        (Some(b'-'), Ok(value)) => Some(Number::Signed(-value)),
        (Some(b'-'), Err(_)) => {
            (magnitude == i64::MIN.unsigned_abs()).then_some(Number::Signed(i64::MIN))
        }
        (_, Ok(value)) => Some(Number::Signed(value)),
        (None, Err(_)) => Some(Number::Unsigned(magnitude)),
        (Some(_), Err(_)) => None,
    }
}

/// `[-+]?(\.D+|D+(\.D*)?)([eE][-+]?D+)?` with `D` a digit.
fn is_decimal_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_ok && exponent_ok
}

/// `1:30` and the like: numbers of YAML 1.1, quoted for readers that still know them.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (unsigned, ""),
    };
    let digit_or_mark = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let mut places = whole.split(':');
    let first = places.next().unwrap_or_default();
    let first_ok = first.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && first.bytes().all(digit_or_mark);
    let mut count = 0;
    let rest_ok = places.all(|place| {
        count += 1;
        matches!(place.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    });
    first_ok && rest_ok && count > 0 && fraction.bytes().all(digit_or_mark)
}

/// Reads a timestamp and gives it in RFC 3339, as JSON has it.
fn parse_time(text: &str) -> Option<String> {
    let (year, rest) = text.split_once('-')?;
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (month, rest) = leading_number(rest, 2)?;
    let (day, rest) = leading_number(rest.strip_prefix('-')?, 2)?;
    let year_number: u32 = year.parse().ok()?;
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year_number, month) {
        return None;
    }
    let date = format!("{year}-{month:02}-{day:02}");
    let Some(separator) = rest.chars().next() else {
        return Some(format!("{date}T00:00:00Z"));
    };
    let (time, rest) = clock(rest.get(separator.len_utf8()..)?)?;
    let zone = match separator {
        'T' | 't' => zone(rest)?,
        ' ' if rest.is_empty() => "Z".to_owned(),
        _ => return None,
    };
    Some(format!("{date}T{time}{zone}"))
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `15:4:5.25` → `15:04:05.25`, and what follows it.
fn clock(text: &str) -> Option<(String, &str)> {
    let (hour, rest) = leading_number(text, 2)?;
    let (minute, rest) = leading_number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = leading_number(rest.strip_prefix(':')?, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    let Some(fraction) = rest.strip_prefix('.') else { return Some((time, rest)) };
    let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return None;
    }
    let digits = fraction.get(..length.min(9))?.trim_end_matches('0');
    if !digits.is_empty() {
        time.push('.');
        time.push_str(digits);
    }
    Some((time, fraction.get(length..)?))
}

fn zone(text: &str) -> Option<String> {
    if text == "Z" {
        return Some("Z".to_owned());
    }
    let (hour, minute) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    Some(if hour == "00" && minute == "00" { "Z".to_owned() } else { text.to_owned() })
}

fn leading_number(text: &str, digits_max: usize) -> Option<(u32, &str)> {
    let length = text.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
    let number = text.get(..length)?.parse().ok()?;
    Some((number, text.get(length..)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_go_yaml() {
        let cases = [
            ("", json!(null)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("nUll", json!("nUll")),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("off", json!("off")),
            ("0644", json!(420)),
            ("0o644", json!(420)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("+5", json!(5)),
            ("-", json!("-")),
            ("09", json!(9)),
            ("1.0", json!(1)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            (".5", json!(0.5)),
            (".", json!(".")),
            ("1:30", json!("1:30")),
            ("10Gi", json!("10Gi")),
            ("0x", json!("0x")),
            ("2001-1-1", json!("2001-01-01T00:00:00Z")),
            ("2001-02-29", json!("2001-02-29")),
            ("18446744073709551615", json!(u64::MAX)),
            ("123456789012345678901234567890", json!(1.234_567_890_123_456_8e29)),
        ];
        for (text, meaning) in cases {
            assert_eq!(plain(text, Dialect::Kustomize), Ok(meaning), "{text}");
        }
        assert_eq!(plain("2001-1-1", Dialect::Kubernetes), Ok(json!("2001-1-1")));
        for text in [".inf", "-.INF", ".nan"] {
            assert!(plain(text, Dialect::Kustomize).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_have_the_values_of_go_yaml() {
        assert_eq!(parse_number("0644"), Some(Number::Signed(420)));
        assert_eq!(parse_number("-0644"), Some(Number::Signed(-420)));
        assert_eq!(parse_number("-9223372036854775808"), Some(Number::Signed(i64::MIN)));
        assert_eq!(parse_number("18446744073709551615"), Some(Number::Unsigned(u64::MAX)));
        assert_eq!(parse_number("1e400"), None);
        assert_eq!(parse_number("++1"), None);
    }

    #[test]
    fn what_older_readers_take_for_something_else_is_not_plain_text() {
        for text in ["y", "No", "on", "~", "", "12", "1:30", "2001-01-01", "1e3", "0o7"] {
            assert!(!is_plain_text_when_written(text), "{text}");
        }
        for text in ["yess", "é", "yé", "a", "1.2.3", "10Gi", "/x", "<<", "1:99", "nope"] {
            assert!(is_plain_text_when_written(text), "{text}");
        }
    }

    #[test]
    fn timestamps_become_rfc_3339() {
        let cases = [
            ("2001-1-1", "2001-01-01T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14 21:59:43", "2001-12-14T21:59:43Z"),
            ("2001-12-14T21:59:43+00:00", "2001-12-14T21:59:43Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time(text).as_deref(), Some(expected));
        }
        for text in ["2001-12-14 21:59:43Z", "2001-12-14T25:00:00Z", "01-1-1", "2001-1", "é-1-1"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
