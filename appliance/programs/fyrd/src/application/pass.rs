//! One pass: from the newest state of everything to a report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fyr_cluster::{Cluster, Connectivity};
use fyr_model::{
    AppProject, Application, Blame, Chain, ClusterEntry, Fleet, FleetApplication, ObjectKey,
    Unsupported,
};
use fyr_plan::{
    AssessInput, Comparison, Condition, ConditionKind, KindState, LiveState, Outcome, Planned,
    Policy, assess, observe,
};
use tokio::time::Instant;
use tracing::warn;

use super::build::{BuildError, BuildKey, Built, build};
use super::source::{ResolveSourceError, resolve_sources};
use super::watched::Watched;
use super::{ApplicationTask, Next, Report};
use crate::registry::Dependencies;

/// How soon what failed because of the world is tried again when nothing else wakes the task.
const RETRY: Duration = Duration::from_secs(10);

/// What a pass works on.
pub(super) struct Scene<'a> {
    pub(super) application: &'a Application,
    pub(super) project: &'a AppProject,
    pub(super) entry: &'a ClusterEntry,
    pub(super) cluster: Cluster,
    pub(super) policy: Policy,
    pub(super) conditions: Vec<Condition>,
}

impl ApplicationTask {
    /// Looks at everything once and does what is to be done.
    pub(super) async fn pass(&mut self) -> Next {
        self.record_what_is_owed().await;
        let state = self.context.fleet();
        if state.revision.is_none() {
            return Next::Wait;
        }
        let fleet = Arc::clone(&state.fleet);
        let Some(known) = fleet.applications.get(&self.name) else {
            return self.leave().await;
        };
        match self.scene(&fleet, known) {
            Ok(scene) => self.pass_in(&fleet, scene).await,
            Err(conditions) => self.invalid(&conditions),
        }
    }

