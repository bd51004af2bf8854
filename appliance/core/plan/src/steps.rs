//! A plan: everything the executor will do, in order. It has no choices left to make.

use std::fmt;
use std::sync::Arc;

use fyr_audit::Intent;
use fyr_model::{CommitId, Digest, GroupVersionKind, Hasher, ObjectKey};
use serde::{Deserialize, Serialize};

/// The name of a managed cluster in Fyr.
pub type ClusterName = String;

/// Why an object is applied.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ApplyReason {
    /// It does not exist.
    Create,
    /// Its manifest differs from what was last applied.
    Update,
    /// Somebody changed or deleted what we own in it.
    Heal,
    /// It exists and was not ours until now.
    Adopt,
}

/// What happens to objects owned by a deleted object.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Propagation {
    /// They are deleted first; Argo CD's default.
    #[default]
    Foreground,
    /// They are deleted afterwards, by the garbage collector.
    Background,
    /// They stay.
    Orphan,
}

/// What the executor does with one object.
#[derive(Clone, Eq, PartialEq)]
pub enum Action {
    /// Server-side apply with field manager `fyr`, forced.
    Apply {
        /// Why.
        reason: ApplyReason,
        /// The object as compact JSON, ready to send.
        body: Arc<str>,
        /// Digest of `body`, remembered as the last applied one.
        rendered: Digest,
        /// The object this plan was made for; the apply is refused when another one has taken
        /// its place. `None` when it did not exist.
        uid: Option<String>,
        /// Moves the ownership of other managers' fields to us first.
        adopt_fields: bool,
        /// When a field proves immutable: delete the object and create it again. Only on the
        /// opt-in of `Replace=true` or `Force=true`.
        recreate: bool,
    },
    /// Creates the namespace of `CreateNamespace=true` with a field manager of its own and without
    /// a tracking annotation, so that it is never pruned.
    CreateNamespace {
        /// The namespace as compact JSON.
        body: Arc<str>,
    },
    /// Deletes the object, if it still is the one that was seen.
    Prune {
        /// Precondition: its uid.
        uid: String,
        /// Precondition: its resource version.
        resource_version: String,
        /// What happens to the objects it owns.
        propagation: Propagation,
    },
}

/// Without the bodies: they may be Secrets'.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply { reason, body: _, rendered, uid, adopt_fields, recreate } => f
                .debug_struct("Apply")
                .field("reason", reason)
                .field("rendered", rendered)
                .field("uid", uid)
                .field("adopt_fields", adopt_fields)
                .field("recreate", recreate)
                .finish_non_exhaustive(),
            Self::CreateNamespace { body: _ } => f.write_str("CreateNamespace"),
            Self::Prune { uid, resource_version, propagation } => f
                .debug_struct("Prune")
                .field("uid", uid)
                .field("resource_version", resource_version)
                .field("propagation", propagation)
                .finish(),
        }
    }
}

/// One object and what happens to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Which object.
    pub key: ObjectKey,
    /// The kind and version it is sent as.
    pub gvk: GroupVersionKind,
    /// What happens.
    pub action: Action,
}

/// Steps that are done side by side.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stage {
    /// The steps, in the order of their keys.
    pub steps: Vec<Step>,
    /// It begins only if every step before it succeeded: the boundary of a sync wave, and prunes.
    /// Without it a failure holds back nothing but itself.
    pub needs_success: bool,
}

/// Everything the executor will do, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The application it is for.
    pub application: String,
    /// The cluster it changes.
    pub cluster: ClusterName,
    /// The commit it leads to; `None` for the deletion of an application.
    pub revision: Option<CommitId>,
    /// The stages. One begins when every step before it has ended.
    pub stages: Vec<Stage>,
}

impl Plan {
    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps().next().is_none()
    }
}

impl Intent for Plan {
    /// The plan's id: equal inputs give equal ids.
    fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        hasher.field(self.application.as_bytes());
        hasher.field(self.cluster.as_bytes());
        hasher.field(self.revision.as_ref().map_or("", CommitId::as_str).as_bytes());
        for stage in &self.stages {
            hasher.field(if stage.needs_success { b"gated" } else { b"stage" });
            for step in &stage.steps {
                step.digest_into(&mut hasher);
            }
        }
        hasher.finish()
    }
}

impl Step {
    fn digest_into(&self, hasher: &mut Hasher) {
        let ObjectKey { group, kind, namespace, name } = &self.key;
        for text in [group, &self.gvk.version, kind, namespace, name] {
            hasher.field(text.as_bytes());
        }
        match &self.action {
            Action::Apply { reason, rendered, uid, adopt_fields, recreate, body: _ } => {
                hasher.field(b"apply");
                hasher.field(format!("{reason:?} {adopt_fields} {recreate}").as_bytes());
                hasher.field(rendered.as_bytes());
                hasher.field(uid.as_deref().unwrap_or_default().as_bytes());
            }
            Action::CreateNamespace { body } => {
                hasher.field(b"create-namespace");
                hasher.field(body.as_bytes());
            }
            Action::Prune { uid, resource_version, propagation } => {
                hasher.field(b"prune");
                hasher.field(uid.as_bytes());
                hasher.field(resource_version.as_bytes());
                hasher.field(format!("{propagation:?}").as_bytes());
            }
        }
    }
}
