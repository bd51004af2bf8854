//! Differences between what Git has and what a cluster holds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ResourceRef;

/// Compares other objects than those of Git with the cluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiffRequest {
    /// Kubernetes objects, as rendered. What the application has beside them counts as removed.
    pub objects: Vec<Value>,
}

/// What a sync would change, object by object.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffResponse {
    /// The application.
    pub application: String,
    /// The cluster it was compared with.
    pub cluster: String,
    /// The full commit id that was compared; `null` for objects from elsewhere.
    pub revision: Option<String>,
    /// The objects that differ or could not be compared; those to delete first.
    pub objects: Vec<ObjectDiff>,
    /// Number of objects that were compared and do not differ.
    #[serde(default)]
    pub unchanged: u64,
}

impl DiffResponse {
    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        self.objects.iter().any(|object| object.changed)
    }

    /// Whether anything could not be compared.
    pub fn is_incomplete(&self) -> bool {
        self.objects.iter().any(|object| object.error.is_some())
    }
}

/// One object before and after a sync, without status and bookkeeping. The values of a Secret are
/// replaced by marks that say whether they would change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDiff {
    /// Which object.
    pub key: ResourceRef,
    /// As it is on the cluster; `null` when it does not exist.
    pub live: Option<Value>,
    /// As it would be; `null` when it would be deleted.
    pub desired: Option<Value>,
    /// Whether the two differ.
    pub changed: bool,
    /// Why it could not be compared.
    pub error: Option<String>,
}
