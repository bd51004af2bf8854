//! The client of the auditor: the only maker of `Recorded` values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fyr_audit::{Entry, Head, Intent, Receipt, Record, Recorded, WrongReceipt};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::frame::{FrameError, encode_frame, read_frame};
use crate::message::{Answer, Ask, Query, Reply, Request};

/// Requests waiting for the connection; more are refused as if it were down.
const REQUESTS_MAX: usize = 4096;
/// Longest wait for an answer: the auditor answers after a flush to disk, and a disk that takes
/// longer is a failed one.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// First and longest pause between tries to connect.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Why the log did not take an entry, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nobody answers at the socket.
    #[error("the audit log cannot be reached: {reason}")]
    Down {
        /// Why.
        reason: String,
    },
    /// The auditor refused.
    #[error("the audit log refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// No answer in time. The entry may be in the log all the same.
    #[error("the audit log did not answer within {} s", ANSWER_WITHIN.as_secs())]
    TimedOut,
    /// The answer is not one to the question.
    #[error("the audit log answered something else than was asked")]
    Nonsense,
    /// The log holds another intent than the one sent.
    #[error("the audit log holds something else")]
    Wrong(#[source] WrongReceipt),
}

/// Whether the log takes entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuditState {
    /// It does.
    Up,
    /// It does not.
    Down {
        /// Since when.
        since: SystemTime,
        /// Why.
        reason: String,
    },
}

type Waiting = oneshot::Sender<Result<Answer, String>>;

/// A client of the auditor. Clones share one connection, over which any number of requests can be
/// under way, so that many are flushed to disk at once.
#[derive(Clone, Debug)]
pub struct AuditClient {
    requests: mpsc::Sender<(Ask, Waiting)>,
    state: watch::Receiver<AuditState>,
}

impl AuditClient {
    /// A client of the auditor at `socket`. It connects in the background, again and again if need
    /// be; while it is not connected, requests fail at once. Its task ends with its last clone.
    pub fn new(socket: &Path) -> Self {
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let down =
            AuditState::Down { since: SystemTime::now(), reason: "not connected yet".to_owned() };
        let (sender, state) = watch::channel(down);
        tokio::spawn(keep_connected(socket.to_owned(), queue, sender));
        Self { requests, state }
    }

    /// Records the intent to do what `value` says; on failure the value comes back.
    pub async fn record<T: Intent>(
        &self,
        value: T,
        entry: Entry,
    ) -> Result<Recorded<T>, (T, AuditError)> {
        match self.append(entry).await {
            Err(error) => Err((value, error)),
            Ok(receipt) => Recorded::new(value, receipt)
                .map_err(|(value, wrong)| (value, AuditError::Wrong(wrong))),
        }
    }

    /// Appends an entry; returns once it is on disk.
    pub async fn append(&self, entry: Entry) -> Result<Receipt, AuditError> {
        match self.ask(Ask::Append(Box::new(entry))).await? {
            Answer::Appended(receipt) => Ok(receipt),
            _ => Err(AuditError::Nonsense),
        }
    }

    /// Reads records, oldest first.
    pub async fn list(&self, query: Query) -> Result<Vec<Record>, AuditError> {
        match self.ask(Ask::List(query)).await? {
            Answer::Records(records) => Ok(records),
            _ => Err(AuditError::Nonsense),
        }
    }

    /// Where the log ends.
    pub async fn head(&self) -> Result<Head, AuditError> {
        match self.ask(Ask::Head).await? {
            Answer::Head(head) => Ok(head),
            _ => Err(AuditError::Nonsense),
        }
    }

