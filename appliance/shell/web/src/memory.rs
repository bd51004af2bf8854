//! A small daemon side in memory: it keeps what it is told, refuses what does not exist, and
//! carries out plans step by step. For the tests of this crate and of the command line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use fyr_model::api::{
    ApplicationDetail, ApplicationFilter, ApplicationSummary, AuditPage, AuditQuery,
    AuditRecordView, AuditState, ClusterSummary, Counts, DiffRequest, DiffResponse, ErrorCode,
    HealthState, HealthStatus, HistoryEntry, ObjectDiff, OperationPhase, PauseRequest, PauseView,
    PinView, PlanPreview, Problem, RefreshAnswer, RenderAnswer, RenderQuery, RepositorySummary,
    ResourceRef, ResumeRequest, RollbackRequest, Status, SyncAnswer, SyncRequest, SyncState,
    SyncStatus,
};
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::{Actor, Answer, Backend};

/// Changes that a reader of events may be behind.
const CHANGES_MAX: usize = 256;

/// One application and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// As the API shows it.
    pub detail: ApplicationDetail,
    /// Its history, newest first.
    pub history: Vec<HistoryEntry>,
    /// What a sync or rollback will do.
    pub plan: PlanPreview,
    /// The answer of a comparison with the cluster.
    pub diff: DiffResponse,
    /// Why the steps of a plan fail; empty when they do not.
    pub failure: String,
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The frame of the status; counts and lists are filled in.
    pub status: Status,
    /// Applications by name.
    pub applications: BTreeMap<String, Application>,
    /// The managed clusters.
    pub clusters: Vec<ClusterSummary>,
    /// The repositories in use.
    pub repositories: Vec<RepositorySummary>,
    /// The audit log.
    pub audit: Vec<AuditRecordView>,
}

/// The daemon side.
#[derive(Debug)]
pub struct MemoryBackend {
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<str>>,
}

impl MemoryBackend {
    /// A daemon that knows this much.
    pub fn new(state: State) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), changes: broadcast::channel(CHANGES_MAX).0 })
    }

    /// Changes an application and tells whoever listens.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Application)) {
        change(self.lock().applications.get_mut(name).expect("the test made this application"));
        self.announce(name);
    }

    /// Forgets everything and knows this instead.
    pub fn replace(&self, state: State) {
        *self.lock() = state;
    }

    /// Everything that is known now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Number of readers of events.
    pub fn readers(&self) -> usize {
        self.changes.receiver_count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this lock")
    }

    fn announce(&self, name: &str) {
        // Nobody listening is no error.
        let _ = self.changes.send(name.into());
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Application) -> Answer<T>) -> Answer<T> {
        let mut state = self.lock();
        let Some(application) = state.applications.get_mut(name) else {
            let message = format!("there is no application {name}");
            return Err(Problem::new(ErrorCode::NoSuchApplication, message)
                .with_hint("`fyr app list` shows all"));
        };
        act(application)
    }

    fn record(&self, actor: &Actor, name: &str, kind: &str, reason: &str) {
        let mut state = self.lock();
        let sequence = u64::try_from(state.audit.len()).unwrap_or_default() + 1;
        state.audit.push(AuditRecordView {
            sequence,
            kind: kind.to_owned(),
            actor: actor.name.clone(),
            application: Some(name.to_owned()),
            reason: reason.to_owned(),
            ..AuditRecordView::default()
        });
    }

    /// Plans, and begins an operation unless it is a dry run; its steps are done by
    /// [`MemoryBackend::step`].
    fn begin(&self, name: &str, dry_run: bool, confirmed: Option<&str>) -> Answer<SyncAnswer> {
        self.with(name, |application| {
            let plan = application.plan.clone();
            if confirmed.is_some_and(|digest| digest != plan.digest) {
                let message = format!("the plan of {name} has changed since it was shown");
                return Err(Problem::new(ErrorCode::StalePlan, message)
                    .with_hint("look at the new plan and confirm that"));
            }
            let operation = &mut application.detail.summary.operation;
            if dry_run || plan.steps.is_empty() {
                return Ok(SyncAnswer { plan, operation: None });
            }
            if !operation.phase.is_at_rest() {
                let message = format!("another operation runs on {name}");
                return Err(Problem::new(ErrorCode::Busy, message));
            }
            operation.sequence += 1;
            operation.phase = OperationPhase::Planned;
            operation.applied = 0;
            operation.total = u64::try_from(plan.steps.len()).unwrap_or_default();
            operation.last = None;
            let sequence = operation.sequence;
            Ok(SyncAnswer { plan, operation: Some(sequence) })
        })
    }

    /// Does the next step of the operation that runs on an application. Whether there is more.
    fn step(&self, name: &str) -> bool {
        let more = self.with(name, |application| {
            let Application { detail, plan, failure, .. } = application;
            let operation = &mut detail.summary.operation;
            if operation.phase.is_at_rest() {
                return Ok(false);
            }
            operation.phase = OperationPhase::Applying;
            let done = usize::try_from(operation.applied).unwrap_or_default();
            if !failure.is_empty() {
                operation.phase = OperationPhase::Failed;
                operation.message.clone_from(failure);
            } else if let Some(step) = plan.steps.get(done) {
                operation.applied += 1;
                operation.last = Some(step.key.clone());
            } else {
                operation.phase = OperationPhase::Succeeded;
                detail.summary.sync.status = SyncStatus::Synced;
                plan.steps.clear();
            }
            Ok(!operation.phase.is_at_rest())
        });
        self.announce(name);
        more.unwrap_or(false)
    }

    /// Does all steps, giving others a turn between two.
    async fn carry_out(self: Arc<Self>, name: String) {
        while self.step(&name) {
            tokio::task::yield_now().await;
        }
    }
}

