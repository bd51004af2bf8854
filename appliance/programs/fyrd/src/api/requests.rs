//! What the API changes: everything goes to the task of the application it concerns.

use std::collections::BTreeSet;
use std::time::Duration;

use fyr_model::api::{
    ErrorCode, HistoryEntry, HistoryResult, PauseRequest, PlanPreview, PreviewAction, PreviewStep,
    Problem, RefreshAnswer, ResumeRequest, RollbackRequest, SyncAnswer, SyncRequest,
};
use fyr_model::{Application, CommitId, Digest, Source};
use fyr_plan::{Action, ApplyReason, Planned};
use fyr_store::{Deployed, OrderTerms, Pin};
use fyr_web::{Actor, Answer};
use tokio::sync::oneshot;

use super::Api;
use super::views::timestamp;
use crate::application;
use crate::application::source::resolve_one;
use crate::application::{Command, CommandError, Verb};
use crate::repository::Repository;

/// Longest wait for an application's task to take a request: it may be applying.
const TAKEN_WITHIN: Duration = Duration::from_mins(5);
/// Entries of the history that are shown.
const HISTORY_MAX: u32 = 100;

impl Api {
    /// Has the repositories of an application looked at.
    pub(super) async fn refresh_application(&self, name: &str) -> Answer<RefreshAnswer> {
        let report = self.handle(name)?.report.borrow().clone();
        let Some(application) = report.application.clone() else {
            return self.refresh_the_fleet().await;
        };
        let before = self.commits_of(&application).await;
        for repository in self.repositories_of(&application).await {
            repository.refresh().await.map_err(|busy| {
                Problem::new(ErrorCode::Overloaded, busy.to_string()).with_hint("try again")
            })?;
            if let Some((reason, _)) = &repository.state().failure {
                let message = format!("{} cannot be fetched", repository.url());
                let mut problem = Problem::new(ErrorCode::RepositoryUnreachable, message);
                problem.causes.push(reason.clone());
                return Err(problem.with_hint("what was fetched before stays in force"));
            }
        }
        self.context.registry.wake(name);
        let after = self.commits_of(&application).await;
        let changed = before != after;
        Ok(RefreshAnswer { finished: true, revisions: after, changed })
    }

    /// Has the fleet repository looked at; answers when what it says is in force.
    pub(super) async fn refresh_the_fleet(&self) -> Answer<RefreshAnswer> {
        let unreadable = |reason: String| {
            let mut problem =
                Problem::new(ErrorCode::RepositoryUnreachable, "the fleet cannot be read");
            problem.causes.push(reason);
            problem
        };
        let settings = &self.context.settings;
        let access = settings.fleet_access().map_err(|error| unreadable(error.to_string()))?;
        let url = &settings.appliance.fleet.repo_url;
        let opened = self.context.repositories.open(url, &access).await;
        let repository = opened.map_err(|error| unreadable(error.to_string()))?;
        let before = self.context.fleet().revision.clone();
        let mut news = self.context.watch_fleet();
        let refreshed = repository.refresh().await;
        refreshed.map_err(|busy| Problem::new(ErrorCode::Overloaded, busy.to_string()))?;
        if let Some((reason, _)) = &repository.state().failure {
            return Err(unreadable(reason.clone()));
        }
        let source = Source {
            repo_url: url.clone(),
            target_revision: settings.appliance.fleet.target_revision.clone(),
            ..Source::default()
        };
        let (wanted, _) = resolve_one(&source, &repository)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        // In force, or refused with a reason.
        let settled = news.wait_for(|state| state.has_settled(&wanted));
        let settled = settled.await.map(|state| state.clone());
        let state = settled.map_err(|_| unreadable("the daemon is stopping".to_owned()))?;
        if let Some(reason) = &state.error {
            return Err(unreadable(reason.clone()));
        }
        let changed = before.is_none_or(|before| before.commit != wanted);
        Ok(RefreshAnswer { finished: true, revisions: vec![wanted.to_string()], changed })
    }

    /// Plans a sync and, unless it is a dry run, begins it.
    pub(super) async fn request_sync(
        &self,
        actor: &Actor,
        name: &str,
        request: SyncRequest,
    ) -> Answer<SyncAnswer> {
        let commits = match &request.revision {
            Some(revision) => Some(self.commits_at(name, revision).await?),
            None => None,
        };
        let selected: BTreeSet<_> = request.resources.into_iter().map(Into::into).collect();
        let terms = OrderTerms {
            prune: request.prune,
            // Whoever names the plan has seen it.
            confirmed: request.plan.is_some(),
            force: request.recreate,
            selected: Some(selected).filter(|selected| !selected.is_empty()),
            commits,
        };
        let (dry_run, expected) = (request.dry_run, digest(request.plan.as_deref())?);
        let verb = Verb::Sync { terms, dry_run, expected };
        let answer = self.ask(actor, name, &request.reason, verb).await?;
        Ok(sync_answer(answer))
    }

