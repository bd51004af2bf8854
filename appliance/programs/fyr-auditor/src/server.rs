//! Answers calls on the socket.
//!
//! ```text
//!   connection: read a call ──a task each──▶ log ──▶ answers ──▶ write what is ready at once
//! ```
//!
//! A connection reads on while calls are under way, so that the entries of many callers share a
//! commit. Over its limit of calls it stops reading, which holds the client back.

use std::sync::Arc;
use std::time::Duration;

use fyr_audit::Entry;
use fyr_ipc::audit::{
    Answer, Call, FOLLOW_HOLD_MS, Greeting, Page, Query, Refusal, Request, Response,
};
use fyr_ipc::{Accepted, Connection, Listener, Peer, frame};
use fyr_model::Chain;
use fyr_store::sqlite::WriteError;
use serde_json::value::RawValue;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

use crate::log::AppendError;
use crate::{Log, QueryError};

/// Calls of one connection under way; a client has half of that.
const CALLS_MAX: usize = 1024;

/// Calls of one connection that wait for something new.
const FOLLOWERS_MAX: usize = 16;

/// Answers that wait to be written.
const ANSWERS_MAX: usize = 64;

/// Longest silence of a client. Ours asks for the state every few seconds.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Pause after a connection could not be accepted: mostly too many open files, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest wait for calls under way when stopping; a commit takes milliseconds.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Accepts connections until `stop` becomes true, then lets calls under way end.
pub(crate) async fn serve(listener: Listener, log: Log, stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        tokio::select! {
            // Cancel-safe: it only looks at the newest value.
            () = until(&mut stopped) => break,
            // Cancel-safe: see `Listener::accept`.
            accepted = listener.accept() => match accepted {
                Ok(accepted) => {
                    connections.spawn(greet(accepted, log.clone(), stop.clone()));
                }
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            // Cancel-safe: a task is reaped or not. Panics of one are no matter of the others.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_WITHIN, ended).await.is_err() {
        warn!(connections = connections.len(), "calls were still under way");
    }
}

async fn greet(accepted: Accepted, log: Log, stop: watch::Receiver<bool>) {
    match accepted {
        Accepted::Admitted(mut connection) => {
            let peer = connection.peer;
            if say(&mut connection, &Greeting::Welcome(log.state())).await {
                info!(uid = peer.uid, pid = peer.pid, "connected");
                attend(connection, log, stop).await;
                info!(uid = peer.uid, pid = peer.pid, "disconnected");
            }
        }
        Accepted::Refused(mut connection) => {
            let Peer { uid, pid, .. } = connection.peer;
            warn!(uid, pid, "refused a connection of a user who may not use the log");
            let reason = format!("user {uid} may not use the audit log; see --allow-uid");
            // It may have gone already.
            let _ = say(&mut connection, &Greeting::Unwelcome { reason }).await;
        }
    }
}

/// Whether the peer was there to hear it.
async fn say(connection: &mut Connection, greeting: &Greeting) -> bool {
    match frame::encode(greeting) {
        Ok(bytes) => frame::write(&mut connection.stream, &bytes).await.is_ok(),
        Err(_) => false,
    }
}

async fn attend(connection: Connection, log: Log, stop: watch::Receiver<bool>) {
    // Its place is taken until this ends.
    let Connection { stream, .. } = connection;
    let (reader, writer) = stream.into_split();
    let (answers, queue) = mpsc::channel(ANSWERS_MAX);
    let writing = tokio::spawn(write_answers(writer, queue));
    let (end, ended) = watch::channel(false);
    let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
    let desk = Desk { log, answers, followers, ended };
    read_calls(reader, &desk, stop).await;
    end.send_replace(true);
    // The writer ends with the last answer: every call under way has a clone of its queue.
    drop(desk);
    // A panic of it ends the connection, which is all there is to do.
    let _ = writing.await;
}

/// What every call of a connection needs.
#[derive(Clone)]
struct Desk {
    log: Log,
    answers: mpsc::Sender<Response>,
    followers: Arc<Semaphore>,
    /// Becomes true when nothing is read any more: those who wait for something new give up.
    ended: watch::Receiver<bool>,
}

/// Returns once the value is true, or nobody can make it so any more.
async fn until(condition: &mut watch::Receiver<bool>) {
    // Both mean the same to everybody here.
    let _ = condition.wait_for(|met| *met).await;
}

async fn read_calls(mut reader: OwnedReadHalf, desk: &Desk, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CALLS_MAX));
    loop {
        let content = tokio::select! {
            // Not cancel-safe, and need not be: after it nothing is read any more.
            content = frame::read(&mut reader, SILENCE_MAX) => content,
            // Cancel-safe: it only looks at the newest value.
            () = until(&mut stop) => return,
            // Cancel-safe: it only waits.
            () = desk.answers.closed() => return,
        };
        let content = match content {
            Ok(Some(content)) => content,
            Ok(None) => return,
            Err(error) => {
                warn!("a connection is given up: {}", Chain(&error));
                return;
            }
        };
        let call: Call<&RawValue> = match serde_json::from_slice(&content) {
            Ok(call) => call,
            Err(error) => {
                warn!(%error, "a connection is given up: a message is not a call");
                return;
            }
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let id = call.id;
        match serde_json::from_str(call.request.get()) {
            Ok(request) => drop(tokio::spawn(desk.clone().answer(id, request, place))),
            Err(error) => {
                let reason = format!("it is not a call of this version: {error}");
                let answer = Answer::Refused(Refusal::Invalid { reason });
                // Fails only once the connection is gone, which the next turn notices.
                let _ = desk.answers.send(Response { id, answer }).await;
            }
        }
    }
}

