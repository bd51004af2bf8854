//! What all tasks of the daemon share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fyr_ipc::AuditClient;
use fyr_store::Store;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinError;
use tracing::error;

use crate::application::{ApplicationTask, Memory};
use crate::claims::Claims;
use crate::clusters::Clusters;
use crate::fleet::FleetState;
use crate::parsed::Parsed;
use crate::registry::Registry;
use crate::repositories::Repositories;
use crate::settings::Settings;

/// Renderings at a time: they do nothing but compute, so more than there are processors wait
/// anyway, each holding its memory.
const RENDERINGS_MAX: usize = 2;

/// How long one rendering may take. A thousand objects take well under a second: what needs so
/// much longer is made to.
const RENDERING_TIME_MAX: Duration = Duration::from_secs(30);

/// What all tasks of the daemon share.
#[derive(Debug)]
pub(crate) struct Context {
    /// What comes from outside Git.
    pub(crate) settings: Settings,
    /// The applications that run.
    pub(crate) registry: Arc<Registry>,
    /// The repositories in use.
    pub(crate) repositories: Repositories,
    /// The managed clusters.
    pub(crate) clusters: Clusters,
    /// Which application an object belongs to.
    pub(crate) claims: Claims,
    /// The daemon's own state on disk.
    pub(crate) store: Store,
    /// The audit log.
    pub(crate) audit: AuditClient,
    /// Files that were read for renders.
    pub(crate) parsed: Arc<Parsed>,
    fleet: watch::Receiver<Arc<FleetState>>,
    renderings: Semaphore,
    /// What was on disk at the start of applications whose task has not begun yet.
    remembered: Mutex<BTreeMap<String, Memory>>,
}

impl Context {
    /// Joins the parts; `remembered` is what was on disk.
    pub(crate) fn new(
        parts: Parts,
        fleet: watch::Receiver<Arc<FleetState>>,
        remembered: BTreeMap<String, Memory>,
    ) -> Self {
        let Parts { settings, registry, repositories, clusters, store, audit } = parts;
        let claims = Claims::default();
        for (name, memory) in &remembered {
            if let Some(cluster) = &memory.cluster {
                claims.claim(cluster, name, memory.inventory.keys());
            }
        }
        Self {
            settings,
            registry,
            repositories,
            clusters,
            claims,
            store,
            audit,
            parsed: Arc::default(),
            fleet,
            renderings: Semaphore::new(RENDERINGS_MAX),
            remembered: Mutex::new(remembered),
        }
    }

    /// The fleet in force.
    pub(crate) fn fleet(&self) -> Arc<FleetState> {
        Arc::clone(&self.fleet.borrow())
    }

    /// Tells of every change of the fleet in force.
    pub(crate) fn watch_fleet(&self) -> watch::Receiver<Arc<FleetState>> {
        self.fleet.clone()
    }

    /// Runs a rendering on a thread of its own, and tells it to stop when it takes too long; `None`
    /// if it panicked.
    pub(crate) async fn render<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Option<T> {
        let _permit = self.renderings.acquire().await.expect("it is never closed");
        match within(RENDERING_TIME_MAX, work).await {
            Ok(done) => Some(done),
            Err(failure) => {
                error!(%failure, "a rendering panicked");
                None
            }
        }
    }

    /// Starts the task of an application unless it runs.
    pub(crate) fn ensure_application(self: &Arc<Self>, name: &str) {
        if self.registry.contains(name) {
            return;
        }
        let memory = self.lock_remembered().remove(name).unwrap_or_default();
        let (task, handle) = ApplicationTask::new(Arc::clone(self), name, memory);
        self.registry.insert(name, handle);
        tokio::spawn(task.run());
    }

    /// Applications that were on disk at the start and have no task yet.
    pub(crate) fn not_begun(&self) -> BTreeSet<String> {
        self.lock_remembered().keys().cloned().collect()
    }

    fn lock_remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Memory>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` on a thread of its own, with a flag that is set when its time is up.
async fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let mut running = tokio::task::spawn_blocking(move || work(&seen));
    if let Ok(done) = tokio::time::timeout(time, &mut running).await {
        return done;
    }
    stop.store(true, Ordering::Relaxed);
    running.await
}

/// The parts a context is made of.
pub(crate) struct Parts {
    /// What comes from outside Git.
    pub(crate) settings: Settings,
    /// The applications that run.
    pub(crate) registry: Arc<Registry>,
    /// The repositories in use.
    pub(crate) repositories: Repositories,
    /// The managed clusters.
    pub(crate) clusters: Clusters,
    /// The daemon's own state on disk.
    pub(crate) store: Store,
    /// The audit log.
    pub(crate) audit: AuditClient,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_takes_too_long_is_told_to_stop() {
        let wait = |stop: &AtomicBool| {
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            "stopped"
        };
        assert_eq!(within(Duration::from_millis(10), wait).await.unwrap(), "stopped");
        assert!(within(Duration::from_mins(1), |_: &AtomicBool| 7).await.is_ok());
    }
}
