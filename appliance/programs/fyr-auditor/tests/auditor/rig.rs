//! An auditor in a folder of its own.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fyr_audit::{Actor, Entry, EntryKind};
use fyr_ipc::{AuditClient, Query, Verification};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// More than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

const PROGRAM: &str = env!("CARGO_BIN_EXE_fyr-auditor");

pub(crate) fn entry(reason: &str) -> Entry {
    Entry::new(EntryKind::Outcome, Actor::Automation, reason)
}

pub(crate) fn everything() -> Query {
    Query { limit: 10_000, ..Query::default() }
}

/// Where one auditor keeps its log and listens.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a folder for temporary files"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("audit.db")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("audit.sock")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--socket").arg(self.socket()).arg("--database").arg(self.database());
        command
    }

    /// Runs `verify`: its exit code, and what it says up to the first comma.
    pub(crate) fn verify(&self) -> (Option<i32>, String) {
        let mut command = Command::new(PROGRAM);
        command.arg("verify").arg("--database").arg(self.database());
        let output = command.output().expect("the program is built");
        let text = String::from_utf8(output.stdout).expect("it writes text");
        let line = text.trim_end().split(',').next().unwrap_or_default();
        (output.status.code(), line.to_owned())
    }

    /// Starts a daemon that is expected to give up: its exit code and its log.
    pub(crate) fn refusal(&self) -> (Option<i32>, String) {
        let output = self.command().output().expect("the program is built");
        let text = String::from_utf8(output.stderr).expect("it writes text");
        (output.status.code(), text)
    }
}

/// A running auditor; killed when dropped.
pub(crate) struct Auditor<'a> {
    folder: &'a Folder,
    child: RefCell<Child>,
}

impl<'a> Auditor<'a> {
    pub(crate) fn start(folder: &'a Folder) -> Self {
        Self::start_with(folder, |_| {})
    }

    pub(crate) fn start_with(folder: &'a Folder, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = folder.command();
        command.stderr(Stdio::null());
        change(&mut command);
        let child = command.spawn().expect("the program is built");
        Self { folder, child: RefCell::new(child) }
    }

    pub(crate) fn start_again(&self) {
        let mut command = self.folder.command();
        command.stderr(Stdio::null());
        *self.child.borrow_mut() = command.spawn().expect("the program is built");
    }

    /// Sends a signal and waits for the end; its exit code.
    pub(crate) fn end(&self, signal: Signal) -> Option<i32> {
        let mut child = self.child.borrow_mut();
        let id = i32::try_from(child.id()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("it runs");
        child.wait().expect("it is our child").code()
    }

    /// A client that is connected.
    pub(crate) async fn client(&self) -> AuditClient {
        let client = AuditClient::new(&self.folder.socket());
        client.connected(DEADLINE).await.expect("the auditor starts");
        client
    }

    /// Waits until the auditor says so of its log.
    pub(crate) async fn wait_for_verification(
        &self,
        client: &AuditClient,
        wanted: impl Fn(&Verification) -> bool,
    ) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let state = client.log_state().await.expect("the auditor runs");
            if wanted(&state.verification) {
                return;
            }
            assert!(Instant::now() < deadline, "{:?}", state.verification);
        }
    }
}

impl Drop for Auditor<'_> {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}
