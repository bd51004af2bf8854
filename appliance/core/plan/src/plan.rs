//! From differences to a plan.
//!
//! A plan has at most five parts, in this order: the namespace of `CreateNamespace=true`; then for
//! each sync wave its objects by the rank of their kinds; then deletions, in the reverse order; then
//! deletions with `PruneLast=true`. Deletions always come last, so that a run that ends half way
//! leaves too much rather than too little. Objects that cannot be applied now are held, each with
//! its reason, and hold back nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fyr_model::{CommitId, GroupKind, GroupVersionKind, ObjectKey};
use serde_json::json;

use crate::kinds::{is_irreplaceable, rank};
use crate::prune::{Blocker, guard, kept};
use crate::{
    Action, ApplyReason, Comparison, Condition, ConditionKind, Desired, DesiredObject, Difference,
    Flag, Inventory, KindState, Plan, Policy, Propagation, Row, Scope, Stage, Step,
};

/// Why a plan is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// The desired state is new.
    Automated,
    /// The desired state was applied before, and the cluster has moved away from it.
    Heal,
    /// A person asked.
    Manual(Manual),
    /// The application is gone from Git and takes its objects with it. Without its resources
    /// finalizer it does not: then no plan is made and the inventory is forgotten.
    Delete {
        /// What happens to the objects that the deleted objects own.
        propagation: Propagation,
        /// A person has confirmed the deletion of objects with `Delete=confirm`.
        confirmed: bool,
    },
}

/// What a person asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manual {
    /// Delete what Git no longer has.
    pub prune: bool,
    /// The person has seen what will be deleted: an empty desired state, `Prune=confirm` and
    /// objects that only their annotation tells to be ours hold nothing back.
    pub confirmed: bool,
    /// Recreate objects whose fields cannot be changed.
    pub force: bool,
    /// Only these objects; `None` is all.
    pub selected: Option<BTreeSet<ObjectKey>>,
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// The commit that is applied; `None` when an application is deleted.
    pub revision: Option<&'a CommitId>,
    /// How willingly.
    pub policy: &'a Policy,
    /// Why.
    pub trigger: &'a Trigger,
    /// The namespace of the application's destination; empty if it names none.
    pub destination_namespace: &'a str,
    /// What is compared.
    pub comparison: Comparison<'a>,
    /// Whether the project permits an object; asked before it is deleted.
    pub permits: &'a dyn Fn(&ObjectKey, Scope) -> Result<(), String>,
    /// The version in which the cluster prefers a kind; `None` when it does not serve it.
    pub versions: &'a dyn Fn(&GroupKind) -> Option<String>,
    /// Objects that are left alone for now when healing, with the reason: fights.
    pub resting: &'a BTreeMap<ObjectKey, String>,
}

impl std::fmt::Debug for PlanInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanInput")
            .field("cluster", &self.cluster)
            .field("comparison", &self.comparison)
            .field("trigger", &self.trigger)
            .finish_non_exhaustive()
    }
}

/// A plan, and what it leaves out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Planned {
    /// What to do.
    pub plan: Plan,
    /// What keeps whole parts of it back.
    pub blockers: Vec<Blocker>,
    /// Objects that differ and are left alone, with the reason.
    pub held: BTreeMap<ObjectKey, String>,
    /// Objects on their way out: the next plan is worth making when they are gone.
    pub waiting: BTreeSet<ObjectKey>,
    /// What the application's owner has to know of all that; sorted.
    pub conditions: Vec<Condition>,
}

impl Planned {
    /// Whether the deletion of an application is done, as far as it can be.
    pub fn is_finished(&self) -> bool {
        self.plan.is_empty() && self.waiting.is_empty() && self.blockers.is_empty()
    }
}

impl Trigger {
    pub(crate) fn confirmed(&self) -> bool {
        match self {
            Self::Automated | Self::Heal => false,
            Self::Manual(manual) => manual.confirmed,
            Self::Delete { confirmed, .. } => *confirmed,
        }
    }

    fn selects(&self, key: &ObjectKey) -> bool {
        match self {
            Self::Manual(Manual { selected: Some(selected), .. }) => selected.contains(key),
            Self::Manual(_) | Self::Automated | Self::Heal | Self::Delete { .. } => true,
        }
    }
}

/// Decides what to do. The same input gives the same plan.
pub fn plan(input: &PlanInput<'_>) -> Planned {
    if matches!(input.trigger, Trigger::Delete { .. }) {
        // Whatever was wanted before: an application that is deleted wants nothing.
        let nothing = Desired::default();
        let comparison = Comparison { desired: &nothing, ..input.comparison };
        return decide(&PlanInput { comparison, ..*input });
    }
    decide(input)
}