/// The backend of the API: shared, because operations go on after the request that began them.
#[derive(Clone, Debug)]
pub struct Shared(pub Arc<MemoryBackend>);

impl Shared {
    fn spawn(&self, name: &str, answer: &SyncAnswer) {
        if answer.operation.is_some() {
            tokio::spawn(Arc::clone(&self.0).carry_out(name.to_owned()));
        }
    }
}

impl Backend for Shared {
    async fn status(&self) -> Answer<Status> {
        let state = self.0.state();
        let summaries = state.applications.values().map(|one| &one.detail.summary);
        let audit = AuditState {
            last_sequence: state.audit.last().map(|record| record.sequence),
            ..state.status.audit.clone()
        };
        Ok(Status {
            counts: Counts::of(summaries),
            clusters: state.clusters,
            repositories: state.repositories,
            audit,
            ..state.status
        })
    }

    async fn applications(&self, filter: &ApplicationFilter) -> Answer<Vec<ApplicationSummary>> {
        let applications = self.0.state().applications;
        let summaries = applications.into_values().map(|one| one.detail.summary);
        Ok(summaries.filter(|summary| filter.matches(summary)).collect())
    }

    async fn application(&self, name: &str) -> Answer<ApplicationDetail> {
        self.0.with(name, |application| Ok(application.detail.clone()))
    }

    async fn history(&self, name: &str) -> Answer<Vec<HistoryEntry>> {
        self.0.with(name, |application| Ok(application.history.clone()))
    }

    async fn diff(&self, name: &str, revision: Option<&str>) -> Answer<DiffResponse> {
        self.0.with(name, |application| {
            let mut diff = application.diff.clone();
            diff.revision = revision.map(str::to_owned).or(diff.revision);
            Ok(diff)
        })
    }

    async fn diff_objects(&self, name: &str, request: DiffRequest) -> Answer<DiffResponse> {
        self.0.with(name, |application| {
            let objects = request.objects.into_iter().map(|desired| ObjectDiff {
                key: reference(&desired),
                live: None,
                desired: Some(desired),
                changed: true,
                error: None,
            });
            Ok(DiffResponse { objects: objects.collect(), ..application.diff.clone() })
        })
    }

    async fn render(&self, query: &RenderQuery) -> Answer<RenderAnswer> {
        let known = self.0.state().repositories;
        if !known.iter().any(|repository| repository.url == query.repository) {
            let message = format!("there is no mirror of {}", query.repository);
            return Err(Problem::new(ErrorCode::NoSuchRepository, message));
        }
        let manifests = format!("# {} at {}\n", query.path, query.revision);
        Ok(RenderAnswer { manifests, ..RenderAnswer::default() })
    }

    async fn refresh(&self, _actor: &Actor, name: &str) -> Answer<RefreshAnswer> {
        self.0.with(name, |application| {
            let revisions = application.detail.summary.sync.revisions.clone();
            Ok(RefreshAnswer { finished: true, revisions, changed: false })
        })
    }

    async fn refresh_fleet(&self, _actor: &Actor) -> Answer<RefreshAnswer> {
        let revisions = self.0.state().status.fleet.revision.into_iter().collect();
        Ok(RefreshAnswer { finished: true, revisions, changed: false })
    }

    async fn sync(&self, actor: &Actor, name: &str, request: SyncRequest) -> Answer<SyncAnswer> {
        let answer = self.0.begin(name, request.dry_run, request.plan.as_deref())?;
        if !request.dry_run {
            self.0.record(actor, name, "operation", &request.reason);
        }
        self.spawn(name, &answer);
        Ok(answer)
    }

