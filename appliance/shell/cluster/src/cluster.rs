//! The handle of one managed cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use fyr_model::{ClusterEntry, GroupKind, ObjectKey};
use fyr_plan::{KindState, LiveState};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::connection::{self, ConnectError};
use crate::contact::{self, Connectivity, Contact};
use crate::discovery::{Discovery, RefreshError};
use crate::execute::WRITES_MAX;
use crate::keeper::{Keeper, Limits};
use crate::requests::Requests;
use crate::resource::Scope;
use crate::store::{Records, Store};

/// Wait before a task that panicked is started again: what made it panic is likely still there.
const RESTART_PAUSE: Duration = Duration::from_secs(10);

/// One managed cluster. Cheap to clone; when the last clone is dropped, its tasks end and its
/// connections close.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) shared: Arc<Shared>,
    // Held for its `Drop` only: the tasks themselves hold `shared`.
    _tasks: Arc<Tasks>,
}

/// What the tasks of one cluster and its handles share.
pub(crate) struct Shared {
    pub(crate) name: String,
    warnings: Vec<String>,
    pub(crate) contact: Arc<Contact>,
    pub(crate) requests: Requests,
    pub(crate) records: Arc<Records>,
    pub(crate) discovery: Arc<Discovery>,
    /// Limits concurrent writes, see [`WRITES_MAX`].
    pub(crate) writes: Semaphore,
    wanted: watch::Sender<BTreeSet<GroupKind>>,
}

struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// How one cluster stands, for people and metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterStatus {
    /// Whether it answers, since when not, and why not.
    pub connectivity: Connectivity,
    /// When it last answered; `None` if it never did.
    pub last_contact: Option<SystemTime>,
    /// Number of objects known.
    pub objects: usize,
    /// How well each kind in use is known.
    pub kinds: BTreeMap<GroupKind, KindState>,
    /// What is wrong with the way it is reached, such as unverified TLS.
    pub warnings: Vec<String>,
}

/// The applications a cluster has news for.
///
/// There is one set a cluster: of several `Changes` each application is told to only one.
#[derive(Debug)]
pub struct Changes {
    records: Arc<Records>,
}

impl Changes {
    /// The applications whose objects, kinds or cluster changed since the last call; waits until
    /// there is one.
    ///
    /// Level-triggered: changes are merged, and what changed is to be read with
    /// [`Cluster::live`]. Cancel-safe.
    pub async fn next(&mut self) -> BTreeSet<String> {
        self.records.woken().await
    }
}

