//! A control plane or a Git server from the command line, for scripts.
//!
//! Each command works in a folder, takes up what an earlier run left there (even one that was
//! killed), prints one line on stdout once it is ready, and stays until SIGTERM or SIGINT. All it
//! started ends with it.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use fyr_test_cluster::{ControlPlane, ControlPlaneError, ControlPlaneOptions, SshGitServer};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Pause between two looks at whether a program of the control plane has ended by itself.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// Real control planes and Git servers on loopback, for tests and trials.
#[derive(Parser)]
#[command(name = "fyr-test-cluster")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a control plane with controllers and nodes, and prints the path of its kubeconfig.
    Up {
        #[command(flatten)]
        place: Place,
        /// Nodes to make; their pods become Ready without a kubelet.
        #[arg(long, default_value_t = 1)]
        nodes: u32,
        /// Writes every request to DIR/audit.log.
        #[arg(long)]
        audit_log: bool,
    },
    /// Starts a Git server over SSH, and prints a JSON object: `url_base`, `identity`,
    /// `known_hosts` (paths), `repositories` (the folder of its bare repositories).
    Git {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Place {
    /// The folder for data, keys and logs; made if it is missing.
    #[arg(long)]
    dir: PathBuf,
    /// Ends when the process that started it does. In a shell that is the shell, or the subshell.
    #[arg(long)]
    with_parent: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fyr-test-cluster: {error}"));
            let mut source = error.source();
            while let Some(cause) = source {
                say(&format!("  because {cause}"));
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let place = match &arguments.command {
        Command::Up { place, .. } | Command::Git { place } => place,
    };
    // Before there are threads: the kernel sends the signal for the parent of this one.
    if place.with_parent && !tie_to_parent()? {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Up { place, nodes, audit_log } => up(place.dir, nodes, audit_log).await,
            Command::Git { place } => git(&place.dir).await,
        }
    });
    // A build that was given up on is not waited for.
    runtime.shutdown_background();
    result
}

/// Asks for SIGTERM at the parent's death; false when it has died already.
fn tie_to_parent() -> nix::Result<bool> {
    let parent = getppid();
    set_pdeathsig(Signal::SIGTERM)?;
    Ok(getppid() == parent)
}

async fn up(folder: PathBuf, nodes: u32, audit_log: bool) -> Result<(), Box<dyn Error>> {
    let options = ControlPlaneOptions {
        controllers: true,
        nodes,
        audit_log,
        folder: Some(folder),
        progress: Some(say),
        ..ControlPlaneOptions::default()
    };
    let mut ended = Box::pin(end()?);
    let mut plane = tokio::select! {
        started = ControlPlane::start(options) => started?,
        () = &mut ended => return Ok(()),
    };
    say(&format!("ready at {}", plane.server()));
    writeln!(io::stdout(), "{}", plane.kubeconfig().display())?;
    tokio::select! {
        error = failure(&mut plane) => Err(error.into()),
        () = ended => Ok(()),
    }
}

/// Waits until a program of the control plane ends by itself.
async fn failure(plane: &mut ControlPlane) -> ControlPlaneError {
    loop {
        if let Err(error) = plane.check() {
            return error;
        }
        sleep(CHECK_PAUSE).await;
    }
}

async fn git(folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let ended = end()?;
    let server = SshGitServer::start(Some(folder))?;
    say(&format!("ready at {}", server.address()));
    let ready = serde_json::json!({
        "url_base": server.url_base(),
        "identity": server.identity_path(),
        "known_hosts": server.known_hosts_path(),
        "repositories": server.repositories_path(),
    });
    writeln!(io::stdout(), "{ready}")?;
    ended.await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT, from the call on.
fn end() -> io::Result<impl Future<Output = ()>> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}

fn say(line: &str) {
    // Nobody listens to a closed stderr.
    let _ = writeln!(io::stderr(), "{line}");
}