    async fn rollback(
        &self,
        actor: &Actor,
        name: &str,
        request: RollbackRequest,
    ) -> Answer<SyncAnswer> {
        let revision = self.0.with(name, |application| {
            let entry = application.history.iter().find(|entry| entry.id == request.id);
            let message = || format!("the history of {name} has no entry {}", request.id);
            entry
                .map(|entry| entry.revision.clone())
                .ok_or_else(|| Problem::new(ErrorCode::NoSuchHistoryEntry, message()))
        })?;
        let answer = self.0.begin(name, request.dry_run, request.plan.as_deref())?;
        if !request.dry_run {
            self.0.record(actor, name, "operation", &request.reason);
            self.0.change(name, |application| {
                let (by, reason) = (actor.name.clone(), request.reason);
                application.detail.pin =
                    Some(PinView { revisions: vec![revision], history_id: request.id });
                application.detail.summary.paused =
                    Some(PauseView { by, reason, since: Timestamp::UNIX_EPOCH });
            });
        }
        self.spawn(name, &answer);
        Ok(answer)
    }

    async fn pause(&self, actor: &Actor, name: &str, request: PauseRequest) -> Answer<()> {
        let by = actor.name.clone();
        self.0.record(actor, name, "operation", &request.reason);
        self.0.with(name, |application| {
            let PauseRequest { reason } = request;
            application.detail.summary.paused =
                Some(PauseView { by, reason, since: Timestamp::UNIX_EPOCH });
            Ok(())
        })?;
        self.0.announce(name);
        Ok(())
    }

    async fn resume(&self, _actor: &Actor, name: &str, _request: ResumeRequest) -> Answer<()> {
        self.0.with(name, |application| {
            application.detail.summary.paused = None;
            application.detail.pin = None;
            Ok(())
        })?;
        self.0.announce(name);
        Ok(())
    }

    async fn terminate(&self, _actor: &Actor, name: &str) -> Answer<()> {
        self.0.with(name, |application| {
            let operation = &mut application.detail.summary.operation;
            if operation.phase.is_at_rest() {
                let message = format!("no operation runs on {name}");
                return Err(Problem::new(ErrorCode::WrongState, message));
            }
            operation.phase = OperationPhase::Failed;
            Ok(())
        })
    }

    async fn clusters(&self) -> Answer<Vec<ClusterSummary>> {
        Ok(self.0.state().clusters)
    }

    async fn repositories(&self) -> Answer<Vec<RepositorySummary>> {
        Ok(self.0.state().repositories)
    }

    async fn audit(&self, query: &AuditQuery) -> Answer<AuditPage> {
        let all = self.0.state().audit;
        let last_sequence = all.last().map_or(0, |record| record.sequence);
        let wanted = |record: &AuditRecordView| {
            record.sequence > query.after.unwrap_or_default()
                && (query.application.is_none() || record.application == query.application)
        };
        let mut records: Vec<_> = all.into_iter().filter(wanted).collect();
        let limit = usize::try_from(query.effective_limit()).unwrap_or(usize::MAX);
        if query.after.is_some() {
            records.truncate(limit);
        } else {
            records.drain(..records.len().saturating_sub(limit));
        }
        Ok(AuditPage { records, last_sequence })
    }

    fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.changes.subscribe()
    }
}

fn reference(object: &serde_json::Value) -> ResourceRef {
    let text = |pointer| object.pointer(pointer).and_then(|text| text.as_str()).unwrap_or_default();
    let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    ResourceRef {
        group: group.to_owned(),
        kind: text("/kind").to_owned(),
        namespace: text("/metadata/namespace").to_owned(),
        name: text("/metadata/name").to_owned(),
    }
}

/// An application in sync and healthy on a cluster, with nothing to do.
pub fn healthy(name: &str, cluster: &str) -> Application {
    let revision = "4be1c02a0f6d4c9f8a7b6c5d4e3f2a1b0c9d8e7f".to_owned();
    let summary = ApplicationSummary {
        name: name.to_owned(),
        project: "default".to_owned(),
        cluster: Some(cluster.to_owned()),
        namespace: name.to_owned(),
        target_revision: "HEAD".to_owned(),
        automated: true,
        sync: SyncState {
            status: SyncStatus::Synced,
            revision: Some(revision.clone()),
            revisions: vec![revision.clone()],
            subject: "Raise limits".to_owned(),
            reason: String::new(),
        },
        health: HealthState { status: HealthStatus::Healthy, reason: String::new() },
        ..ApplicationSummary::default()
    };
    Application {
        detail: ApplicationDetail { summary, ..ApplicationDetail::default() },
        plan: PlanPreview {
            application: name.to_owned(),
            cluster: cluster.to_owned(),
            digest: "9f31".repeat(16),
            revision: Some(revision.clone()),
            ..PlanPreview::default()
        },
        diff: DiffResponse {
            application: name.to_owned(),
            cluster: cluster.to_owned(),
            revision: Some(revision),
            ..DiffResponse::default()
        },
        ..Application::default()
    }
}