    /// What there is to work on, or what speaks against it.
    pub(super) fn scene<'a>(
        &self,
        fleet: &'a Fleet,
        known: &'a FleetApplication,
    ) -> Result<Scene<'a>, Vec<Condition>> {
        let mut conditions = unsupported(&known.unsupported);
        let invalid = |error: &dyn std::error::Error| {
            Condition::new(ConditionKind::InvalidSpecError, Chain(error).to_string())
        };
        let application = match &known.parsed {
            Ok(application) => application,
            Err(error) => {
                conditions.push(invalid(error));
                return Err(conditions);
            }
        };
        let admission = match fleet.admit(application) {
            Ok(admission) => admission,
            Err(errors) => {
                conditions.extend(errors.iter().map(|error| invalid(error)));
                return Err(conditions);
            }
        };
        let cluster = match self.context.clusters.get(&admission.cluster.name) {
            Ok(cluster) => cluster,
            Err(reason) => {
                conditions.push(Condition::new(ConditionKind::InvalidSpecError, reason));
                return Err(conditions);
            }
        };
        let (policy, without_effect) = Policy::of(&application.sync_policy);
        let kind = ConditionKind::UnsupportedWarning;
        conditions.extend(without_effect.into_iter().map(|why| Condition::new(kind, why)));
        let (project, entry) = (admission.project, admission.cluster);
        Ok(Scene { application, project, entry, cluster, policy, conditions })
    }

    /// The pass of an application that may be deployed.
    async fn pass_in(&mut self, fleet: &Fleet, mut scene: Scene<'_>) -> Next {
        if let Err(reason) = self.settle_on(&scene).await {
            scene.conditions.push(Condition::new(ConditionKind::UnknownError, reason));
            self.show(&scene, None, None);
            return Next::At(Instant::now() + RETRY);
        }
        let mut next = self.bring_up_to_date(fleet, &mut scene).await;
        scene.conditions.extend(blocked(self.memory.blocked.as_ref()));
        let keys = self.interest(&scene);
        if self.memory.built.is_none() {
            self.show(&scene, None, None);
            return next;
        }
        let live = scene.cluster.live(&self.name, &keys);
        if let Some(built) = &self.memory.built {
            let forgotten = observe(&mut self.memory.inventory, &self.name, &built.desired, &live);
            if !forgotten.is_empty() {
                self.store_inventory(&scene.entry.name, forgotten).await;
                // Another application may have waited until the object was gone.
                self.release_claims(&scene.entry.name);
            }
        }
        if is_listing(&live) {
            // The cluster wakes this task when the listing is complete.
            self.show(&scene, Some(&live), None);
            return next;
        }
        let (planned, when) = self.decide(&scene, &live).await;
        next = sooner(next, when);
        // What was written is part of what is known now.
        let live = scene.cluster.live(&self.name, &keys);
        self.show(&scene, Some(&live), planned.as_ref());
        next
    }

    /// The inventory belongs to one cluster; an application that moves begins a new one.
    async fn settle_on(&mut self, scene: &Scene<'_>) -> Result<(), String> {
        let name = &scene.entry.name;
        let cascade = scene.application.cascade;
        if self.memory.cluster.as_ref() == Some(name) && self.memory.cascade == cascade {
            return Ok(());
        }
        if let Some(before) = self.memory.cluster.clone().filter(|before| before != name) {
            warn!(application = self.name, from = before, to = name, "moved; its objects stay");
            self.context.claims.keep_only(&before, &self.name, |_| false);
            self.context.clusters.forget(&before, &self.name);
            self.memory.inventory.clear();
            self.memory.attempt = None;
            self.memory.built = None;
        }
        self.memory.cluster = Some(name.clone());
        self.memory.cascade = cascade;
        self.remember().await
    }

    /// Builds what the sources mean now, unless that is what was built last. A failure leaves what
    /// was built before in force, so that healing goes on.
    async fn bring_up_to_date(&mut self, fleet: &Fleet, scene: &mut Scene<'_>) -> Next {
        let ordered = self.memory.order.as_ref().and_then(|order| order.terms.commits.as_deref());
        let pins = ordered.or(self.memory.pin.as_ref().map(|pin| pin.revisions.as_slice()));
        let repositories = &self.context.repositories;
        let sources = resolve_sources(scene.application, fleet, repositories, pins).await;
        self.depend(scene, fleet);
        let sources = match sources {
            Ok(sources) => sources,
            Err(error) => return not_resolved(scene, &error),
        };
        if !scene.cluster.is_discovered() {
            let message = format!("waiting for cluster {} to say what it serves", scene.entry.name);
            return if self.memory.built.is_some() {
                Next::Wait
            } else {
                scene.conditions.push(Condition::new(ConditionKind::ComparisonError, message));
                Next::Wait
            };
        }
        for source in &sources {
            if let Some((reason, _)) = &source.repository.state().failure {
                let message = format!("serving the mirror: {reason}");
                let kind = ConditionKind::RepositoryWarning;
                scene.conditions.push(Condition::new(kind, message));
            }
        }
        let key = BuildKey::new(scene.application, scene.project, scene.entry, &sources);
        let before = self.memory.built.as_ref().filter(|_| !self.serves_pending(&scene.cluster));
        if before.is_some_and(|built| built.key == key) {
            return Next::Wait;
        }
        let (cluster, entry) = (scene.cluster.clone(), scene.entry.clone());
        match build(&self.context, key, &sources, cluster, entry, before).await {
            Ok(built) => {
                let before = self.memory.built.replace(built);
                let before = before.map(|built| built.desired.digest);
                let now = self.memory.built.as_ref().map(|built| built.desired.digest);
                if before != now {
                    self.memory.outcome = None;
                    self.memory.heal.reset();
                }
                if before.is_some() && before != now {
                    // What it claimed and never applied is free without a plan.
                    self.release_claims(&scene.entry.name);
                }
                Next::Wait
            }
            Err(error) => not_built(scene, &error),
        }
    }

    /// Whether the cluster serves a kind by now that an object waits for.
    fn serves_pending(&self, cluster: &Cluster) -> bool {
        let built = self.memory.built.as_ref();
        let mut pending = built.into_iter().flat_map(|built| built.desired.pending.keys());
        pending.any(|key| cluster.scope(&key.group_kind()).is_some())
    }

    /// Tells the registry whom to wake this task for.
    fn depend(&self, scene: &Scene<'_>, fleet: &Fleet) {
        let sources = scene.application.sources.iter();
        let urls = sources.map(|source| {
            fleet.repository(&source.repo_url, &scene.application.project).canonical_url
        });
        let cluster = Some(scene.entry.name.clone());
        let dependencies = Dependencies { repositories: urls.collect(), cluster };
        self.context.registry.depend(&self.name, dependencies);
    }

    /// Tells the cluster what to watch for this application.
    fn interest(&mut self, scene: &Scene<'_>) -> Arc<BTreeSet<ObjectKey>> {
        let desired = self.memory.built.as_ref().map(|built| &built.desired);
        let (inventory, namespace) =
            (&self.memory.inventory, scene.application.destination.namespace.as_str());
        let known = self.memory.watched.take();
        let watched = known
            .filter(|watched| watched.is_of(desired, inventory, namespace))
            .unwrap_or_else(|| Watched::new(desired, inventory, namespace));
        // Said in every pass: the connection may be a new one.
        self.context.clusters.use_kinds(&scene.entry.name, &self.name, watched.kinds());
        let keys = watched.keys();
        scene.cluster.set_interest(&self.name, &keys);
        self.memory.watched = Some(watched);
        keys
    }

    /// Publishes how things stand.
    fn show(&self, scene: &Scene<'_>, live: Option<&LiveState>, planned: Option<&Planned>) {
        let claimed = self.claimed(scene);
        let exists = |name: &str| self.context.registry.contains(name);
        let built = self.memory.built.as_ref();
        let comparison = built.zip(live).map(|(built, live)| Comparison {
            application: &self.name,
            desired: &built.desired,
            live,
            inventory: &self.memory.inventory,
            claimed: &claimed,
            exists: &exists,
        });
        let connectivity = scene.cluster.connectivity().borrow().clone();
        let unreachable = match &connectivity {
            Connectivity::Unreachable { reason, .. } => Some(reason.as_str()),
            Connectivity::Connecting | Connectivity::Connected { .. } => None,
        };
        let outcome: Option<&Outcome> = self.memory.outcome.as_ref();
        let conditions = &scene.conditions;
        let assessment =
            assess(&AssessInput { comparison, unreachable, planned, outcome, conditions });
        self.publish(Report {
            application: Some(Arc::new(scene.application.clone())),
            cluster: Some(scene.entry.name.clone()),
            revisions: built.map(|built| built.revisions.clone()).unwrap_or_default(),
            desired: built.map(|built| Arc::clone(&built.desired)),
            assessment,
            operation: self.memory.operation.clone(),
            pause: self.memory.pause.clone(),
            pin: self.memory.pin.clone(),
            warnings: built.map(Built::warnings).unwrap_or_default(),
            last_contact: live.map(|live| live.seen_at),
            leaving: false,
        });
    }

    /// Publishes that the manifest cannot be carried out. What is on the cluster stays as it is.
    fn invalid(&self, conditions: &[Condition]) -> Next {
        let assessment = assess(&AssessInput {
            comparison: None,
            unreachable: None,
            planned: None,
            outcome: None,
            conditions,
        });
        self.publish(Report {
            assessment,
            cluster: self.memory.cluster.clone(),
            operation: self.memory.operation.clone(),
            pause: self.memory.pause.clone(),
            pin: self.memory.pin.clone(),
            ..Report::default()
        });
        Next::Wait
    }
}

