//! How far the watches of each kind have come.

use std::collections::BTreeMap;

use fyr_model::{GroupKind, ObjectKey};
use fyr_plan::KindState;

use super::Coverage;

/// The watches of one kind.
#[derive(Debug)]
struct Kind {
    /// Why there is no watch; what counts while `watches` is empty.
    unwatched: KindState,
    /// By namespace; one entry under `None` where the whole cluster is watched.
    watches: BTreeMap<Option<String>, Watch>,
}

#[derive(Debug)]
struct Watch {
    state: KindState,
    /// Everything up to this `resourceVersion` has been reported.
    seen: u64,
}

/// The watches of all kinds in use.
#[derive(Debug, Default)]
pub(super) struct Kinds(BTreeMap<GroupKind, Kind>);

impl Kinds {
    /// A kind is as well known as the least known of its watches.
    pub(super) fn state(&self, kind: &GroupKind) -> KindState {
        let Some(kind) = self.0.get(kind) else { return KindState::Listing };
        let worst = kind.watches.values().max_by_key(|watch| match watch.state {
            KindState::Synced | KindState::Missing => 0,
            KindState::Listing => 1,
            KindState::Failed { .. } => 2,
        });
        worst.map_or_else(|| kind.unwatched.clone(), |watch| watch.state.clone())
    }

    pub(super) fn states(&self) -> BTreeMap<GroupKind, KindState> {
        self.0.keys().map(|kind| (kind.clone(), self.state(kind))).collect()
    }

    /// Whether that changed the state of the kind.
    pub(super) fn set(&mut self, coverage: &Coverage, state: KindState) -> bool {
        let before = self.state(&coverage.kind);
        self.watch(coverage).state = state;
        self.state(&coverage.kind) != before
    }

    /// Whether that changed the state of the kind.
    pub(super) fn set_unwatched(&mut self, kind: &GroupKind, state: KindState) -> bool {
        let before = self.state(kind);
        self.kind(kind).unwatched = state;
        self.state(kind) != before
    }

    pub(super) fn fail_all(&mut self, reason: &str) {
        for watch in self.0.values_mut().flat_map(|kind| kind.watches.values_mut()) {
            watch.state = KindState::Failed { reason: reason.to_owned() };
        }
    }

    pub(super) fn remove(&mut self, coverage: &Coverage) {
        if let Some(kind) = self.0.get_mut(&coverage.kind) {
            kind.watches.remove(&coverage.namespace);
            if kind.watches.is_empty() {
                self.0.remove(&coverage.kind);
            }
        }
    }

    pub(super) fn drop_kind(&mut self, kind: &GroupKind) {
        self.0.remove(kind);
    }

    pub(super) fn seen(&self, coverage: &Coverage) -> u64 {
        let watches = self.0.get(&coverage.kind).map(|kind| &kind.watches);
        watches.and_then(|watches| watches.get(&coverage.namespace)).map_or(0, |watch| watch.seen)
    }

    pub(super) fn saw(&mut self, coverage: &Coverage, version: u64) {
        let watch = self.watch(coverage);
        watch.seen = watch.seen.max(version);
    }

    /// Begins anew at `version`, which may be lower than before.
    pub(super) fn restart(&mut self, coverage: &Coverage, version: u64) {
        self.watch(coverage).seen = version;
    }

    /// How far the watch that covers `key` has come; `None` when none does.
    pub(super) fn seen_of(&self, key: &ObjectKey) -> Option<u64> {
        let watches = &self.0.get(&key.group_kind())?.watches;
        let watch = watches.get(&None).or_else(|| watches.get(&Some(key.namespace.clone())))?;
        Some(watch.seen)
    }

    fn kind(&mut self, kind: &GroupKind) -> &mut Kind {
        let new = || Kind { unwatched: KindState::Listing, watches: BTreeMap::new() };
        self.0.entry(kind.clone()).or_insert_with(new)
    }

    fn watch(&mut self, coverage: &Coverage) -> &mut Watch {
        let new = || Watch { state: KindState::Listing, seen: 0 };
        let watches = &mut self.kind(&coverage.kind).watches;
        watches.entry(coverage.namespace.clone()).or_insert_with(new)
    }
}
