//! `fyr up`: all daemons under one parent, for a first look and for development. On an appliance
//! they are services of their own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for a daemon to listen: the auditor verifies the end of its log first.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for a daemon to end by itself once told to.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Start all daemons under this command, until Ctrl-C
///
/// The API socket is STATE/run/api.sock: set `FYR_SOCKET` to it in other terminals.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr up --config appliance.yaml --state ./state")]
pub(crate) struct UpArguments {
    /// The bootstrap document
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder for mirrors, databases and sockets; made if it does not exist
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

/// Why the daemons do not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    /// The bootstrap document is not there.
    #[error("there is no bootstrap document at {}", path.display())]
    NoConfig {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The state's folder cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A daemon cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// Which one.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A daemon does not listen in time.
    #[error("{program} does not listen at {} within {} s", socket.display(), LISTENS_WITHIN.as_secs())]
    Silent {
        /// Which one.
        program: &'static str,
        /// Where it should listen.
        socket: PathBuf,
    },
    /// A daemon ended without being told to.
    #[error("{program} ended ({status}); its last messages are above")]
    Ended {
        /// Which one.
        program: &'static str,
        /// How.
        status: String,
    },
    /// The signals that end it cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
}

/// A running daemon.
struct Daemon {
    program: &'static str,
    child: Child,
}

/// Runs until it is told to end, or a daemon ends.
pub(crate) async fn run(arguments: &UpArguments) -> Result<(), UpError> {
    let UpArguments { config, state } = arguments;
    if !config.exists() {
        return Err(UpError::NoConfig { path: config.clone() });
    }
    let folder = state.join("run");
    std::fs::create_dir_all(&folder)
        .map_err(|source| UpError::Folder { path: folder.clone(), source })?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(UpError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(UpError::Signals)?;

    let (audit_socket, api_socket) = (folder.join("audit.sock"), folder.join("api.sock"));
    let mut command = daemon_command("fyr-auditor");
    command.arg("--socket").arg(&audit_socket).arg("--database").arg(state.join("audit.db"));
    let mut auditor = start("fyr-auditor", command)?;
    listening(&mut auditor, &audit_socket).await?;

    let mut command = daemon_command("fyrd");
    command.arg("--config").arg(config).arg("--state").arg(state);
    command.arg("--socket").arg(&api_socket).arg("--audit-socket").arg(&audit_socket);
    let mut fyrd = start("fyrd", command)?;
    let result = match listening(&mut fyrd, &api_socket).await {
        Ok(()) => {
            tokio::select! {
                // Cancel-safe: signals and waits for children lose nothing.
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
                error = ended(&mut fyrd) => Err(error),
                error = ended(&mut auditor) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    // The auditor last, so that the end of the other one is recorded.
    stop(fyrd).await;
    stop(auditor).await;
    result
}

/// The program beside this one, or of the search path.
fn daemon_command(program: &'static str) -> Command {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join(program)))
        .filter(|path| path.exists());
    Command::new(beside.unwrap_or_else(|| PathBuf::from(program)))
}

fn start(program: &'static str, mut command: Command) -> Result<Daemon, UpError> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // A terminal's Ctrl-C reaches only this command, which ends them in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| UpError::Start { program, source })?;
    Ok(Daemon { program, child })
}

async fn listening(daemon: &mut Daemon, socket: &Path) -> Result<(), UpError> {
    let deadline = Instant::now() + LISTENS_WITHIN;
    while UnixStream::connect(socket).await.is_err() {
        if let Ok(Some(status)) = daemon.child.try_wait() {
            let status = status.to_string();
            return Err(UpError::Ended { program: daemon.program, status });
        }
        if Instant::now() > deadline {
            let socket = socket.to_owned();
            return Err(UpError::Silent { program: daemon.program, socket });
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn ended(daemon: &mut Daemon) -> UpError {
    let status = match daemon.child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    UpError::Ended { program: daemon.program, status }
}

async fn stop(mut daemon: Daemon) {
    if let Some(id) = daemon.child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended already, which is what is wanted.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    if timeout(ENDS_WITHIN, daemon.child.wait()).await.is_err() {
        // Dropping it kills it as well; the error could only say that it is gone.
        let _ = daemon.child.kill().await;
    }
}
