//! What became of a plan.

use fyr_model::{Digest, ObjectKey};
use serde::{Deserialize, Serialize};

/// What became of one step.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StepOutcome {
    /// Which object.
    pub key: ObjectKey,
    /// What became of it.
    pub result: StepResult,
}

/// What became of one object.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum StepResult {
    /// The API server holds what was sent.
    Applied {
        /// Its uid now.
        uid: String,
        /// Its resource version now.
        resource_version: String,
        /// Digest of our own managed fields in it now.
        own_fields: Option<Digest>,
        /// What the API server did with it.
        change: Change,
    },
    /// A namespace was created, or existed already.
    NamespaceReady,
    /// Deletion was accepted; the object may live on until its finalizers are done.
    Pruned,
    /// It did not exist any more.
    AlreadyGone,
    /// It was not changed.
    Failed(StepError),
    /// An earlier step failed, or the plan was given up, before this one began.
    NotTried,
}

/// What the API server did with an applied object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Change {
    /// It was created.
    Created,
    /// It was changed.
    Configured,
    /// It was as it should be already.
    Unchanged,
    /// It was deleted and created again, because a field is immutable.
    Recreated,
}

/// Why an object was not changed: what a loop does about it, and what people read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StepError {
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// What the API server said, without the bodies of objects.
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ErrorClass {
    /// The manifest is wrong: another try needs another commit.
    Invalid,
    /// A field cannot be changed and recreation was not opted in to.
    Immutable,
    /// The credentials may not do this.
    Forbidden,
    /// The cluster does not serve this kind (yet).
    NoSuchKind,
    /// The namespace does not exist, or is going away.
    NoNamespace,
    /// The object is not the one the plan was made for.
    Stale,
    /// An admission webhook refused it.
    Denied,
    /// Timeouts, overload, unreachable webhooks: tried again with backoff.
    Transient,
    /// The cluster could not be reached at all.
    Unreachable,
}

/// What became of a plan: one entry a step, in the plan's order.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// The steps.
    pub steps: Vec<StepOutcome>,
}

impl Outcome {
    /// The steps that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&ObjectKey, &StepError)> {
        self.steps.iter().filter_map(|step| match &step.result {
            StepResult::Failed(error) => Some((&step.key, error)),
            _ => None,
        })
    }

    /// Whether every step was done.
    pub fn succeeded(&self) -> bool {
        !self
            .steps
            .iter()
            .any(|step| matches!(step.result, StepResult::Failed(_) | StepResult::NotTried))
    }
}
