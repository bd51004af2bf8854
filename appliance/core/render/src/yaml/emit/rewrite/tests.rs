use serde_json::json;

use super::*;

fn changed(text: &str, change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut value = parse_one(text.as_bytes(), Dialect::Kustomize, &mut Budget::default()).unwrap();
    change(&mut value);
    rewrite(text, &value)
}

#[test]
fn order_quotes_and_collections_on_one_line_stay() {
    let text = "z: \"a\"\nb: {c: 'd', e: [1, \"f\"]}\na: old\nlist:\n  - x: 1\n    w: 2\n";
    let expected = "z: \"a\"\nb: {c: 'd', e: [1, \"f\"]}\na: new\nlist:\n- x: 1\n  w: 2";
    assert_eq!(changed(text, |value| value["a"] = json!("new")).unwrap(), expected);
}

#[test]
fn comments_stay_where_they_are() {
    let text = "# head\n\na: old # beside\nb:\n  c: 1\n  # last of b\n# about d\nd: 2\n\n# end\n";
    let expected = "# head\n\na: new # beside\nb:\n  c: 1\n  # last of b\n# about d\nd: 2\n\n# end";
    assert_eq!(changed(text, |value| value["a"] = json!("new")).unwrap(), expected);
}

#[test]
fn blocks_and_anchors_stay() {
    let text = "a: &x\n  q: |\n    one\n      two\nb: *x\nc: >-\n  folded\n  text\nd: old\n";
    let expected = "a: &x\n  q: |\n    one\n      two\nb: *x\nc: >-\n  folded text\nd: new";
    assert_eq!(changed(text, |value| value["d"] = json!("new")).unwrap(), expected);
}

#[test]
fn a_text_that_would_be_something_else_is_quoted_and_a_quoted_one_keeps_its_quotes() {
    let with = |new: Value| {
        changed("a: old\nb: 'old'\n", |value| {
            value["a"] = new.clone();
            value["b"] = new;
        })
    };
    assert_eq!(with(json!("3")).unwrap(), "a: \"3\"\nb: '3'");
    assert_eq!(with(json!("it's: x")).unwrap(), "a: 'it''s: x'\nb: 'it''s: x'");
    assert_eq!(with(json!("x\ny\n")).unwrap(), "a: |\n  x\n  y\nb: \"x\\ny\\n\"");
}

#[test]
fn what_is_new_comes_last() {
    let text = "b: 1\na:\n- 1\n";
    let expected = "b: 1\na:\n- 1\n- c: d\nnew:\n  key: e";
    let written = changed(text, |value| {
        value["a"] = json!([1, {"c": "d"}]);
        value["new"] = json!({"key": "e"});
    });
    assert_eq!(written.unwrap(), expected);
}

#[test]
fn what_has_no_place_is_nothing() {
    for text in ["a: !custom x\n", "a: [\n  1, # one\n  2]\n", "b: &x {a: 1}\nc: *x\n"] {
        let change = |value: &mut Value| match value.get_mut("c") {
            Some(c) => c["a"] = json!(2),
            None => value["new"] = json!(1),
        };
        assert_eq!(changed(text, change), None, "{text}");
    }
}