fn decide(input: &PlanInput<'_>) -> Planned {
    let mut planner = Planner {
        input,
        blockers: Vec::new(),
        held: BTreeMap::new(),
        waiting: BTreeSet::new(),
        conditions: Vec::new(),
    };
    let stages = planner.stages();
    let Planner { blockers, held, waiting, mut conditions, .. } = planner;
    for blocker in &blockers {
        let kind = match blocker {
            Blocker::NotAutomated | Blocker::NoSelfHeal | Blocker::LiveIncomplete => continue,
            Blocker::Shared { .. } | Blocker::WipeOut | Blocker::Shrunk { .. } => {
                ConditionKind::SyncError
            }
        };
        conditions.push(Condition::new(kind, blocker.to_string()));
    }
    conditions.sort();
    conditions.dedup();
    let plan = Plan {
        application: input.comparison.application.to_owned(),
        cluster: input.cluster.to_owned(),
        revision: input.revision.cloned(),
        stages,
    };
    Planned { plan, blockers, held, waiting, conditions }
}

struct Planner<'a> {
    input: &'a PlanInput<'a>,
    blockers: Vec<Blocker>,
    held: BTreeMap<ObjectKey, String>,
    waiting: BTreeSet<ObjectKey>,
    conditions: Vec<Condition>,
}

/// Where an object stands in the order: sync wave, then rank of its kind.
type Place = (i32, u8);

impl<'a> Planner<'a> {
    fn stages(&mut self) -> Vec<Stage> {
        let automated = self.input.policy.automated;
        match self.input.trigger {
            Trigger::Automated if automated.is_none() => {
                self.blockers.push(Blocker::NotAutomated);
                return Vec::new();
            }
            Trigger::Heal if !automated.is_some_and(|automated| automated.self_heal) => {
                self.blockers.push(Blocker::NoSelfHeal);
                return Vec::new();
            }
            _ => {}
        }
        let rows = self.input.comparison.rows();
        if matches!(self.input.trigger, Trigger::Delete { .. }) {
            return self.deletions(&rows);
        }
        let shared = shared(&rows);
        self.conditions.extend(shared_conditions(self.input.comparison.application, &rows));
        if shared > 0 && self.input.policy.options.has(Flag::FailOnSharedResource) {
            self.blockers.push(Blocker::Shared { objects: shared });
            return Vec::new();
        }
        let mut stages = self.applies(&rows);
        stages.extend(self.deletions(&rows));
        stages
    }

