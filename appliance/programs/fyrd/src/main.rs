//! `fyrd`: mirrors, renders, plans, applies, watches and heals.

mod api;
mod application;
mod claims;
mod clusters;
mod context;
mod daemon;
mod fleet;
mod parsed;
mod registry;
mod remote;
mod repositories;
mod repository;
mod settings;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fyr_model::Chain;
use tracing::error;
use tracing_subscriber::EnvFilter;

/// Threads that run tasks. Waiting costs none, and rendering has threads of its own.
const RUNTIME_THREADS: usize = 2;

/// Keep clusters as Git says they should be
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  fyrd --config /etc/fyr/appliance.yaml --state /var/lib/fyr \
                  --socket /run/fyr/api.sock --audit-socket /run/fyr-auditor/audit.sock"
)]
struct Arguments {
    /// The bootstrap document
    #[arg(long, value_name = "FILE", default_value = "/etc/fyr/appliance.yaml")]
    config: PathBuf,
    /// Folder for mirrors and state; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "/var/lib/fyr")]
    state: PathBuf,
    /// Where to listen for the command line
    #[arg(long, value_name = "SOCKET", default_value = "/run/fyr/api.sock")]
    socket: PathBuf,
    /// Where fyr-auditor listens
    #[arg(long, value_name = "SOCKET", default_value = "/run/fyr-auditor/audit.sock")]
    audit_socket: PathBuf,
    /// User ids that may use the API beside the daemon's own and root
    #[arg(long = "allow-uid", value_name = "UID")]
    allow_uids: Vec<u32>,
}

fn main() -> ExitCode {
    // Before anything else: workers are this program again, and must stay small.
    if std::env::args().nth(1).as_deref() == Some(fyr_git::WORKER_ARGUMENT) {
        return fyr_git::worker_main();
    }
    let arguments = Arguments::parse();
    log_to_stderr();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        error!("another TLS provider is installed already");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(daemon::run(arguments)),
        Err(error) => Err(daemon::DaemonError::Runtime(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = Chain(&error).to_string();
            // Once, in the form of whoever reads it: a person at a terminal, or the journal.
            if std::io::stderr().is_terminal() {
                let _ = writeln!(std::io::stderr(), "error: {text}");
            } else {
                error!("{text}");
            }
            ExitCode::from(2)
        }
    }
}

/// Text for a person at a terminal, JSON for everything that collects logs.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