impl Cluster {
    /// Makes the handle and starts its tasks; the connection itself is made in the background and
    /// is kept trying for.
    ///
    /// Must be called inside a tokio runtime, after rustls' provider was installed.
    pub fn connect(entry: &ClusterEntry) -> Result<Self, ConnectError> {
        let clients = connection::connect(entry)?;
        let contact = Arc::new(Contact::new());
        let requests = Requests::new(clients.requests, contact.clone());
        let watches = Requests::new(clients.watches, contact.clone());
        let records = Arc::new(Records::default());
        let discovery = Arc::new(Discovery::new());
        let limits = Limits {
            namespaces: entry.namespaces.clone(),
            cluster_resources: entry.cluster_resources,
        };
        let keeper = Arc::new(Keeper {
            limits,
            watches,
            requests: requests.clone(),
            records: records.clone(),
            discovery: discovery.clone(),
        });
        let shared = Arc::new(Shared {
            name: entry.name.clone(),
            warnings: entry.warnings.clone(),
            contact,
            requests,
            records,
            discovery,
            writes: Semaphore::new(WRITES_MAX),
            wanted: watch::Sender::new(BTreeSet::new()),
        });
        let tasks = Tasks(vec![
            tokio::spawn(keep_running(shared.clone(), "contact", keep_contact)),
            tokio::spawn(keep_running(shared.clone(), "discovery", keep_discovery)),
            tokio::spawn(keep_running(shared.clone(), "connectivity", tell_connectivity)),
            tokio::spawn(keep_running(shared.clone(), "watches", move |shared| {
                let keeper = keeper.clone();
                async move { keeper.run(shared.wanted.subscribe()).await }
            })),
        ]);
        Ok(Self { shared, _tasks: Arc::new(tasks) })
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Sets the kinds to watch: those of all objects that applications have, or had, on this
    /// cluster. Watches are started and stopped to match.
    pub fn use_kinds(&self, kinds: BTreeSet<GroupKind>) {
        self.shared.wanted.send_if_modified(|wanted| {
            let changed = *wanted != kinds;
            *wanted = kinds;
            changed
        });
    }

    /// Sets the keys whose changes wake an application, beside the objects that carry its tracking
    /// annotation. An application that never called this is never woken.
    pub fn set_interest(&self, application: &str, keys: &BTreeSet<ObjectKey>) {
        self.shared.records.update(|store| store.set_interest(application, keys));
    }

    /// Forgets an application: it is not woken any more.
    pub fn forget(&self, application: &str) {
        self.shared.records.update(|store| store.forget(application));
    }

    /// Where to wait for changes.
    pub fn changes(&self) -> Changes {
        Changes { records: self.shared.records.clone() }
    }

    /// What is known of an application's objects: those asked for, and those that carry its
    /// tracking annotation. Never older than the last write of [`Cluster::execute`].
    pub fn live(&self, application: &str, keys: &BTreeSet<ObjectKey>) -> LiveState {
        let seen_at = self.shared.contact.last().unwrap_or(SystemTime::UNIX_EPOCH);
        self.shared.records.read(|store| store.live(application, keys, seen_at))
    }

    /// Where objects of a kind live; `None` when the cluster does not serve the kind, or has not
    /// been asked yet (see [`Cluster::is_discovered`]).
    pub fn scope(&self, kind: &GroupKind) -> Option<Scope> {
        self.shared.discovery.served().preferred(kind).map(|resource| resource.scope)
    }

    /// The version in which the cluster prefers a kind; `None` as for [`Cluster::scope`].
    pub fn version(&self, kind: &GroupKind) -> Option<String> {
        let served = self.shared.discovery.served();
        served.preferred(kind).map(|resource| resource.gvk.version.clone())
    }

    /// Whether it is known which kinds the cluster serves.
    pub fn is_discovered(&self) -> bool {
        self.shared.discovery.served().is_known()
    }

    /// Asks the cluster which kinds it serves, and waits for the answer. Calls are merged and
    /// limited in rate; new custom resource definitions are noticed without it.
    pub async fn refresh_discovery(&self) -> Result<(), RefreshError> {
        self.shared.discovery.refresh().await
    }

    /// Whether the cluster answers, as a value that changes.
    pub fn connectivity(&self) -> watch::Receiver<Connectivity> {
        self.shared.contact.subscribe()
    }

    /// How the cluster stands.
    pub fn status(&self) -> ClusterStatus {
        let (objects, kinds) = self.shared.records.read(|store| (store.len(), store.kind_states()));
        ClusterStatus {
            connectivity: self.shared.contact.state(),
            last_contact: self.shared.contact.last(),
            objects,
            kinds,
            warnings: self.shared.warnings.clone(),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// Runs one of the cluster's loops for ever. Each is level-triggered, so after a panic it begins
/// anew; until then nothing about the cluster is taken for known.
async fn keep_running<F: Future<Output = ()>>(
    shared: Arc<Shared>,
    name: &'static str,
    run: impl Fn(Arc<Shared>) -> F,
) {
    loop {
        if AssertUnwindSafe(run(shared.clone())).catch_unwind().await.is_err() {
            tracing::error!(cluster = shared.name, task = name, "a task panicked");
            shared.records.update(|store| store.fail_all("a task of this cluster panicked"));
        }
        sleep(RESTART_PAUSE).await;
    }
}

async fn keep_contact(shared: Arc<Shared>) {
    contact::watch_over(&shared.requests, &shared.name).await;
}

async fn keep_discovery(shared: Arc<Shared>) {
    shared.discovery.run(&shared.requests, &shared.name).await;
}

/// Wakes every application when the cluster is lost and when it comes back: what they show depends
/// on it.
async fn tell_connectivity(shared: Arc<Shared>) {
    let mut state = shared.contact.subscribe();
    let mut before = std::mem::discriminant(&*state.borrow_and_update());
    while state.changed().await.is_ok() {
        let now = std::mem::discriminant(&*state.borrow_and_update());
        if now != before {
            shared.records.update(Store::wake_all);
        }
        before = now;
    }
}
