//! Whether something is to be done now, and what: the trigger of a pass.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fyr_model::{CommitId, Digest, GroupKind, ObjectKey};
use fyr_plan::{
    Comparison, Difference, LiveState, NextTry, PlanInput, Planned, Scope, Trigger, plan,
};
use tokio::time::Instant;

use super::act::Work;
use super::pass::{Scene, instant, sooner};
use super::preview::trigger;
use super::{ApplicationTask, Next};

/// How soon a plan is tried again that the audit log could not take.
const AUDIT_RETRY: std::time::Duration = std::time::Duration::from_secs(2);

/// What a pass may do.
enum Turn {
    /// Nothing: it is shown what would be done.
    Look(Trigger),
    /// Nothing before this time.
    Later(Trigger, SystemTime),
    /// Whatever the plan says.
    Act(Trigger),
}

impl ApplicationTask {
    /// Plans, and carries the plan out if it is time to. Gives back the newest plan, for what it
    /// leaves out, and when to look again.
    pub(super) async fn decide(
        &mut self,
        scene: &Scene<'_>,
        live: &LiveState,
    ) -> (Option<Planned>, Next) {
        let turn = self.turn(scene);
        let (Turn::Look(trigger) | Turn::Later(trigger, _) | Turn::Act(trigger)) = &turn;
        let now = SystemTime::now();
        self.memory.fights.forget_quiet(now);
        let (resting, due) = self.memory.fights.resting(now, |_| None);
        let mut next = due.map_or(Next::Wait, |due| Next::At(instant(due)));
        let claimed = self.claimed(scene);
        let planned = self.planned(scene, live, trigger, &claimed, &resting);
        match turn {
            Turn::Look(_) => (Some(planned), next),
            Turn::Later(_, time) => {
                next = sooner(next, Next::At(instant(time)));
                (Some(planned), next)
            }
            Turn::Act(trigger) => {
                // A heal draws no consequences from it, and has to be quick.
                let complete = trigger == Trigger::Heal || !self.leaves_unknown(live, &claimed);
                if planned.plan.is_empty() {
                    self.nothing_to_do(&trigger, &planned, complete).await;
                    return (Some(planned), next);
                }
                let work = Work { plan: planned.plan.clone(), trigger, complete };
                let carried_out = self.carry_out(scene, work).await;
                // What is to be done after it is the next pass's to say, at once.
                let again = if carried_out { Instant::now() } else { Instant::now() + AUDIT_RETRY };
                (Some(planned), sooner(next, Next::At(again)))
            }
        }
    }

    /// What kind of pass this is.
    fn turn(&self, scene: &Scene<'_>) -> Turn {
        if let Some(order) = &self.memory.order {
            return Turn::Act(trigger(&order.terms));
        }
        let (desired, commits) = self.target();
        let attempt = self
            .memory
            .attempt
            .as_ref()
            .filter(|attempt| attempt.desired == desired && attempt.commits == commits);
        let trigger = match attempt {
            Some(attempt) if attempt.failures == 0 => Trigger::Heal,
            _ => Trigger::Automated,
        };
        if self.memory.pause.is_some() || scene.application.skip_reconcile() {
            return Turn::Look(trigger);
        }
        let now = SystemTime::now();
        let due = match attempt {
            Some(attempt) if attempt.failures > 0 => match attempt.next {
                Some(NextTry::OnChange) => return Turn::Look(trigger),
                Some(NextTry::At(time)) => Some(time),
                None => None,
            },
            Some(_) => self.memory.heal.due_at(),
            None => None,
        };
        match due {
            Some(time) if time > now => Turn::Later(trigger, time),
            _ => Turn::Act(trigger),
        }
    }

    /// The desired state that is aimed at: its digest and the commits it came from.
    pub(super) fn target(&self) -> (Digest, Vec<CommitId>) {
        let built = self.memory.built.as_ref().expect("a pass without a build ends before this");
        (built.desired.digest, built.key.commits().to_vec())
    }

    fn planned(
        &self,
        scene: &Scene<'_>,
        live: &LiveState,
        trigger: &Trigger,
        claimed: &BTreeMap<ObjectKey, String>,
        resting: &BTreeMap<ObjectKey, String>,
    ) -> Planned {
        let built = self.memory.built.as_ref().expect("a pass without a build ends before this");
        let exists = |name: &str| self.context.registry.contains(name);
        plan(&PlanInput {
            cluster: &scene.entry.name,
            revision: built.key.commits().first(),
            policy: &scene.policy,
            trigger,
            destination_namespace: &scene.application.destination.namespace,
            comparison: Comparison {
                application: &self.name,
                desired: &built.desired,
                live,
                inventory: &self.memory.inventory,
                claimed,
                exists: &exists,
            },
            permits: &|key: &ObjectKey, scope: Scope| scene.permits(key, scope),
            versions: &|kind: &GroupKind| scene.cluster.version(kind),
            resting,
        })
    }

    /// Whether the state of some object is not known, so that a later pass has to look again.
    fn leaves_unknown(&self, live: &LiveState, claimed: &BTreeMap<ObjectKey, String>) -> bool {
        let Some(built) = &self.memory.built else { return true };
        let exists = |name: &str| self.context.registry.contains(name);
        let comparison = Comparison {
            application: &self.name,
            desired: &built.desired,
            live,
            inventory: &self.memory.inventory,
            claimed,
            exists: &exists,
        };
        comparison.rows().iter().any(|row| matches!(row.difference, Difference::Unknown(_)))
    }

    /// The objects it wants that belong to other applications.
    pub(super) fn claimed(&self, scene: &Scene<'_>) -> BTreeMap<ObjectKey, String> {
        let wanted = self.memory.built.iter().flat_map(|built| built.desired.objects.keys());
        self.context.claims.claim(&scene.entry.name, &self.name, wanted)
    }

    /// Lets go of claims on what it neither wants nor has.
    pub(super) fn release_claims(&self, cluster: &str) {
        let built = self.memory.built.as_ref();
        let keeps = |key: &ObjectKey| {
            self.memory.inventory.contains_key(key)
                || built.is_some_and(|built| built.desired.wants(key))
        };
        if self.context.claims.keep_only(cluster, &self.name, keeps) {
            // Somebody may have waited for one of them.
            self.context.registry.wake_cluster(cluster);
        }
    }
}

impl Scene<'_> {
    /// Whether the project permits an object.
    pub(super) fn permits(&self, key: &ObjectKey, scope: Scope) -> Result<(), String> {
        self.project.permits_deployment(self.entry, key, scope == Scope::Namespaced)
    }
}
