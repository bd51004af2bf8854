//! From what the tasks report to what the API shows.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fyr_cluster::{Cluster, Connectivity};
use fyr_ipc::AuditState as LogState;
use fyr_model::api::{
    ApplicationDetail, ApplicationSummary, Attention, AuditState, AutomatedView, ClusterSummary,
    Condition, Counts, DestinationView, FleetProblemView, FleetState, HealthState, HealthStatus,
    Operation, OperationPhase, PauseView, PinView, RepositorySummary, ResourceStatus, SourceView,
    Status, SyncState, SyncStatus,
};
use fyr_model::{Application, ClusterEntry, ClusterReference, Severity, Tool};
use fyr_plan::Health;
use jiff::Timestamp;

use super::Api;
use crate::application::{Phase, Report};
use crate::registry::Handle;
use crate::repository::Repository;

impl Api {
    /// How everything stands.
    pub(super) fn status_view(&self) -> Status {
        let summaries = self.summaries();
        let clusters = self.cluster_views();
        let repositories = self.repository_views();
        let audit = self.audit_state();
        let fleet = self.fleet_view();
        let attention = attention(&summaries, &clusters, &repositories, &audit, &fleet);
        Status {
            name: self.context.settings.appliance.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(self.started_at),
            fleet,
            counts: Counts::of(&summaries),
            clusters,
            repositories,
            audit,
            attention,
        }
    }

    /// All applications in the order of their names.
    pub(super) fn summaries(&self) -> Vec<ApplicationSummary> {
        let all = self.context.registry.all();
        let summary = |(name, handle): (String, Handle)| summary(&name, &handle.report.borrow());
        all.into_iter().map(summary).collect()
    }

    /// One application in full.
    pub(super) fn detail(&self, name: &str, report: &Report) -> ApplicationDetail {
        let application = report.application.as_deref();
        let assessment = &report.assessment;
        let desired = report.desired.as_ref();
        let version = |key| {
            let object = desired.and_then(|desired| desired.objects.get(key));
            object.map(|object| object.gvk.version.clone()).unwrap_or_default()
        };
        let resources = assessment.resources.iter().map(|resource| ResourceStatus {
            group: resource.key.group.clone(),
            version: version(&resource.key),
            kind: resource.key.kind.clone(),
            namespace: resource.key.namespace.clone(),
            name: resource.key.name.clone(),
            status: sync_status(resource.sync),
            health: resource.health.as_ref().map(health_state),
            message: resource.message.clone(),
            wave: resource.wave,
            requires_pruning: resource.requires_pruning,
            owner: None,
        });
        let conditions = assessment.conditions.iter().map(|condition| Condition {
            r#type: condition.kind.to_string(),
            error: condition.kind.is_error(),
            message: condition.message.clone(),
        });
        ApplicationDetail {
            summary: summary(name, report),
            sources: application.map(|one| sources(one, report)).unwrap_or_default(),
            destination: application.map(destination).unwrap_or_default(),
            sync_policy: application.and_then(|one| one.sync_policy.automated).map(|automated| {
                AutomatedView {
                    prune: automated.prune,
                    self_heal: automated.self_heal,
                    allow_empty: automated.allow_empty,
                }
            }),
            pin: report.pin.as_ref().map(|pin| PinView {
                revisions: pin.revisions.iter().map(ToString::to_string).collect(),
                history_id: pin.history_id.unwrap_or_default(),
            }),
            resources: resources.collect(),
            conditions: conditions.collect(),
            warnings: report.warnings.clone(),
            last_contact: report.last_contact.and_then(timestamp),
            fetched_at: application.and_then(|one| self.fetched_at(one)),
        }
    }

    /// When the repositories of an application were last fetched: the longest ago.
    fn fetched_at(&self, application: &Application) -> Option<Timestamp> {
        let fleet = self.context.fleet();
        let open = self.context.repositories.all();
        let times = application.sources.iter().filter_map(|source| {
            let access = fleet.fleet.repository(&source.repo_url, &application.project);
            let found = open.iter().find(|known| known.url() == access.canonical_url)?;
            found.state().fetched_at
        });
        times.min().and_then(timestamp)
    }

