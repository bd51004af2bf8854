//! The types of `/api/v1`, which are also what `fyr -o json` prints.
//!
//! Plain data for whoever serves and whoever asks: camelCase JSON, times as RFC 3339 in UTC,
//! absent values as `null`. Requests refuse unknown fields, so that a misspelt one is an error and
//! not a default; answers may gain fields at any time.
//!
//! Nothing here can hold a secret: repositories and clusters are shown by separate types without
//! credentials.

mod application;
mod audit;
mod diff;
mod operation;
mod problem;
mod render;
mod status;

pub use application::{
    ApplicationDetail, ApplicationFilter, ApplicationSummary, AutomatedView, Condition,
    DestinationView, HealthState, HealthStatus, PauseView, PinView, ResourceNode, ResourceRef,
    ResourceStatus, SourceView, SyncState, SyncStatus,
};
pub use audit::{AuditPage, AuditQuery, AuditRecordView, AuditState};
pub use diff::{DiffRequest, DiffResponse, ObjectDiff};
pub use operation::{
    HistoryEntry, HistoryResult, Operation, OperationPhase, PauseRequest, PlanPreview,
    PreviewAction, PreviewStep, RefreshAnswer, ResumeRequest, RollbackRequest, SyncAnswer,
    SyncRequest,
};
pub use problem::{ErrorCode, Problem};
pub use render::{RenderAnswer, RenderQuery};
pub use status::{
    Attention, ClusterSummary, Counts, Event, FleetProblemView, FleetState, RepositorySummary,
    Status,
};