/// What keeps the application from being synced, beside what its objects say.
fn blocked(message: Option<&String>) -> Option<Condition> {
    message.map(|message| Condition::new(ConditionKind::SyncError, message))
}

fn not_resolved(scene: &mut Scene<'_>, error: &ResolveSourceError) -> Next {
    let message = Chain(error).to_string();
    scene.conditions.push(Condition::new(ConditionKind::ComparisonError, message));
    match error.blame() {
        // The repository's task wakes this one when something moves.
        _ if error.is_waiting() => Next::Wait,
        Blame::Input => Next::Wait,
        Blame::Outside => Next::At(Instant::now() + RETRY),
    }
}

fn not_built(scene: &mut Scene<'_>, error: &BuildError) -> Next {
    let message = Chain(error).to_string();
    scene.conditions.push(Condition::new(ConditionKind::ComparisonError, message));
    match error.blame() {
        Blame::Input => Next::Wait,
        Blame::Outside => Next::At(Instant::now() + RETRY),
    }
}

fn unsupported(fields: &[Unsupported]) -> Vec<Condition> {
    let kind = ConditionKind::UnsupportedWarning;
    fields.iter().map(|field| Condition::new(kind, field.to_string())).collect()
}

/// Whether some kind is still being listed for the first time.
fn is_listing(live: &LiveState) -> bool {
    live.kinds.values().any(|state| *state == KindState::Listing)
}

/// The earlier of two times.
pub(super) fn sooner(one: Next, other: Next) -> Next {
    match (one, other) {
        (Next::End, _) | (_, Next::End) => Next::End,
        (Next::At(one), Next::At(other)) => Next::At(one.min(other)),
        (Next::At(time), Next::Wait) | (Next::Wait, Next::At(time)) => Next::At(time),
        (Next::Wait, Next::Wait) => Next::Wait,
    }
}

/// A moment of the wall clock as one of the runtime's clock; now if it has passed.
pub(super) fn instant(time: SystemTime) -> Instant {
    Instant::now() + time.duration_since(SystemTime::now()).unwrap_or_default()
}