    /// The managed clusters in the order of their names.
    pub(super) fn cluster_views(&self) -> Vec<ClusterSummary> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (_, handle) in self.context.registry.all() {
            if let Some(cluster) = handle.report.borrow().cluster.clone() {
                *counts.entry(cluster).or_default() += 1;
            }
        }
        let all = self.context.clusters.all().into_iter();
        all.map(|(entry, cluster)| {
            let applications = counts.get(&entry.name).copied().unwrap_or_default();
            ClusterSummary { applications, ..cluster_view(&entry, cluster) }
        })
        .collect()
    }

    /// The repositories in use in the order of their URLs.
    pub(super) fn repository_views(&self) -> Vec<RepositorySummary> {
        let fleet = self.context.fleet();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for application in fleet.fleet.applications.values().flat_map(|one| one.parsed.as_ref()) {
            for source in &application.sources {
                let url = fyr_model::canonical_repo_url(&source.repo_url);
                *counts.entry(url).or_default() += 1;
            }
        }
        let view = |repository: Repository| {
            let state = repository.state();
            let applications = counts.get(repository.url()).copied().unwrap_or_default();
            RepositorySummary {
                url: repository.url().to_owned(),
                fetched_at: state.fetched_at.and_then(timestamp),
                message: state.failure.as_ref().map(|(why, _)| why.clone()).unwrap_or_default(),
                failing_since: state.failure.as_ref().and_then(|(_, since)| timestamp(*since)),
                applications,
                ..RepositorySummary::default()
            }
        };
        self.context.repositories.all().into_iter().map(view).collect()
    }

    fn audit_state(&self) -> AuditState {
        match &*self.context.audit.state().borrow() {
            LogState::Up(log) => AuditState {
                writable: true,
                last_sequence: Some(log.head.sequence),
                message: String::new(),
            },
            LogState::Down { reason, .. } => {
                AuditState { writable: false, last_sequence: None, message: reason.clone() }
            }
        }
    }

    fn fleet_view(&self) -> FleetState {
        let given = &self.context.settings.appliance.fleet;
        let state = self.context.fleet();
        let failure = state.error.iter().map(|message| FleetProblemView {
            subject: "fleet".to_owned(),
            error: true,
            message: message.clone(),
        });
        let problems = state.fleet.problems.iter().map(|problem| FleetProblemView {
            subject: problem.object.to_string(),
            error: problem.severity == Severity::Error,
            message: problem.message.clone(),
        });
        FleetState {
            repo_url: given.repo_url.clone(),
            path: given.path.clone(),
            target_revision: given.target_revision.clone(),
            revision: state.revision.as_ref().map(|revision| revision.commit.to_string()),
            read_at: state.loaded_at.and_then(timestamp),
            problems: failure.chain(problems).collect(),
        }
    }
}

/// One application in a line.
fn summary(name: &str, report: &Report) -> ApplicationSummary {
    let application = report.application.as_deref();
    let first = report.revisions.first();
    let errors = report.assessment.conditions.iter().filter(|one| one.kind.is_error());
    let source = application.and_then(|application| application.sources.first());
    ApplicationSummary {
        name: name.to_owned(),
        project: application.map(|one| one.project.clone()).unwrap_or_default(),
        cluster: report.cluster.clone(),
        namespace: application.map(|one| one.destination.namespace.clone()).unwrap_or_default(),
        target_revision: source.map(|one| one.target_revision.clone()).unwrap_or_default(),
        sync: SyncState {
            status: sync_status(report.assessment.sync),
            revision: first.map(|revision| revision.commit.to_string()),
            revisions: report.revisions.iter().map(|one| one.commit.to_string()).collect(),
            subject: first.map(|revision| revision.subject.clone()).unwrap_or_default(),
            reason: errors.clone().next().map(|one| one.message.clone()).unwrap_or_default(),
        },
        health: health_state(&report.assessment.health),
        operation: operation(report),
        automated: application.is_some_and(|one| one.sync_policy.automated.is_some()),
        paused: report.pause.as_ref().map(|pause| PauseView {
            by: pause.by.clone(),
            reason: pause.reason.clone(),
            since: timestamp(pause.at).unwrap_or_default(),
        }),
        changed_at: report.operation.finished_at.and_then(timestamp),
        resource_count: count(report.assessment.resources.len()),
        error_count: count(errors.count()),
    }
}

fn operation(report: &Report) -> Operation {
    let known = &report.operation;
    Operation {
        sequence: known.sequence,
        phase: match known.phase {
            Phase::Idle => OperationPhase::Idle,
            Phase::Planned => OperationPhase::Planned,
            Phase::Running => OperationPhase::Applying,
            Phase::Succeeded => OperationPhase::Succeeded,
            Phase::Failed => OperationPhase::Failed,
        },
        message: known.message.clone(),
        revision: known.revision.as_ref().map(ToString::to_string),
        plan: known.plan.map(|plan| plan.to_string()),
        applied: count(known.progress.0),
        total: count(known.progress.1),
        last: known.last.clone().map(Into::into),
        actor: known.actor.as_ref().map(ToString::to_string),
        started_at: known.started_at.and_then(timestamp),
        finished_at: known.finished_at.and_then(timestamp),
        retry_at: known.retry_at.and_then(timestamp),
    }
}

