use std::fmt::Write;

use serde_json::json;

use super::*;

fn read(text: &str) -> Value {
    parse_one(text.as_bytes(), Dialect::Kustomize, &mut Budget::default()).unwrap()
}

fn error(text: &str) -> YamlError {
    parse(text.as_bytes(), Dialect::Kustomize, &mut Budget::default()).unwrap_err()
}

#[test]
fn words_and_numbers_of_yaml_1_1_are_text() {
    for text in ["yes", "No", "on", "OFF", "y", "1:30", "0x", "1.2.3", "1e", "."] {
        assert_eq!(read(&format!("a: {text}")), json!({"a": text}), "{text}");
    }
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    let cases = [
        ("0644", json!(420)),
        ("-0644", json!(-420)),
        ("0o644", json!(420)),
        ("0x1F", json!(31)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("0899", json!(899)),
        ("1.0", json!(1)),
        ("1e3", json!(1000)),
        (".5", json!(0.5)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("123456789012345678901234567890", json!(123_456_789_012_345_678_901_234_567_890_f64)),
    ];
    for (text, value) in cases {
        assert_eq!(read(&format!("a: {text}"))["a"], value, "{text}");
    }
}

#[test]
fn tags_and_quotes_decide_what_a_scalar_is() {
    let read = read("{a: !!str 1, b: '1', c: !!int '1', d: !mine 1, e: !!binary aGk=, f: ~}");
    assert_eq!(read, json!({"a": "1", "b": "1", "c": 1, "d": "1", "e": "hi", "f": null}));
    assert!(error("a: !!int x").why.contains("!!int"));
    assert!(error("a: .inf").why.contains("JSON"));
}

#[test]
fn merged_keys_yield_to_those_of_the_mapping_and_to_earlier_ones() {
    let text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 3\n";
    assert_eq!(read(text)["z"], json!({"a": 3, "b": 1, "c": 2}));
}

#[test]
fn a_key_that_comes_twice_is_an_error_with_its_line() {
    let error = error("a: 1\nb: 2\na: 3\n");
    assert_eq!(error.line, 3);
    assert!(error.why.contains("\"a\""), "{error}");
}

#[test]
fn an_error_names_its_line() {
    assert_eq!(error("a: 1\nb: 2\n]\n").line, 3);
    assert_eq!(error("a:\n\tb: 1\n").line, 2);
}

#[test]
fn aliases_that_multiply_end_at_the_budget() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert!(error(&text).is_limit());
}

#[test]
fn collections_too_deep_are_an_error_and_no_crash() {
    let depth = DEPTH_MAX + 10;
    assert!(error(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).is_limit());
    parse(&vec![b'['; 100_000], Dialect::Kustomize, &mut Budget::default()).unwrap_err();
}

#[test]
fn an_alias_inside_of_what_it_names_is_an_error() {
    assert!(error("a: &a [*a]").why.contains("alias"));
}

#[test]
fn files_of_windows_are_read() {
    assert_eq!(read("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n"), json!({"a": 1, "b": "x\ny\n"}));
    let utf16: Vec<u8> = "\u{feff}a: 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let value = parse_one(&utf16, Dialect::Kustomize, &mut Budget::default()).unwrap();
    assert_eq!(value, json!({"a": 1}));
}

#[test]
fn documents_that_say_nothing_are_left_out() {
    let text = b"---\n# only a comment\n---\na: 1\n---\n---\nb: 2\n...\n";
    let documents = parse(text, Dialect::Kustomize, &mut Budget::default()).unwrap();
    let lines: Vec<_> = documents.iter().map(|document| document.line).collect();
    assert_eq!(lines, [4, 7]);
}

#[test]
fn annotations_are_as_written_for_kustomize_alone() {
    let text = b"metadata: {annotations: {v: 1.10}, labels: {v: 1.10}}";
    let metadata =
        |dialect| parse_one(text, dialect, &mut Budget::default()).unwrap()["metadata"].clone();
    let kustomize = metadata(Dialect::Kustomize);
    assert_eq!(kustomize, json!({"annotations": {"v": "1.10"}, "labels": {"v": 1.1}}));
    assert_eq!(metadata(Dialect::Kubernetes)["annotations"]["v"], json!(1.1));
}

#[test]
fn keys_that_are_not_text_are_kubernetes_own_affair() {
    assert!(error("8080: a").why.contains("quote"));
    let value = parse_one(b"8080: a", Dialect::Kubernetes, &mut Budget::default()).unwrap();
    assert_eq!(value, json!({"8080": "a"}));
}

#[test]
fn a_literal_at_the_end_of_a_file_has_no_line_feed_of_its_own() {
    assert_eq!(read("a: |\n  b"), json!({"a": "b"}));
}

#[test]
fn what_is_written_reads_back_the_same() {
    let value = json!({
        "texts": ["yes", "1", "", "a: b", "- a", "-a", "#x", "x #y", "it's", "\"q\"", "null", "~",
            "0644", "1:30", "a\nb", "a\nb\n", "a\nb\n\n", " a\nb", "a \nb", "\n",
            "\t", "a\tb", "\u{1}", "\u{7f}", "\u{85}", "ü😀", "*a", "&a", "!a", "%a", "@a", "{", "]",
            "key:", "...", "---", "<<", "=", ".5", "+1", "\u{feff}", "a\\b", "a\r\nb", "?", "? a"],
        "numbers": [0, -1, 1.5, 1e300, 18_446_744_073_709_551_615_u64],
        "empty": [[], {}, null, true, [[1, [2]], {"a": {"b": []}}]],
        "yes": {"multi\nline": 1, "": 2},
    });
    let text = emit::documents([&value, &value]);
    let documents = parse(text.as_bytes(), Dialect::Kustomize, &mut Budget::default());
    let documents = documents.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].value, value, "{text}");
}

