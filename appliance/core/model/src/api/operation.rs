//! What operators ask for, and what becomes of it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ResourceRef;

/// How far an operation is.
///
/// ```text
///   idle ──▶ planned ──recorded──▶ applying n/m ──▶ succeeded
///                │                      │
///                └──────────────────────┴─────────▶ failed ──retry at──▶ planned
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationPhase {
    /// Nothing was done yet.
    #[default]
    Idle,
    /// It is decided what to do; the audit log is being told.
    Planned,
    /// Steps are being carried out.
    Applying,
    /// All steps were done.
    Succeeded,
    /// Some steps failed, or nothing could be begun.
    Failed,
}

impl OperationPhase {
    /// Whether nothing is being done at this moment.
    pub fn is_at_rest(self) -> bool {
        matches!(self, Self::Idle | Self::Succeeded | Self::Failed)
    }
}

impl fmt::Display for OperationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Planned => "planned",
            Self::Applying => "applying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        })
    }
}

/// What is being done to an application, or was done last.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its number: each operation of an application has a larger one than the one before, until
    /// the daemon restarts. 0 while nothing was done.
    #[serde(default)]
    pub sequence: u64,
    /// How far it is.
    #[serde(default)]
    pub phase: OperationPhase,
    /// What people read; empty when there is nothing to say.
    #[serde(default)]
    pub message: String,
    /// The full commit id it leads to.
    pub revision: Option<String>,
    /// Digest of its plan.
    pub plan: Option<String>,
    /// Steps that were done.
    #[serde(default)]
    pub applied: u64,
    /// Steps in all.
    #[serde(default)]
    pub total: u64,
    /// The object of the last step that was done.
    pub last: Option<ResourceRef>,
    /// Who asked for it; `null` when Fyr acts by itself.
    pub actor: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
}

/// Asks for a sync.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SyncRequest {
    /// Instead of what the application follows: branch, tag or commit.
    pub revision: Option<String>,
    /// Delete what Git no longer has.
    pub prune: bool,
    /// Recreate objects whose fields cannot be changed.
    pub recreate: bool,
    /// Only say what would be done, as if it were confirmed.
    pub dry_run: bool,
    /// Only these objects; empty is all.
    pub resources: Vec<ResourceRef>,
    /// Why, for the audit log.
    pub reason: String,
    /// Digest of the plan a person has seen and confirmed. The sync is refused as stale when its
    /// plan is another one. Without it, deletions that need a person's consent do not happen.
    pub plan: Option<String>,
}

/// Asks to go back to an earlier state: pins the application to its commits and pauses automated
/// sync, until it is resumed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackRequest {
    /// The entry of the history to go back to.
    pub id: u64,
    /// Why, for the audit log and for whoever wonders why it is paused.
    pub reason: String,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// As in [`SyncRequest::plan`].
    #[serde(default)]
    pub plan: Option<String>,
}

/// Asks to leave an application alone.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for the audit log and for whoever wonders.
    pub reason: String,
}

/// Asks to follow Git again, after a pause or a rollback.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ResumeRequest {
    /// Why, for the audit log.
    pub reason: String,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PreviewAction {
    /// It is deleted.
    Delete,
    /// It is deleted and created again if a field proves immutable.
    Recreate,
    /// It is created.
    Create,
    /// It is changed.
    Update,
}

impl PreviewAction {
    /// Whether something that exists may be lost.
    pub fn is_dangerous(self) -> bool {
        matches!(self, Self::Delete | Self::Recreate)
    }
}

impl fmt::Display for PreviewAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delete => "delete",
            Self::Recreate => "recreate",
            Self::Create => "create",
            Self::Update => "update",
        })
    }
}

/// One step of a plan.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewStep {
    /// What happens.
    pub action: PreviewAction,
    /// To which object.
    pub key: ResourceRef,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// A plan for people: everything that would be done, in order.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanPreview {
    /// Identifies the plan: equal plans have equal digests.
    pub digest: String,
    /// The application it changes.
    pub application: String,
    /// The cluster it changes.
    pub cluster: String,
    /// The full commit id it leads to.
    pub revision: Option<String>,
    /// The steps, in order.
    pub steps: Vec<PreviewStep>,
    /// Objects that differ and are left alone, with the reason.
    #[serde(default)]
    pub held: Vec<(ResourceRef, String)>,
    /// What keeps whole parts of it back.
    #[serde(default)]
    pub blockers: Vec<String>,
}

impl PlanPreview {
    /// Whether something that exists may be lost.
    pub fn is_dangerous(&self) -> bool {
        self.steps.iter().any(|step| step.action.is_dangerous())
    }

    /// Number of steps of one kind.
    pub fn count(&self, action: PreviewAction) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }
}

/// The answer to a sync or a rollback.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncAnswer {
    /// What is or would be done.
    pub plan: PlanPreview,
    /// [`Operation::sequence`] of the operation that carries it out. `null` for a dry run, and
    /// when there is nothing to do.
    pub operation: Option<u64>,
}

/// The answer to a refresh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshAnswer {
    /// Whether the repositories were looked at. If not, it goes on after this answer.
    pub finished: bool,
    /// The full commit ids that are in force now, one a source.
    #[serde(default)]
    pub revisions: Vec<String>,
    /// Whether they are others than before.
    #[serde(default)]
    pub changed: bool,
}

/// How an entry of a history ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HistoryResult {
    /// It has not ended.
    Running,
    /// All steps were done.
    #[default]
    Succeeded,
    /// Some steps failed.
    Failed,
}

impl fmt::Display for HistoryResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        })
    }
}

/// One sync of an application. Healing makes no entries: it leads to no other state.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its number in the history of the application; larger is newer.
    pub id: u64,
    /// The full commit id that was applied; that of the first source.
    pub revision: String,
    /// The commits of all sources, in their order.
    #[serde(default)]
    pub revisions: Vec<String>,
    /// Who asked for it; `null` when Fyr acted by itself.
    pub actor: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub result: HistoryResult,
    /// What people read; empty when there is nothing to say.
    #[serde(default)]
    pub message: String,
    /// Digest of its plan.
    pub plan: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_of_a_request_is_an_error_and_not_a_default() {
        assert!(serde_json::from_str::<SyncRequest>(r#"{"pruned": true}"#).is_err());
        assert!(serde_json::from_str::<RollbackRequest>(r#"{"id": 1}"#).is_err());
        let request: SyncRequest = serde_json::from_str(r#"{"dryRun": true}"#).unwrap();
        assert!(request.dry_run && !request.prune);
    }

    #[test]
    fn only_deletions_make_a_plan_dangerous() {
        let step =
            |action| PreviewStep { action, key: ResourceRef::default(), reason: String::new() };
        let plan = |action| PlanPreview { steps: vec![step(action)], ..PlanPreview::default() };
        assert!(!plan(PreviewAction::Create).is_dangerous());
        assert!(!plan(PreviewAction::Update).is_dangerous());
        assert!(plan(PreviewAction::Delete).is_dangerous());
        assert!(plan(PreviewAction::Recreate).is_dangerous());
        assert_eq!(plan(PreviewAction::Delete).count(PreviewAction::Delete), 1);
    }
}
