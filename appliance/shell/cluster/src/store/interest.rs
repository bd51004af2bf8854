//! Which application wants to hear of which object, whether or not the object names it: deleted
//! objects and those still to be adopted name nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fyr_model::{GroupKind, ObjectKey};

/// Keys by application, and applications by key.
#[derive(Debug, Default)]
pub(super) struct Interest {
    keys: BTreeMap<Arc<str>, BTreeSet<Arc<ObjectKey>>>,
    // Nearly always one: two applications that want one object are in conflict.
    applications: BTreeMap<Arc<ObjectKey>, Vec<Arc<str>>>,
}

impl Interest {
    pub(super) fn set(&mut self, application: &str, keys: &BTreeSet<ObjectKey>) {
        let same = self.keys.get(application).is_some_and(|known| {
            known.len() == keys.len() && known.iter().zip(keys).all(|(one, other)| **one == *other)
        });
        if same {
            return;
        }
        self.forget(application);
        let application: Arc<str> = Arc::from(application);
        let mut shared = BTreeSet::new();
        for key in keys {
            let known = self.applications.get_key_value(key).map(|(known, _)| known.clone());
            let key = known.unwrap_or_else(|| Arc::new(key.clone()));
            // A vector grows to four at once, and there is nearly always one.
            let one = || Vec::with_capacity(1);
            self.applications.entry(key.clone()).or_insert_with(one).push(application.clone());
            shared.insert(key);
        }
        self.keys.insert(application, shared);
    }

    pub(super) fn forget(&mut self, application: &str) {
        for key in self.keys.remove(application).into_iter().flatten() {
            if let Some(applications) = self.applications.get_mut(&key) {
                applications.retain(|known| **known != *application);
                if applications.is_empty() {
                    self.applications.remove(&key);
                }
            }
        }
    }

    pub(super) fn knows(&self, application: &str) -> bool {
        self.keys.contains_key(application)
    }

    pub(super) fn applications(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(|application| &**application)
    }

    /// The applications that want to hear of one object.
    pub(super) fn of(&self, key: &ObjectKey) -> impl Iterator<Item = &str> {
        self.applications.get(key).into_iter().flatten().map(|application| &**application)
    }

    /// The applications that want to hear of any object of a kind.
    pub(super) fn in_kind(&self, kind: &GroupKind) -> impl Iterator<Item = &str> {
        let first = ObjectKey {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: String::new(),
            name: String::new(),
        };
        self.applications
            .range::<ObjectKey, _>(first..)
            .take_while(|(key, _)| key.group == kind.group && key.kind == kind.kind)
            .flat_map(|(_, applications)| applications)
            .map(|application| &**application)
    }
}
