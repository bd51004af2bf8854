//! Carrying a plan out: record the intent, write ahead, apply, record the outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use fyr_audit::{Actor, Entry, EntryKind, Intent, Recorded};
use fyr_cluster::Cluster;
use fyr_model::{Chain, ObjectKey};
use fyr_plan::{
    Desired, ErrorClass, NextTry, Outcome, Plan, Planned, StepOutcome, Trigger, after,
    before_apply, next_try,
};
use fyr_store::{Deployment, OutcomeRecord};
use serde_json::Value;
use tracing::{info, warn};

use super::ApplicationTask;
use super::details::{results_of, steps_of};
use super::memory::Attempt;
use super::pass::Scene;
use super::report::{Operation, Phase};

/// Outcomes kept for an audit log that is down; a plan needs it up, so there is seldom more than
/// one.
const OWED_MAX: usize = 16;

/// A plan that is to be carried out.
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) trigger: Trigger,
    /// Whether the plan leaves out nothing for want of knowledge.
    pub(super) complete: bool,
}

/// A plan that was carried out.
pub(super) struct Done {
    recorded: Recorded<Plan>,
    outcome: Outcome,
    actor: Actor,
    reason: String,
}

impl ApplicationTask {
    /// Carries out the plan of a pass; `false` if the intent could not be recorded or stored, so
    /// that nothing was done.
    pub(super) async fn carry_out(&mut self, scene: &Scene<'_>, work: Work) -> bool {
        let Work { plan, trigger, complete } = work;
        let built = self.memory.built.as_ref().expect("a plan was made from it");
        let desired = Arc::clone(&built.desired);
        let Some(done) = self.apply(&scene.cluster, &desired, plan, &trigger).await else {
            return false;
        };
        self.judge(scene, &trigger, &done, complete);
        self.finish_operation(&done.outcome);
        let new = !matches!(trigger, Trigger::Heal) && done.outcome.succeeded();
        let deployment = new.then(|| self.deployment(scene, &done));
        self.memory.outcome = Some(done.outcome.clone());
        if matches!(trigger, Trigger::Manual(_)) {
            self.memory.order = None;
        }
        self.conclude(done, deployment).await;
        if new {
            self.pin_commits(scene).await;
        }
        true
    }

    /// Records, writes ahead and applies; `None` if nothing was done.
    pub(super) async fn apply(
        &mut self,
        cluster: &Cluster,
        desired: &Desired,
        plan: Plan,
        trigger: &Trigger,
    ) -> Option<Done> {
        let (actor, reason) = (self.actor(trigger), self.reason(trigger));
        let started_at = SystemTime::now();
        let entry = self.entry(EntryKind::Intent, &plan, &actor, &reason, steps_of(&plan));
        // Both have to be on disk before the first request; neither waits for the other.
        let ahead = before_apply(&self.memory.inventory, &plan, desired);
        let rows = ahead.iter().map(|(key, entry)| (key.clone(), Some(entry.clone()))).collect();
        let cluster_name = plan.cluster.clone();
        let (recorded, stored) = tokio::join!(
            self.context.audit.record(plan, entry),
            self.context.store.apply_inventory(&self.name, &cluster_name, rows)
        );
        if stored.is_ok() {
            self.memory.inventory.extend(ahead);
        }
        let recorded = match (recorded, stored) {
            (Ok(recorded), Ok(())) => recorded,
            (Err((_, error)), _) => {
                self.not_recorded(&Chain(&error).to_string());
                return None;
            }
            (Ok(_), Err(error)) => {
                self.not_recorded(&Chain(&error).to_string());
                return None;
            }
        };
        self.memory.blocked = None;
        self.begin(&recorded, &actor, started_at);
        let outcome = self.execute(cluster, &recorded).await;
        Some(Done { recorded, outcome, actor, reason })
    }

    /// A pass found nothing to do: what is aimed at is in force.
    pub(super) async fn nothing_to_do(
        &mut self,
        trigger: &Trigger,
        planned: &Planned,
        complete: bool,
    ) {
        let ordered = matches!(trigger, Trigger::Manual(_));
        if ordered {
            self.nothing_was_asked_for(planned);
        }
        let withheld =
            !planned.held.is_empty() || !planned.blockers.is_empty() || !planned.waiting.is_empty();
        let (desired, commits) = self.target();
        if complete && !withheld && !self.memory.is_applied(&desired, &commits) {
            self.memory.attempt =
                Some(Attempt { desired, commits, failures: 0, next: None, at: SystemTime::now() });
            self.memory.outcome = None;
        } else if !ordered {
            return;
        }
        if let Err(reason) = self.remember().await {
            warn!(application = self.name, reason, "the state was not stored");
        }
    }

