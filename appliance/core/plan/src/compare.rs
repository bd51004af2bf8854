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

/// One object, what is known of it, and how it differs.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Which object.
    pub key: &'a ObjectKey,
    /// What Git has of it; `None` too where it may not be applied, or not yet.
    pub wanted: Option<&'a DesiredObject>,
    /// What was put on the cluster.
    pub entry: Option<&'a InventoryEntry>,
    /// What is there.
    pub live: Option<&'a LiveObject>,
    /// How it differs.
    pub difference: Difference,
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
    /// Every object that is wanted or ours, with its difference; in the order of keys, each once.
    pub fn rows(&self) -> Vec<Row<'a>> {
        let row = |key, difference| Row { key, wanted: None, entry: None, live: None, difference };
        let denied = self.desired.denied.iter();
        let denied = denied.map(|(key, reason)| row(key, Difference::Denied(reason.clone())));
        let pending = self.desired.pending.iter();
        let pending = pending.map(|(key, reason)| row(key, Difference::Pending(reason.clone())));
        let mut rows: Vec<Row<'a>> = denied.chain(pending).collect();
        // Side by side through three sorted maps: looking every key up in each of them is most of
        // what a pass costs.
        let mut wanted = self.desired.objects.iter().peekable();
        let mut entries = self.inventory.iter().peekable();
        let mut live = self.live.objects.iter().peekable();
        loop {
            let keys = [
                wanted.peek().map(|(key, _)| *key),
                entries.peek().map(|(key, _)| *key),
                live.peek().map(|(key, _)| *key),
            ];
            let Some(key) = keys.into_iter().flatten().min() else { break };
            let found = Found {
                wanted: wanted.next_if(|(next, _)| *next == key).map(|(_, object)| object),
                entry: entries.next_if(|(next, _)| *next == key).map(|(_, entry)| entry),
                live: live.next_if(|(next, _)| *next == key).map(|(_, live)| live),
            };
            if let Some(difference) = self.difference(key, &found) {
                let Found { wanted, entry, live } = found;
                rows.push(Row { key, wanted, entry, live, difference });
            }
        }
        rows.sort_by_key(|row| row.key);
        rows
    }

    fn difference(&self, key: &ObjectKey, found: &Found<'_>) -> Option<Difference> {
        if let Some(object) = found.wanted {
            return Some(self.wanted(key, object, found));
        }
        // Denied and pending objects have their rows.
        if self.desired.wants(key) {
            return None;
        }
        if found.entry.is_some() {
            return self.unwanted(key, found);
        }
        let live = found.live?;
        let ours = claim(live.tracking_id.as_deref(), key) == Claim::Application(self.application);
        // What a controller made is its owner's, whatever annotation was copied to it.
        (ours && !live.owned && self.owner_of(key, found).is_none()).then_some(Difference::Extra)
    }

    /// The application whose object this is, if not ours.
    ///
    /// Of an object that we want and have applied before, the annotation says nothing: whoever
    /// changed it has changed a field of ours, which is drift.
    pub(crate) fn owner(&self, key: &ObjectKey) -> Option<&'a str> {
        let found = Found {
            wanted: self.desired.objects.get(key),
            entry: self.inventory.get(key),
            live: self.live.objects.get(key),
        };
        self.owner_of(key, &found)
    }

    fn owner_of(&self, key: &ObjectKey, found: &Found<'a>) -> Option<&'a str> {
        if let Some(owner) = self.claimed.get(key) {
            return Some(owner);
        }
        let applied = found.entry.is_some_and(|entry| entry.rendered.is_some());
        if applied && (found.wanted.is_some() || self.desired.wants(key)) {
            return None;
        }
        match claim(found.live?.tracking_id.as_deref(), key) {
            Claim::Application(name) if name != self.application && (self.exists)(name) => {
                Some(name)
            }
            Claim::Application(_) | Claim::Nobody => None,
        }
    }

    fn wanted(&self, key: &ObjectKey, object: &DesiredObject, found: &Found<'a>) -> Difference {
        if let Some(owner) = self.owner_of(key, found) {
            return Difference::SharedWith(owner.to_owned());
        }
        match self.live.kind_of(key) {
            KindState::Synced => {}
            KindState::Missing if self.desired.defines(&key.group_kind()) => {
                return Difference::Missing;
            }
            KindState::Missing => {
                let kind = key.group_kind();
                return Difference::Pending(format!("the cluster does not serve {kind}"));
            }
            KindState::Listing => return listing(key),
            KindState::Failed { reason } => return unwatched(key, reason),
        }
        match (found.live, found.entry) {
            (None, _) => Difference::Missing,
            (Some(live), _) if live.deleting => Difference::Deleting,
            (Some(live), Some(entry)) if entry.rendered.is_some() => known(object, live, entry),
            (Some(_), _) => Difference::Adopt,
        }
    }

    fn unwanted(&self, key: &ObjectKey, found: &Found<'a>) -> Option<Difference> {
        if self.owner_of(key, found).is_some() {
            // Another application has taken it over.
            return None;
        }
        if found.live.is_some() {
            return Some(Difference::Extra);
        }
        match self.live.kind_of(key) {
            KindState::Synced | KindState::Missing => None,
            KindState::Listing => Some(listing(key)),
            KindState::Failed { reason } => Some(unwatched(key, reason)),
        }
    }
}

/// What is known of one object.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    wanted: Option<&'a DesiredObject>,
    entry: Option<&'a InventoryEntry>,
    live: Option<&'a LiveObject>,
}

fn listing(key: &ObjectKey) -> Difference {
    Difference::Unknown(format!("{} is being listed for the first time", key.group_kind()))
}

fn unwatched(key: &ObjectKey, reason: &str) -> Difference {
    Difference::Unknown(format!("{} cannot be watched: {reason}", key.group_kind()))
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