#[test]
fn characters_that_end_lines_for_some_readers_only_are_refused() {
    for text in ["a: b\nc: \u{2028}d", "a: b\n# \u{85}", "a: b\nc: '\u{2029}'"] {
        let error = error(text);
        assert_eq!(error.line, 2, "{text:?}");
        assert!(error.why.contains("escape"), "{error}");
    }
    assert_eq!(read("a: \"\\L\""), json!({"a": "\u{2028}"}));
}

#[test]
fn kustomizations_have_the_booleans_of_yaml_1_1() {
    let read = |text: &str| {
        parse_one(text.as_bytes(), Dialect::Kustomization, &mut Budget::default()).unwrap()
    };
    assert_eq!(read("[y, No, on, OFF, yess]"), json!([true, false, true, false, "yess"]));
    assert_eq!(read("{a: 2001-1-1, a: 2}"), json!({"a": 2}));
}

#[test]
fn fields_without_a_value_are_told_from_null_and_their_ways_count() {
    let text = "a:\nb: null\nc:\n- d:\n- e: ~\n";
    let documents = parse(text.as_bytes(), Dialect::Kustomize, &mut Budget::default()).unwrap();
    let ways: Vec<String> = documents[0].blanks.iter().map(|blank| blank.join("/")).collect();
    assert_eq!(ways, ["a", "c/0/d"]);
    assert_eq!(documents[0].value, json!({"a": null, "b": null, "c": [{"d": null}, {"e": null}]}));
    let mut long_key = format!("? {}\n:\n", "k".repeat(1024 * 1024));
    for index in 0..100 {
        writeln!(long_key, "  f{index}:").unwrap();
    }
    assert!(error(&long_key).is_limit(), "{:?}", error(&long_key));
}

/// The parser tells of them if any crate of the build asks for it.
#[test]
fn comments_say_nothing() {
    let text = "# top\na: 1 # end\n# between\nb: [1, # in a list\n  2]\n# last\n";
    let documents = parse(text.as_bytes(), Dialect::Kubernetes, &mut Budget::default()).unwrap();
    assert_eq!(documents[0].value, json!({"a": 1, "b": [1, 2]}));
}
