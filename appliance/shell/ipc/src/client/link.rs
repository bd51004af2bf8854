//! The connection to the auditor, and the task that keeps it.
//!
//! ```text
//!   Down ──connected and greeted──▶ Up
//!    ▲ │ wait, twice as long          │
//!    └─┘ each time                    │
//!    ▲                                │
//!    └──lost, silent, refused─────────┘ every call under way fails with `Lost`
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fyr_model::Chain;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{AuditError, AuditState};
use crate::audit::{Answer, Call, Greeting, LogState, Request, Response};
use crate::frame::{self, FrameError};

/// Number of the link's own calls.
const PING_ID: u64 = 0;
/// First number of the calls of others.
pub(super) const FIRST_ID: u64 = 1;

/// Waits between attempts to connect: the socket is on this machine, so trying costs little, and
/// nothing is applied until it works.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Longest wait for a connection and its greeting.
const GREETING_WITHIN: Duration = Duration::from_secs(5);

/// How often the auditor is asked for its state, which also shows that it is alive.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Longest silence of an auditor that is asked every [`PING_EVERY`].
const SILENCE_MAX: Duration = Duration::from_secs(12);

/// Calls written at once.
const WRITE_JOBS_MAX: usize = 64;

/// A call on its way.
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) frame: Vec<u8>,
    pub(super) reply: oneshot::Sender<Result<Answer, AuditError>>,
}