fn sources(application: &Application, report: &Report) -> Vec<SourceView> {
    let revisions = report.revisions.iter().map(Some).chain(std::iter::repeat(None));
    let all = application.sources.iter().zip(revisions);
    all.map(|(source, revision)| SourceView {
        repo_url: source.repo_url.clone(),
        path: source.path.clone(),
        target_revision: source.target_revision.clone(),
        tool: match &source.tool {
            Tool::Detect => "detected",
            Tool::Kustomize(_) => "kustomize",
            Tool::Directory(_) => "directory",
        }
        .to_owned(),
        revision: revision.map(|revision| revision.commit.to_string()),
        warnings: Vec::new(),
    })
    .collect()
}

fn destination(application: &Application) -> DestinationView {
    let namespace = application.destination.namespace.clone();
    match &application.destination.cluster {
        ClusterReference::Server(server) => {
            DestinationView { server: Some(server.clone()), name: None, namespace }
        }
        ClusterReference::Name(name) => {
            DestinationView { server: None, name: Some(name.clone()), namespace }
        }
    }
}

fn cluster_view(entry: &ClusterEntry, cluster: Result<Cluster, String>) -> ClusterSummary {
    let mut view = ClusterSummary {
        name: entry.name.clone(),
        server: entry.server.clone(),
        in_cluster: entry.in_cluster,
        warnings: entry.warnings.clone(),
        ..ClusterSummary::default()
    };
    let status = match cluster {
        Ok(cluster) => cluster.status(),
        Err(reason) => return ClusterSummary { message: reason, ..view },
    };
    view.last_contact = status.last_contact.and_then(timestamp);
    match status.connectivity {
        Connectivity::Connecting => "connecting".clone_into(&mut view.message),
        Connectivity::Connected { version } => {
            view.reachable = true;
            view.version = version;
        }
        Connectivity::Unreachable { since, reason, next_try } => {
            view.message = reason;
            view.failing_since = timestamp(since);
            view.retry_at = timestamp(next_try);
        }
    }
    view
}

/// What somebody should look at, the worst kinds first.
fn attention(
    applications: &[ApplicationSummary],
    clusters: &[ClusterSummary],
    repositories: &[RepositorySummary],
    audit: &AuditState,
    fleet: &FleetState,
) -> Vec<Attention> {
    let about = |kind: &str, name: &str, message: String| Attention {
        kind: kind.to_owned(),
        name: name.to_owned(),
        message,
        since: None,
    };
    let mut all = Vec::new();
    if !audit.writable {
        let message = format!("takes no records, so nothing is applied: {}", audit.message);
        all.push(about("audit", "log", message));
    }
    let problems = fleet.problems.iter().filter(|problem| problem.error);
    all.extend(problems.map(|one| about("fleet", &one.subject, one.message.clone())));
    let unreachable = clusters.iter().filter(|cluster| !cluster.reachable);
    all.extend(unreachable.map(|one| Attention {
        since: one.failing_since,
        ..about("cluster", &one.name, one.message.clone())
    }));
    let stale = repositories.iter().filter(|repository| !repository.message.is_empty());
    all.extend(stale.map(|one| Attention {
        since: one.failing_since,
        ..about("repository", &one.url, one.message.clone())
    }));
    let troubled = applications.iter().filter(|application| {
        application.error_count > 0
            || application.sync.status != SyncStatus::Synced
            || matches!(
                application.health.status,
                HealthStatus::Degraded | HealthStatus::Missing | HealthStatus::Unknown
            )
    });
    all.extend(troubled.map(|one| about("application", &one.name, in_words(one))));
    all
}

fn in_words(application: &ApplicationSummary) -> String {
    let ApplicationSummary { sync, health, .. } = application;
    let reason = if sync.reason.is_empty() { &health.reason } else { &sync.reason };
    match reason.as_str() {
        "" => format!("{}, {}", sync.status, health.status),
        reason => format!("{}, {}: {reason}", sync.status, health.status),
    }
}

fn sync_status(status: fyr_plan::SyncStatus) -> SyncStatus {
    match status {
        fyr_plan::SyncStatus::Synced => SyncStatus::Synced,
        fyr_plan::SyncStatus::OutOfSync => SyncStatus::OutOfSync,
        fyr_plan::SyncStatus::Unknown => SyncStatus::Unknown,
    }
}

fn health_state(health: &Health) -> HealthState {
    let status = match health.status {
        fyr_plan::HealthStatus::Healthy => HealthStatus::Healthy,
        fyr_plan::HealthStatus::Suspended => HealthStatus::Suspended,
        fyr_plan::HealthStatus::Progressing => HealthStatus::Progressing,
        fyr_plan::HealthStatus::Missing => HealthStatus::Missing,
        fyr_plan::HealthStatus::Degraded => HealthStatus::Degraded,
        fyr_plan::HealthStatus::Unknown => HealthStatus::Unknown,
    };
    HealthState { status, reason: health.reason.clone() }
}

/// A moment as the API shows it; nothing for one that no calendar has.
pub(super) fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

/// A number of things.
pub(super) fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}
