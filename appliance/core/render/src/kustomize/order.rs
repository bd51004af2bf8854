//! The order of a build's objects.

use super::decode::Fields;
use super::resource::Resource;
use crate::RenderError;

/// Kinds that others need: first, in this order.
const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that could get in the way of others: last, in this order.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// The order objects are given in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// As they come.
    Written,
    /// By kind, then by identity.
    ByKind { first: Vec<String>, last: Vec<String> },
}

impl Default for Order {
    /// That of kustomize's command line.
    fn default() -> Self {
        let owned = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
        Self::ByKind { first: owned(&FIRST), last: owned(&LAST) }
    }
}

impl Order {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let order = fields.text_or_empty("order")?;
        let options = fields.fields("legacySortOptions")?;
        let order = match (order.as_str(), options) {
            ("fifo", None) => Self::Written,
            ("legacy", None) => Self::default(),
            ("legacy", Some(mut options)) => {
                let first = options.texts("orderFirst")?;
                let last = options.texts("orderLast")?;
                options.finish()?;
                Self::ByKind { first, last }
            }
            ("fifo", Some(_)) => {
                return Err(fields.error("legacySortOptions", "the order is fifo, not legacy"));
            }
            _ => return Err(fields.error("order", "it is fifo or legacy")),
        };
        fields.finish()?;
        Ok(order)
    }

    pub(crate) fn sort(&self, resources: &mut [Resource]) {
        let Self::ByKind { first, last } = self else { return };
        let rank = |kind: &str| {
            let position = |kinds: &[String]| kinds.iter().position(|other| other == kind);
            match (position(first), position(last)) {
                (Some(position), _) => (0, position),
                (None, None) => (1, 0),
                (None, Some(position)) => (2, position),
            }
        };
        resources.sort_by_cached_key(|resource| (rank(resource.kind()), texts(resource)));
    }
}

/// What identities are compared by, as in kustomize: text, with marks for empty parts.
fn texts(resource: &Resource) -> (String, String) {
    fn or<'a>(text: &'a str, mark: &'a str) -> &'a str {
        if text.is_empty() { mark } else { text }
    }
    let [group, version, kind] = resource.gvk();
    let kind = [or(group, "~G"), or(version, "~V"), or(kind, "~K")].join("_");
    (kind, [or(resource.namespace(), "~X"), or(resource.name(), "~N")].join("|"))
}
