//! The command line.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fyr_audit::Verified;
use fyr_model::Chain;
use tracing::error;
use tracing_subscriber::EnvFilter;

use crate::daemon::{self, DaemonError, Settings};
use crate::verify::verify_file;

/// The log was changed by something else than the auditor.
const BROKEN: u8 = 1;
/// It could not be done.
const FAILED: u8 = 2;

/// Keep the audit log
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  fyr-auditor --database /var/lib/fyr-auditor/audit.db --allow-uid 990\n  \
                  fyr-auditor verify --database audit.db"
)]
pub struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "SOCKET", default_value = "/run/fyr-auditor/audit.sock")]
    socket: PathBuf,
    /// The log's database; made if it does not exist
    #[arg(long, value_name = "FILE", default_value = "/var/lib/fyr-auditor/audit.db")]
    database: PathBuf,
    /// User id that may use the log; can be given several times; only the own one if not given
    #[arg(long = "allow-uid", value_name = "UID")]
    allow_uids: Vec<u32>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do instead of keeping the log.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check that a log is as it was written: exit code 0 if it is, 1 if not, 2 if it cannot be read
    Verify {
        /// The log's database; another process may have it open
        #[arg(long, value_name = "FILE")]
        database: PathBuf,
    },
}

/// Does what the command line says.
pub fn run(arguments: Arguments) -> ExitCode {
    log_to_stderr();
    let Arguments { socket, database, allow_uids, command } = arguments;
    if let Some(Command::Verify { database }) = command {
        return verify(&database);
    }
    let mut uids: std::collections::BTreeSet<u32> = allow_uids.into_iter().collect();
    if uids.is_empty() {
        uids.insert(nix::unistd::getuid().as_raw());
    }
    let settings = Settings { socket, database, uids };
    // One thread for all tasks: what takes time is on the writer's and the readers' own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(daemon::run(settings)),
        Err(error) => Err(DaemonError::Runtime(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn verify(database: &Path) -> ExitCode {
    let (line, code) = match verify_file(database) {
        Ok(Ok(Verified { count: 0, .. })) => ("intact: no records".to_owned(), ExitCode::SUCCESS),
        Ok(Ok(Verified { count, head })) => {
            let time = i64::try_from(head.at).ok().map(jiff::Timestamp::from_millisecond);
            let time = time.and_then(Result::ok).unwrap_or_default();
            let line = format!("intact: {count} records, the last of {time}, hash {}", head.hash);
            (line, ExitCode::SUCCESS)
        }
        Ok(Err(broken)) => (format!("broken: {broken}"), ExitCode::from(BROKEN)),
        Err(error) => return fail(&error),
    };
    // A closed output is no reason to give another verdict.
    let _ = writeln!(io::stdout(), "{line}");
    code
}

/// Once, in the form of whoever reads it: a person at a terminal, or the journal.
fn fail(failure: &dyn std::error::Error) -> ExitCode {
    let text = Chain(failure).to_string();
    if io::stderr().is_terminal() {
        // Nobody is there to be told that nobody is there.
        let _ = writeln!(io::stderr(), "error: {text}");
    } else {
        error!("{text}");
    }
    ExitCode::from(FAILED)
}

/// Text for a person at a terminal, JSON for everything that collects logs.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}
