//! What an application's cluster is watched for.

use std::collections::BTreeSet;
use std::sync::Arc;

use fyr_model::{GroupKind, ObjectKey};
use fyr_plan::{Desired, Inventory, interest};

/// The objects whose state a pass looks at, with what they were told from: most passes want the
/// same as the one before, and making these sets is most of what such a pass would cost.
#[derive(Debug)]
pub(crate) struct Watched {
    desired: Option<Arc<Desired>>,
    applied: Vec<ObjectKey>,
    namespace: String,
    keys: Arc<BTreeSet<ObjectKey>>,
    kinds: BTreeSet<GroupKind>,
}

impl Watched {
    /// Looks at what is wanted, what was applied, and the namespace of the destination.
    pub(crate) fn new(
        desired: Option<&Arc<Desired>>,
        inventory: &Inventory,
        namespace: &str,
    ) -> Self {
        let nothing = Desired::default();
        let keys = interest(desired.map_or(&nothing, |desired| desired), inventory, namespace);
        Self {
            desired: desired.cloned(),
            applied: inventory.keys().cloned().collect(),
            namespace: namespace.to_owned(),
            kinds: keys.iter().map(ObjectKey::group_kind).collect(),
            keys: Arc::new(keys),
        }
    }

    /// Whether the same is still looked at.
    pub(crate) fn is_of(
        &self,
        desired: Option<&Arc<Desired>>,
        inventory: &Inventory,
        namespace: &str,
    ) -> bool {
        let same = match (&self.desired, desired) {
            (Some(known), Some(desired)) => Arc::ptr_eq(known, desired),
            (None, None) => true,
            _ => false,
        };
        same && self.namespace == namespace && inventory.keys().eq(&self.applied)
    }

    /// The objects.
    pub(crate) fn keys(&self) -> Arc<BTreeSet<ObjectKey>> {
        Arc::clone(&self.keys)
    }

    /// Their kinds.
    pub(crate) fn kinds(&self) -> &BTreeSet<GroupKind> {
        &self.kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        let [group, kind, namespace, name] = ["", "ConfigMap", "n", name].map(str::to_owned);
        ObjectKey { group, kind, namespace, name }
    }

    #[test]
    fn a_desired_state_is_the_same_only_if_it_is_the_very_one() {
        let desired = Arc::new(Desired::default());
        let watched = Watched::new(Some(&desired), &Inventory::new(), "n");
        assert!(watched.is_of(Some(&desired), &Inventory::new(), "n"));
        assert!(!watched.is_of(Some(&desired), &Inventory::new(), "m"));
        assert!(!watched.is_of(Some(&Arc::new(Desired::default())), &Inventory::new(), "n"));
        assert!(!watched.is_of(None, &Inventory::new(), "n"));
    }

    #[test]
    fn what_was_applied_and_forgotten_since_is_looked_at_no_more() {
        let inventory = Inventory::from([(key("a"), fyr_plan::InventoryEntry::default())]);
        let watched = Watched::new(None, &inventory, "");
        assert_eq!(*watched.keys(), BTreeSet::from([key("a")]));
        assert!(watched.is_of(None, &inventory, ""));
        assert!(!watched.is_of(None, &Inventory::new(), ""));
    }
}
