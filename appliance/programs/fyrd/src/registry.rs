//! The applications that run: who they are, how they stand, and who wakes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::application::{Command, Report};

/// Names of changed applications kept for readers of the event stream that fall behind; over that
/// they are told to look at everything again.
const EVENTS_MAX: usize = 1024;

/// What the rest of the daemon holds of one application's task.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    /// Makes the task look at the world again.
    pub(crate) wake: Arc<Notify>,
    /// What operators ask of it.
    pub(crate) commands: mpsc::Sender<Command>,
    /// How it stands.
    pub(crate) report: watch::Receiver<Arc<Report>>,
}

/// What an application depends on, so that only those concerned are woken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Dependencies {
    /// Canonical URLs of its repositories.
    pub(crate) repositories: BTreeSet<String>,
    /// The cluster it is applied to.
    pub(crate) cluster: Option<String>,
}

#[derive(Debug)]
struct Entry {
    handle: Handle,
    dependencies: Dependencies,
}

/// All running applications by name.
#[derive(Debug)]
pub(crate) struct Registry {
    entries: RwLock<BTreeMap<String, Entry>>,
    events: broadcast::Sender<Arc<str>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { entries: RwLock::default(), events: broadcast::channel(EVENTS_MAX).0 }
    }
}

impl Registry {
    /// Adds an application, or replaces one of the same name.
    pub(crate) fn insert(&self, name: &str, handle: Handle) {
        let entry = Entry { handle, dependencies: Dependencies::default() };
        self.write().insert(name.to_owned(), entry);
        self.announce(name);
    }

    /// Forgets an application.
    pub(crate) fn remove(&self, name: &str) {
        self.write().remove(name);
        self.announce(name);
    }

    /// One application.
    pub(crate) fn get(&self, name: &str) -> Option<Handle> {
        self.read().get(name).map(|entry| entry.handle.clone())
    }

    /// All applications in the order of their names.
    pub(crate) fn all(&self) -> Vec<(String, Handle)> {
        let entries = self.read();
        entries.iter().map(|(name, entry)| (name.clone(), entry.handle.clone())).collect()
    }

    /// Whether an application of this name runs.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.read().contains_key(name)
    }

    /// Says what an application depends on from now on.
    pub(crate) fn depend(&self, name: &str, dependencies: Dependencies) {
        if let Some(entry) = self.write().get_mut(name) {
            entry.dependencies = dependencies;
        }
    }

    /// Wakes one application.
    pub(crate) fn wake(&self, name: &str) {
        if let Some(entry) = self.read().get(name) {
            entry.handle.wake.notify_one();
        }
    }

    /// Wakes everything that uses a repository.
    pub(crate) fn wake_repository(&self, url: &str) {
        self.wake_where(|dependencies| dependencies.repositories.contains(url));
    }

    /// Wakes everything on a cluster.
    pub(crate) fn wake_cluster(&self, cluster: &str) {
        self.wake_where(|dependencies| dependencies.cluster.as_deref() == Some(cluster));
    }

    /// Wakes every application.
    pub(crate) fn wake_all(&self) {
        self.wake_where(|_| true);
    }

    /// Tells readers of the event stream that an application's report changed.
    pub(crate) fn announce(&self, name: &str) {
        // Nobody listening is the common case and no error.
        let _ = self.events.send(name.into());
    }

    /// The names of applications whose report changes from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<str>> {
        self.events.subscribe()
    }

    fn wake_where(&self, concerned: impl Fn(&Dependencies) -> bool) {
        let entries = self.read();
        for entry in entries.values().filter(|entry| concerned(&entry.dependencies)) {
            entry.handle.wake.notify_one();
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}
