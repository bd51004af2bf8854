//! The objects of a build, with the names they had on the way.

use fyr_model::GroupVersionKind;
use serde_json::{Map, Value};

use super::origin::{Maker, Origin};
use super::scope;
use crate::directory::Manifest;
use crate::yaml::Blank;

/// What identifies an object in a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Id {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Id {
    pub(crate) fn of(value: &Value) -> Self {
        // This is asked for far more often than anything else, so it takes no detours.
        let metadata = value.get("metadata");
        let of_metadata = |field: &str| text(metadata.and_then(|map| map.get(field))).to_owned();
        let GroupVersionKind { group, version, kind } = GroupVersionKind::from_api_version(
            text(value.get("apiVersion")),
            text(value.get("kind")),
        );
        let (namespace, name) = (of_metadata("namespace"), of_metadata("name"));
        Self { group, version, kind, namespace, name }
    }

    pub(crate) fn is_cluster_scoped(&self) -> bool {
        scope::is_cluster_scoped([&self.group, &self.version, &self.kind])
    }

    /// The namespace that counts: none and `default` are one, and objects of the cluster have
    /// none whatever they say.
    pub(crate) fn effective_namespace(&self) -> &str {
        effective_namespace([&self.group, &self.version, &self.kind], &self.namespace)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.group == other.group
            && self.version == other.version
            && self.effective_namespace() == other.effective_namespace()
    }
}

/// `Deployment.v1.apps/web.shop`, the form of kustomize's messages.
impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or = |text: &str, mark: &str| {
            if text.is_empty() { mark.to_owned() } else { text.to_owned() }
        };
        let (version, group) = (or(&self.version, "[noVer]"), or(&self.group, "[noGrp]"));
        let namespace = or(&self.namespace, "[noNs]");
        write!(f, "{}.{version}.{group}/{}.{namespace}", self.kind, self.name)
    }
}

fn effective_namespace<'a>(kind: [&str; 3], namespace: &'a str) -> &'a str {
    match namespace {
        _ if scope::is_cluster_scoped(kind) => "",
        "" => "default",
        namespace => namespace,
    }
}

/// A field that is text; empty if it is anything else.
fn text(field: Option<&Value>) -> &str {
    field.and_then(Value::as_str).unwrap_or_default()
}

/// One object of a build.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) value: Value,
    /// Former identities, the first one first. Empty if nothing could have changed it.
    pub(crate) past: Vec<Id>,
    /// Prefixes and suffixes of its name, innermost first.
    pub(crate) prefixes: Vec<String>,
    pub(crate) suffixes: Vec<String>,
    /// Fields that were read without a value, while nothing has moved them.
    pub(crate) blanks: Vec<Blank>,
    /// Whether its name gets a hash of its content in the end.
    pub(crate) needs_hash: bool,
    /// Names of the variables whose value is one of its fields.
    pub(crate) variables: Vec<String>,
    /// Where it came from, if that is to be written down.
    pub(crate) origin: Option<Origin>,
    /// What was done with it, if that is to be written down.
    pub(crate) transformations: Vec<Maker>,
}

impl Resource {
    pub(crate) fn new(manifest: Manifest) -> Self {
        Self { blanks: manifest.blanks, ..Self::of(manifest.object.into_value()) }
    }

    pub(crate) fn of(value: Value) -> Self {
        Self {
            value,
            past: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            blanks: Vec::new(),
            needs_hash: false,
            variables: Vec::new(),
            origin: None,
            transformations: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> Id {
        Id::of(&self.value)
    }

    pub(crate) fn original(&self) -> Id {
        self.past.first().cloned().unwrap_or_else(|| self.id())
    }

    /// Whether it has or had this identity.
    pub(crate) fn was(&self, id: &Id) -> bool {
        self.past.iter().any(|past| past.is_same(id)) || self.id().is_same(id)
    }

    /// Keeps the identity of now, before something may change it.
    pub(crate) fn remember(&mut self) {
        let id = self.id();
        if self.past.last() != Some(&id) {
            self.past.push(id);
        }
    }

    /// What tells it from all other objects of a build: group, version and kind, the namespace
    /// that counts, and the name.
    pub(crate) fn identity(&self) -> ([&str; 3], &str, &str) {
        let kind = self.gvk();
        (kind, effective_namespace(kind, self.text("namespace")), self.name())
    }

    /// Group, version and kind of now.
    pub(crate) fn gvk(&self) -> [&str; 3] {
        let api_version = text(self.value.get("apiVersion"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        [group, version, self.kind()]
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &str {
        text(self.value.get("kind"))
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name")
    }

    fn text(&self, field: &str) -> &str {
        let metadata = self.value.get("metadata");
        metadata.and_then(|map| map.get(field)?.as_str()).unwrap_or_default()
    }

    pub(crate) fn set_name(&mut self, name: String) {
        self.metadata().insert("name".to_owned(), Value::String(name));
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        let metadata = self.metadata();
        if namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".to_owned(), Value::from(namespace));
        }
    }

    /// `metadata`, made a mapping if a patch left something else there.
    pub(crate) fn metadata(&mut self) -> &mut Map<String, Value> {
        mapping(mapping(&mut self.value).entry("metadata").or_insert(Value::Null))
    }
}

/// The mapping a value is, or is made to be.
pub(crate) fn mapping(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        #[expect(clippy::unreachable, reason = "it was just made a mapping")]
        _ => unreachable!(),
    }
}