    /// Goes back to an entry of the history.
    pub(super) async fn request_rollback(
        &self,
        actor: &Actor,
        name: &str,
        request: RollbackRequest,
    ) -> Answer<SyncAnswer> {
        let found = self.context.store.deployment(name, request.id).await.map_err(internal)?;
        let Some(Deployed { id, deployment }) = found else {
            let message = format!("the history of {name} has no entry {}", request.id);
            return Err(Problem::new(ErrorCode::NoSuchHistoryEntry, message)
                .with_hint(format!("fyr app history {name} shows them")));
        };
        let pin = Pin {
            revisions: deployment.revisions,
            history_id: Some(id),
            by: actor.name.clone(),
            reason: request.reason.clone(),
            at: std::time::SystemTime::now(),
        };
        let expected = digest(request.plan.as_deref())?;
        let verb = Verb::Rollback { pin, dry_run: request.dry_run, expected };
        Ok(sync_answer(self.ask(actor, name, &request.reason, verb).await?))
    }

    /// Leaves an application alone.
    pub(super) async fn request_pause(
        &self,
        actor: &Actor,
        name: &str,
        request: PauseRequest,
    ) -> Answer<()> {
        self.ask(actor, name, &request.reason, Verb::Pause).await.map(drop)
    }

    /// Follows Git again.
    pub(super) async fn request_resume(
        &self,
        actor: &Actor,
        name: &str,
        request: ResumeRequest,
    ) -> Answer<()> {
        self.ask(actor, name, &request.reason, Verb::Resume).await.map(drop)
    }

    /// The deployments of an application, newest first.
    pub(super) async fn history_of(&self, name: &str) -> Answer<Vec<HistoryEntry>> {
        let all = self.context.store.history(name, HISTORY_MAX).await.map_err(internal)?;
        Ok(all.into_iter().map(history_entry).collect())
    }

    async fn ask(
        &self,
        actor: &Actor,
        name: &str,
        reason: &str,
        verb: Verb,
    ) -> Answer<application::Answer> {
        let handle = self.handle(name)?;
        let person = fyr_audit::Actor::Person { uid: actor.uid, name: actor.name.clone() };
        let (answer, waiting) = oneshot::channel();
        let command = Command { actor: person, reason: reason.to_owned(), verb, answer };
        let busy = |_| {
            Problem::new(ErrorCode::Overloaded, format!("too many requests wait for {name}"))
                .with_hint("try again in a moment")
        };
        handle.commands.try_send(command).map_err(busy)?;
        match tokio::time::timeout(TAKEN_WITHIN, waiting).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(problem(name, &error)),
            Ok(Err(_)) => Err(Problem::new(ErrorCode::WrongState, format!("{name} is gone"))),
            Err(_) => Err(Problem::new(
                ErrorCode::DeadlineExceeded,
                format!("{name} is busy; the request is taken on when it can be"),
            )),
        }
    }

    async fn repositories_of(&self, application: &Application) -> Vec<Repository> {
        let fleet = self.context.fleet();
        let mut found: Vec<Repository> = Vec::new();
        for source in &application.sources {
            let access = fleet.fleet.repository(&source.repo_url, &application.project);
            let opened = self.context.repositories.open(&source.repo_url, &access).await;
            if let Ok(repository) = opened
                && found.iter().all(|known| known.url() != repository.url())
            {
                found.push(repository);
            }
        }
        found
    }

    /// The commits that the sources of an application mean now, as far as they are known.
    async fn commits_of(&self, application: &Application) -> Vec<String> {
        let fleet = self.context.fleet();
        let mut commits = Vec::new();
        for source in &application.sources {
            let access = fleet.fleet.repository(&source.repo_url, &application.project);
            let opened = self.context.repositories.open(&source.repo_url, &access).await;
            if let Ok(repository) = opened
                && let Ok((commit, _)) = resolve_one(source, &repository).await
            {
                commits.push(commit.to_string());
            }
        }
        commits
    }

    /// The commit that a word means in the one repository of an application.
    async fn commits_at(&self, name: &str, revision: &str) -> Answer<Vec<CommitId>> {
        let report = self.handle(name)?.report.borrow().clone();
        let application = report.application.as_deref();
        let [source] = application.map(|one| one.sources.as_slice()).unwrap_or_default() else {
            let message = format!("{name} has not exactly one source: --revision means nothing");
            return Err(Problem::new(ErrorCode::WrongState, message));
        };
        let project = application.map(|one| one.project.as_str()).unwrap_or_default();
        let access = self.context.fleet().fleet.repository(&source.repo_url, project);
        let opened = self.context.repositories.open(&source.repo_url, &access).await;
        let repository = opened.map_err(|error| {
            Problem::new(ErrorCode::RepositoryUnreachable, error.to_string()).because(&error)
        })?;
        let wanted = Source { target_revision: revision.to_owned(), ..source.clone() };
        let resolved = resolve_one(&wanted, &repository).await.map_err(|error| {
            Problem::new(ErrorCode::InvalidRequest, error.to_string()).because(&error)
        })?;
        Ok(vec![resolved.0])
    }
}

