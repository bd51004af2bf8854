//! Starts Git workers, talks to them, and ends them at the deadline.
//!
//! A worker is a process group of its own without environment. However a call ends (answered, late,
//! dropped), the whole group is killed before its leader is reaped, so that neither a worker nor an
//! ssh outlives its call and no recycled process id is ever hit.
//!
//! The kernel also kills a worker when the thread that started it ends. The threads of a runtime
//! live as long as it does: only code under `block_in_place` may not call a worker.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fyr_model::Plaintext;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::error::{Said, WorkerError};
use crate::wire::{
    self, Answer, Failure, HEADER_BYTES, JSON_BYTES_MAX, Operation, Reply, Request, Sandbox,
    TAG_ANSWER, TAG_REQUEST, TAG_SECRET, WorkerLimits,
};

/// First argument of a program that is started as a Git worker.
pub const WORKER_ARGUMENT: &str = "git-worker";

/// Bytes of standard error kept: ssh's longest warning is under 2 KiB.
const STDERR_BYTES_MAX: usize = 16 * 1024;

/// How long the rest of standard error is waited for once a failed worker has ended.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(200);

/// How long a killed worker may take to be gone.
const REAPED_WITHIN: Duration = Duration::from_secs(2);

/// Folder for what one call needs, below the scratch folder.
const CALLS: &str = "calls";
/// Folder for the sockets of shared ssh connections, below the scratch folder.
const SOCKETS: &str = "s";

/// How workers are started.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The executable. It calls [`crate::worker_main`] when its first argument is
    /// [`WORKER_ARGUMENT`].
    pub program: PathBuf,
    /// The ssh client.
    pub ssh_program: PathBuf,
    /// Private folder for keys and sockets of running calls, best on a tmpfs so that no key reaches
    /// a disk. Sockets need a path under 90 bytes: `/run/fyr/git` is fine.
    pub scratch: PathBuf,
    /// Workers at a time that read or tidy a mirror. Each takes a processor and up to a few hundred
    /// MiB.
    pub workers_max: usize,
    /// Workers at a time that talk to a Git host. Counted apart, so that hosts that do not answer
    /// keep nobody from reading a mirror.
    pub fetches_max: usize,
    /// What each worker may use.
    pub limits: WorkerLimits,
    /// How long an ssh connection stays open for the next fetch; zero closes it at once. It outlives
    /// the daemon by at most this.
    pub ssh_idle: Duration,
}

impl WorkerConfig {
    /// The usual configuration: this executable, `/usr/bin/ssh`, four workers and eight fetches,
    /// which mostly wait, and connections kept for 90 s so that a poll every 30 s never shakes hands.
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        Self {
            program: "/proc/self/exe".into(),
            ssh_program: "/usr/bin/ssh".into(),
            scratch: scratch.into(),
            workers_max: 4,
            fetches_max: 8,
            limits: WorkerLimits::default(),
            ssh_idle: Duration::from_secs(90),
        }
    }
}

/// Starts workers, a bounded number at a time. Cheap to clone; one for a whole daemon.
#[derive(Clone, Debug)]
pub struct Workers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: WorkerConfig,
    slots: Semaphore,
    fetch_slots: Semaphore,
    calls: AtomicU64,
    weak_sandbox_told: AtomicBool,
}

/// How a call that was answered went.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) result: Result<Reply, Failure>,
    /// What was written to standard error; read only if the call failed.
    pub(crate) stderr: String,
}

/// What to do with an entry frame: tag and payload. `false` means that it makes no sense.
pub(crate) type OnEntry<'a> = &'a mut (dyn FnMut(u8, &[u8]) -> bool + Send);

