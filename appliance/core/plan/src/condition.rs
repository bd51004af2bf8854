//! Conditions: what an application's owner has to know, under Argo CD's names where it has one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kinds of conditions. The first nine are Argo CD's, the others ours.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ConditionKind {
    /// The application cannot be deleted.
    DeletionError,
    /// The application's manifest cannot be carried out.
    InvalidSpecError,
    /// Desired and live state could not be compared.
    ComparisonError,
    /// A sync failed, or is not made.
    SyncError,
    /// Something else failed.
    UnknownError,
    /// Another application manages the same object.
    SharedResourceWarning,
    /// The same object is rendered more than once.
    RepeatedResourceWarning,
    /// A rendered object is of a kind that is never managed.
    ExcludedResourceWarning,
    /// Objects in the namespace belong to no application.
    OrphanedResourceWarning,
    /// An object waits until the cluster serves its kind.
    PendingResourceWarning,
    /// The project does not permit an object.
    DeniedResourceWarning,
    /// Something else keeps changing an object back.
    FightWarning,
    /// A manifest asks for what Fyr does not do.
    UnsupportedWarning,
    /// The Git host does not answer, and what was fetched before serves.
    RepositoryWarning,
}

impl ConditionKind {
    /// Whether it stands for something that failed, and not for something to know.
    pub fn is_error(self) -> bool {
        self <= Self::UnknownError
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One condition of an application.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionKind,
    /// What people read.
    pub message: String,
}

impl Condition {
    /// A condition with its message.
    pub fn new(kind: ConditionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