/// Writes answers, as many at once as are ready.
async fn write_answers(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Response>) {
    let mut ready = Vec::with_capacity(ANSWERS_MAX);
    while queue.recv_many(&mut ready, ANSWERS_MAX).await > 0 {
        let mut frames = Vec::new();
        for response in ready.drain(..) {
            match encode(&response) {
                Ok(frame) => frames.extend(frame),
                Err(error) => {
                    warn!("a connection is given up: {}", Chain(&error));
                    return;
                }
            }
        }
        if let Err(error) = frame::write(&mut writer, &frames).await {
            debug!("answers were not taken: {}", Chain(&error));
            return;
        }
    }
}

/// An answer that does not fit a message is refused instead.
fn encode(response: &Response) -> Result<Vec<u8>, frame::FrameError> {
    frame::encode(response).or_else(|error| {
        let reason = Chain(&error).to_string();
        let answer = Answer::Refused(Refusal::Storage { reason });
        frame::encode(&Response { id: response.id, answer })
    })
}

impl Desk {
    async fn answer(self, id: u64, request: Request, _place: OwnedSemaphorePermit) {
        let answer = match request {
            Request::Append(entry) => self.append(&entry).await,
            Request::List(query) => page(&self.log, query).await,
            Request::Follow(query) => self.follow(query).await,
            Request::State => Answer::State(self.log.state()),
        };
        // Fails only once the connection is gone.
        let _ = self.answers.send(Response { id, answer }).await;
    }

    async fn append(&self, entry: &Entry) -> Answer {
        match self.log.append(entry).await {
            Ok(appended) => Answer::Appended(appended),
            Err(error) => {
                warn!("an entry was refused: {}", Chain(&error));
                let reason = Chain(&error).to_string();
                Answer::Refused(match error {
                    AppendError::Entry(_) => Refusal::Invalid { reason },
                    AppendError::Write(WriteError::NoSpace(_)) => Refusal::NoSpace,
                    AppendError::Write(WriteError::Closed) => Refusal::Stopping,
                    AppendError::Write(_) => Refusal::Storage { reason },
                })
            }
        }
    }

    /// Answers at once if there is something, and otherwise once there is or time is up.
    async fn follow(&self, mut query: Query) -> Answer {
        let Ok(_follower) = Arc::clone(&self.followers).try_acquire_owned() else {
            return Answer::Refused(Refusal::Busy);
        };
        let deadline = Instant::now() + Duration::from_millis(FOLLOW_HOLD_MS);
        let mut head = self.log.head();
        let mut ended = self.ended.clone();
        loop {
            let after = query.after;
            let grown = tokio::select! {
                // Cancel-safe: it only looks at the newest value.
                grown = timeout_at(deadline, head.wait_for(|head| head.sequence > after)) => {
                    matches!(grown, Ok(Ok(_)))
                }
                // Cancel-safe: as above.
                () = until(&mut ended) => return Answer::Refused(Refusal::Stopping),
            };
            match page(&self.log, query.clone()).await {
                // What came does not match: wait on behind it.
                Answer::Records(Page { records, complete: true, through })
                    if records.is_empty() && grown =>
                {
                    query.after = after.max(through);
                }
                answer => return answer,
            }
        }
    }
}

async fn page(log: &Log, query: Query) -> Answer {
    match log.page(query).await {
        Ok(page) => Answer::Records(page),
        Err(error) => {
            warn!("records were not read: {}", Chain(&error));
            let reason = Chain(&error).to_string();
            Answer::Refused(match error {
                QueryError::Read(_) => Refusal::Storage { reason },
                QueryError::Decode(_) => Refusal::Damaged { reason },
            })
        }
    }
}
