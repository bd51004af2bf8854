//! JSON with one form for each value: what is hashed must not depend on who wrote it.
//!
//! The rules are those of RFC 8785 for the values it shares with us: no white space, keys in order
//! (here of their UTF-8 bytes), the shortest escapes. Numbers are integers that every JSON reader
//! holds exactly; fractions have too many forms and are refused.

use serde_json::{Map, Number, Value};

/// Largest integer that all JSON readers agree on: 2^53 - 1 (RFC 8785, section 3.2.2.3).
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Deepest nesting of an entry's details. Ours are at most five deep; the rest is margin.
const DEPTH_MAX: usize = 32;

/// Why a value has no canonical form.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotCanonical {
    /// A number is a fraction, or too large to be the same in all readers.
    #[error("the number {number} is not an integer between -2^53 and 2^53")]
    Number {
        /// The number as text.
        number: String,
    },
    /// Values are nested too deeply.
    #[error("values are nested more than {DEPTH_MAX} deep")]
    Depth,
    /// The value cannot be written as JSON at all.
    #[error("the value is not JSON: {reason}")]
    NotJson {
        /// What the encoder says.
        reason: String,
    },
}

/// Writes `value` in its one form.
pub(crate) fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut out = String::new();
    write(&mut out, value, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<(), NotCanonical> {
    if depth > DEPTH_MAX {
        return Err(NotCanonical::Depth);
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_integer(out, number)?,
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item, depth + 1)?;
            }
            out.push(']');
        }
        Value::Object(map) => write_object(out, map, depth)?,
    }
    Ok(())
}

fn write_object(
    out: &mut String,
    map: &Map<String, Value>,
    depth: usize,
) -> Result<(), NotCanonical> {
    // A map keeps its keys in order or not depending on a feature any crate can switch on.
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| key.as_bytes());
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(out, key);
        out.push(':');
        write(out, value, depth + 1)?;
    }
    out.push('}');
    Ok(())
}

fn write_integer(out: &mut String, number: &Number) -> Result<(), NotCanonical> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if magnitude.is_none_or(|magnitude| magnitude > INTEGER_MAX) {
        return Err(NotCanonical::Number { number: number.to_string() });
    }
    out.push_str(&number.to_string());
    Ok(())
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_in_order_at_every_depth_and_nothing_is_spaced() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [ {"z": 1, "a": null} ], "a": "\u00e9\n" }"#).unwrap();
        assert_eq!(canonical(&value).unwrap(), "{\"a\":\"é\\n\",\"b\":[{\"a\":null,\"z\":1}]}");
    }

    #[test]
    fn numbers_that_readers_disagree_on_are_refused() {
        for exact in [json!(0), json!(-5), json!(INTEGER_MAX)] {
            assert!(canonical(&exact).is_ok(), "{exact}");
        }
        for number in [json!(1.5), json!(1e300), json!(INTEGER_MAX + 1), json!(u64::MAX)] {
            assert!(matches!(canonical(&number), Err(NotCanonical::Number { .. })), "{number}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth| (0..depth).fold(Value::Null, |inner, _| json!([inner]));
        assert!(canonical(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(canonical(&nested(DEPTH_MAX + 1)), Err(NotCanonical::Depth));
    }
}
