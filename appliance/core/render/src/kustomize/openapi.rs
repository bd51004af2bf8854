//! `openapi`: a schema of one's own, which says which lists are merged item by item.
//!
//! It takes the place of the built-in one for the whole build, built-in kinds included. The one of
//! the kustomization at the top counts, and otherwise the first that is met on the way.

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
}

impl OpenApi {
    /// Takes a document of OpenAPI, of which only the definitions count.
    pub(crate) fn new(mut document: Value) -> Self {
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
        Self { definitions, kinds }
    }

    /// The schema of an object.
    pub(crate) fn of(&self, id: &Id) -> Option<&Value> {
        let kind = [&id.group, &id.version, &id.kind].map(String::clone);
        self.definitions.get(self.kinds.get(&kind)?)
    }

    /// That of a field of a mapping.
    pub(crate) fn field<'a>(&'a self, schema: &'a Value, name: &str) -> Option<&'a Value> {
        let schema = self.resolved(schema)?;
        let field = schema.get("properties").and_then(|properties| properties.get(name));
        field.or_else(|| schema.get("additionalProperties")).filter(|field| field.is_object())
    }

    /// If it is that of a list whose items are merged: the keys of the items, and their schema.
    pub(crate) fn items<'a>(&'a self, schema: &'a Value) -> Option<(Vec<&'a str>, &'a Value)> {
        let schema = self.resolved(schema)?;
        let strategy = schema.get("x-kubernetes-patch-strategy")?.as_str()?;
        if !strategy.split(',').any(|part| part == "merge") {
            return None;
        }
        let several = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let mut keys: Vec<&str> = several.into_iter().flatten().filter_map(Value::as_str).collect();
        if keys.is_empty() {
            keys.extend(schema.get("x-kubernetes-patch-merge-key").and_then(Value::as_str));
        }
        Some((keys, schema.get("items").unwrap_or(&Value::Null)))
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> Option<&'a Value> {
        let mut schema = schema;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return Some(schema);
            };
            schema = self.definitions.get(reference.strip_prefix("#/definitions/")?)?;
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
        let api = OpenApi::new(json!({"definitions": {
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
        }}));
        let id = Id {
            group: "a".to_owned(),
            version: "v1".to_owned(),
            kind: "App".to_owned(),
            namespace: String::new(),
            name: String::new(),
        };
        let spec = api.field(api.of(&id).unwrap(), "spec").unwrap();
        let (keys, inner) = api.items(api.field(spec, "parts").unwrap()).unwrap();
        assert_eq!(keys, ["name"]);
        assert!(api.field(inner, "parts").is_some());
        assert!(api.items(api.field(spec, "plain").unwrap()).is_none());
    }

    #[test]
    fn references_in_a_circle_lead_nowhere() {
        let document = json!({"definitions": {"a": {"$ref": "#/definitions/a"}}});
        let api = OpenApi::new(document);
        assert!(api.field(&json!({"$ref": "#/definitions/a"}), "x").is_none());
    }
}
