//! All managed clusters, and which kinds each has to watch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use fyr_cluster::{Cluster, ConnectError};
use fyr_model::{Chain, ClusterEntry, Digest, GroupKind};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::registry::Registry;

/// All managed clusters by name.
#[derive(Debug)]
pub(crate) struct Clusters {
    registry: Arc<Registry>,
    managed: Mutex<BTreeMap<String, Managed>>,
}

/// One cluster that the fleet names.
#[derive(Debug)]
struct Managed {
    digest: Digest,
    entry: ClusterEntry,
    connection: Result<Connection, ConnectError>,
    kinds: KindsInUse,
}

#[derive(Debug)]
struct Connection {
    cluster: Cluster,
    dispatcher: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.dispatcher.abort();
    }
}

/// Which application needs which kinds. Counted, because a thousand applications share a few.
#[derive(Debug, Default)]
struct KindsInUse {
    by_application: BTreeMap<String, BTreeSet<GroupKind>>,
    counts: BTreeMap<GroupKind, usize>,
}

impl KindsInUse {
    /// Sets what an application needs; whether the union of all changed.
    fn set(&mut self, application: &str, kinds: &BTreeSet<GroupKind>) -> bool {
        let before = match self.by_application.get(application) {
            Some(known) if known == kinds => return false,
            Some(known) => known.clone(),
            None => BTreeSet::new(),
        };
        let mut changed = false;
        for kind in kinds.difference(&before) {
            let count = self.counts.entry(kind.clone()).or_default();
            *count += 1;
            changed |= *count == 1;
        }
        for kind in before.difference(kinds) {
            if let Some(count) = self.counts.get_mut(kind) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(kind);
                    changed = true;
                }
            }
        }
        if kinds.is_empty() {
            self.by_application.remove(application);
        } else {
            self.by_application.insert(application.to_owned(), kinds.clone());
        }
        changed
    }

    fn all(&self) -> BTreeSet<GroupKind> {
        self.counts.keys().cloned().collect()
    }
}

/// A cluster as the API shows it: its entry, and its handle or why there is none.
pub(crate) type Listed = (ClusterEntry, Result<Cluster, String>);

impl Clusters {
    /// No cluster yet.
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, managed: Mutex::default() }
    }

    /// Connects to the clusters the fleet names and lets go of those it does not name any more.
    pub(crate) fn follow(&self, entries: &BTreeMap<String, ClusterEntry>) {
        let mut managed = self.lock();
        managed.retain(|name, _| {
            let kept = entries.contains_key(name);
            if !kept {
                info!(cluster = name, "cluster let go");
            }
            kept
        });
        for (name, entry) in entries {
            if managed.get(name).is_some_and(|known| known.digest == entry.digest) {
                continue;
            }
            // What applications need of it outlives a change of its credentials.
            let kinds = managed.remove(name).map(|known| known.kinds).unwrap_or_default();
            let connection = self.connect(entry);
            if let Ok(connection) = &connection {
                connection.cluster.use_kinds(kinds.all());
            }
            let (digest, entry) = (entry.digest, entry.clone());
            managed.insert(name.clone(), Managed { digest, entry, connection, kinds });
            self.registry.wake_cluster(name);
        }
    }

    /// The handle of a cluster, or why there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Cluster, String> {
        match self.lock().get(name) {
            Some(Managed { connection: Ok(connection), .. }) => Ok(connection.cluster.clone()),
            Some(Managed { connection: Err(error), .. }) => Err(Chain(error).to_string()),
            None => Err(format!("the fleet does not name a cluster {name}")),
        }
    }

    /// All clusters in the order of their names.
    pub(crate) fn all(&self) -> Vec<Listed> {
        let managed = self.lock();
        let listed = managed.values().map(|known| {
            let connection = match &known.connection {
                Ok(connection) => Ok(connection.cluster.clone()),
                Err(error) => Err(Chain(error).to_string()),
            };
            (known.entry.clone(), connection)
        });
        listed.collect()
    }

    /// Says which kinds an application needs to be watched.
    pub(crate) fn use_kinds(&self, name: &str, application: &str, kinds: &BTreeSet<GroupKind>) {
        let mut managed = self.lock();
        let Some(known) = managed.get_mut(name) else { return };
        if known.kinds.set(application, kinds)
            && let Ok(connection) = &known.connection
        {
            connection.cluster.use_kinds(known.kinds.all());
        }
    }

    /// Forgets an application on a cluster.
    pub(crate) fn forget(&self, name: &str, application: &str) {
        self.use_kinds(name, application, &BTreeSet::new());
        if let Ok(cluster) = self.get(name) {
            cluster.forget(application);
        }
    }

    fn connect(&self, entry: &ClusterEntry) -> Result<Connection, ConnectError> {
        let cluster = Cluster::connect(entry).inspect_err(|error| {
            warn!(cluster = entry.name, error = %Chain(error), "the cluster cannot be used");
        })?;
        info!(cluster = entry.name, server = entry.server, "cluster added");
        let mut changes = cluster.changes();
        let registry = Arc::clone(&self.registry);
        let dispatcher = tokio::spawn(async move {
            loop {
                for application in changes.next().await {
                    registry.wake(&application);
                }
            }
        });
        Ok(Connection { cluster, dispatcher })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Managed>> {
        self.managed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(names: &[&str]) -> BTreeSet<GroupKind> {
        names.iter().map(|name| GroupKind::new("", *name)).collect()
    }

    #[test]
    fn a_kind_is_in_use_until_the_last_application_lets_go() {
        let mut in_use = KindsInUse::default();
        assert!(in_use.set("a", &kinds(&["Pod", "Secret"])));
        assert!(!in_use.set("b", &kinds(&["Pod"])));
        assert!(!in_use.set("b", &kinds(&["Pod"])));
        assert!(in_use.set("a", &kinds(&[])));
        assert_eq!(in_use.all(), kinds(&["Pod"]));
        assert!(in_use.set("b", &kinds(&[])));
        assert!(in_use.all().is_empty());
    }
}