impl Workers {
    /// Prepares the scratch folder, and removes from it what an earlier daemon left.
    ///
    /// Blocks for a moment: called at the start.
    pub fn new(config: WorkerConfig) -> Result<Self, WorkerError> {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        for folder in [CALLS, SOCKETS] {
            let folder = config.scratch.join(folder);
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(WorkerError::Talk(error));
                }
                Ok(()) | Err(_) => private.create(&folder).map_err(WorkerError::Talk)?,
            }
        }
        let slots = Semaphore::new(config.workers_max.max(1));
        let fetch_slots = Semaphore::new(config.fetches_max.max(1));
        let (calls, weak_sandbox_told) = (AtomicU64::new(0), AtomicBool::new(false));
        Ok(Self {
            shared: Arc::new(Shared { config, slots, fetch_slots, calls, weak_sandbox_told }),
        })
    }

    pub(crate) fn config(&self) -> &WorkerConfig {
        &self.shared.config
    }

    /// A new private folder for one call.
    pub(crate) fn call_folder(&self) -> CallFolder {
        let number = self.shared.calls.fetch_add(1, Ordering::Relaxed);
        CallFolder(self.config().scratch.join(CALLS).join(number.to_string()))
    }

    /// Where the socket of a shared connection is; `name` tells connections apart.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.config().scratch.join(SOCKETS).join(name).join("c")
    }

    /// Runs one operation in a worker, until the deadline at most.
    pub(crate) async fn call(
        &self,
        request: &Request,
        secrets: &[&Plaintext],
        deadline: Instant,
        entry_bytes_max: u64,
        on_entry: OnEntry<'_>,
    ) -> Result<Called, WorkerError> {
        let begun = Instant::now();
        let late = |_| WorkerError::TimedOut { after: begun.elapsed() };
        let input = input(request, secrets)?;
        let slots = match request.operation {
            Operation::ListRefs(_) | Operation::Fetch(_) => &self.shared.fetch_slots,
            _ => &self.shared.slots,
        };
        let slot = timeout_at(deadline, slots.acquire()).await.map_err(late)?;
        // The semaphore is never closed.
        let _slot = slot.map_err(|_| WorkerError::Nonsense)?;
        let mut worker = Worker::start(&self.config().program)?;
        let talk = worker.talk(&input, entry_bytes_max, on_entry);
        let answer = timeout_at(deadline, talk).await;
        let wait = match &answer {
            // Answered: there is nothing more to hear. Late: there is no more time to hear it.
            Ok(Ok(Some(Answer { result: Ok(_), .. }))) | Err(_) => Duration::ZERO,
            Ok(_) => LAST_WORDS_WITHIN,
        };
        let (status, stderr) = worker.end(wait).await?;
        match answer.map_err(late)? {
            Ok(Some(answer)) => {
                self.tell_weak_sandbox(answer.sandbox);
                Ok(Called { result: answer.result, stderr })
            }
            Ok(None) => Err(ended(status, &stderr)),
            Err(error) => Err(error),
        }
    }

    /// Says once in the log that the kernel cannot do all of the sandbox.
    fn tell_weak_sandbox(&self, sandbox: Sandbox) {
        if sandbox != Sandbox::Full && !self.shared.weak_sandbox_told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(?sandbox, "the kernel cannot enforce all of the Git workers' sandbox");
        }
    }
}

/// A private folder that is gone with this value, whatever became of the worker.
#[derive(Debug)]
pub(crate) struct CallFolder(PathBuf);

impl CallFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder and a file in it that only its owner can read.
    pub(crate) async fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, WorkerError> {
        let path = self.0.join(name);
        let written = async {
            private_folder(&self.0).await?;
            let mut options = tokio::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path).await?;
            file.write_all(content).await?;
            file.flush().await
        };
        written.await.map_err(WorkerError::Talk)?;
        Ok(path)
    }
}

