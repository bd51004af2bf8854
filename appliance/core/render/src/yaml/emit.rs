//! YAML for people: keys in the order of kustomize's output, two spaces, quotes where a reader of
//! YAML 1.1 or 1.2 would otherwise see something else than text.

mod order;

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::scalar;

/// Words that YAML 1.1 takes for something else than text.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];

/// Writes documents, separated by `---`.
pub(crate) fn documents<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let mut out = String::new();
    for value in values {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        match value {
            Value::Object(map) if !map.is_empty() => mapping(map, 0, &mut out),
            Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut out),
            value => {
                scalar_or_empty(value, 0, &mut out);
                out.push('\n');
            }
        }
    }
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn mapping(map: &Map<String, Value>, depth: usize, out: &mut String) {
    // Sorted here and not trusted to the map, whose order is a build option of its crate.
    let mut entries: Vec<_> = map.iter().collect();
    order::sort(&mut entries, |(key, _)| key);
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            indent(depth, out);
        }
        entry(key, value, depth, out);
    }
}

fn entry(key: &str, value: &Value, depth: usize, out: &mut String) {
    text(key, out);
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            indent(depth + 1, out);
            mapping(map, depth + 1, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            indent(depth, out);
            sequence(items, depth, out);
        }
        value => {
            out.push(' ');
            scalar_or_empty(value, depth + 1, out);
            out.push('\n');
        }
    }
}

fn sequence(items: &[Value], depth: usize, out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indent(depth, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(map, depth + 1, out),
            Value::Array(items) if !items.is_empty() => sequence(items, depth + 1, out),
            item => {
                scalar_or_empty(item, depth + 1, out);
                out.push('\n');
            }
        }
    }
}

/// Writes what stands on one line, or a block of text indented by `depth`.
fn scalar_or_empty(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::String(value) if is_block(value) => block(value, depth, out),
        Value::String(value) => text(value, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        value => out.push_str(&value.to_string()),
    }
}

/// Whether a literal block says exactly this text.
fn is_block(text: &str) -> bool {
    let lines_fit = text.split('\n').all(|line| !line.ends_with([' ', '\t']));
    let plain = |letter: char| letter == '\n' || letter == '\t' || is_printable(letter);
    text.contains('\n')
        && lines_fit
        && !text.starts_with([' ', '\t', '\n'])
        && text.chars().all(plain)
}

fn block(text: &str, depth: usize, out: &mut String) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(depth, out);
            out.push_str(line);
        }
    }
}

fn is_printable(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn text(text: &str, out: &mut String) {
    if !text.chars().all(is_printable) {
        return double_quoted(text, out);
    }
    if is_plain(text) {
        return out.push_str(text);
    }
    if means_more(text) {
        return double_quoted(text, out);
    }
    out.push('\'');
    out.push_str(&text.replace('\'', "''"));
    out.push('\'');
}

fn is_plain(text: &str) -> bool {
    let first_fits = !text.starts_with(|first: char| {
        first.is_whitespace() || "-?:,[]{}#&*!|>'\"%@`=<".contains(first)
    });
    let dash = text.starts_with('-') && text[1..].starts_with(|next: char| next.is_alphanumeric());
    (first_fits || dash)
        && !text.ends_with(|last: char| last.is_whitespace() || last == ':')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains('\t')
        && !text.starts_with("...")
        && !means_more(text)
}

/// Whether an unquoted text would be read as a number, a date, a boolean or nothing.
fn means_more(text: &str) -> bool {
    let starts_number = text
        .starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.chars().any(|letter| letter.is_ascii_digit());
    let number_like = starts_number
        && text
            .chars()
            .all(|letter| letter.is_ascii_hexdigit() || "+-.:_xXoOTtZz ".contains(letter));
    let is_text = scalar::plain(text).is_ok_and(|value| value.is_string());
    !is_text || number_like || WORDS.contains(&&*text.to_ascii_lowercase())
}

fn double_quoted(text: &str, out: &mut String) {
    // JSON's quotes are YAML's, but for these three letters and DEL, which YAML wants escaped.
    for letter in Value::from(text).to_string().chars() {
        if is_printable(letter) {
            out.push(letter);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        }
    }
}
