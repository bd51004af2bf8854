//! Health of objects and applications.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an object or an application does. Ordered from best to worst, as Argo CD orders them: an
/// application is as healthy as the worst of its objects.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum HealthStatus {
    /// It does what it should.
    Healthy,
    /// It was told to pause.
    Suspended,
    /// It is on its way and not there yet.
    Progressing,
    /// It does not exist.
    Missing,
    /// It cannot get there without help.
    Degraded,
    /// It cannot be known.
    Unknown,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A verdict with its reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Why, for people; empty when there is nothing to say.
    pub reason: String,
}

impl Health {
    /// A verdict with its reason.
    pub fn new(status: HealthStatus, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}