fn digest(text: Option<&str>) -> Answer<Option<Digest>> {
    let parsed = text.map(str::parse::<Digest>).transpose();
    parsed.map_err(|error| Problem::new(ErrorCode::InvalidRequest, error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn internal(error: fyr_store::StoreError) -> Problem {
    Problem::new(ErrorCode::Internal, error.to_string()).because(&error)
}

fn problem(name: &str, error: &CommandError) -> Problem {
    let (code, hint) = match error {
        CommandError::NotRecorded { .. } => {
            (ErrorCode::AuditUnavailable, "is fyr-auditor running?".to_owned())
        }
        CommandError::Busy => (ErrorCode::Busy, format!("fyr app wait {name} --operation")),
        CommandError::Stale { .. } => (ErrorCode::StalePlan, "run it again".to_owned()),
        CommandError::NotPlanned { .. } => (ErrorCode::NotReady, format!("fyr app get {name}")),
        CommandError::NotPaused { .. } => {
            (ErrorCode::WrongState, "there is nothing to resume".to_owned())
        }
        CommandError::NotStored { .. } => {
            (ErrorCode::Internal, "is the disk of the state full?".to_owned())
        }
    };
    Problem::new(code, error.to_string()).with_hint(hint)
}

fn sync_answer(answer: application::Answer) -> SyncAnswer {
    let application::Answer { planned, operation } = answer;
    SyncAnswer { plan: planned.as_ref().map(preview).unwrap_or_default(), operation }
}

fn preview(planned: &Planned) -> PlanPreview {
    use fyr_audit::Intent;
    let steps = planned.plan.steps().map(|step| {
        let (action, reason) = match &step.action {
            Action::Prune { .. } => (PreviewAction::Delete, "Git no longer has it"),
            Action::CreateNamespace { .. } => (PreviewAction::Create, "CreateNamespace=true"),
            Action::Apply { reason, .. } => match reason {
                ApplyReason::Create => (PreviewAction::Create, "it does not exist"),
                ApplyReason::Update => (PreviewAction::Update, "its manifest changed"),
                ApplyReason::Heal => (PreviewAction::Update, "it was changed on the cluster"),
                ApplyReason::Adopt => (PreviewAction::Update, "it exists and becomes ours"),
            },
        };
        PreviewStep { action, key: step.key.clone().into(), reason: reason.to_owned() }
    });
    PlanPreview {
        digest: planned.plan.digest().to_string(),
        application: planned.plan.application.clone(),
        cluster: planned.plan.cluster.clone(),
        revision: planned.plan.revision.as_ref().map(ToString::to_string),
        steps: steps.collect(),
        held: planned.held.iter().map(|(key, why)| (key.clone().into(), why.clone())).collect(),
        blockers: planned.blockers.iter().map(ToString::to_string).collect(),
    }
}

fn history_entry(deployed: Deployed) -> HistoryEntry {
    let Deployed { id, deployment } = deployed;
    let revisions: Vec<String> = deployment.revisions.iter().map(ToString::to_string).collect();
    HistoryEntry {
        id,
        revision: revisions.first().cloned().unwrap_or_default(),
        revisions,
        actor: Some(deployment.actor.to_string()),
        reason: deployment.message,
        started_at: None,
        finished_at: timestamp(deployment.deployed_at),
        result: match deployment.phase {
            fyr_store::Phase::Succeeded => HistoryResult::Succeeded,
            fyr_store::Phase::Failed => HistoryResult::Failed,
        },
        message: String::new(),
        plan: None,
    }
}
