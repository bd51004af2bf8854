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
use super::fields::what;
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

/// A patch that says something of another kind than is there: a list for a mapping, say.
#[derive(Debug)]
pub(crate) struct Clash {
    /// Names of the fields that lead to it, the last one first.
    way: Vec<String>,
    there: &'static str,
    patch: &'static str,
}

impl std::fmt::Display for Clash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way: Vec<&str> = self.way.iter().rev().map(String::as_str).collect();
        let (way, there, patch) = (way.join("/"), self.there, self.patch);
        write!(f, "{way}: the patch has {patch}, and the object has {there}")
    }
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
) -> Result<Merged, Clash> {
    match directive(patch) {
        Some("delete") => return Ok(Merged::Deleted),
        Some("replace") => {}
        _ => {
            if let (Value::Object(map), Value::Object(changes)) = (target, patch) {
                maps(map, changes, schemas.of(id))?;
            }
        }
    }
    Ok(Merged::Kept)
}

fn directive(value: &Value) -> Option<&str> {
    value.get(DIRECTIVE)?.as_str()
}

/// Merges a mapping into another.
fn maps(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    schema: Schema<'_>,
) -> Result<(), Clash> {
    let schema = embedded(embedded(schema, target), patch);
    for (name, value) in target.iter_mut().filter(|(name, _)| !patch.contains_key(*name)) {
        settle(value, schema.field(name));
    }
    for (name, change) in patch.iter().filter(|(name, _)| *name != DIRECTIVE) {
        let schema = schema.field(name);
        let is_kept = if let Some(value) = target.get_mut(name) {
            merge(value, change, schema).map_err(|mut clash| {
                clash.way.push(name.clone());
                clash
            })?
        } else {
            target.extend(adopt(change, schema).map(|new| (name.clone(), new)));
            true
        };
        if !is_kept {
            target.remove(name);
        }
    }
    Ok(())
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
fn merge(target: &mut Value, patch: &Value, schema: Schema<'_>) -> Result<bool, Clash> {
    match (&mut *target, patch) {
        (Value::Object(map), Value::Object(changes))
            if !matches!(directive(patch), Some("delete" | "replace")) =>
        {
            maps(map, changes, schema)?;
            return Ok(true);
        }
        (Value::Array(items), Value::Array(changes)) => {
            if let Some((keys, inner)) = schema.items() {
                return lists::merge(items, changes, &keys, inner);
            }
        }
        (Value::Null, _) | (_, Value::Null) | (Value::Object(_), Value::Object(_)) => {}
        (there, patch) if is_scalar(there) && is_scalar(patch) => {}
        (there, patch) => {
            return Err(Clash { way: Vec::new(), there: what(there), patch: what(patch) });
        }
    }
    let new = adopt(patch, schema);
    let is_kept = new.is_some();
    *target = new.unwrap_or_default();
    Ok(is_kept)
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
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
                lists::unite_all(items, &keys, inner);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
