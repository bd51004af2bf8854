//! Start, run, stop.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, TryLockError};
use std::future::pending;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fyr_audit::{Actor, DaemonEvent, Entry, EntryKind};
use fyr_git::{WorkerConfig, WorkerError, Workers};
use fyr_ipc::{AuditClient, AuditState};
use fyr_model::Chain;
use fyr_store::{Snapshot, Store, StoreError};
use fyr_web::{Admission, ListenError};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::Arguments;
use crate::api::Api;
use crate::application::Memory;
use crate::clusters::Clusters;
use crate::context::{Context, Parts};
use crate::fleet;
use crate::registry::Registry;
use crate::repositories::Repositories;
use crate::settings::{Settings, SettingsError};

/// Longest wait for the last record when stopping.
const FAREWELL_WITHIN: Duration = Duration::from_secs(3);
/// Who may open the API's socket at all; who may use it is decided for each connection.
const SOCKET_MODE: u32 = 0o660;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The runtime.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// The bootstrap document.
    #[error("the bootstrap document cannot be used")]
    Settings(#[from] SettingsError),
    /// The state's folder.
    #[error("cannot use the folder {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another daemon has the state.
    #[error("another fyrd uses the state in {}: stop it, or name another --state", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The state.
    #[error("the state cannot be used")]
    Store(#[from] StoreError),
    /// The workers' folder.
    #[error("cannot prepare the folder of the Git workers")]
    Workers(#[from] WorkerError),
    /// The API's socket.
    #[error("the API cannot be served")]
    Listen(#[from] ListenError),
    /// Signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(arguments: Arguments) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let settings = Settings::load(&arguments.config)?;
    settings.fleet_access()?;
    let _lock = lock_state(&arguments.state)?;
    let listener = fyr_web::listen(&arguments.socket, SOCKET_MODE).await?;
    let (context, fleet) = assemble(settings, &arguments).await?;
    let fleet_loop = tokio::spawn(fleet::run(Arc::clone(&context), fleet));
    tokio::spawn(greet(Arc::clone(&context)));
    tokio::spawn(wake_when_recordable(Arc::clone(&context)));
    tokio::spawn(keep_watchdog_calm());
    info!(socket = %arguments.socket.display(), version = env!("CARGO_PKG_VERSION"), "fyrd runs");
    let stop = async move {
        tokio::select! {
            // Cancel-safe: signals are not lost before this is the only waiter.
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify(NotifyState::Stopping);
    };
    notify(NotifyState::Ready);
    let api = Arc::new(Api::new(Arc::clone(&context)));
    fyr_web::serve(listener, api, admission(&arguments), stop).await;
    fleet_loop.abort();
    let farewell = context.audit.append(event(DaemonEvent::Stopped));
    if tokio::time::timeout(FAREWELL_WITHIN, farewell).await.is_err() {
        warn!("the end of the daemon was not recorded");
    }
    context.store.close().await;
    Ok(())
}

/// One daemon a state: two would undo each other's work. The lock ends with the process.
fn lock_state(folder: &Path) -> Result<File, DaemonError> {
    let failed = |source| DaemonError::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DaemonError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn assemble(
    settings: Settings,
    arguments: &Arguments,
) -> Result<(Arc<Context>, watch::Sender<Arc<fleet::FleetState>>), DaemonError> {
    let store = Store::open(&arguments.state.join("state.db"))?;
    let snapshot = store.load_all().await?;
    // Beside the socket: on an appliance that is a tmpfs, so no key reaches a disk.
    let scratch = arguments.socket.parent().unwrap_or(Path::new(".")).join("git");
    let workers = Workers::new(WorkerConfig::new(scratch))?;
    let registry = Arc::new(Registry::default());
    let appliance = Arc::clone(&settings.appliance);
    let mirrors = arguments.state.join("mirrors");
    let parts = Parts {
        settings,
        registry: Arc::clone(&registry),
        repositories: Repositories::new(workers, mirrors, appliance, Arc::clone(&registry)),
        clusters: Clusters::new(registry),
        store,
        audit: AuditClient::new(&arguments.audit_socket),
    };
    let (sender, receiver) = watch::channel(Arc::default());
    Ok((Arc::new(Context::new(parts, receiver, remembered(snapshot))), sender))
}

/// What was on disk, by application.
fn remembered(snapshot: Snapshot) -> BTreeMap<String, Memory> {
    let Snapshot { mut applications, mut inventories, .. } = snapshot;
    let names: BTreeSet<String> = applications.keys().chain(inventories.keys()).cloned().collect();
    let memories = names.into_iter().map(|name| {
        let state = applications.remove(&name).unwrap_or_default();
        let inventories = inventories.remove(&name).unwrap_or_default();
        (name, Memory::from_disk(state, inventories))
    });
    memories.collect()
}

/// The daemon's own user, root, and who was named.
fn admission(arguments: &Arguments) -> Admission {
    let own = nix::unistd::getuid().as_raw();
    let uids = arguments.allow_uids.iter().copied().chain([own, 0]).collect();
    Admission { uids, gids: BTreeSet::new() }
}

fn event(event: DaemonEvent) -> Entry {
    let reason = format!("fyrd {} {event:?}", env!("CARGO_PKG_VERSION")).to_lowercase();
    Entry::new(EntryKind::Daemon(event), Actor::Automation, reason)
}

/// Records the start as soon as the log takes it.
async fn greet(context: Arc<Context>) {
    let mut state = context.audit.state();
    while state.wait_for(|state| matches!(state, AuditState::Up(_))).await.is_ok() {
        match context.audit.append(event(DaemonEvent::Started)).await {
            Ok(_) => return,
            Err(error) => warn!(error = %Chain(&error), "the start was not recorded yet"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What was held back while the log took nothing is looked at when it does again.
async fn wake_when_recordable(context: Arc<Context>) {
    let mut state = context.audit.state();
    while state.changed().await.is_ok() {
        if matches!(*state.borrow_and_update(), AuditState::Up(_)) {
            context.registry.wake_all();
        }
    }
}

/// Tells systemd that the runtime still runs tasks, twice in the time it allows.
async fn keep_watchdog_calm() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return pending().await };
    loop {
        tokio::time::sleep(limit / 2).await;
        notify(NotifyState::Watchdog);
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "the service manager was not told");
    }
}