    /// An operator asked for a sync that changes nothing: an operation all the same, for whoever
    /// waits for it.
    fn nothing_was_asked_for(&mut self, planned: &Planned) {
        let actor = self.memory.order.take().map(|order| order.actor);
        let now = Some(SystemTime::now());
        self.memory.operation = Operation {
            sequence: self.memory.operation.next_sequence(),
            phase: Phase::Succeeded,
            plan: Some(planned.plan.digest()),
            revision: planned.plan.revision.clone(),
            message: "nothing to change".to_owned(),
            actor,
            started_at: now,
            finished_at: now,
            ..Operation::default()
        };
    }

    fn begin(&mut self, recorded: &Recorded<Plan>, actor: &Actor, started_at: SystemTime) {
        let plan = recorded.value();
        self.memory.operation = Operation {
            sequence: self.memory.operation.next_sequence(),
            phase: Phase::Running,
            plan: Some(plan.digest()),
            last: None,
            message: String::new(),
            revision: plan.revision.clone(),
            actor: Some(actor.clone()),
            started_at: Some(started_at),
            finished_at: None,
            retry_at: None,
            progress: (0, plan.steps().count()),
        };
        self.show_operation();
    }

    /// Publishes the operation alone, before anything else about it is known.
    pub(super) fn show_operation(&self) {
        let operation = self.memory.operation.clone();
        self.report.send_modify(|report| Arc::make_mut(report).operation = operation);
        self.context.registry.announce(&self.name);
    }

    async fn execute(&self, cluster: &Cluster, recorded: &Recorded<Plan>) -> Outcome {
        let done = AtomicUsize::new(0);
        let progress = |step: &StepOutcome| {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            self.report.send_modify(|report| {
                let operation = &mut Arc::make_mut(report).operation;
                operation.progress.0 = done;
                operation.last = Some(step.key.clone());
            });
            self.context.registry.announce(&self.name);
        };
        let outcome = cluster.execute(recorded, progress).await;
        let failures = outcome.failures().count();
        let steps = outcome.steps.len();
        info!(application = self.name, cluster = cluster.name(), steps, failures, "applied");
        outcome
    }

    /// Stores and records what became of a plan. What the audit log cannot take now is owed to it.
    pub(super) async fn conclude(&mut self, done: Done, deployment: Option<Deployment>) {
        let Done { recorded, outcome, actor, reason } = done;
        let plan = recorded.value();
        let changed = after(&mut self.memory.inventory, plan, &outcome);
        let details = results_of(&outcome, &recorded);
        let entry = self.entry(EntryKind::Outcome, plan, &actor, &reason, details);
        let inventory = self.rows(changed);
        let record = OutcomeRecord { inventory, state: self.memory.state(), deployment };
        let (appended, stored) = tokio::join!(
            self.context.audit.append(entry.clone()),
            self.context.store.record_outcome(&self.name, &plan.cluster, record)
        );
        if let Err(error) = stored {
            // The intent is on disk, so the next start applies once more: safe, but not silent.
            warn!(application = self.name, error = %Chain(&error), "an outcome was not stored");
        }
        if let Err(error) = appended {
            warn!(application = self.name, error = %Chain(&error), "an outcome is owed to the log");
            if self.memory.owed.len() < OWED_MAX {
                self.memory.owed.push(entry);
            }
        }
        self.release_claims(&plan.cluster);
    }

    /// Records outcomes that the log could not take when they came about.
    pub(super) async fn record_what_is_owed(&mut self) {
        while let Some(entry) = self.memory.owed.first().cloned() {
            if self.context.audit.append(entry).await.is_err() {
                return;
            }
            self.memory.owed.remove(0);
        }
    }

    /// Stores the entries of these keys as they are in the inventory now.
    pub(super) async fn store_inventory(&self, cluster: &str, keys: Vec<ObjectKey>) {
        if keys.is_empty() {
            return;
        }
        let rows = self.rows(keys);
        if let Err(error) = self.context.store.apply_inventory(&self.name, cluster, rows).await {
            warn!(application = self.name, error = %Chain(&error), "the inventory was not stored");
        }
    }

    fn rows(&self, keys: Vec<ObjectKey>) -> Vec<fyr_store::Change> {
        let rows = keys.into_iter().map(|key| {
            let entry = self.memory.inventory.get(&key).cloned();
            (key, entry)
        });
        rows.collect()
    }

    /// Stores how the application stands.
    pub(super) async fn remember(&self) -> Result<(), String> {
        let stored = self.context.store.save_application(&self.name, self.memory.state()).await;
        stored.map_err(|error| Chain(&error).to_string())
    }

