//! Which application an object belongs to, so that two never fight over one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fyr_model::ObjectKey;

/// The claims on every cluster. The first application to claim an object keeps it until it lets
/// go, across restarts: the claims are the inventories of all applications.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    owners: Mutex<BTreeMap<String, BTreeMap<ObjectKey, String>>>,
}

impl Claims {
    /// Claims objects for an application; gives back those that belong to another one, with its
    /// name.
    pub(crate) fn claim<'a>(
        &self,
        cluster: &str,
        application: &str,
        keys: impl IntoIterator<Item = &'a ObjectKey>,
    ) -> BTreeMap<ObjectKey, String> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = owners.entry(cluster.to_owned()).or_default();
        let mut others = BTreeMap::new();
        for key in keys {
            match owners.get(key) {
                Some(owner) if owner != application => {
                    others.insert(key.clone(), owner.clone());
                }
                Some(_) => {}
                None => {
                    owners.insert(key.clone(), application.to_owned());
                }
            }
        }
        others
    }

    /// Which of these objects belong to another application, with its name. Claims nothing.
    pub(crate) fn others<'a>(
        &self,
        cluster: &str,
        application: &str,
        keys: impl IntoIterator<Item = &'a ObjectKey>,
    ) -> BTreeMap<ObjectKey, String> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(owners) = owners.get(cluster) else { return BTreeMap::new() };
        let owned = keys.into_iter().filter_map(|key| Some((key, owners.get(key)?)));
        owned
            .filter(|(_, owner)| *owner != application)
            .map(|(key, owner)| (key.clone(), owner.clone()))
            .collect()
    }

    /// Lets go of everything an application claimed on a cluster except what it keeps.
    pub(crate) fn keep_only(
        &self,
        cluster: &str,
        application: &str,
        keeps: impl Fn(&ObjectKey) -> bool,
    ) -> bool {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(owners) = owners.get_mut(cluster) else { return false };
        let before = owners.len();
        owners.retain(|key, owner| owner != application || keeps(key));
        owners.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_first_application_keeps_an_object_until_it_lets_go() {
        let claims = Claims::default();
        assert!(claims.claim("c", "a", [&key("x"), &key("y")]).is_empty());
        let refused = claims.claim("c", "b", [&key("x"), &key("z")]);
        assert_eq!(refused, BTreeMap::from([(key("x"), "a".to_owned())]));
        assert!(claims.keep_only("c", "a", |kept| *kept == key("y")));
        assert!(claims.claim("c", "b", [&key("x")]).is_empty());
    }

    #[test]
    fn clusters_do_not_share_claims() {
        let claims = Claims::default();
        assert!(claims.claim("c", "a", [&key("x")]).is_empty());
        assert!(claims.claim("d", "b", [&key("x")]).is_empty());
    }
}
