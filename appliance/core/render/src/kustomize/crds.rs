//! `crds`: what the schemas of custom resources say about their fields.
//!
//! A file maps names of types to `{Schema: {properties: …}}`. Marks on a property (extensions whose
//! names begin with `x-kubernetes-`) say that it holds annotations, is a label selector, is a part
//! of the object's identity, or refers to another object.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::configuration::{Configuration, add_specs};
use super::fields::FieldSpec;
use super::reference_table::Target;

/// Types within types. Types may hold themselves, and go no deeper here.
const DEPTH_MAX: usize = 32;

/// Fields found in one file; types that hold each other twice over multiply.
const FIELDS_MAX: usize = 10_000;

/// The fields that the schemas of a file add to the tables.
pub(crate) fn configuration(file: &Value) -> Configuration {
    let mut finder = Finder { types: file, found: Configuration::default(), left: FIELDS_MAX };
    for (name, definition) in file.as_object().into_iter().flatten() {
        if properties(definition).is_some_and(is_object) {
            let kind = name.rsplit('.').next().unwrap_or_default();
            finder.search(kind, name, "", DEPTH_MAX);
        }
    }
    finder.found
}

/// Whether a type is one of objects and not a part of them.
fn is_object(properties: &Map<String, Value>) -> bool {
    ["kind", "apiVersion", "metadata"].iter().all(|name| properties.contains_key(*name))
}

fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    definition.get("Schema").or_else(|| definition.get("schema"))?.get("properties")?.as_object()
}

struct Finder<'a> {
    types: &'a Value,
    found: Configuration,
    left: usize,
}

impl Finder<'_> {
    /// Looks through a type that is at `path` of objects of `kind`.
    fn search(&mut self, kind: &str, name: &str, path: &str, depth: usize) {
        let Some(properties) = self.types.get(name).and_then(properties) else { return };
        for (field, property) in properties {
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
            let place = if path.is_empty() { field.clone() } else { format!("{path}/{field}") };
            self.marks(kind, &place, property);
            let inner = property.get("$ref").and_then(Value::as_str);
            if let Some(inner) = inner.filter(|_| depth > 0) {
                self.search(kind, inner, &place, depth - 1);
            }
        }
    }

    fn marks(&mut self, kind: &str, place: &str, property: &Value) {
        let mark = |name: &str| property.get(format!("x-kubernetes-{name}"))?.as_str();
        let spec = |path: String| {
            let kind = ["", "", kind].map(|part| Cow::Owned(part.to_owned()));
            [FieldSpec::new(kind, Cow::Owned(path), false)]
        };
        let own = || spec(place.to_owned());
        let lists = [
            ("annotation", &mut self.found.annotations),
            ("label-selector", &mut self.found.common_labels),
            ("identity", &mut self.found.name_prefix),
        ];
        for (name, list) in lists {
            if mark(name).is_some() {
                // None of them is to be created, so none is in conflict with another.
                let _never = add_specs(list, &own());
            }
        }
        if let (Some(version), Some(kind)) =
            (mark("object-ref-api-version"), mark("object-ref-kind"))
        {
            let key = mark("object-ref-name-key").unwrap_or("name");
            let target = Target {
                group: Cow::Borrowed(""),
                version: Cow::Owned(version.to_owned()),
                kind: Cow::Owned(kind.to_owned()),
                fields: spec(format!("{place}/{key}")).to_vec(),
            };
            let added = Configuration { references: vec![target], ..Configuration::default() };
            let _never = self.found.add(&added);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marked_fields_are_found_through_references() {
        let found = configuration(&json!({
            "example.com/v1.Bee": {"Schema": {"properties": {
                "kind": {}, "apiVersion": {}, "metadata": {},
                "spec": {"$ref": "example.com/v1.BeeSpec"},
            }}},
            "example.com/v1.BeeSpec": {"Schema": {"properties": {
                "notes": {"x-kubernetes-annotation": ""},
                "secret": {
                    "x-kubernetes-object-ref-api-version": "v1",
                    "x-kubernetes-object-ref-kind": "Secret",
                },
                "again": {"$ref": "example.com/v1.BeeSpec"},
            }}},
        }));
        let paths: Vec<&str> = found.annotations.iter().map(|spec| &*spec.path).collect();
        assert_eq!(paths.iter().filter(|path| **path == "spec/notes").count(), 1);
        assert!(found.references.iter().any(|target| target.kind == "Secret"
            && target.fields.iter().any(|spec| spec.path == "spec/secret/name")));
        assert!(found.annotations.iter().all(|spec| spec.kind == "Bee"));
    }

    #[test]
    fn a_type_that_is_a_part_of_others_is_no_object() {
        let found = configuration(&json!({
            "a.Part": {"Schema": {"properties": {"x": {"x-kubernetes-annotation": ""}}}},
        }));
        assert_eq!(found, Configuration::default());
    }
}