    /// Draws the consequences for later passes: retries, backoffs, fights.
    fn judge(&mut self, scene: &Scene<'_>, trigger: &Trigger, done: &Done, complete: bool) {
        let now = SystemTime::now();
        let succeeded = done.outcome.succeeded();
        if *trigger == Trigger::Heal {
            self.memory.heal.ended(succeeded, now);
            for step in done.recorded.value().steps() {
                self.memory.fights.healed(&step.key, now);
            }
            return;
        }
        let (desired, commits) = self.target();
        let before = self
            .memory
            .attempt
            .take()
            .filter(|attempt| attempt.desired == desired && attempt.commits == commits);
        let failures = if succeeded { 0 } else { before.map_or(0, |attempt| attempt.failures) + 1 };
        let next = (!succeeded).then(|| {
            let classes: Vec<ErrorClass> =
                done.outcome.failures().map(|(_, error)| error.class).collect();
            let (retry, automated) = (scene.policy.retry.as_ref(), scene.policy.automated.as_ref());
            next_try(retry, automated, failures, &classes, now)
        });
        // A plan that left something out for want of knowledge is not the end of it.
        if complete || !succeeded {
            self.memory.attempt = Some(Attempt { desired, commits, failures, next, at: now });
        }
    }

    fn deployment(&self, scene: &Scene<'_>, done: &Done) -> Deployment {
        let (digest, revisions) = self.target();
        Deployment {
            revisions,
            source: serde_json::to_string(&scene.application.sources).unwrap_or_default(),
            digest,
            deployed_at: SystemTime::now(),
            actor: done.actor.clone(),
            phase: fyr_store::Phase::Succeeded,
            message: done.reason.clone(),
        }
    }

    /// Keeps the applied commits in their mirrors, for rollbacks.
    async fn pin_commits(&self, scene: &Scene<'_>) {
        let commits = self.target().1;
        let fleet = self.context.fleet();
        for (source, commit) in scene.application.sources.iter().zip(commits) {
            let access = fleet.fleet.repository(&source.repo_url, &scene.application.project);
            let opened = self.context.repositories.open(&source.repo_url, &access).await;
            let Ok(repository) = opened else { continue };
            if let Err(error) = repository.pin(&commit).await {
                warn!(application = self.name, error = %Chain(&error), "a commit is not pinned");
            }
        }
    }

    fn not_recorded(&mut self, reason: &str) {
        let message = format!("nothing is applied, because it cannot be recorded: {reason}");
        if self.memory.blocked.as_ref() != Some(&message) {
            warn!(application = self.name, reason, "nothing is applied without a record");
        }
        self.memory.blocked = Some(message);
    }

    fn finish_operation(&mut self, outcome: &Outcome) {
        let failed: Vec<String> =
            outcome.failures().map(|(key, error)| format!("{key}: {}", error.message)).collect();
        let retry_at = match self.memory.attempt.as_ref().and_then(|attempt| attempt.next) {
            Some(NextTry::At(time)) => Some(time),
            Some(NextTry::OnChange) | None => None,
        };
        let operation = &mut self.memory.operation;
        operation.finished_at = Some(SystemTime::now());
        operation.phase = if outcome.succeeded() { Phase::Succeeded } else { Phase::Failed };
        operation.progress.0 = operation.progress.1;
        operation.message = failed.join("; ");
        operation.retry_at = retry_at;
    }

    fn actor(&self, trigger: &Trigger) -> Actor {
        let order = self.memory.order.as_ref().filter(|_| matches!(trigger, Trigger::Manual(_)));
        order.map_or(Actor::Automation, |order| order.actor.clone())
    }

    fn reason(&self, trigger: &Trigger) -> String {
        match trigger {
            Trigger::Automated => "the desired state is new".to_owned(),
            Trigger::Heal => "the cluster moved away from the desired state".to_owned(),
            Trigger::Delete { .. } => "the application left the fleet".to_owned(),
            Trigger::Manual(_) => {
                self.memory.order.as_ref().map(|order| order.reason.clone()).unwrap_or_default()
            }
        }
    }

    /// A record about a plan.
    fn entry(
        &self,
        kind: EntryKind,
        plan: &Plan,
        actor: &Actor,
        reason: &str,
        details: Value,
    ) -> Entry {
        let mut entry = Entry::new(kind, actor.clone(), reason);
        entry.application = Some(self.name.clone());
        entry.cluster = Some(plan.cluster.clone());
        entry.revision.clone_from(&plan.revision);
        entry.subject = plan.digest();
        entry.details = details;
        entry
    }
}

impl Done {
    /// What became of the steps.
    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}
