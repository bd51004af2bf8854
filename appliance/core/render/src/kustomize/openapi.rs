//! `openapi`: a schema of one's own, which says which lists are merged item by item.
//!
//! It takes the place of the built-in one for the whole build, built-in kinds included, unless
//! objects were read before it was met: then both count, its own definitions first. The one of the
//! kustomization at the top counts, and otherwise the first that is met on the way.

use std::collections::BTreeMap;

use serde_json::Value;

use super::resource::Id;

/// References that lead to references.
const REFERENCES_MAX: usize = 32;

/// The version that is built in.
pub(crate) const BUILT_IN: &str = "v1.21.2";

/// A schema as `openapi.path` names it.
#[derive(Debug)]
pub(crate) struct OpenApi {
    /// `definitions` of the document.
    definitions: Value,
    /// Names of definitions by group, version and kind.
    kinds: BTreeMap<[String; 3], String>,
    /// Whether the built-in schema counts where this one says nothing.
    with_built_in: bool,
}

/// What is found of a field or of items.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// A schema of the document.
    Own(&'a Value),
    /// A built-in definition of this name.
    BuiltIn(&'a str),
}

impl OpenApi {
    /// Takes a document of OpenAPI, of which only the definitions count.
    pub(crate) fn new(mut document: Value, with_built_in: bool) -> Self {
        let definitions = document.get_mut("definitions").map(Value::take).unwrap_or_default();
        let mut kinds = BTreeMap::new();
        for (name, definition) in definitions.as_object().into_iter().flatten() {
            let marks = definition.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            for mark in marks.into_iter().flatten() {
                let part =
                    |field| mark.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                kinds.insert(["group", "version", "kind"].map(part), name.clone());
            }
        }
        Self { definitions, kinds, with_built_in }
    }

    /// Whether the built-in schema counts where this one says nothing.
    pub(crate) fn has_built_in(&self) -> bool {
        self.with_built_in
    }

    /// The schema of an object.
    pub(crate) fn of(&self, id: &Id) -> Option<&Value> {
        let kind = [&id.group, &id.version, &id.kind].map(String::clone);
        self.definitions.get(self.kinds.get(&kind)?)
    }

    /// That of a field of a mapping.
    pub(crate) fn field<'a>(&'a self, schema: &'a Value, name: &str) -> Option<Found<'a>> {
        let field = schema.get("properties").and_then(|properties| properties.get(name));
        let field = field.or_else(|| schema.get("additionalProperties"));
        self.resolved(field.filter(|field| field.is_object())?)
    }

    /// If it is that of a list whose items are merged: the keys of the items, and their schema.
    pub(crate) fn items<'a>(
        &'a self,
        schema: &'a Value,
    ) -> Option<(Vec<&'a str>, Option<Found<'a>>)> {
        let strategy = schema.get("x-kubernetes-patch-strategy")?.as_str()?;
        if !strategy.split(',').any(|part| part == "merge") {
            return None;
        }
        let several = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let mut keys: Vec<&str> = several.into_iter().flatten().filter_map(Value::as_str).collect();
        if keys.is_empty() {
            keys.extend(schema.get("x-kubernetes-patch-merge-key").and_then(Value::as_str));
        }
        Some((keys, schema.get("items").and_then(|items| self.resolved(items))))
    }

    /// What a schema comes to that may refer to another.
    fn resolved<'a>(&'a self, schema: &'a Value) -> Option<Found<'a>> {
        let mut schema = schema;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return Some(Found::Own(schema));
            };
            let name = reference.strip_prefix("#/definitions/")?;
            match self.definitions.get(name) {
                Some(next) => schema = next,
                None => return self.with_built_in.then_some(Found::BuiltIn(name)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merged_lists_are_found_through_references() {
        let api = OpenApi::new(
            json!({"definitions": {
                "a.App": {
                    "properties": {"spec": {"$ref": "#/definitions/a.Spec"}},
                    "x-kubernetes-group-version-kind": [{"group": "a", "version": "v1", "kind": "App"}],
                },
                "a.Spec": {"properties": {
                    "parts": {
                        "x-kubernetes-patch-strategy": "merge",
                        "x-kubernetes-patch-merge-key": "name",
                        "items": {"$ref": "#/definitions/a.Spec"},
                    },
                    "plain": {"type": "array"},
                }},
            }}),
            false,
        );
        let id = Id {
            group: "a".to_owned(),
            version: "v1".to_owned(),
            kind: "App".to_owned(),
            namespace: String::new(),
            name: String::new(),
        };
        let Some(Found::Own(spec)) = api.field(api.of(&id).unwrap(), "spec") else { panic!() };
        let Some(Found::Own(parts)) = api.field(spec, "parts") else { panic!() };
        let (keys, inner) = api.items(parts).unwrap();
        assert_eq!(keys, ["name"]);
        let Some(Found::Own(inner)) = inner else { panic!() };
        assert!(api.field(inner, "parts").is_some());
        let Some(Found::Own(plain)) = api.field(spec, "plain") else { panic!() };
        assert!(api.items(plain).is_none());
    }

    #[test]
    fn references_in_a_circle_lead_nowhere() {
        let document = json!({"definitions": {"a": {"$ref": "#/definitions/a"}}});
        let api = OpenApi::new(document, false);
        let schema = json!({"properties": {"x": {"$ref": "#/definitions/a"}}});
        assert!(api.field(&schema, "x").is_none());
    }
}