impl Drop for CallFolder {
    fn drop(&mut self) {
        // Two small files, on a tmpfs: quicker than handing it to another thread. What cannot be
        // removed now goes at the next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a folder that only its owner can enter; one that exists stays.
pub(crate) async fn private_folder(path: &Path) -> io::Result<()> {
    let mut private = tokio::fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(path).await
}

fn input(request: &Request, secrets: &[&Plaintext]) -> Result<Zeroizing<Vec<u8>>, WorkerError> {
    let json = serde_json::to_vec(request).map_err(|error| WorkerError::Talk(error.into()))?;
    let bytes: usize = secrets.iter().map(|secret| secret.expose().len() + HEADER_BYTES).sum();
    // All at once: a buffer that grows leaves copies of the secrets behind.
    let mut input = Zeroizing::new(Vec::with_capacity(json.len() + HEADER_BYTES + bytes));
    wire::write_frame(&mut *input, TAG_REQUEST, &[&json]).map_err(WorkerError::Talk)?;
    for secret in secrets {
        wire::write_frame(&mut *input, TAG_SECRET, &[secret.expose()])
            .map_err(WorkerError::Talk)?;
    }
    Ok(input)
}

/// A running worker. Dropping it kills its process group.
struct Worker {
    child: Child,
    /// The process group, until its leader is reaped.
    group: Option<Pid>,
    stderr: tokio::task::JoinHandle<Vec<u8>>,
}

impl Worker {
    fn start(program: &Path) -> Result<Self, WorkerError> {
        let start = |source| WorkerError::Start { program: program.to_owned(), source };
        let mut child = Command::new(program)
            .arg0("fyr-git-worker")
            .arg(WORKER_ARGUMENT)
            .arg(std::process::id().to_string())
            .env_clear()
            // Without it gix asks the system's databases, which the sandbox refuses.
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let stderr = tokio::spawn(collect(child.stderr.take()));
        Ok(Self { child, group, stderr })
    }

    /// Hands in the request and reads frames until the answer; `None` if the worker ends before.
    async fn talk(
        &mut self,
        input: &[u8],
        entry_bytes_max: u64,
        on_entry: OnEntry<'_>,
    ) -> Result<Option<Answer>, WorkerError> {
        let pipes = self.child.stdin.take().zip(self.child.stdout.take());
        let (mut stdin, stdout) = pipes.ok_or(WorkerError::Nonsense)?;
        let write = async move {
            match stdin.write_all(input).await {
                // It ended early: why, its answer or its status says.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(WorkerError::Talk),
            }
        };
        let (written, answer) = tokio::join!(write, read_answer(stdout, entry_bytes_max, on_entry));
        written?;
        answer
    }

    /// Kills what is left of the group, reaps the worker, and returns its last words. It is given
    /// `wait` to end by itself, since its own status tells more than that of our kill.
    async fn end(mut self, wait: Duration) -> Result<(ExitStatus, String), WorkerError> {
        let ended = if wait.is_zero() { None } else { timeout(wait, self.child.wait()).await.ok() };
        self.kill();
        let status = match ended {
            Some(status) => status,
            None => timeout(REAPED_WITHIN, self.child.wait()).await.unwrap_or_else(|_| {
                // Killed, but stuck in the kernel, as on a dead disk. The runtime reaps it later.
                Err(ErrorKind::TimedOut.into())
            }),
        };
        self.group = None;
        let stderr = if wait.is_zero() { String::new() } else { self.last_words().await };
        Ok((status.map_err(WorkerError::Talk)?, stderr))
    }

    async fn last_words(&mut self) -> String {
        match timeout(LAST_WORDS_WITHIN, &mut self.stderr).await {
            Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Ok(Err(_)) | Err(_) => String::new(),
        }
    }

    fn kill(&self) {
        if let Some(group) = self.group {
            // An error means that there is nobody left to kill.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        self.stderr.abort();
    }
}

async fn collect(pipe: Option<tokio::process::ChildStderr>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    let mut buffer = [0; 4096];
    // Read on beyond the limit: whoever writes must not block on a full pipe.
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let room = STDERR_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}

async fn read_answer(
    stdout: impl AsyncRead + Unpin,
    entry_bytes_max: u64,
    on_entry: OnEntry<'_>,
) -> Result<Option<Answer>, WorkerError> {
    let mut stdout = BufReader::with_capacity(64 * 1024, stdout);
    let mut payload = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        match stdout.read_exact(&mut header).await {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(WorkerError::Talk)?,
        };
        let (tag, length) = wire::split_header(header);
        let max = if tag == TAG_ANSWER { JSON_BYTES_MAX } else { entry_bytes_max };
        if length > max {
            return Err(WorkerError::Nonsense);
        }
        payload.clear();
        (&mut stdout).take(length).read_to_end(&mut payload).await.map_err(WorkerError::Talk)?;
        if u64::try_from(payload.len()).is_ok_and(|read| read != length) {
            return Ok(None);
        }
        if tag == TAG_ANSWER {
            return serde_json::from_slice(&payload).map(Some).map_err(|_| WorkerError::Nonsense);
        }
        if !on_entry(tag, &payload) {
            return Err(WorkerError::Nonsense);
        }
    }
}

/// Why a worker ended without an answer.
fn ended(status: ExitStatus, stderr: &str) -> WorkerError {
    use std::os::unix::process::ExitStatusExt as _;
    let source = Said(crate::classify::shown(stderr));
    let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
    let meaning = match signal {
        None => return WorkerError::Crashed(source),
        Some(Signal::SIGBUS) => {
            "a pack could not be read; its file is cut short or the disk is failing"
        }
        Some(Signal::SIGXFSZ) => "a file grew over its limit",
        Some(Signal::SIGXCPU) => "it used more processor time than its limit",
        Some(Signal::SIGABRT) => "it needed more memory than its limit",
        Some(Signal::SIGKILL) => "it was killed, perhaps because memory ran out",
        Some(Signal::SIGSYS) => "it tried a system call that is forbidden to it",
        Some(_) => "an unexpected signal",
    };
    WorkerError::Killed { meaning, source }
}
