//! What is known of a cluster's objects: one small record each, indexed by key and by application.
//!
//! Invariants:
//! - a record is never older than our own last write of the object: the answer to a write is stored
//!   at once, and a watch event that is older than the record is dropped;
//! - an object that vanished while nobody watched is gone after the next listing;
//! - only what an application may act on wakes it: ownership, health, identity, deletion, tracking.
//!   A change of `resourceVersion` alone is stored and wakes nobody.
//!
//! Size: about 1.1 KiB an object that an application has, half of that for others: 11 MiB for 10,000.

mod interest;
mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fyr_model::{GroupKind, ObjectKey};
use fyr_plan::{KindState, LiveObject, LiveState, TrackingId};
use tokio::sync::Notify;

use interest::Interest;
use kinds::Kinds;

/// Most objects of one kind that are kept. A kind with more is a cluster's machinery, not what
/// people deploy, and would cost hundreds of megabytes.
pub(crate) const OBJECTS_PER_KIND_MAX: usize = 200_000;

/// What one watch covers: a kind in the whole cluster, or in one namespace.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Coverage {
    pub(crate) kind: GroupKind,
    pub(crate) namespace: Option<String>,
}

impl Coverage {
    fn holds(&self, key: &ObjectKey) -> bool {
        self.kind.group == key.group
            && self.kind.kind == key.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }

    /// The first key that can be in it, in the order of keys.
    fn first(&self) -> ObjectKey {
        ObjectKey {
            group: self.kind.group.clone(),
            kind: self.kind.kind.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: String::new(),
        }
    }
}

/// The records of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Store {
    // Boxed, because the nodes of the map are half empty after a sorted listing.
    objects: BTreeMap<Arc<ObjectKey>, Box<LiveObject>>,
    kinds: Kinds,
    /// Objects by the application their annotation names.
    tracked: BTreeMap<String, BTreeSet<Arc<ObjectKey>>>,
    interest: Interest,
    /// Uids of objects we deleted and whose deletion the watch has not reported yet.
    buried: BTreeMap<Arc<ObjectKey>, String>,
    dirty: BTreeSet<String>,
}

