//! Kubernetes objects as Fyr handles them: JSON with the few promises everything relies on.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Digest;

/// A kind without its version: what identifies a resource when versions are converted freely.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, for example `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// Names a kind; `group` is empty for the core group.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// A kind with the version a manifest was written for.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct GroupVersionKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version, for example `v1`.
    pub version: String,
    /// Kind, for example `Deployment`.
    pub kind: String,
}

impl GroupVersionKind {
    /// Splits an `apiVersion` such as `apps/v1` or `v1`.
    pub fn from_api_version(api_version: &str, kind: impl Into<String>) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.into() }
    }

    /// The manifest form: `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The kind without its version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&*self.group, &*self.kind)
    }
}

/// Identifies one object on one cluster.
///
/// Ordered by group, kind, namespace and name, so that sets of keys have one order everywhere.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ObjectKey {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, for example `Deployment`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The kind this key belongs to.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&*self.group, &*self.kind)
    }
}

/// `Deployment shop/web`, `Namespace shop`: the form used in messages.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// Why a JSON value is not a Kubernetes object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ObjectError {
    /// The document is a list, a string or the like.
    #[error("a manifest must be a mapping, not {found}")]
    NotAMapping {
        /// What it is instead.
        found: &'static str,
    },
    /// `kind` or `metadata.name`, or `apiVersion` where it is needed, is missing, empty or not a
    /// string.
    #[error("{path} is missing or not a non-empty string")]
    Missing {
        /// The field.
        path: &'static str,
    },
    /// `metadata`, or `metadata.namespace`, labels or annotations, has the wrong type.
    #[error("{path} must be {expected}")]
    WrongType {
        /// The field.
        path: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// A Kubernetes object.
///
/// Holding one proves: it is a mapping; `kind` and `metadata.name` are non-empty strings;
/// `apiVersion` and `metadata.namespace` are absent or strings; labels and annotations are absent,
/// null or mappings. No API server takes an object without `apiVersion`, but kustomize does. `metadata.generateName` without a name is not an `Object`: nothing that Fyr
/// manages can lack an identity.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Object(Value);

impl Object {
    /// Checks the promises above.
    pub fn parse(value: Value) -> Result<Self, ObjectError> {
        let Value::Object(map) = &value else {
            return Err(ObjectError::NotAMapping { found: type_name(&value) });
        };
        if !matches!(map.get("apiVersion"), None | Some(Value::String(_))) {
            return Err(ObjectError::WrongType { path: "apiVersion", expected: "a string" });
        }
        non_empty(map.get("kind"), "kind")?;
        let metadata = match map.get("metadata") {
            Some(Value::Object(metadata)) => metadata,
            None | Some(Value::Null) => return Err(ObjectError::Missing { path: "metadata.name" }),
            Some(_) => {
                return Err(ObjectError::WrongType { path: "metadata", expected: "a mapping" });
            }
        };
        non_empty(metadata.get("name"), "metadata.name")?;
        if !matches!(metadata.get("namespace"), None | Some(Value::Null | Value::String(_))) {
            let path = "metadata.namespace";
            return Err(ObjectError::WrongType { path, expected: "a string" });
        }
        for (field, path) in
            [("labels", "metadata.labels"), ("annotations", "metadata.annotations")]
        {
            if !matches!(metadata.get(field), None | Some(Value::Null | Value::Object(_))) {
                return Err(ObjectError::WrongType { path, expected: "a mapping" });
            }
        }
        Ok(Self(value))
    }

    /// The object as JSON.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Gives the JSON back.
    pub fn into_value(self) -> Value {
        self.0
    }

    /// Checks that it says which version of its kind it is written for.
    pub fn has_version(&self) -> Result<(), ObjectError> {
        non_empty(self.0.get("apiVersion"), "apiVersion")
    }

    /// Group, version and kind; the version is empty if it says none.
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind::from_api_version(self.text("/apiVersion"), self.kind())
    }

    /// Kind.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`; `None` when absent or empty.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.text("/metadata/namespace")).filter(|namespace| !namespace.is_empty())
    }

    /// Identity, with the namespace as written.
    pub fn key(&self) -> ObjectKey {
        let GroupVersionKind { group, kind, .. } = self.gvk();
        ObjectKey {
            group,
            kind,
            namespace: self.namespace().unwrap_or_default().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// One annotation, if it is set to a string.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata_entry("annotations", name)
    }

    /// One label, if it is set to a string.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.metadata_entry("labels", name)
    }

    /// Sets one annotation, replacing what was there.
    pub fn set_annotation(&mut self, name: &str, value: &str) {
        let metadata = self.metadata_mut();
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if !annotations.is_object() {
            *annotations = Value::Object(Map::new());
        }
        if let Value::Object(annotations) = annotations {
            annotations.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }

    /// Sets the namespace, or removes it with `None`.
    pub fn set_namespace(&mut self, namespace: Option<&str>) {
        let metadata = self.metadata_mut();
        match namespace {
            Some(namespace) => {
                metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
            }
            None => {
                metadata.remove("namespace");
            }
        }
    }

    /// Changes anything but the promises of this type: identity is checked again afterwards.
    pub fn edit(
        &mut self,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<(), ObjectError> {
        let mut copy = self.0.clone();
        if let Value::Object(map) = &mut copy {
            change(map);
        }
        *self = Self::parse(copy)?;
        Ok(())
    }

    /// The digest of the compact JSON with sorted keys.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.to_string().as_bytes())
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn metadata_entry(&self, field: &str, name: &str) -> Option<&str> {
        self.0.get("metadata")?.get(field)?.get(name)?.as_str()
    }

    fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        self.0
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
            .expect("`parse` proved that metadata is a mapping")
    }
}

fn non_empty(value: Option<&Value>, path: &'static str) -> Result<(), ObjectError> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        _ => Err(ObjectError::Missing { path }),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_without_an_identity_is_refused_with_the_field_that_is_missing() {
        let cases = [
            (json!([]), "a manifest must be a mapping, not a list"),
            (json!({"apiVersion": 1, "kind": "A"}), "apiVersion must be a string"),
            (json!({"apiVersion": "v1", "kind": 3}), "kind is missing or not a non-empty string"),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"generateName": "a-"}}),
                "metadata.name is missing or not a non-empty string",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "labels": []}}),
                "metadata.labels must be a mapping",
            ),
        ];
        for (value, message) in cases {
            assert_eq!(Object::parse(value).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn key_and_messages_name_the_object_the_way_people_do() {
        let object = Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
        }))
        .unwrap();
        assert_eq!(object.key().to_string(), "Deployment shop/web");
        assert_eq!(object.gvk().api_version(), "apps/v1");
        assert_eq!(object.key().group_kind().to_string(), "Deployment.apps");
    }

    #[test]
    fn annotations_are_added_where_there_were_none_or_null() {
        for annotations in [json!(null), json!({"b": "c"})] {
            let mut object = Object::parse(json!({
                "apiVersion": "v1", "kind": "A",
                "metadata": {"name": "a", "annotations": annotations},
            }))
            .unwrap();
            object.set_annotation("x", "y");
            assert_eq!(object.annotation("x"), Some("y"));
        }
    }

    #[test]
    fn an_edit_that_removes_the_identity_changes_nothing() {
        let value = json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}});
        let mut object = Object::parse(value.clone()).unwrap();
        assert!(object.edit(|map| drop(map.remove("kind"))).is_err());
        assert_eq!(object.value(), &value);
    }
}