/// Calls that wait for their answer.
type Pending = Arc<Mutex<BTreeMap<u64, oneshot::Sender<Result<Answer, AuditError>>>>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("cannot connect to {}", socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the auditor does not greet within {} s", GREETING_WITHIN.as_secs())]
    NoGreeting,
    #[error("the auditor closed the connection")]
    Closed,
    #[error("the auditor refused the connection: {reason}")]
    Unwelcome { reason: String },
    #[error("the connection to the auditor was lost")]
    Frame(#[source] FrameError),
    #[error("the task that reads the auditor's answers ended")]
    Reader,
}

/// Keeps the connection until every client is gone.
pub(super) struct Link {
    socket: PathBuf,
    jobs: mpsc::Receiver<Job>,
    state: Arc<watch::Sender<AuditState>>,
}

/// Every client is gone.
struct Abandoned;

impl Link {
    pub(super) fn new(
        socket: PathBuf,
        jobs: mpsc::Receiver<Job>,
        state: watch::Sender<AuditState>,
    ) -> Self {
        Self { socket, jobs, state: Arc::new(state) }
    }

    pub(super) async fn run(mut self) {
        let mut wait = RETRY_FIRST;
        loop {
            let socket = self.socket.clone();
            match self.while_refusing(connect(socket)).await {
                Err(Abandoned) => return,
                Ok(Err(error)) => self.down(&error),
                Ok(Ok((stream, log))) => {
                    wait = RETRY_FIRST;
                    self.state.send_replace(AuditState::Up(log));
                    if self.serve(stream).await.is_err() {
                        return;
                    }
                }
            }
            if self.while_refusing(sleep(wait)).await.is_err() {
                return;
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// The time of an interruption is that of its beginning, its reason the newest one.
    fn down(&self, error: &LinkError) {
        let reason = Chain(error).to_string();
        self.state.send_if_modified(|state| match state {
            AuditState::Up(_) => {
                *state = AuditState::Down { since: SystemTime::now(), reason };
                true
            }
            AuditState::Down { reason: known, .. } => {
                let changed = *known != reason;
                *known = reason;
                changed
            }
        });
    }

    /// Waits for `future`, and meanwhile answers calls with why they cannot be done.
    async fn while_refusing<F: Future>(&mut self, future: F) -> Result<F::Output, Abandoned> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                // Cancel-safe: it is pinned outside and goes on.
                output = &mut future => return Ok(output),
                // Cancel-safe: a job is received or still in the channel.
                job = self.jobs.recv() => match job {
                    None => return Err(Abandoned),
                    Some(job) => {
                        // Whoever asked may have given up waiting.
                        let _ = job.reply.send(Err(self.refusal()));
                    }
                },
            }
        }
    }

    fn refusal(&self) -> AuditError {
        match &*self.state.borrow() {
            AuditState::Down { since, reason } => {
                AuditError::Down { since: *since, reason: reason.clone() }
            }
            AuditState::Up(_) => AuditError::Lost,
        }
    }

    /// Carries calls and answers until the connection ends.
    async fn serve(&mut self, stream: UnixStream) -> Result<(), Abandoned> {
        let (reader, mut writer) = stream.into_split();
        let pending = Pending::default();
        let answers = read_answers(reader, Arc::clone(&pending), Arc::clone(&self.state));
        let mut answers = tokio::spawn(answers);
        let result = self.write_calls(&mut writer, &pending, &mut answers).await;
        answers.abort();
        // First of all: whoever hears of a lost call finds the state to match.
        if let Ok(error) = &result {
            self.down(error);
        }
        for reply in std::mem::take(&mut *lock(&pending)).into_values() {
            // Whoever asked may have given up waiting.
            let _ = reply.send(Err(AuditError::Lost));
        }
        result.map(drop)
    }

    /// Writes calls until the connection ends; returns why it did.
    async fn write_calls(
        &mut self,
        writer: &mut OwnedWriteHalf,
        pending: &Pending,
        answers: &mut JoinHandle<LinkError>,
    ) -> Result<LinkError, Abandoned> {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut jobs = Vec::with_capacity(WRITE_JOBS_MAX);
        loop {
            let mut frames = Vec::new();
            tokio::select! {
                // Cancel-safe: jobs are received or still in the channel.
                received = self.jobs.recv_many(&mut jobs, WRITE_JOBS_MAX) => {
                    if received == 0 {
                        return Err(Abandoned);
                    }
                    let mut pending = lock(pending);
                    for Job { id, frame, reply } in jobs.drain(..) {
                        pending.insert(id, reply);
                        frames.extend(frame);
                    }
                }
                // Cancel-safe: a tick that is not taken stays.
                _ = ping.tick() => {
                    // What nobody waits for any more need not be remembered.
                    lock(pending).retain(|_, reply| !reply.is_closed());
                    let call = Call { id: PING_ID, request: Request::State };
                    match frame::encode(&call) {
                        Ok(frame) => frames = frame,
                        Err(error) => return Ok(LinkError::Frame(error)),
                    }
                }
                // Cancel-safe: the task goes on by itself.
                ended = &mut *answers => return Ok(ended.unwrap_or(LinkError::Reader)),
            }
            // Outside the select: a frame is never cut.
            if let Err(error) = frame::write(writer, &frames).await {
                return Ok(LinkError::Frame(error));
            }
        }
    }
}

async fn connect(socket: PathBuf) -> Result<(UnixStream, LogState), LinkError> {
    let greeted = async {
        let connected = UnixStream::connect(&socket).await;
        let mut stream =
            connected.map_err(|source| LinkError::Connect { socket: socket.clone(), source })?;
        let content = frame::read(&mut stream, GREETING_WITHIN).await.map_err(LinkError::Frame)?;
        let content = content.ok_or(LinkError::Closed)?;
        let greeting = serde_json::from_slice(&content)
            .map_err(|error| LinkError::Frame(FrameError::Content(error)))?;
        match greeting {
            Greeting::Welcome(log) => Ok((stream, log)),
            Greeting::Unwelcome { reason } => Err(LinkError::Unwelcome { reason }),
        }
    };
    timeout(GREETING_WITHIN, greeted).await.unwrap_or(Err(LinkError::NoGreeting))
}

/// Hands answers to whoever waits for them, until the connection ends; returns why it did.
async fn read_answers(
    mut reader: OwnedReadHalf,
    pending: Pending,
    state: Arc<watch::Sender<AuditState>>,
) -> LinkError {
    loop {
        let content = match frame::read(&mut reader, SILENCE_MAX).await {
            Ok(Some(content)) => content,
            Ok(None) => return LinkError::Closed,
            Err(error) => return LinkError::Frame(error),
        };
        let Response { id, answer } = match serde_json::from_slice(&content) {
            Ok(response) => response,
            Err(error) => return LinkError::Frame(FrameError::Content(error)),
        };
        note(&state, &answer);
        if let Some(reply) = lock(&pending).remove(&id) {
            // Whoever asked may have given up waiting.
            let _ = reply.send(Ok(answer));
        }
    }
}

/// Keeps the log's state up to date. Only a new verdict on the log wakes those who wait.
fn note(state: &watch::Sender<AuditState>, answer: &Answer) {
    state.send_if_modified(|state| {
        let AuditState::Up(log) = state else { return false };
        match answer {
            Answer::Appended(appended) => {
                if appended.head.sequence > log.head.sequence {
                    log.head = appended.head;
                }
                false
            }
            Answer::State(newest) => {
                let changed = log.verification != newest.verification;
                *log = newest.clone();
                changed
            }
            Answer::Records(_) | Answer::Refused(_) => false,
        }
    });
}

/// The map is never left half changed, so a panic elsewhere does not spoil it.
fn lock(
    pending: &Pending,
) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Result<Answer, AuditError>>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
