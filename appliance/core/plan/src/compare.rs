//! How each object of an application differs from what it should be.

use std::collections::BTreeMap;

use fyr_model::ObjectKey;

use crate::inventory::EntryState;
use crate::tracking::{Claim, claim};
use crate::{Desired, DesiredObject, Inventory, InventoryEntry, KindState, LiveObject, LiveState};

/// How one object differs from what it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// The cluster holds the manifest as last applied, and nobody took a field of ours.
    InSync,
    /// It does not exist.
    Missing,
    /// Its manifest differs from the last applied one, or it is not known how applying it ended.
    Changed,
    /// Somebody changed what we own in it, or replaced it.
    Drifted,
    /// It exists and was never applied by us.
    Adopt,
    /// It is being deleted; there is nothing to do until it is gone.
    Deleting,
    /// Another application manages it.
    SharedWith(String),
    /// It may not be applied.
    Denied(String),
    /// It waits until the cluster serves its kind.
    Pending(String),
    /// What is on the cluster is not known.
    Unknown(String),
    /// It is on the cluster, ours, and Git no longer has it.
    Extra,
}

/// What is compared.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    /// The application's name in tracking annotations.
    pub application: &'a str,
    /// What it wants.
    pub desired: &'a Desired,
    /// What is known of its objects on the cluster.
    pub live: &'a LiveState,
    /// What it has put there.
    pub inventory: &'a Inventory,
    /// Objects on the cluster that other applications have claimed first, with their names.
    pub claimed: &'a BTreeMap<ObjectKey, String>,
    /// Whether an application of this name exists. The tracking annotation of one that does not
    /// is left over and holds nobody off.
    pub exists: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Comparison<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison").field("application", &self.application).finish()
    }
}

impl<'a> Comparison<'a> {
    /// The difference of every object that is wanted or ours.
    pub fn differences(&self) -> BTreeMap<&'a ObjectKey, Difference> {
        let mut differences = BTreeMap::new();
        for (key, reason) in &self.desired.denied {
            differences.insert(key, Difference::Denied(reason.clone()));
        }
        for (key, reason) in &self.desired.pending {
            differences.insert(key, Difference::Pending(reason.clone()));
        }
        for (key, object) in &self.desired.objects {
            differences.insert(key, self.wanted(key, object));
        }
        for key in self.inventory.keys().filter(|key| !self.desired.wants(key)) {
            if let Some(difference) = self.unwanted(key) {
                differences.insert(key, difference);
            }
        }
        for (key, live) in &self.live.objects {
            let ours =
                claim(live.tracking_id.as_deref(), key) == Claim::Application(self.application);
            // What a controller made is its owner's, whatever annotation was copied to it.
            let free = !live.owned && self.owner(key).is_none();
            if ours && free && !self.desired.wants(key) {
                differences.entry(key).or_insert(Difference::Extra);
            }
        }
        differences
    }

    /// The application whose object this is, if not ours.
    ///
    /// Of an object that we want and have applied before, the annotation says nothing: whoever
    /// changed it has changed a field of ours, which is drift.
    pub(crate) fn owner(&self, key: &ObjectKey) -> Option<&'a str> {
        if let Some(owner) = self.claimed.get(key) {
            return Some(owner);
        }
        let applied = self.inventory.get(key).is_some_and(|entry| entry.rendered.is_some());
        if applied && self.desired.wants(key) {
            return None;
        }
        let live = self.live.objects.get(key)?;
        match claim(live.tracking_id.as_deref(), key) {
            Claim::Application(name) if name != self.application && (self.exists)(name) => {
                Some(name)
            }
            Claim::Application(_) | Claim::Nobody => None,
        }
    }

    fn wanted(&self, key: &ObjectKey, object: &DesiredObject) -> Difference {
        if let Some(owner) = self.owner(key) {
            return Difference::SharedWith(owner.to_owned());
        }
        let kind = key.group_kind();
        match self.live.kind(&kind) {
            KindState::Synced => {}
            KindState::Missing if self.desired.defines(&kind) => return Difference::Missing,
            KindState::Missing => {
                return Difference::Pending(format!("the cluster does not serve {kind}"));
            }
            KindState::Listing => {
                return Difference::Unknown(format!("{kind} is being listed for the first time"));
            }
            KindState::Failed { reason } => {
                return Difference::Unknown(format!("{kind} cannot be watched: {reason}"));
            }
        }
        match (self.live.objects.get(key), self.inventory.get(key)) {
            (None, _) => Difference::Missing,
            (Some(live), _) if live.deleting => Difference::Deleting,
            (Some(live), Some(entry)) if entry.rendered.is_some() => known(object, live, entry),
            (Some(_), _) => Difference::Adopt,
        }
    }

    fn unwanted(&self, key: &ObjectKey) -> Option<Difference> {
        if self.owner(key).is_some() {
            // Another application has taken it over.
            return None;
        }
        if self.live.objects.contains_key(key) {
            return Some(Difference::Extra);
        }
        let kind = key.group_kind();
        match self.live.kind(&kind) {
            KindState::Synced | KindState::Missing => None,
            KindState::Listing => {
                Some(Difference::Unknown(format!("{kind} is being listed for the first time")))
            }
            KindState::Failed { reason } => {
                Some(Difference::Unknown(format!("{kind} cannot be watched: {reason}")))
            }
        }
    }
}

/// The difference of an object that the cluster took from us before.
fn known(object: &DesiredObject, live: &LiveObject, entry: &InventoryEntry) -> Difference {
    let untouched = live.own_fields.is_some()
        && live.own_fields == entry.own_fields
        && entry.uid.as_ref() == Some(&live.uid);
    if entry.state != EntryState::Applied || entry.rendered != Some(object.rendered) {
        Difference::Changed
    } else if untouched {
        Difference::InSync
    } else {
        Difference::Drifted
    }
}
