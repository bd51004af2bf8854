//! What is behind the API.

use std::sync::Arc;

use fyr_model::api::{
    ApplicationDetail, ApplicationFilter, ApplicationSummary, AuditPage, AuditQuery,
    ClusterSummary, DiffRequest, DiffResponse, HistoryEntry, PauseRequest, Problem, RefreshAnswer,
    RenderAnswer, RenderQuery, RepositorySummary, ResumeRequest, RollbackRequest, Status,
    SyncAnswer, SyncRequest,
};
use tokio::sync::broadcast;

use crate::Actor;

/// What the backend says, or why it does not. The problem's code decides the HTTP status.
pub type Answer<T> = Result<T, Problem>;

/// What the API needs of the daemon, and nothing more.
///
/// Every call stands under a deadline: its future may be dropped at any await. What it has begun
/// must then go on or be undone by itself, never stay half done. Whoever changes something is
/// named by an [`Actor`], which the kernel vouches for; auditing it is the backend's duty.
pub trait Backend: Send + Sync + 'static {
    /// How everything stands.
    fn status(&self) -> impl Future<Output = Answer<Status>> + Send;

    /// The applications that a filter shows, in the order of their names.
    fn applications(
        &self,
        filter: &ApplicationFilter,
    ) -> impl Future<Output = Answer<Vec<ApplicationSummary>>> + Send;

    /// One application.
    fn application(&self, name: &str) -> impl Future<Output = Answer<ApplicationDetail>> + Send;

    /// Its syncs, newest first.
    fn history(&self, name: &str) -> impl Future<Output = Answer<Vec<HistoryEntry>>> + Send;

    /// What a sync would change: to a revision, or to what the application follows.
    fn diff(
        &self,
        name: &str,
        revision: Option<&str>,
    ) -> impl Future<Output = Answer<DiffResponse>> + Send;

    /// What applying these objects in place of the application's own would change.
    fn diff_objects(
        &self,
        name: &str,
        request: DiffRequest,
    ) -> impl Future<Output = Answer<DiffResponse>> + Send;

    /// Looks at the repositories of an application at once; answers when that is done.
    fn refresh(
        &self,
        actor: &Actor,
        name: &str,
    ) -> impl Future<Output = Answer<RefreshAnswer>> + Send;

    /// Looks at the fleet repository at once; answers when what it says is in force.
    fn refresh_fleet(&self, actor: &Actor) -> impl Future<Output = Answer<RefreshAnswer>> + Send;

    /// Plans a sync and, unless it is a dry run, begins it; does not wait for its end.
    fn sync(
        &self,
        actor: &Actor,
        name: &str,
        request: SyncRequest,
    ) -> impl Future<Output = Answer<SyncAnswer>> + Send;

    /// Goes back to an entry of the history, pins the application there and pauses it.
    fn rollback(
        &self,
        actor: &Actor,
        name: &str,
        request: RollbackRequest,
    ) -> impl Future<Output = Answer<SyncAnswer>> + Send;

    /// Leaves an application alone from now on.
    fn pause(
        &self,
        actor: &Actor,
        name: &str,
        request: PauseRequest,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Follows Git again, after a pause or a rollback.
    fn resume(
        &self,
        actor: &Actor,
        name: &str,
        request: ResumeRequest,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Ends the operation that runs on an application after the step it is at.
    fn terminate(&self, actor: &Actor, name: &str) -> impl Future<Output = Answer<()>> + Send;

    /// The managed clusters, in the order of their names.
    fn clusters(&self) -> impl Future<Output = Answer<Vec<ClusterSummary>>> + Send;

    /// The repositories in use, in the order of their URLs.
    fn repositories(&self) -> impl Future<Output = Answer<Vec<RepositorySummary>>> + Send;

    /// What a folder of a repository in use renders to, from its mirror.
    fn render(&self, query: &RenderQuery) -> impl Future<Output = Answer<RenderAnswer>> + Send;

    /// Records of the audit log.
    fn audit(&self, query: &AuditQuery) -> impl Future<Output = Answer<AuditPage>> + Send;

    /// The names of applications that come, change or go from now on.
    fn changes(&self) -> broadcast::Receiver<Arc<str>>;
}
