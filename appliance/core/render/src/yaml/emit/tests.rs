use serde_json::{Value, json};

use super::documents;

fn document(value: &Value) -> String {
    documents([value])
}

fn field(text: &str) -> String {
    document(&json!({ "a": text }))
}

#[test]
fn quotes_appear_only_where_the_text_would_be_read_as_something_else() {
    let cases = [
        ("plain text", "a: plain text\n"),
        ("", "a: \"\"\n"),
        ("y", "a: \"y\"\n"),
        ("012", "a: \"012\"\n"),
        ("1:30", "a: \"1:30\"\n"),
        ("2001-01-01", "a: \"2001-01-01\"\n"),
        ("- x", "a: '- x'\n"),
        ("it's: so", "a: 'it''s: so'\n"),
        ("*.example.org", "a: '*.example.org'\n"),
        (" x", "a: ' x'\n"),
        ("x ", "a: 'x '\n"),
        ("a #b", "a: 'a #b'\n"),
        ("a#b", "a: a#b\n"),
        ("tab\there", "a: \"tab\\there\"\n"),
        ("\u{1f600}", "a: \"\\U0001F600\"\n"),
        ("é", "a: é\n"),
        ("\u{feff}", "a: \"\\uFEFF\"\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(field(text), expected, "{text:?}");
    }
}

#[test]
fn text_with_line_breaks_is_a_literal_block_where_the_format_allows_it() {
    assert_eq!(field("x\ny\n"), "a: |\n  x\n  y\n");
    assert_eq!(field("x\ny"), "a: |-\n  x\n  y\n");
    assert_eq!(field("x\n\n"), "a: |+\n  x\n\n");
    assert_eq!(field("  x\ny\n"), "a: |2\n    x\n  y\n");
    assert_eq!(field("x \ny\n"), "a: \"x \\ny\\n\"\n");
    assert_eq!(field("x\ny "), "a: \"x\\ny \"\n");
    assert_eq!(field("\n"), "a: |2+\n\n");
}

#[test]
fn long_lines_are_folded_at_the_first_space_after_column_80() {
    let words = "word ".repeat(30);
    let text = field(words.trim_end());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].len() > 80 && lines[0].len() < 90, "{}", lines[0].len());
    assert!(lines[1].starts_with("  word"));
}

#[test]
fn collections_are_laid_out_like_kustomize_does() {
    let value = json!({
        "list": [{"b": 1, "a": [1, [2, 3]]}, []],
        "empty": {},
        "none": null,
        "flag": true,
        "big": 123_456_789.123_456_79,
        "small": 1e-7,
    });
    let expected = "\
big: 1.2345678912345679e+08
empty: {}
flag: true
list:
- a:
  - 1
  - - 2
    - 3
  b: 1
- []
none: null
small: 1e-07
";
    assert_eq!(document(&value), expected);
}

#[test]
fn keys_are_quoted_like_values_and_long_ones_stand_alone() {
    assert_eq!(document(&json!({"y": 1, "": 2, "a b": 3})), "\"\": 2\na b: 3\n\"y\": 1\n");
    let long = "k".repeat(129);
    assert_eq!(document(&json!({ &long: {"a": 1} })), format!("? {long}\n: a: 1\n"));
}
