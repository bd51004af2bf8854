//! What is known of a cluster at one moment, kept small enough to hold for every object.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fyr_model::{Digest, GroupKind, ObjectKey};

use crate::Health;

/// One live object: its identity, who owns it and how it does. Never its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LiveObject {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// The tracking annotation, verbatim.
    pub tracking_id: Option<String>,
    /// Digest of the `fieldsV1` of our own `managedFields` entry (manager `fyr`, operation
    /// `Apply`, no subresource); `None` when we own nothing in it.
    pub own_fields: Option<Digest>,
    /// Other managers whose ownership moves to us on adoption (kubectl's client-side apply, Argo
    /// CD, Flux, Helm) hold fields in it.
    pub adoptable: bool,
    /// It has an owner reference, so a controller made it.
    pub owned: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Health by the rules of its kind; `None` for kinds without rules.
    pub health: Option<Health>,
}

/// Why the objects of a kind cannot be known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KindState {
    /// The listing is complete and the watch is running.
    Synced,
    /// The first listing has not finished.
    Listing,
    /// The cluster does not serve this kind.
    Missing,
    /// The watch is broken or refused; what is known may be old.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What is known of the objects an application cares about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LiveState {
    /// The objects asked for that exist, and every object that carries the application's
    /// tracking annotation.
    pub objects: BTreeMap<ObjectKey, LiveObject>,
    /// How complete the knowledge is, for every kind asked for.
    pub kinds: BTreeMap<GroupKind, KindState>,
    /// When the cluster was last heard of.
    pub seen_at: SystemTime,
}

impl LiveState {
    /// Whether every kind asked for is fully listed. A partial listing never prunes.
    pub fn complete(&self) -> bool {
        self.kinds.values().all(|state| matches!(state, KindState::Synced | KindState::Missing))
    }

    /// How complete the knowledge of one kind is.
    pub fn kind(&self, kind: &GroupKind) -> &KindState {
        self.kinds.get(kind).unwrap_or(&KindState::Listing)
    }

    /// How complete the knowledge of an object's kind is.
    pub fn kind_of(&self, key: &ObjectKey) -> &KindState {
        // An application has a handful of kinds, and this way no key has to be made.
        let same = |kind: &GroupKind| kind.group == key.group && kind.kind == key.kind;
        let found = self.kinds.iter().find(|(kind, _)| same(kind));
        found.map_or(&KindState::Listing, |(_, state)| state)
    }
}
