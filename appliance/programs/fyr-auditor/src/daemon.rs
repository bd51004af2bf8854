//! Start, run, stop.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fyr_audit::{Actor, DaemonEvent, Entry, EntryKind};
use fyr_ipc::{BindError, Listener};
use fyr_model::Chain;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{interval, timeout};
use tracing::{error, info, warn};

use crate::verify::check_whole;
use crate::{Log, OpenLogError, serve};

/// Who may open the socket at all; who may use it is decided for each connection.
const SOCKET_MODE: u32 = 0o660;

/// Connections at a time: `fyrd`, its successor during a restart, and tools.
const CONNECTIONS_MAX: usize = 16;

/// Why the daemon does not run, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The runtime.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// The log.
    #[error("the audit log cannot be used")]
    Log(#[from] OpenLogError),
    /// The socket.
    #[error("the socket cannot be used")]
    Bind(#[from] BindError),
    /// Signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The disk.
    #[error("the disk failed under the audit log: a new start reads it anew and checks it")]
    Disk,
}

/// What the daemon is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) socket: PathBuf,
    pub(crate) database: PathBuf,
    pub(crate) uids: BTreeSet<u32>,
}

/// Runs until SIGTERM or SIGINT, or until the disk fails.
pub(crate) async fn run(settings: Settings) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let Settings { socket, database, uids } = settings;
    let log = Log::open(&database)?;
    let listener = Listener::bind(&socket, SOCKET_MODE, uids, CONNECTIONS_MAX)?;
    info!(
        socket = %socket.display(),
        database = %database.display(),
        records = log.state().head.sequence,
        version = env!("CARGO_PKG_VERSION"),
        "fyr-auditor runs"
    );
    let checking = tokio::spawn(check_whole(log.clone(), log.state().head.sequence));
    note(&log, DaemonEvent::Started).await;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, log.clone(), stopped));
    let watchdog = tokio::spawn(keep_watchdog_calm(log.clone()));
    notify(NotifyState::Ready);

    let mut disk_failed = log.disk_failed();
    let result = tokio::select! {
        // Cancel-safe: signals are not lost before this is the only waiter.
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        // Cancel-safe: it only looks at the newest value.
        _ = disk_failed.wait_for(|failed| *failed) => Err(DaemonError::Disk),
    };
    notify(NotifyState::Stopping);
    stop.send_replace(true);
    // A panic in there was reported when it happened.
    let _ = serving.await;
    watchdog.abort();
    checking.abort();
    if result.is_ok() {
        note(&log, DaemonEvent::Stopped).await;
    }
    log.close().await;
    info!("fyr-auditor ends");
    result
}

/// Records the daemon's own start or end. A log without space for it serves those who read.
async fn note(log: &Log, event: DaemonEvent) {
    let reason = format!("fyr-auditor {} {event:?}", env!("CARGO_PKG_VERSION")).to_lowercase();
    let entry = Entry::new(EntryKind::Daemon(event), Actor::Automation, reason);
    if let Err(failure) = log.append(&entry).await {
        error!("{event:?} was not recorded: {}", Chain(&failure));
    }
}

/// Tells systemd that tasks run and the writer writes, twice in the time it allows.
async fn keep_watchdog_calm(log: Log) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut turn = interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        turn.tick().await;
        // Even a writer that answers with a full disk is alive.
        if timeout(limit, log.settle()).await.is_ok() {
            notify(NotifyState::Watchdog);
        } else {
            warn!("the audit log's writer is stuck");
        }
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "the service manager was not told");
    }
}