    /// Whether the log takes entries, as a value that changes.
    pub fn state(&self) -> watch::Receiver<AuditState> {
        self.state.clone()
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, AuditError> {
        let down = |reason: &str| AuditError::Down { reason: reason.to_owned() };
        let (sender, answer) = oneshot::channel();
        self.requests
            .try_send((ask, sender))
            .map_err(|_| down("too many entries are waiting for it"))?;
        match timeout(ANSWER_WITHIN, answer).await {
            Err(_) => Err(AuditError::TimedOut),
            Ok(Err(_)) => Err(down("the connection broke")),
            Ok(Ok(Err(reason))) => Err(AuditError::Down { reason }),
            Ok(Ok(Ok(Answer::Refused(reason)))) => Err(AuditError::Refused { reason }),
            Ok(Ok(Ok(answer))) => Ok(answer),
        }
    }
}

/// Connects, serves until the connection breaks, and begins again.
async fn keep_connected(
    socket: PathBuf,
    mut queue: mpsc::Receiver<(Ask, Waiting)>,
    state: watch::Sender<AuditState>,
) {
    let mut pause = RECONNECT.0;
    loop {
        let reason = match UnixStream::connect(&socket).await {
            Ok(stream) => {
                state.send_replace(AuditState::Up);
                pause = RECONNECT.0;
                match serve(stream, &mut queue).await {
                    Some(reason) => reason,
                    None => return,
                }
            }
            Err(error) => format!("{}: {error}", socket.display()),
        };
        go_down(&state, &reason);
        if !refuse_for(pause, &mut queue, &reason).await {
            return;
        }
        pause = (pause * 2).min(RECONNECT.1);
    }
}

/// The state keeps the time of the first failure.
fn go_down(state: &watch::Sender<AuditState>, reason: &str) {
    state.send_if_modified(|state| {
        let since = match state {
            AuditState::Down { reason: known, .. } if known == reason => return false,
            AuditState::Down { since, .. } => *since,
            AuditState::Up => SystemTime::now(),
        };
        *state = AuditState::Down { since, reason: reason.to_owned() };
        true
    });
}

/// Refuses what is asked for a while; `false` when nobody is left to ask.
async fn refuse_for(
    pause: Duration,
    queue: &mut mpsc::Receiver<(Ask, Waiting)>,
    reason: &str,
) -> bool {
    let timer = sleep(pause);
    tokio::pin!(timer);
    loop {
        tokio::select! {
            // Cancel-safe: a timer that is pinned outside.
            () = &mut timer => return true,
            // Cancel-safe: a request is received or still in the channel.
            request = queue.recv() => match request {
                // Whoever asked may have given up.
                Some((_, waiting)) => drop(waiting.send(Err(reason.to_owned()))),
                None => return false,
            },
        }
    }
}

/// Serves one connection; gives back why it ended, or `None` when nobody is left to ask.
async fn serve(stream: UnixStream, queue: &mut mpsc::Receiver<(Ask, Waiting)>) -> Option<String> {
    let (reader, mut writer) = stream.into_split();
    let (answers, mut answered) = mpsc::channel(REQUESTS_MAX);
    // A task of its own, because reading a frame is not cancel-safe.
    let reading = tokio::spawn(read_replies(reader, answers));
    let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
    let mut next_id = 0;
    let ended = loop {
        tokio::select! {
            // Cancel-safe: a request is received or still in the channel.
            request = queue.recv() => {
                let Some((ask, sender)) = request else { break None };
                next_id += 1;
                waiting.insert(next_id, sender);
                if let Err(reason) = send(&mut writer, Request { id: next_id, ask }).await {
                    break Some(reason);
                }
                // Those that gave up do not stay in the way.
                waiting.retain(|_, sender| !sender.is_closed());
            }
            // Cancel-safe: a reply is received or still in the channel.
            reply = answered.recv() => match reply {
                Some(Ok(Reply { id, answer })) => {
                    if let Some(sender) = waiting.remove(&id) {
                        // Whoever asked may have given up.
                        let _ = sender.send(Ok(answer));
                    }
                }
                Some(Err(error)) => break Some(error.to_string()),
                None => break Some("the auditor closed the connection".to_owned()),
            },
        }
    };
    reading.abort();
    let reason = ended.clone().unwrap_or_default();
    for sender in waiting.into_values() {
        let _ = sender.send(Err(reason.clone()));
    }
    ended
}

async fn send(writer: &mut OwnedWriteHalf, request: Request) -> Result<(), String> {
    let bytes = encode_frame(&request).map_err(|error| error.to_string())?;
    match timeout(ANSWER_WITHIN, writer.write_all(&bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the auditor does not read".to_owned()),
    }
}

async fn read_replies(
    mut reader: OwnedReadHalf,
    answers: mpsc::Sender<Result<Reply, Arc<FrameError>>>,
) {
    loop {
        let reply = match read_frame(&mut reader).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => return,
            Err(error) => Err(Arc::new(error)),
        };
        let ended = reply.is_err();
        if answers.send(reply).await.is_err() || ended {
            return;
        }
    }
}