    fn applies(&mut self, rows: &[Row<'a>]) -> Vec<Stage> {
        let waves = self.waves();
        let mut places: BTreeMap<Place, Vec<Step>> = BTreeMap::new();
        for row in rows {
            let key = row.key;
            if let Difference::Denied(reason) | Difference::Pending(reason) = &row.difference {
                self.held.insert(key.clone(), reason.clone());
            }
            let Some(object) = row.wanted.filter(|_| self.input.trigger.selects(key)) else {
                continue;
            };
            if let Some(reason) = self.reason(row) {
                let wave = waves.get(key).copied().unwrap_or(object.wave);
                let place = (wave, rank(&key.group_kind()));
                places.entry(place).or_default().push(self.apply(row, object, reason));
            }
        }
        let namespace = self.namespace(!places.is_empty());
        let mut stages: Vec<Stage> = namespace.into_iter().collect();
        let mut last = None;
        for ((wave, _), steps) in places {
            let needs_success = last.is_some_and(|last| last != wave);
            last = Some(wave);
            stages.push(Stage { steps, needs_success });
        }
        stages
    }

    /// Why this object is applied; `None` if it is not.
    fn reason(&mut self, row: &Row<'_>) -> Option<ApplyReason> {
        let key = row.key;
        let reason = match &row.difference {
            Difference::Missing if row.entry.is_some_and(|entry| entry.rendered.is_some()) => {
                ApplyReason::Heal
            }
            Difference::Missing => ApplyReason::Create,
            Difference::Changed => ApplyReason::Update,
            Difference::Drifted => ApplyReason::Heal,
            Difference::Adopt => ApplyReason::Adopt,
            Difference::Deleting => {
                self.waiting.insert(key.clone());
                return None;
            }
            Difference::SharedWith(owner) => {
                self.held.insert(key.clone(), format!("it belongs to application {owner}"));
                return None;
            }
            Difference::Unknown(reason) => {
                self.held.insert(key.clone(), reason.clone());
                return None;
            }
            Difference::InSync
            | Difference::Extra
            | Difference::Denied(_)
            | Difference::Pending(_) => return None,
        };
        if *self.input.trigger == Trigger::Heal
            && let Some(why) = self.input.resting.get(key)
        {
            self.held.insert(key.clone(), why.clone());
            self.conditions.push(Condition::new(ConditionKind::FightWarning, why));
            return None;
        }
        Some(reason)
    }

    fn apply(&self, row: &Row<'_>, object: &DesiredObject, reason: ApplyReason) -> Step {
        let (key, live) = (row.key, row.live);
        let application = &self.input.policy.options;
        let on = |flag| object.options.flag(flag).or(application.flag(flag));
        let forced = matches!(self.input.trigger, Trigger::Manual(manual) if manual.force);
        let recreate = forced || on(Flag::Replace) == Some(true) || on(Flag::Force) == Some(true);
        let adopt_fields = reason == ApplyReason::Adopt
            && live.is_some_and(|live| live.adoptable)
            && on(Flag::ClientSideApplyMigration) != Some(false);
        Step {
            key: key.clone(),
            gvk: object.gvk.clone(),
            action: Action::Apply {
                reason,
                body: Arc::clone(&object.body),
                rendered: object.rendered,
                uid: live.map(|live| live.uid.clone()),
                adopt_fields,
                recreate: recreate && !is_irreplaceable(&key.group_kind()),
            },
        }
    }

    /// The waves of objects that others need: a namespace moves up to the first object in it, and
    /// a definition to the first object of its kind. Argo CD does the same.
    fn waves(&self) -> BTreeMap<&'a ObjectKey, i32> {
        let objects = &self.input.comparison.desired.objects;
        let mut namespaces: BTreeMap<&str, i32> = BTreeMap::new();
        let mut kinds: BTreeMap<GroupKind, i32> = BTreeMap::new();
        for (key, object) in objects {
            let first = |wave: &mut i32| *wave = (*wave).min(object.wave);
            namespaces.entry(&key.namespace).and_modify(first).or_insert(object.wave);
            kinds.entry(key.group_kind()).and_modify(first).or_insert(object.wave);
        }
        let moved = objects.iter().filter_map(|(key, object)| {
            let needed = match &object.defines {
                Some(kind) => kinds.get(kind),
                None if key.group.is_empty() && key.kind == "Namespace" => {
                    namespaces.get(key.name.as_str())
                }
                None => None,
            }?;
            Some((key, object.wave.min(*needed)))
        });
        moved.collect()
    }

    /// The stage of `CreateNamespace=true`, if there is something for it to do.
    fn namespace(&self, applies: bool) -> Option<Stage> {
        let PlanInput { policy, destination_namespace: name, comparison, .. } = self.input;
        let key = namespace_key(name);
        let wanted = policy.options.has(Flag::CreateNamespace) && !name.is_empty();
        if !wanted || comparison.desired.wants(&key) {
            return None;
        }
        let exists = comparison.live.objects.contains_key(&key);
        let has_metadata = policy.namespace_metadata.is_some();
        let is_missing = !exists && *comparison.live.kind(&key.group_kind()) == KindState::Synced;
        // Where nothing is known of namespaces the executor finds out; it changes none that exists.
        let asked = applies || matches!(self.input.trigger, Trigger::Manual(_));
        let due = is_missing || applies && !exists || asked && has_metadata;
        due.then(|| {
            let gvk = GroupVersionKind::from_api_version("v1", "Namespace");
            let body = self.namespace_body().into();
            let step = Step { key, gvk, action: Action::CreateNamespace { body } };
            Stage { steps: vec![step], needs_success: false }
        })
    }

