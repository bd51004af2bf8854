//! One object's difference as a unified diff of its YAML.
//!
//! Each hunk is headed by the path of its first changed line, because lines alone do not tell a
//! `startupProbe` from a `livenessProbe`.

use fyr_model::api::ObjectDiff;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::exit::Failure;
use crate::output::yaml;
use crate::style::{Paint, clean, is_steering, painted, push};

/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

/// The difference; `sides` are the names of what is compared.
pub(crate) fn text(one: &ObjectDiff, sides: [&str; 2], colours: bool) -> Result<String, Failure> {
    let side = |value: &Option<Value>| value.as_ref().map_or(Ok(String::new()), yaml);
    let (before, after) = (side(&one.live)?, side(&one.desired)?);
    let key = clean(&one.key.to_string());
    let action = match (&one.live, &one.desired) {
        (None, _) => "create",
        (_, None) => "delete",
        _ => "update",
    };
    let mut text = String::new();
    push!(text, "{}\n", painted(&format!("=== {action} {key}"), Paint::Warn, colours));
    push!(text, "--- {}\n", clean(sides[0]));
    push!(text, "+++ {}\n", clean(sides[1]));
    let diff = TextDiff::from_lines(&before, &after);
    let lines = [before.lines().collect::<Vec<_>>(), after.lines().collect::<Vec<_>>()];
    for hunk in diff.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
        let first = hunk.iter_changes().find(|change| change.tag() != ChangeTag::Equal);
        let path = first.map(|change| match (change.old_index(), change.new_index()) {
            (Some(index), _) => path_of(&lines[0], index),
            (None, Some(index)) => path_of(&lines[1], index),
            (None, None) => String::new(),
        });
        let head = format!("{} {}", hunk.header(), clean(&path.unwrap_or_default()));
        push!(text, "{}\n", painted(head.trim_end(), Paint::Dim, colours));
        for change in hunk.iter_changes() {
            let (sign, paint) = match change.tag() {
                ChangeTag::Equal => (' ', Paint::Plain),
                ChangeTag::Delete => ('-', Paint::Bad),
                ChangeTag::Insert => ('+', Paint::Good),
            };
            let line = format!("{sign}{}", harmless(change.value().trim_end_matches('\n')));
            push!(text, "{}\n", painted(&line, paint, colours));
        }
    }
    Ok(text)
}

/// A line as it is, but for what would steer a terminal.
fn harmless(line: &str) -> String {
    let shown = |letter| if is_steering(letter) && letter != '\t' { '\u{fffd}' } else { letter };
    line.chars().map(shown).collect()
}

/// A key or an item of a list that a line stands in.
struct Level {
    indent: usize,
    is_item: bool,
    label: String,
}

/// Where a line of YAML stands: `spec › template › containers[web] › image`.
///
/// Goes by indentation, which is all that is needed for YAML this program wrote itself.
fn path_of(lines: &[&str], index: usize) -> String {
    let mut levels: Vec<Level> = Vec::new();
    for (number, line) in lines.iter().enumerate().take(index + 1) {
        let mut indent = indent_of(line);
        let mut content = line.trim_start();
        if let Some(first) = content.strip_prefix("- ") {
            // A list may stand as deep as the key it belongs to.
            let inside =
                |level: &Level| level.indent < indent || (level.indent == indent && !level.is_item);
            levels.truncate(levels.iter().take_while(|level| inside(level)).count());
            let label = format!("[{}]", item_name(&lines[number + 1..], indent, first));
            levels.push(Level { indent, is_item: true, label });
            content = first;
            indent += ITEM_INDENT;
        }
        let Some(key) = key(content) else { continue };
        levels.truncate(levels.iter().take_while(|level| level.indent < indent).count());
        levels.push(Level { indent, is_item: false, label: key.to_owned() });
    }
    let mut path = String::new();
    for level in levels {
        if !level.is_item && !path.is_empty() {
            path.push_str(" › ");
        }
        path.push_str(&level.label);
    }
    path
}

/// How much deeper the fields of an item stand than its dash.
const ITEM_INDENT: usize = 2;

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The key of `key: value`.
fn key(content: &str) -> Option<&str> {
    let (key, rest) = content.split_once(':')?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| key.trim_matches(['"', '\'']))
}

/// What tells an item of a list from the others: its `name`, or else its first line.
fn item_name<'a>(below: &[&'a str], indent: usize, first: &'a str) -> &'a str {
    let own = below.iter().take_while(|line| indent_of(line) > indent);
    let fields = own.filter(|line| indent_of(line) == indent + ITEM_INDENT);
    let mut fields = std::iter::once(first).chain(fields.map(|line| line.trim_start()));
    fields.find_map(|line| line.strip_prefix("name: ")).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use fyr_model::api::ResourceRef;
    use serde_json::json;

    use super::*;

    fn deployment(replicas: u32, threshold: u32) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "template": {"spec": {"containers": [
                    {"image": "sidecar:1", "name": "sidecar"},
                    {
                        "image": "web:1",
                        "livenessProbe": {"failureThreshold": 3, "periodSeconds": 10},
                        "name": "web",
                        "startupProbe": {"failureThreshold": threshold, "periodSeconds": 10},
                    },
                ]}},
            },
        })
    }

    fn diff(live: Option<Value>, desired: Option<Value>) -> String {
        let key = ResourceRef {
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "web".into(),
            ..ResourceRef::default()
        };
        let one = ObjectDiff { key, live, desired, changed: true, error: None };
        text(&one, ["live", "desired"], false).unwrap()
    }

    #[test]
    fn a_hunk_says_where_it_is() {
        assert_eq!(
            diff(Some(deployment(2, 3)), Some(deployment(2, 10))),
            "\
=== update Deployment shop/web
--- live
+++ desired
@@ -15,5 +15,5 @@ spec › template › spec › containers[web] › startupProbe › failureThreshold
           periodSeconds: 10
         name: web
         startupProbe:
-          failureThreshold: 3
+          failureThreshold: 10
           periodSeconds: 10
"
        );
    }

    #[test]
    fn what_is_created_or_deleted_is_shown_whole() {
        let object = json!({"kind": "A", "data": {"x": "1"}});
        assert_eq!(
            diff(None, Some(object.clone())),
            "=== create Deployment shop/web\n--- live\n+++ desired\n@@ -0,0 +1,3 @@ data\n\
             +data:\n+  x: \"1\"\n+kind: A\n"
        );
        assert!(diff(Some(object), None).starts_with("=== delete Deployment shop/web\n"));
    }

    #[test]
    fn text_of_an_object_cannot_steer_a_terminal() {
        let object = json!({"data": "a\u{1b}[2Jb"});
        assert!(!diff(None, Some(object)).contains('\u{1b}'));
    }

    #[test]
    fn a_path_follows_lists_at_the_depth_of_their_key() {
        let text = "a:\n- name: x\n  b:\n    c: 1\n- name: y\n  b:\n    c: 2\n";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(path_of(&lines, 3), "a[x] › b › c");
        assert_eq!(path_of(&lines, 6), "a[y] › b › c");
    }
}
