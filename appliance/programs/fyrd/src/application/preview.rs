//! What a sync would do, without doing it.

use std::collections::BTreeMap;

use fyr_model::{Chain, CommitId, GroupKind, ObjectKey};
use fyr_plan::{Comparison, Manual, PlanInput, Planned, Scope, Trigger, interest, plan};
use fyr_store::OrderTerms;

use super::ApplicationTask;
use super::build::{BuildKey, Built, build};
use super::command::CommandError;
use super::pass::Scene;
use super::source::resolve_sources;

/// The trigger of the plan that is asked for.
pub(super) fn trigger(terms: &OrderTerms) -> Trigger {
    Trigger::Manual(Manual {
        prune: terms.prune,
        confirmed: terms.confirmed,
        force: terms.force,
        selected: terms.selected.clone(),
    })
}

impl ApplicationTask {
    /// Plans what an operator asks for, as things stand now.
    pub(super) async fn preview(&self, terms: &OrderTerms) -> Result<Planned, CommandError> {
        let not_planned = |reason: String| CommandError::NotPlanned { reason };
        let state = self.context.fleet();
        let known = state.fleet.applications.get(&self.name);
        let known = known.ok_or_else(|| not_planned("it left the fleet".to_owned()))?;
        let scene = self.scene(&state.fleet, known).map_err(|conditions| {
            let messages: Vec<String> = conditions
                .into_iter()
                .filter(|condition| condition.kind.is_error())
                .map(|condition| condition.message)
                .collect();
            not_planned(messages.join("; "))
        })?;
        if !scene.cluster.is_discovered() {
            let reason = format!("cluster {} has not been reached yet", scene.entry.name);
            return Err(not_planned(reason));
        }
        let pinned = self.memory.pin.as_ref().map(|pin| pin.revisions.as_slice());
        let commits = terms.commits.as_deref().or(pinned);
        let built = self.build_at(&scene, commits).await.map_err(not_planned)?;
        Ok(self.plan_of(&scene, &built, terms))
    }

    async fn build_at(
        &self,
        scene: &Scene<'_>,
        commits: Option<&[CommitId]>,
    ) -> Result<Built, String> {
        let (fleet, repositories) = (self.context.fleet(), &self.context.repositories);
        let sources = resolve_sources(scene.application, &fleet.fleet, repositories, commits)
            .await
            .map_err(|error| Chain(&error).to_string())?;
        let key = BuildKey::new(scene.application, scene.project, scene.entry, &sources);
        if let Some(built) = self.memory.built.as_ref().filter(|built| built.key == key) {
            return Ok(built.clone());
        }
        let (cluster, entry) = (scene.cluster.clone(), scene.entry.clone());
        let built = build(&self.context, key, &sources, cluster, entry, None).await;
        built.map_err(|error| Chain(&error).to_string())
    }

    fn plan_of(&self, scene: &Scene<'_>, built: &Built, terms: &OrderTerms) -> Planned {
        let namespace = &scene.application.destination.namespace;
        let keys = interest(&built.desired, &self.memory.inventory, namespace);
        let live = scene.cluster.live(&self.name, &keys);
        let wanted = built.desired.objects.keys();
        let claimed: BTreeMap<ObjectKey, String> =
            self.context.claims.others(&scene.entry.name, &self.name, wanted);
        let exists = |name: &str| self.context.registry.contains(name);
        plan(&PlanInput {
            cluster: &scene.entry.name,
            revision: built.key.commits().first(),
            policy: &scene.policy,
            trigger: &trigger(terms),
            destination_namespace: namespace,
            comparison: Comparison {
                application: &self.name,
                desired: &built.desired,
                live: &live,
                inventory: &self.memory.inventory,
                claimed: &claimed,
                exists: &exists,
            },
            permits: &|key: &ObjectKey, scope: Scope| scene.permits(key, scope),
            versions: &|kind: &GroupKind| scene.cluster.version(kind),
            resting: &BTreeMap::new(),
        })
    }
}
