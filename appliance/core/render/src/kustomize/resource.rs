//! The objects of a build, with the names they had on the way.

use fyr_model::GroupVersionKind;
use serde_json::{Map, Value};

use super::origin::{Maker, Origin};
use super::scope;
use crate::directory::Manifest;
use crate::yaml::Blank;

/// What tells an object from all others of a build: its name, which tells most apart, then group,
/// version and kind, and the namespace that counts.
pub(crate) type Identity<'a> = (&'a str, [&'a str; 3], &'a str);

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

    /// What tells it from all others of a build.
    fn identity(&self) -> Identity<'_> {
        let kind = [self.group.as_str(), &self.version, &self.kind];
        (&self.name, kind, self.effective_namespace())
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
        let wanted = id.identity();
        self.past.iter().any(|past| past.identity() == wanted) || self.identity() == wanted
    }

    /// Keeps the identity of now, before something may change it.
    pub(crate) fn remember(&mut self) {
        let id = self.id();
        if self.past.last() != Some(&id) {
            self.past.push(id);
        }
    }

    /// What tells it from all others of a build.
    pub(crate) fn identity(&self) -> Identity<'_> {
        // All objects are asked for it several times.
        let metadata = self.value.get("metadata");
        let of_metadata = |field: &str| text(metadata.and_then(|map| map.get(field)));
        let kind = self.gvk();
        (of_metadata("name"), kind, effective_namespace(kind, of_metadata("namespace")))
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

    /// Its namespace as it is written.
    pub(crate) fn namespace(&self) -> &str {
        self.text("namespace")
    }

    fn text(&self, field: &str) -> &str {
        let metadata = self.value.get("metadata");
        metadata.and_then(|map| map.get(field)?.as_str()).unwrap_or_default()
    }

    pub(crate) fn annotations(&self) -> Option<&Map<String, Value>> {
        self.value.get("metadata")?.get("annotations")?.as_object()
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