impl Store {
    /// The objects asked for and those that carry the application's annotation, with the state of
    /// their kinds.
    pub(crate) fn live(
        &self,
        application: &str,
        keys: &BTreeSet<ObjectKey>,
        seen_at: SystemTime,
    ) -> LiveState {
        let tracked = self.tracked.get(application);
        let mut objects = Vec::with_capacity(keys.len());
        let mut kinds = BTreeMap::new();
        let mut last: Option<&ObjectKey> = None;
        for key in keys.iter().chain(tracked.into_iter().flatten().map(|key| &**key)) {
            if let Some(live) = self.objects.get(key) {
                objects.push((key.clone(), LiveObject::clone(live)));
            }
            // Both are sorted by kind.
            if last.is_none_or(|last| last.group != key.group || last.kind != key.kind) {
                kinds.entry(key.group_kind()).or_insert_with_key(|kind| self.kinds.state(kind));
            }
            last = Some(key);
        }
        LiveState { objects: BTreeMap::from_iter(objects), kinds, seen_at }
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&LiveObject> {
        self.objects.get(key).map(|live| &**live)
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn kind_states(&self) -> BTreeMap<GroupKind, KindState> {
        self.kinds.states()
    }

    /// Replaces the keys an application wants to hear of.
    pub(crate) fn set_interest(&mut self, application: &str, keys: &BTreeSet<ObjectKey>) {
        self.interest.set(application, keys);
    }

    /// Forgets an application.
    pub(crate) fn forget(&mut self, application: &str) {
        self.interest.forget(application);
        self.dirty.remove(application);
    }

    pub(crate) fn take_dirty(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.dirty)
    }

    /// Wakes every application.
    pub(crate) fn wake_all(&mut self) {
        self.dirty.extend(self.interest.applications().map(str::to_owned));
    }

    /// Says how complete the knowledge of one watch is.
    pub(crate) fn set_state(&mut self, coverage: &Coverage, state: KindState) {
        if self.kinds.set(coverage, state) {
            self.wake_kind(&coverage.kind);
        }
    }

    /// Nothing is known to be true any more, for the same reason for every kind.
    pub(crate) fn fail_all(&mut self, reason: &str) {
        self.kinds.fail_all(reason);
        self.wake_all();
    }

    /// Says why a kind has no watches: the cluster does not serve it, or nobody has asked yet.
    pub(crate) fn set_unwatched(&mut self, kind: &GroupKind, state: KindState) {
        if self.kinds.set_unwatched(kind, state) {
            self.wake_kind(kind);
        }
    }

    /// Forgets what one watch covered, because nobody needs it any more.
    pub(crate) fn drop_coverage(&mut self, coverage: &Coverage) {
        self.kinds.remove(coverage);
        for key in self.covered(coverage) {
            self.unindex(&key);
            self.objects.remove(&*key);
        }
        self.buried.retain(|key, _| !coverage.holds(key));
    }

    /// Forgets a kind that is neither watched nor wanted.
    pub(crate) fn drop_kind(&mut self, kind: &GroupKind) {
        self.kinds.drop_kind(kind);
    }

    /// The `resourceVersion` up to which a watch has reported everything.
    pub(crate) fn saw(&mut self, coverage: &Coverage, resource_version: &str) {
        self.kinds.saw(coverage, version(resource_version));
    }

    /// Takes a complete listing made at `list_version`: what it does not hold is gone.
    ///
    /// Records newer than the listing are our own writes and stay, except when the listing is
    /// older than what was seen before: then the cluster was restored from a backup, and the
    /// listing is the truth.
    pub(crate) fn replace(
        &mut self,
        coverage: &Coverage,
        listed: BTreeMap<ObjectKey, LiveObject>,
        list_version: &str,
    ) {
        let at = version(list_version);
        let restored = at < self.kinds.seen(coverage);
        let ahead = |record: Option<&LiveObject>| {
            !restored && record.is_some_and(|live| version(&live.resource_version) > at)
        };
        // A buried object that is not listed is gone for good; one that is listed was listed before
        // we deleted it, and its deletion is still to be reported.
        self.buried.retain(|key, uid| {
            !coverage.holds(key) || listed.get(&**key).is_some_and(|live| live.uid == *uid)
        });
        let mut unlisted: BTreeSet<Arc<ObjectKey>> = self.covered(coverage).into_iter().collect();
        for (key, live) in listed {
            if self.is_buried(&key, &live.uid) {
                continue;
            }
            unlisted.remove(&key);
            if !ahead(self.get(&key)) {
                self.put(key, live, None);
            }
        }
        for key in unlisted {
            if !ahead(self.get(&key)) {
                self.remove(&key, None);
            }
        }
        self.kinds.restart(coverage, at);
        self.set_state(coverage, KindState::Synced);
    }

    /// Takes a watch's word that an object is so now.
    pub(crate) fn observe(&mut self, coverage: &Coverage, key: ObjectKey, live: LiveObject) {
        self.saw(coverage, &live.resource_version);
        if self.is_buried(&key, &live.uid) {
            return;
        }
        let at = version(&live.resource_version);
        let older = self
            .objects
            .get(&key)
            .is_some_and(|stored| stored.uid == live.uid && version(&stored.resource_version) > at);
        if !older {
            self.put(key, live, None);
        }
    }

    /// Takes a watch's word that an object is gone.
    pub(crate) fn vanished(&mut self, coverage: &Coverage, key: &ObjectKey, last: &LiveObject) {
        self.saw(coverage, &last.resource_version);
        if self.is_buried(key, &last.uid) {
            self.buried.remove(key);
        }
        // Another uid is its successor, which we created and the watch has not reported yet.
        if self.objects.get(key).is_some_and(|stored| stored.uid == last.uid) {
            self.remove(key, None);
        }
    }

    /// Stores the answer to our own write, unless a watch has reported something newer already.
    ///
    /// Wakes everybody concerned but `writer`, who knows.
    pub(crate) fn wrote(&mut self, key: ObjectKey, live: LiveObject, writer: &str) {
        let Some(seen) = self.kinds.seen_of(&key) else { return };
        let at = version(&live.resource_version);
        let overtaken = match self.objects.get(&key) {
            Some(stored) => version(&stored.resource_version) > at,
            // The watch has come further than our write: it was deleted again.
            None => at <= seen,
        };
        if !overtaken {
            self.put(key, live, Some(writer));
        }
    }

    /// Stores that our own deletion removed an object at once.
    pub(crate) fn deleted(&mut self, key: &ObjectKey, uid: &str, writer: &str) {
        if self.objects.get(key).is_some_and(|stored| stored.uid == uid)
            && let Some(key) = self.remove(key, Some(writer))
        {
            self.buried.insert(key, uid.to_owned());
        }
    }

    fn put(&mut self, key: ObjectKey, live: LiveObject, writer: Option<&str>) {
        let key = match self.objects.get_key_value(&key) {
            Some((known, stored)) => {
                let known = known.clone();
                if is_same(stored, &live) {
                    self.objects.insert(known, Box::new(live));
                    return;
                }
                known
            }
            None => Arc::new(key),
        };
        let before = self.objects.get(&*key).and_then(|stored| claimant(stored, &key));
        let after = claimant(&live, &key);
        if before != after {
            self.unindex(&key);
            if let Some(application) = &after {
                self.tracked.entry(application.clone()).or_default().insert(key.clone());
            }
        }
        self.objects.insert(key.clone(), Box::new(live));
        self.wake(&key, before.into_iter().chain(after), writer);
    }

    fn remove(&mut self, key: &ObjectKey, writer: Option<&str>) -> Option<Arc<ObjectKey>> {
        let (key, live) = self.objects.remove_entry(key)?;
        self.unindex_claim(&key, claimant(&live, &key).as_deref());
        self.wake(&key, claimant(&live, &key), writer);
        Some(key)
    }

    fn unindex(&mut self, key: &ObjectKey) {
        let claim = self.objects.get(key).and_then(|live| claimant(live, key));
        self.unindex_claim(key, claim.as_deref());
    }

    fn unindex_claim(&mut self, key: &ObjectKey, application: Option<&str>) {
        let Some(application) = application else { return };
        if let Some(keys) = self.tracked.get_mut(application) {
            keys.remove(key);
            if keys.is_empty() {
                self.tracked.remove(application);
            }
        }
    }

    fn wake(
        &mut self,
        key: &ObjectKey,
        claimants: impl IntoIterator<Item = String>,
        writer: Option<&str>,
    ) {
        for application in claimants {
            // Only applications we were told of: annotations in a cluster are anybody's text.
            if writer != Some(&*application) && self.interest.knows(&application) {
                self.dirty.insert(application);
            }
        }
        for application in self.interest.of(key) {
            if writer != Some(application) {
                self.dirty.insert(application.to_owned());
            }
        }
    }

    fn wake_kind(&mut self, kind: &GroupKind) {
        self.dirty.extend(self.interest.in_kind(kind).map(str::to_owned));
    }

    fn is_buried(&self, key: &ObjectKey, uid: &str) -> bool {
        self.buried.get(key).is_some_and(|buried| buried == uid)
    }

    fn covered(&self, coverage: &Coverage) -> Vec<Arc<ObjectKey>> {
        self.objects
            .range::<ObjectKey, _>(coverage.first()..)
            .map(|(key, _)| key)
            .take_while(|key| coverage.holds(key))
            .cloned()
            .collect()
    }
}

/// Whether two records are the same to everybody who acts on them.
fn is_same(one: &LiveObject, other: &LiveObject) -> bool {
    one.uid == other.uid
        && one.own_fields == other.own_fields
        && one.tracking_id == other.tracking_id
        && one.health == other.health
        && (one.adoptable, one.owned, one.deleting)
            == (other.adoptable, other.owned, other.deleting)
}

/// The application an object's annotation names, if the annotation speaks of this object:
/// controllers copy annotations to what they make.
fn claimant(live: &LiveObject, key: &ObjectKey) -> Option<String> {
    let id = TrackingId::parse(live.tracking_id.as_deref()?)?;
    id.refers_to(key).then_some(id.application)
}

/// A `resourceVersion` as a number. Kubernetes guarantees the comparison within one kind; zero for
/// what is no number makes such versions equal, so that the newest event wins.
pub(crate) fn version(resource_version: &str) -> u64 {
    resource_version.parse().unwrap_or(0)
}

/// The store behind its lock, with the bell that rings when an application is to be woken.
#[derive(Debug, Default)]
pub(crate) struct Records {
    store: Mutex<Store>,
    changed: Notify,
}

impl Records {
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Store) -> R) -> R {
        let mut store = self.lock();
        let result = change(&mut store);
        if !store.dirty.is_empty() {
            self.changed.notify_one();
        }
        result
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&Store) -> R) -> R {
        look(&self.lock())
    }

    /// A panic under the lock may leave an index behind; the listing that follows it mends that.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The applications woken since the last call; waits for one.
    ///
    /// Cancel-safe: names are taken only when they are returned.
    pub(crate) async fn woken(&self) -> BTreeSet<String> {
        loop {
            let dirty = self.update(Store::take_dirty);
            if !dirty.is_empty() {
                return dirty;
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
