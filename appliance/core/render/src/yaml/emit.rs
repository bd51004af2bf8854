//! Writes JSON values as go-yaml v2 writes them, byte for byte.
//!
//! Two-space indentation, lists at the indentation of their field, lines folded at spaces after
//! column 80, literal blocks for text with line breaks where the format allows it, double quotes
//! where plain text would be read as something else, single quotes where its characters would.

mod analysis;
mod order;
mod rewrite;
mod writer;

use std::iter;

use serde_json::{Map, Number, Value};

use self::analysis::Analysis;
pub(crate) use self::rewrite::rewrite;
use self::writer::Writer;
use super::scalar::is_plain_text_when_written;

/// Longest key written as `key: value`; above it, `? key` and `: value` stand on two lines.
const SIMPLE_KEY_BYTES_MAX: usize = 128;

/// Writes documents, `---` between them.
pub(crate) fn documents<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    each(values).collect()
}

/// What [`documents`] writes, a document at a time: the whole may be large.
pub(crate) fn each<'a>(
    values: impl IntoIterator<Item = &'a Value>,
) -> impl Iterator<Item = String> {
    let marks = iter::once("").chain(iter::repeat("---\n"));
    values.into_iter().zip(marks).map(|(value, mark)| {
        let mut writer = Writer::after(mark);
        node(&mut writer, value, Place::Root);
        writer.finish()
    })
}

/// Writes a text as it stands on one line: quoted if it would be something else without.
pub(crate) fn scalar(text: &str) -> String {
    let mut writer = Writer::new();
    string(&mut writer, text, true);
    writer.finish().trim_end_matches('\n').to_owned()
}

/// Where a value stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Root,
    /// After `key:`.
    Field,
    /// After `- `.
    Item,
    /// After `? ` or `: ` of a key that is too long.
    LongKey,
}

fn node(writer: &mut Writer, value: &Value, place: Place) {
    match value {
        Value::Object(map) if map.is_empty() => writer.indicator("{}", true, false, false),
        Value::Object(map) => mapping(writer, map),
        Value::Array(list) if list.is_empty() => writer.indicator("[]", true, false, false),
        Value::Array(list) => sequence(writer, list, place),
        Value::String(text) => string(writer, text, false),
        Value::Null => writer.plain("null", true),
        Value::Bool(flag) => writer.plain(if *flag { "true" } else { "false" }, true),
        Value::Number(number) => writer.plain(&number_text(number), true),
    }
}

fn mapping(writer: &mut Writer, map: &Map<String, Value>) {
    let indent = writer.deeper(false);
    let mut fields: Vec<(&str, &Value)> =
        map.iter().map(|(key, value)| (key.as_str(), value)).collect();
    order::sort(&mut fields, |(key, _)| *key);
    for (key, value) in fields {
        writer.indent_line();
        if key.len() <= SIMPLE_KEY_BYTES_MAX
            && (analysis::is_word(key) || !key.contains(analysis::is_break))
        {
            string(writer, key, true);
            writer.indicator(":", false, false, false);
            node(writer, value, Place::Field);
        } else {
            writer.indicator("?", true, false, true);
            string(writer, key, false);
            writer.indent_line();
            writer.indicator(":", true, false, true);
            node(writer, value, Place::LongKey);
        }
    }
    writer.restore(indent);
}

fn sequence(writer: &mut Writer, list: &[Value], place: Place) {
    // A list directly under its field is not indented further.
    let flat = place == Place::Field;
    let indent = writer.deeper(flat);
    for item in list {
        writer.indent_line();
        writer.indicator("-", true, false, true);
        node(writer, item, Place::Item);
    }
    writer.restore(indent);
}

fn string(writer: &mut Writer, text: &str, is_key: bool) {
    // Nearly all text is such, and is looked at once.
    if analysis::is_word(text) && is_plain_text_when_written(text) {
        return writer.word(text);
    }
    let indent = writer.deeper_for_scalar();
    let analysis = Analysis::of(text);
    let has_break = text.contains('\n');
    if has_break && analysis.block_allowed && !is_key {
        writer.literal(text, None);
    } else if has_break || !is_plain_text_when_written(text) {
        writer.double_quoted(text, !is_key);
    } else if analysis.plain_allowed {
        writer.plain(text, !is_key);
    } else if analysis.single_quoted_allowed {
        writer.single_quoted(text, !is_key);
    } else {
        writer.double_quoted(text, !is_key);
    }
    writer.restore(indent);
}

/// The text of a number; floats in Go's shortest form with an exponent from 1e+06 on.
fn number_text(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let Some(value) = number.as_f64() else { return number.to_string() };
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(-4..=5) => value.to_string(),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests;
