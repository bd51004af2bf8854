//! Strategic merge: an object with what changes, merged into another.
//!
//! Mappings are merged, `null` deletes, lists are replaced, except those the built-in schema
//! merges item by item. A mapping or an item may say `$patch: delete`, `replace` or `merge`.
//! All of it is as kustomize does it, which is not always what Kubernetes itself does: directives
//! other than `$patch` are fields like any other.

mod lists;

use serde_json::{Map, Value};

use super::merge_keys::Schema;
use super::resource::Id;

/// Says what to do with a mapping, an item or, alone in an item, a list.
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
///
/// `$patch: replace` for the whole object changes nothing: kustomize throws the result away.
pub(crate) fn strategic(target: &mut Value, patch: &Value, id: &Id) -> Merged {
    match directive(patch) {
        Some("delete") => return Merged::Deleted,
        Some("replace") => {}
        _ => {
            if let (Value::Object(map), Value::Object(changes)) = (target, patch) {
                maps(map, changes, Schema::of(id));
            }
        }
    }
    Merged::Kept
}

fn directive(value: &Value) -> Option<&str> {
    value.get(DIRECTIVE)?.as_str()
}

/// Merges a mapping into another.
fn maps(target: &mut Map<String, Value>, patch: &Map<String, Value>, schema: Schema) {
    let schema = embedded(embedded(schema, target), patch);
    for (name, value) in target.iter_mut().filter(|(name, _)| !patch.contains_key(*name)) {
        settle(value, schema.field(name));
    }
    for (name, change) in patch.iter().filter(|(name, _)| *name != DIRECTIVE) {
        let schema = schema.field(name);
        let is_kept = if let Some(value) = target.get_mut(name) {
            merge(value, change, schema)
        } else {
            target.extend(adopt(change, schema).map(|new| (name.clone(), new)));
            true
        };
        if !is_kept {
            target.remove(name);
        }
    }
}

/// Within what is unknown, an object of a built-in kind is merged as one.
fn embedded(schema: Schema, map: &Map<String, Value>) -> Schema {
    match schema {
        Schema::Unknown if map.contains_key("apiVersion") && map.contains_key("kind") => {
            let part = |name: &str| (name.to_owned(), map.get(name).cloned().unwrap_or_default());
            let header = Map::from_iter([part("apiVersion"), part("kind")]);
            Schema::of(&Id::of(&Value::Object(header)))
        }
        known => known,
    }
}

/// Merges a value into another; whether it is still there.
fn merge(target: &mut Value, patch: &Value, schema: Schema) -> bool {
    match (&mut *target, patch, schema) {
        (Value::Object(map), Value::Object(changes), _)
            if !matches!(directive(patch), Some("delete" | "replace")) =>
        {
            maps(map, changes, schema);
            return true;
        }
        (Value::Array(items), Value::Array(changes), Schema::Items(keys, fields)) => {
            return lists::merge(items, changes, keys, Schema::Fields(fields));
        }
        _ => {}
    }
    let new = adopt(patch, schema);
    let is_kept = new.is_some();
    *target = new.unwrap_or_default();
    is_kept
}

/// What a patch gives where there is nothing to merge it into: itself without directives and
/// deletions. Lists that are replaced are taken as they are.
fn adopt(patch: &Value, schema: Schema) -> Option<Value> {
    match (patch, schema) {
        (Value::Null, _) => None,
        (Value::Object(_), _) if directive(patch) == Some("delete") => None,
        (Value::Object(map), _) => {
            let schema = embedded(schema, map);
            let fields = map.iter().filter(|(name, _)| *name != DIRECTIVE);
            let kept = fields.filter_map(|(name, value)| {
                adopt(value, schema.field(name)).map(|value| (name.clone(), value))
            });
            Some(Value::Object(kept.collect()))
        }
        (Value::Array(items), Schema::Items(keys, fields)) => {
            lists::adopt(items, keys, Schema::Fields(fields)).map(Value::Array)
        }
        (other, _) => Some(other.clone()),
    }
}

/// What a merge does to values it does not name: items of one key become one.
fn settle(value: &mut Value, schema: Schema) {
    match (value, schema) {
        (Value::Object(map), _) => {
            let schema = embedded(schema, map);
            for (name, value) in map.iter_mut() {
                settle(value, schema.field(name));
            }
        }
        (Value::Array(items), Schema::Items(keys, fields)) => {
            lists::merge(items, &[], keys, Schema::Fields(fields));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
