//! Fields without a value, `key:`, which a merge takes away wherever it passes by.
//!
//! Kustomize makes a difference between these and fields that say `null`, which stay.

use serde_json::Value;

use super::embedded;
use crate::kustomize::merge_keys::{Schema, Schemas};
use crate::kustomize::resource::Resource;

/// Takes away the blanks of an object that is about to be merged into: those in mappings and in
/// lists that are merged item by item.
pub(crate) fn remove(resource: &mut Resource, schemas: Schemas<'_>) {
    let blanks = std::mem::take(&mut resource.blanks);
    if blanks.is_empty() {
        return;
    }
    let schema = schemas.of(&resource.id());
    for blank in &blanks {
        one(&mut resource.value, blank, schema);
    }
}

fn one(value: &mut Value, steps: &[String], schema: Schema<'_>) {
    match (value, steps) {
        // An annotation was made a text since.
        (Value::Object(map), [name])
            if map.get(name).is_some_and(|value| value.is_null() || value == "") =>
        {
            map.remove(name);
        }
        (Value::Object(map), [name, rest @ ..]) => {
            let schema = embedded(schema, map).field(name);
            if let Some(value) = map.get_mut(name) {
                one(value, rest, schema);
            }
        }
        (Value::Array(items), [index, rest @ ..]) => {
            let item = index.parse().ok().and_then(|index: usize| items.get_mut(index));
            if let (Some(item), Some((_, schema))) = (item, schema.items()) {
                one(item, rest, schema);
            }
        }
        _ => {}
    }
}
