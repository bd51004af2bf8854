//! Processes that do not outlive the process that started them.
//!
//! A child asks the kernel for SIGKILL on its parent's death (`setpriv --pdeathsig`). Two traps:
//! - the kernel means the death of the *thread* that started the child, and test threads are short,
//!   so one thread that lasts as long as the process starts them all;
//! - a parent that dies before the child has asked is never noticed, so the child looks at its
//!   parent after asking and gives up if it has changed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Becomes the program (`$@`) if its parent is still the one (`$0`) that started it.
const GUARD: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;
/// How much of a log an error shows: what a program says on its way out fits.
const LOG_TAIL_BYTES: u64 = 4_096;

/// A program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Its log cannot be opened.
    #[error("cannot open the log {}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process cannot be made.
    #[error("cannot start {name}")]
    Start {
        /// The program.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A running program, killed on drop.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; all it prints is added to the end of `log`.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: Vec<OsString>,
        log: PathBuf,
    ) -> Result<Self, ProcessError> {
        let log_error = |source| ProcessError::Log { path: log.clone(), source };
        let output = File::options().create(true).append(true).open(&log).map_err(log_error)?;
        let errors = output.try_clone().map_err(log_error)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "sh", "-c", GUARD])
            .arg(std::process::id().to_string())
            .arg(program)
            .args(arguments)
            // Ctrl-C reaches the parent alone, which then ends its children in the right order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let child = spawn(command).map_err(|source| ProcessError::Start { name, source })?;
        Ok(Self { name, child, log })
    }

    /// The program's name in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        // An error means that somebody else took the status; it runs no more either way.
        self.child.try_wait().unwrap_or_else(|_| Some(ExitStatus::default()))
    }

    /// The end of what it printed.
    pub(crate) fn log_tail(&self) -> String {
        log_tail(&self.log).unwrap_or_else(|error| format!("(cannot read its log: {error})"))
    }

    /// Stops it where it stands: connections stay open, nothing is answered. Returns once every
    /// thread of it has stopped, or after a second.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let deadline = Instant::now() + Duration::from_secs(1);
        while !self.is_stopped() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether every thread of it has stopped: the signal reaches a busy one only when it comes off
    /// its processor.
    fn is_stopped(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.child.id());
        let Ok(tasks) = fs::read_dir(tasks) else { return true };
        let is_stopped = |task: fs::DirEntry| {
            // `pid (name) state …`, and the name may hold anything.
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('T'))
        };
        tasks.flatten().all(is_stopped)
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Kills it and all it started, as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if self.exited().is_some() {
            return;
        }
        // Stopped first, so that it cannot start another child while they are counted.
        self.freeze();
        let descendants = descendants(self.id());
        // Ignored: it fails only when the process has ended meanwhile, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for descendant in descendants {
            let _ = kill(descendant, Signal::SIGKILL);
        }
    }

    fn signal(&self, signal: Signal) {
        // Ignored: it fails only when the process has ended, and then the tests see that.
        let _ = kill(pid(self.id()), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().expect("Linux numbers processes below 2^22"))
}

/// Starts `command` from the thread that lasts.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, SyncSender<io::Result<Child>>);
    static SPAWNER: LazyLock<SyncSender<Request>> = LazyLock::new(|| {
        let (requests, receiver) = sync_channel::<Request>(0);
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                // The asker waits for the answer, so it is there to take it.
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let (answer, spawned) = sync_channel(1);
    SPAWNER.send((command, answer)).expect("the spawning thread lasts as long as the process");
    spawned.recv().expect("the spawning thread answers every request")
}

/// All processes below `id`, whoever they are now children of in between.
fn descendants(id: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut unexplored = vec![id];
    while let Some(parent) = unexplored.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children: Vec<u32> =
                children.split_whitespace().filter_map(|child| child.parse().ok()).collect();
            found.extend(children.iter().copied().map(pid));
            unexplored.extend(children);
        }
    }
    found
}

fn log_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).trim().to_owned())
}
