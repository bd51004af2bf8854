//! A daemon side, and the program as a process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fyr_model::api::{AuditState, FleetState, Status};
use fyr_web::memory::{Application, MemoryBackend, Shared, State, healthy};
use fyr_web::{Admission, listen, serve};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Long enough for anything that works; only failures take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon side that listens until it is dropped.
pub(crate) struct Daemon {
    pub(crate) backend: Arc<MemoryBackend>,
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("it prints text"),
            stderr: String::from_utf8(output.stderr).expect("it prints text"),
        }
    }
}

impl Finished {
    /// Panics with everything that was printed unless the exit code is this one.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl Daemon {
    /// A daemon that knows two applications in sync, `web` on `prod-eu` and `api` on `test`.
    pub(crate) async fn start() -> Self {
        Self::with([healthy("web", "prod-eu"), healthy("api", "test")]).await
    }

    /// A daemon that knows these applications.
    pub(crate) async fn with(applications: impl IntoIterator<Item = Application>) -> Self {
        let uid = nix::unistd::getuid().as_raw();
        let admission = Admission { uids: BTreeSet::from([uid]), ..Admission::default() };
        Self::admitting(admission, applications).await
    }

    /// A daemon that only these may use.
    pub(crate) async fn admitting(
        admission: Admission,
        applications: impl IntoIterator<Item = Application>,
    ) -> Self {
        let named = |one: Application| (one.detail.summary.name.clone(), one);
        let status = Status {
            name: "harbour".into(),
            fleet: FleetState {
                repo_url: "git@git.example.org:platform/fleet.git".into(),
                path: "applications".into(),
                revision: Some("4be1c02a0f6d".into()),
                ..FleetState::default()
            },
            audit: AuditState { writable: true, ..AuditState::default() },
            ..Status::default()
        };
        let applications: BTreeMap<_, _> = applications.into_iter().map(named).collect();
        let backend = MemoryBackend::new(State { status, applications, ..State::default() });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener =
            listen(&folder.path().join("api.sock"), 0o600).await.expect("the folder is new");
        let shared = Arc::new(Shared(Arc::clone(&backend)));
        tokio::spawn(serve(listener, shared, admission, std::future::pending()));
        Self { backend, folder }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    /// Runs the program to its end.
    pub(crate) async fn fyr<const N: usize>(&self, arguments: [&str; N]) -> Finished {
        command(&self.socket(), &arguments).output().await.expect("the program starts").into()
    }

    /// Starts the program.
    pub(crate) fn spawn<const N: usize>(&self, arguments: [&str; N]) -> Child {
        command(&self.socket(), &arguments).spawn().expect("the program starts")
    }

    /// Waits until somebody reads events.
    pub(crate) async fn has_a_reader(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.backend.readers() == 0 {
            assert!(Instant::now() < deadline, "nobody reads events");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The program with pipes for all its streams, and nothing of this environment that counts.
pub(crate) fn command(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fyr"));
    command
        .args(arguments)
        .env("FYR_SOCKET", socket)
        .env_remove("NO_COLOR")
        .env_remove("FYR_NO_PROGRESS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the program without a daemon.
pub(crate) async fn alone<const N: usize>(arguments: [&str; N]) -> Finished {
    command(Path::new("/nonexistent/api.sock"), &arguments)
        .output()
        .await
        .expect("the program starts")
        .into()
}
