//! The daemon behind its API.

mod audit;
mod diff;
mod render;
mod requests;
mod views;

use std::sync::Arc;

use fyr_model::api::{
    ApplicationDetail, ApplicationFilter, ApplicationSummary, AuditPage, AuditQuery,
    ClusterSummary, DiffRequest, DiffResponse, ErrorCode, HistoryEntry, PauseRequest, Problem,
    RefreshAnswer, RenderAnswer, RenderQuery, RepositorySummary, ResumeRequest, RollbackRequest,
    Status, SyncAnswer, SyncRequest,
};
use fyr_web::{Actor, Answer, Backend};
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::context::Context;
use crate::registry::Handle;

/// What the API asks.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    context: Arc<Context>,
    started_at: Timestamp,
}

impl Api {
    /// The API of a daemon that starts now.
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, started_at: Timestamp::now() }
    }

    fn handle(&self, name: &str) -> Answer<Handle> {
        self.context.registry.get(name).ok_or_else(|| {
            Problem::new(ErrorCode::NoSuchApplication, format!("there is no application {name}"))
                .with_hint("fyr app list shows all of them")
        })
    }
}

impl Backend for Api {
    async fn status(&self) -> Answer<Status> {
        Ok(self.status_view())
    }

    async fn applications(&self, filter: &ApplicationFilter) -> Answer<Vec<ApplicationSummary>> {
        let all = self.summaries().into_iter();
        Ok(all.filter(|application| filter.matches(application)).collect())
    }

    async fn application(&self, name: &str) -> Answer<ApplicationDetail> {
        let report = self.handle(name)?.report.borrow().clone();
        Ok(self.detail(name, &report))
    }

    async fn history(&self, name: &str) -> Answer<Vec<HistoryEntry>> {
        self.handle(name)?;
        self.history_of(name).await
    }

    async fn diff(&self, name: &str, revision: Option<&str>) -> Answer<DiffResponse> {
        self.diff_of(name, revision).await
    }

    async fn diff_objects(&self, name: &str, request: DiffRequest) -> Answer<DiffResponse> {
        self.diff_of_objects(name, request).await
    }

    async fn refresh(&self, _actor: &Actor, name: &str) -> Answer<RefreshAnswer> {
        self.refresh_application(name).await
    }

    async fn refresh_fleet(&self, _actor: &Actor) -> Answer<RefreshAnswer> {
        self.refresh_the_fleet().await
    }

    async fn sync(&self, actor: &Actor, name: &str, request: SyncRequest) -> Answer<SyncAnswer> {
        self.request_sync(actor, name, request).await
    }

    async fn rollback(
        &self,
        actor: &Actor,
        name: &str,
        request: RollbackRequest,
    ) -> Answer<SyncAnswer> {
        self.request_rollback(actor, name, request).await
    }

    async fn pause(&self, actor: &Actor, name: &str, request: PauseRequest) -> Answer<()> {
        self.request_pause(actor, name, request).await
    }

    async fn resume(&self, actor: &Actor, name: &str, request: ResumeRequest) -> Answer<()> {
        self.request_resume(actor, name, request).await
    }

    async fn terminate(&self, _actor: &Actor, name: &str) -> Answer<()> {
        self.handle(name)?;
        let message = format!("a sync of {name} cannot be ended half way");
        Err(Problem::new(ErrorCode::WrongState, message)
            .with_hint("it ends by itself within its deadlines; fyr app pause stops the next one"))
    }

    async fn clusters(&self) -> Answer<Vec<ClusterSummary>> {
        Ok(self.cluster_views())
    }

    async fn repositories(&self) -> Answer<Vec<RepositorySummary>> {
        Ok(self.repository_views())
    }

    async fn render(&self, query: &RenderQuery) -> Answer<RenderAnswer> {
        self.rendered(query).await
    }

    async fn audit(&self, query: &AuditQuery) -> Answer<AuditPage> {
        self.audit_page(query).await
    }

    fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.context.registry.events()
    }
}
