//! What an application has put on its cluster: written before every change, so that after a crash
//! at any point nothing of ours is forgotten.
//!
//! ```text
//!             before_apply            after: applied
//!   (none) ───────────────▶ Intent ──────────────────▶ Applied
//!                             ▲      before_apply         │
//!                             └───────────────────────────┤
//!                                                         │ before_apply (prune)
//!   (none) ◀───────────────────────────────────────── Deleting
//!            after: already gone, or observe: not live
//! ```

use std::collections::BTreeMap;

use fyr_model::{Digest, ObjectKey};
use serde::{Deserialize, Serialize};

use crate::kinds::is_definition;
use crate::tracking::{Claim, claim};
use crate::{
    Action, ApplyReason, Desired, KindState, LiveState, Outcome, Plan, Retention, Step, StepResult,
};

/// Where an object stands between us and the cluster.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum EntryState {
    /// It is about to be applied, or it is not known how that ended.
    #[default]
    Intent,
    /// The cluster took it.
    Applied,
    /// It is about to be deleted, or on its way out.
    Deleting,
}

/// One object of an application. By default one that was never applied.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct InventoryEntry {
    /// The version it was applied as; deleting needs one.
    pub version: String,
    /// Its uid after the last apply; `None` before the first, and while it may be created anew.
    pub uid: Option<String>,
    /// Digest of the last manifest the cluster took.
    pub rendered: Option<Digest>,
    /// Digest of our managed fields after that.
    pub own_fields: Option<Digest>,
    /// Where it stands.
    pub state: EntryState,
    /// Its sync wave.
    pub wave: i32,
    /// What its manifest says about going away.
    pub retention: Retention,
}

/// The objects of one application on one cluster.
pub type Inventory = BTreeMap<ObjectKey, InventoryEntry>;

/// The entries that say what `plan` is about to do: to be stored before its first request, and to
/// take the place of those in the inventory then. Healing an object that is as it was but for its
/// fields needs none.
pub fn before_apply(
    inventory: &Inventory,
    plan: &Plan,
    desired: &Desired,
) -> Vec<(ObjectKey, InventoryEntry)> {
    let entries = plan.steps().filter_map(|step| {
        let known = inventory.get(&step.key);
        let entry = match &step.action {
            Action::Apply { .. } if is_known(known, step) => return None,
            Action::Apply { uid, recreate, .. } => {
                let mut entry = known.cloned().unwrap_or_default();
                entry.version.clone_from(&step.gvk.version);
                entry.state = EntryState::Intent;
                if uid.is_none() || *recreate {
                    // It may become a new object, and a crash keep us from learning its uid. The
                    // old one would then make it look like somebody else's.
                    entry.uid = None;
                }
                if let Some(manifest) = desired.objects.get(&step.key) {
                    entry.wave = manifest.wave;
                    entry.retention = manifest.retention;
                }
                entry
            }
            Action::Prune { .. } => {
                InventoryEntry { state: EntryState::Deleting, ..known?.clone() }
            }
            // Never ours, so that it is never pruned.
            Action::CreateNamespace { .. } => return None,
        };
        Some((step.key.clone(), entry))
    });
    entries.collect()
}

/// Whether the inventory says all there is to say of a step before it is done: the object that was
/// applied gets the same manifest again. However that ends, what is live shows it.
fn is_known(entry: Option<&InventoryEntry>, step: &Step) -> bool {
    let Action::Apply {
        reason: ApplyReason::Heal, uid: Some(uid), rendered, recreate: false, ..
    } = &step.action
    else {
        return false;
    };
    entry.is_some_and(|entry| {
        entry.state == EntryState::Applied
            && entry.uid.as_ref() == Some(uid)
            && entry.rendered.as_ref() == Some(rendered)
            && entry.version == step.gvk.version
    })
}

/// Writes down what became of `plan`; returns the entries to store, or to remove if they are gone
/// from `inventory`.
///
/// What failed or was not tried keeps its intent: it may or may not have happened.
pub fn after(inventory: &mut Inventory, plan: &Plan, outcome: &Outcome) -> Vec<ObjectKey> {
    let rendered: BTreeMap<&ObjectKey, Digest> = plan
        .steps()
        .filter_map(|step| match &step.action {
            Action::Apply { rendered, .. } => Some((&step.key, *rendered)),
            Action::CreateNamespace { .. } | Action::Prune { .. } => None,
        })
        .collect();
    let mut changed = Vec::new();
    for step in &outcome.steps {
        match &step.result {
            StepResult::Applied { uid, own_fields, .. } => {
                let Some(rendered) = rendered.get(&step.key) else { continue };
                let Some(entry) = inventory.get_mut(&step.key) else { continue };
                entry.uid = Some(uid.clone());
                entry.rendered = Some(*rendered);
                entry.own_fields = *own_fields;
                entry.state = EntryState::Applied;
            }
            StepResult::AlreadyGone => {
                if inventory.remove(&step.key).is_none() {
                    continue;
                }
            }
            StepResult::NamespaceReady
            | StepResult::Pruned
            | StepResult::Failed(_)
            | StepResult::NotTried => continue,
        }
        changed.push(step.key.clone());
    }
    changed
}

/// Forgets what `application` does not want any more and need not delete: what is gone, what
/// carries the tracking annotation of another application, and definitions, which stay and are
/// nobody's. Returns what was forgotten.
///
/// An object counts as gone only if its kind is completely listed.
pub fn observe(
    inventory: &mut Inventory,
    application: &str,
    desired: &Desired,
    live: &LiveState,
) -> Vec<ObjectKey> {
    let gone = |key: &ObjectKey| {
        let known = matches!(live.kind_of(key), KindState::Synced | KindState::Missing);
        let gone = match live.objects.get(key) {
            None => known,
            Some(object) => matches!(
                claim(object.tracking_id.as_deref(), key),
                Claim::Application(owner) if owner != application
            ),
        };
        is_definition(&key.group_kind()) || gone
    };
    let forgotten: Vec<ObjectKey> =
        inventory.keys().filter(|key| !desired.wants(key) && gone(key)).cloned().collect();
    for key in &forgotten {
        inventory.remove(key);
    }
    forgotten
}
