//! Strategic merge: an object with what changes, merged into another.
//!
//! Mappings are merged, `null` deletes, lists are replaced, except those the built-in schema
//! merges item by item. A mapping or an item may say `$patch: delete`, `replace` or `merge`.
//! All of it is as kustomize does it, which is not always what Kubernetes itself does: directives
//! other than `$patch` are fields like any other.

mod blanks;
mod lists;

use serde_json::{Map, Value};

pub(crate) use self::blanks::remove as remove_blanks;
use super::merge_keys::{Schema, Schemas};
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
pub(crate) fn strategic(
    target: &mut Value,
    patch: &Value,
    id: &Id,
    schemas: Schemas<'_>,
) -> Merged {
    match directive(patch) {
        Some("delete") => return Merged::Deleted,
        Some("replace") => {}
        _ => {
            if let (Value::Object(map), Value::Object(changes)) = (target, patch) {
                maps(map, changes, schemas.of(id));
            }
        }
    }
    Merged::Kept
}

fn directive(value: &Value) -> Option<&str> {
    value.get(DIRECTIVE)?.as_str()
}

/// Merges a mapping into another.
fn maps(target: &mut Map<String, Value>, patch: &Map<String, Value>, schema: Schema<'_>) {
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
fn embedded<'a>(schema: Schema<'a>, map: &Map<String, Value>) -> Schema<'a> {
    match schema {
        Schema::Unknown(schemas) if map.contains_key("apiVersion") && map.contains_key("kind") => {
            let part = |name: &str| (name.to_owned(), map.get(name).cloned().unwrap_or_default());
            let header = Map::from_iter([part("apiVersion"), part("kind")]);
            schemas.of(&Id::of(&Value::Object(header)))
        }
        known => known,
    }
}

/// Merges a value into another; whether it is still there.
fn merge(target: &mut Value, patch: &Value, schema: Schema<'_>) -> bool {
    match (&mut *target, patch) {
        (Value::Object(map), Value::Object(changes))
            if !matches!(directive(patch), Some("delete" | "replace")) =>
        {
            maps(map, changes, schema);
            return true;
        }
        (Value::Array(items), Value::Array(changes)) => {
            if let Some((keys, inner)) = schema.items() {
                return lists::merge(items, changes, &keys, inner);
            }
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
fn adopt(patch: &Value, schema: Schema<'_>) -> Option<Value> {
    match patch {
        Value::Null => None,
        Value::Object(_) if directive(patch) == Some("delete") => None,
        Value::Object(map) => {
            let schema = embedded(schema, map);
            let fields = map.iter().filter(|(name, _)| *name != DIRECTIVE);
            let kept = fields.filter_map(|(name, value)| {
                adopt(value, schema.field(name)).map(|value| (name.clone(), value))
            });
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => match schema.items() {
            Some((keys, inner)) => lists::adopt(items, &keys, inner).map(Value::Array),
            None => Some(patch.clone()),
        },
        other => Some(other.clone()),
    }
}

/// What a merge does to values it does not name: items of one key become one.
fn settle(value: &mut Value, schema: Schema<'_>) {
    match value {
        Value::Object(map) => {
            let schema = embedded(schema, map);
            for (name, value) in map.iter_mut() {
                settle(value, schema.field(name));
            }
        }
        Value::Array(items) => {
            if let Some((keys, inner)) = schema.items() {
                lists::merge(items, &[], &keys, inner);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
