//! How an application stands, as the API shows it.

use std::sync::Arc;
use std::time::SystemTime;

use fyr_audit::Actor;
use fyr_model::{Application, CommitId, Digest, ObjectKey, Revision};
use fyr_plan::{AssessInput, Assessment, Desired, assess};
use fyr_store::{Pause, Pin};

/// How an application stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// Its manifest; none when it cannot be read.
    pub(crate) application: Option<Arc<Application>>,
    /// The cluster it is applied to.
    pub(crate) cluster: Option<String>,
    /// The commits it follows, one a source.
    pub(crate) revisions: Vec<Revision>,
    /// What it wants.
    pub(crate) desired: Option<Arc<Desired>>,
    /// How the cluster compares.
    pub(crate) assessment: Assessment,
    /// What is being done, or was done last.
    pub(crate) operation: Operation,
    /// Set when it is paused.
    pub(crate) pause: Option<Pause>,
    /// Set when it stays at a commit.
    pub(crate) pin: Option<Pin>,
    /// What the renderer noticed.
    pub(crate) warnings: Vec<String>,
    /// When its cluster was last heard of.
    pub(crate) last_contact: Option<SystemTime>,
    /// It left the fleet, and its objects are being deleted.
    pub(crate) leaving: bool,
}

impl Default for Report {
    /// Nothing was looked at yet.
    fn default() -> Self {
        let assessment = assess(&AssessInput {
            comparison: None,
            unreachable: None,
            planned: None,
            outcome: None,
            conditions: &[],
        });
        Self {
            application: None,
            cluster: None,
            revisions: Vec::new(),
            desired: None,
            assessment,
            operation: Operation::default(),
            pause: None,
            pin: None,
            warnings: Vec::new(),
            last_contact: None,
            leaving: false,
        }
    }
}

/// What is being done, or was done last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Operation {
    /// Number of the operation since the daemon started; 0 before the first.
    pub(crate) sequence: u64,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Id of the plan that is, or was, carried out.
    pub(crate) plan: Option<Digest>,
    /// The object dealt with last.
    pub(crate) last: Option<ObjectKey>,
    /// What people read.
    pub(crate) message: String,
    /// The commit it leads to.
    pub(crate) revision: Option<CommitId>,
    /// Who asked for it.
    pub(crate) actor: Option<Actor>,
    /// When it began.
    pub(crate) started_at: Option<SystemTime>,
    /// When it ended.
    pub(crate) finished_at: Option<SystemTime>,
    /// When it is tried again.
    pub(crate) retry_at: Option<SystemTime>,
    /// Steps done and steps in all.
    pub(crate) progress: (usize, usize),
}

impl Operation {
    /// Number of the operation that begins next. One that was taken on keeps the number by which
    /// whoever asked for it waits for it.
    pub(crate) fn next_sequence(&self) -> u64 {
        match self.phase {
            Phase::Planned => self.sequence,
            _ => self.sequence + 1,
        }
    }
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Phase {
    /// Nothing was done yet.
    #[default]
    Idle,
    /// An operator's request was taken on, and nothing was begun yet.
    Planned,
    /// Steps are being carried out.
    Running,
    /// All steps were done.
    Succeeded,
    /// Some steps failed.
    Failed,
}