    fn namespace_body(&self) -> String {
        let mut metadata = json!({"name": self.input.destination_namespace});
        if let Some(wanted) = &self.input.policy.namespace_metadata {
            for (field, entries) in
                [("labels", &wanted.labels), ("annotations", &wanted.annotations)]
            {
                if !entries.is_empty() {
                    metadata[field] = json!(entries);
                }
            }
        }
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}).to_string()
    }

    fn deletions(&mut self, rows: &[Row<'a>]) -> Vec<Stage> {
        let (input, comparison) = (self.input, &self.input.comparison);
        let extra = rows
            .iter()
            .filter(|row| row.difference == Difference::Extra && input.trigger.selects(row.key));
        if matches!(input.trigger, Trigger::Delete { .. }) && !comparison.live.complete() {
            self.blockers.push(Blocker::LiveIncomplete);
            return Vec::new();
        }
        let mut places: BTreeMap<(bool, Place), Vec<Step>> = BTreeMap::new();
        let mut waiting = BTreeSet::new();
        for &Row { key, entry, live, .. } in extra {
            let Some(live) = live else { continue };
            // `PruneLast=true` of the application says nothing more: deletions come last anyway.
            let last = entry.is_some_and(|entry| entry.retention.prune_last);
            let wave = entry.map_or(0, |entry| entry.wave);
            let place = (last, (wave, rank(&key.group_kind())));
            let why = kept(comparison, input.policy, input.trigger, input.permits, (key, live));
            if let Some(why) = why {
                self.held.insert(key.clone(), why);
            } else if live.deleting {
                self.waiting.insert(key.clone());
                waiting.insert(place);
            } else {
                let Some(step) = self.prune(key) else {
                    let why = "the cluster does not serve its kind".to_owned();
                    self.held.insert(key.clone(), why);
                    continue;
                };
                places.entry(place).or_default().push(step);
            }
        }
        let count = places.values().map(Vec::len).sum();
        if count == 0 {
            return Vec::new();
        }
        let blocked = self.prune_off().or_else(|| {
            let blocker = guard(comparison, input.policy, input.trigger, count)?;
            self.blockers.push(blocker.clone());
            Some(blocker.to_string())
        });
        if let Some(why) = blocked {
            let steps = places.into_values().flatten();
            self.held.extend(steps.map(|step| (step.key, why.clone())));
            return Vec::new();
        }
        self.in_order(places, &waiting)
    }

    /// Why nothing is deleted, when nobody asked for it.
    fn prune_off(&self) -> Option<String> {
        let asked = match self.input.trigger {
            Trigger::Automated | Trigger::Heal => {
                self.input.policy.automated.is_some_and(|automated| automated.prune)
            }
            Trigger::Manual(manual) => manual.prune,
            Trigger::Delete { .. } => true,
        };
        (!asked).then(|| "it is no longer in Git; deleting it needs a sync with prune".to_owned())
    }

    fn prune(&self, key: &ObjectKey) -> Option<Step> {
        let comparison = &self.input.comparison;
        let live = comparison.live.objects.get(key)?;
        let propagation = match self.input.trigger {
            Trigger::Delete { propagation, .. } => *propagation,
            _ => self.input.policy.options.propagation.unwrap_or_default(),
        };
        // The version it was applied as may not be served any more.
        let applied = || comparison.inventory.get(key).map(|entry| entry.version.clone());
        let version = (self.input.versions)(&key.group_kind()).or_else(applied)?;
        let gvk = GroupVersionKind { group: key.group.clone(), version, kind: key.kind.clone() };
        let action = Action::Prune {
            uid: live.uid.clone(),
            resource_version: live.resource_version.clone(),
            propagation,
        };
        Some(Step { key: key.clone(), gvk, action })
    }

    /// Deletions from the last place to the first.
    ///
    /// When an application is deleted, each wave has to be gone before the next one goes: a plan
    /// holds one wave only, and waits for what is on its way out in it.
    fn in_order(
        &mut self,
        mut places: BTreeMap<(bool, Place), Vec<Step>>,
        waiting: &BTreeSet<(bool, Place)>,
    ) -> Vec<Stage> {
        if matches!(self.input.trigger, Trigger::Delete { .. }) {
            let all = places.keys().chain(waiting);
            let highest = all.map(|(_, (wave, _))| *wave).max().unwrap_or_default();
            let later = places.extract_if(.., |(_, (wave, _)), _| *wave < highest);
            self.waiting.extend(later.flat_map(|(_, steps)| steps).map(|step| step.key));
        }
        let stage = |steps| Stage { steps, needs_success: true };
        let (last, early): (Vec<_>, Vec<_>) = places.into_iter().partition(|((last, _), _)| *last);
        let order = early.into_iter().rev().chain(last.into_iter().rev());
        order.map(|(_, steps)| stage(steps)).collect()
    }
}

fn shared(rows: &[Row<'_>]) -> usize {
    rows.iter().filter(|row| matches!(row.difference, Difference::SharedWith(_))).count()
}

/// One condition for each object that another application manages.
pub(crate) fn shared_conditions(application: &str, rows: &[Row<'_>]) -> Vec<Condition> {
    let conditions = rows.iter().filter_map(|Row { key, difference, .. }| {
        let Difference::SharedWith(owner) = difference else { return None };
        let message = format!("{key} is part of applications {application} and {owner}");
        Some(Condition::new(ConditionKind::SharedResourceWarning, message))
    });
    conditions.collect()
}

/// The objects whose live state a plan of this application looks at: what it wants, what it has,
/// and the namespace of its destination.
pub fn interest(
    desired: &Desired,
    inventory: &Inventory,
    destination_namespace: &str,
) -> BTreeSet<ObjectKey> {
    let mut keys: BTreeSet<ObjectKey> = desired.keys().chain(inventory.keys()).cloned().collect();
    if !destination_namespace.is_empty() {
        keys.insert(namespace_key(destination_namespace));
    }
    keys
}

fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}
