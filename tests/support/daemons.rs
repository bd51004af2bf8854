//! The daemons as processes, and the command line that asks them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Longest wait for a daemon to answer after its start.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// `fyrd` and `fyr-auditor` with their state in one folder. Killed when dropped.
#[derive(Debug)]
pub struct Daemons {
    folder: PathBuf,
    fyrd: Option<Child>,
    auditor: Option<Child>,
}

/// What a run of the command line gave.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// The output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("not JSON: {error}\nstdout: {}\nstderr: {}", self.stdout, self.stderr)
        })
    }

    /// Panics with everything that was printed unless the exit code is 0.
    #[must_use]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Where a program of ours is: in the folder this test was built into.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the running program has a path");
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not built: run tests/run functional"))
}

impl Daemons {
    /// Daemons that keep their state in `folder`, where `appliance.yaml` is. Nothing runs yet.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), fyrd: None, auditor: None }
    }

    /// Starts the auditor.
    pub fn start_auditor(&mut self) {
        std::fs::create_dir_all(self.folder.join("run")).expect("the test's folder is writable");
        let mut command = Command::new(program("fyr-auditor"));
        command.arg("--socket").arg(self.folder.join("run/audit.sock"));
        command.arg("--database").arg(self.folder.join("audit.db"));
        self.auditor = Some(self.spawn(command, "auditor.log"));
    }

    /// Starts `fyrd`; it may take a moment to answer.
    pub fn start_fyrd(&mut self) {
        let mut command = Command::new(program("fyrd"));
        command.arg("--config").arg(self.folder.join("appliance.yaml"));
        command.arg("--state").arg(self.folder.join("state"));
        command.arg("--socket").arg(self.socket());
        command.arg("--audit-socket").arg(self.folder.join("run/audit.sock"));
        self.fyrd = Some(self.spawn(command, "fyrd.log"));
    }

    /// Starts both and waits until they answer.
    pub async fn start(&mut self) {
        self.start_auditor();
        self.start_fyrd();
        self.answering().await;
    }

    /// Waits until `fyrd` answers.
    ///
    /// # Panics
    ///
    /// When it does not in time, with the end of its log.
    pub async fn answering(&self) {
        let deadline = Instant::now() + READY_WITHIN;
        while self.ask("GET", "/api/v1/clusters").await.is_none() {
            assert!(Instant::now() < deadline, "fyrd does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends `fyrd` with SIGKILL.
    pub fn kill_fyrd(&mut self) {
        end(&mut self.fyrd, Signal::SIGKILL);
    }

    /// Ends `fyrd` as a service manager does.
    pub fn stop_fyrd(&mut self) {
        end(&mut self.fyrd, Signal::SIGTERM);
    }

    /// Ends the auditor as a service manager does.
    pub fn stop_auditor(&mut self) {
        end(&mut self.auditor, Signal::SIGTERM);
    }

    /// Ends the auditor with SIGKILL.
    pub fn kill_auditor(&mut self) {
        end(&mut self.auditor, Signal::SIGKILL);
    }

    /// Process ids of the running daemons.
    pub fn process_ids(&self) -> Vec<u32> {
        [&self.fyrd, &self.auditor].into_iter().flatten().map(Child::id).collect()
    }

    /// Where `fyrd` listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/api.sock")
    }

    /// The audit log's database.
    pub fn audit_database(&self) -> PathBuf {
        self.folder.join("audit.db")
    }

    /// The last lines of `fyrd`'s log.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("fyrd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Runs the command line against `fyrd`.
    pub async fn fyr<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        let output = tokio::process::Command::new(program("fyr"))
            .args(arguments)
            .env("FYR_SOCKET", self.socket())
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the command line starts");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asks `fyrd`'s API without a process of the command line in between: status and answer, or
    /// nothing while `fyrd` does not listen.
    pub async fn ask(&self, method: &str, path: &str) -> Option<(u16, Value)> {
        let stream = tokio::net::UnixStream::connect(self.socket()).await.ok()?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
        let connection = tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "fyrd")
            .body(http_body_util::Empty::<hyper::body::Bytes>::new())
            .expect("a valid request");
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        connection.abort();
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// The same, for what has to succeed.
    pub async fn api(&self, method: &str, path: &str) -> Value {
        let (status, answer) = self.ask(method, path).await.expect("fyrd answers");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    fn spawn(&self, mut command: Command, log: &str) -> Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(log))
            .expect("the test's folder is writable");
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().expect("the daemon starts")
    }
}

fn end(child: &mut Option<Child>, signal: Signal) {
    let Some(mut child) = child.take() else { return };
    let id = i32::try_from(child.id()).expect("process ids fit");
    // It may be gone already, which is what is wanted.
    let _ = kill(Pid::from_raw(id), signal);
    child.wait().expect("a child can be waited for");
}

impl Drop for Daemons {
    fn drop(&mut self) {
        end(&mut self.fyrd, Signal::SIGKILL);
        end(&mut self.auditor, Signal::SIGKILL);
    }
}
