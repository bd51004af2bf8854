//! Strategic merge: an object with what changes, merged into another.
//!
//! Mappings are merged, `null` deletes, lists are replaced, except those whose items the built-in
//! schema tells apart by a key: there items of one key are merged, and new ones come first. A
//! mapping or an item may say `$patch: delete`, `replace` or `merge`.

use serde_json::{Map, Value};

use super::merge_keys::keys_of;
use super::resource::Id;

/// Says what to do with a mapping or an item.
const DIRECTIVE: &str = "$patch";

/// What is left of the object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Merged {
    /// It is still there.
    Kept,
    /// The patch deletes it.
    Deleted,
}

/// Merges `patch` into the object of this identity. The patch may change the identity: giving it
/// back is the caller's.
pub(crate) fn strategic(target: &mut Value, patch: &Value, id: &Id) -> Merged {
    let Value::Object(changes) = patch else { return Merged::Kept };
    match directive(patch) {
        Some("delete") => return Merged::Deleted,
        Some("replace") => *target = without_directive(patch),
        _ => {
            if let Value::Object(map) = target {
                maps(map, changes, &mut vec![], id);
            }
        }
    }
    Merged::Kept
}

fn directive(value: &Value) -> Option<&str> {
    value.get(DIRECTIVE)?.as_str()
}

/// The value without directives and deletions: what is left when there is nothing to merge into.
fn without_directive(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| *key != DIRECTIVE && !value.is_null());
            Value::Object(
                kept.map(|(key, value)| (key.clone(), without_directive(value))).collect(),
            )
        }
        Value::Array(items) => {
            let kept = items.iter().filter(|item| directive(item) != Some("delete"));
            Value::Array(kept.map(without_directive).collect())
        }
        other => other.clone(),
    }
}

fn maps<'p>(
    target: &mut Map<String, Value>,
    patch: &'p Map<String, Value>,
    names: &mut Vec<&'p str>,
    id: &Id,
) {
    for (key, change) in patch.iter().filter(|(key, _)| *key != DIRECTIVE) {
        names.push(key);
        match (target.get_mut(key), change) {
            (_, Value::Null) => drop(target.remove(key)),
            (Some(Value::Object(inner)), Value::Object(changes)) => match directive(change) {
                Some("delete") => drop(target.remove(key)),
                Some("replace") => drop(target.insert(key.clone(), without_directive(change))),
                _ => maps(inner, changes, names, id),
            },
            (Some(Value::Array(items)), Value::Array(changes)) => lists(items, changes, names, id),
            (None, _) if directive(change) == Some("delete") => {}
            _ => drop(target.insert(key.clone(), without_directive(change))),
        }
        names.pop();
    }
}

fn lists<'p>(target: &mut Vec<Value>, patch: &'p [Value], names: &mut Vec<&'p str>, id: &Id) {
    let keys = keys_of(id, names);
    if keys.is_empty() {
        *target = patch.iter().map(without_directive).collect();
        return;
    }
    if patch.iter().any(|item| directive(item) == Some("replace")) {
        let items = patch.iter().filter(|item| item.as_object().is_none_or(|map| map.len() > 1));
        *target = items.map(without_directive).collect();
        return;
    }
    let mut new = Vec::new();
    for change in patch {
        let place = target.iter().position(|item| is_same(item, change, keys));
        match (place, directive(change)) {
            (Some(place), Some("delete")) => drop(target.remove(place)),
            (None, Some("delete")) => {}
            (Some(place), _) => {
                if let (Some(Value::Object(item)), Value::Object(changes)) =
                    (target.get_mut(place), change)
                {
                    maps(item, changes, names, id);
                }
            }
            (None, _) => new.push(without_directive(change)),
        }
    }
    new.append(target);
    *target = new;
}

/// Whether two items have the same keys. Both may be without a key that has a default.
fn is_same(item: &Value, other: &Value, keys: &[&str]) -> bool {
    let key = |value: &Value, name: &str| match (value.get(name), name) {
        (None, "protocol") => Some(Value::from("TCP")),
        (found, _) => found.cloned(),
    };
    let value = |value: &Value| keys.iter().map(|name| key(value, name)).collect::<Vec<_>>();
    let found = value(item);
    found.iter().any(Option::is_some) && found == value(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(target: &Value, patch: &Value) -> Value {
        let mut target = target.clone();
        let id = Id::of(&target);
        strategic(&mut target, patch, &id);
        target
    }

    fn deployment(containers: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"template": {"spec": {"containers": containers}}},
        })
    }

    #[test]
    fn containers_are_merged_by_name_and_new_ones_come_first() {
        let target = deployment(&json!([{"name": "a", "image": "1", "args": ["x"]}]));
        let patch = deployment(&json!([{"name": "b"}, {"name": "a", "image": "2"}]));
        let expected =
            deployment(&json!([{"name": "b"}, {"name": "a", "image": "2", "args": ["x"]}]));
        assert_eq!(merged(&target, &patch), expected);
    }

    #[test]
    fn null_and_directives_delete() {
        let target = deployment(&json!([{"name": "a"}, {"name": "b"}]));
        let patch = deployment(&json!([{"name": "a", "$patch": "delete"}]));
        assert_eq!(merged(&target, &patch), deployment(&json!([{"name": "b"}])));
        let patch = json!({"spec": null});
        assert!(merged(&target, &patch).get("spec").is_none());
    }

    #[test]
    fn lists_of_custom_resources_are_replaced() {
        let target = json!({"apiVersion": "a/v1", "kind": "B", "containers": [{"name": "a"}]});
        let patch = json!({"containers": [{"name": "b"}]});
        assert_eq!(merged(&target, &patch)["containers"], json!([{"name": "b"}]));
    }
}
