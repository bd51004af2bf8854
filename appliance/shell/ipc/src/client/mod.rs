//! The client of the audit log: the only place where a plan becomes one that may be carried out.

mod link;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fyr_audit::{
    Entry, EntryError, EntryKind, Head, Intent, Receipt, Record, Recorded, WrongReceipt,
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::audit::{
    Answer, Appended, Call, FOLLOW_HOLD_MS, LogState, PAGE_RECORDS_MAX, Page, Query, Refusal,
    Request,
};
use crate::frame;
use link::{Job, Link};

/// Calls under way at a time; more wait in line. Twice what a thousand applications start at once
/// with eight clusters, and about 1 MiB.
const IN_FLIGHT_MAX: usize = 512;

/// Longest wait for a record to be on the disk. A commit takes milliseconds, on a disk under heavy
/// load a second or two.
const APPEND_WITHIN: Duration = Duration::from_secs(10);

/// Longest wait for records, which may be read from far back.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Most records that one [`AuditClient::list`] returns.
const LIST_RECORDS_MAX: u32 = 10_000;

/// Why something was not recorded, or the log not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuditError {
    /// The auditor cannot be reached. Nothing was recorded.
    #[error("the audit log cannot be reached: {reason}")]
    Down {
        /// Since when.
        since: SystemTime,
        /// Why.
        reason: String,
    },
    /// The connection ended before the answer came: it is not known whether it was recorded.
    #[error("the connection to the audit log was lost before it answered")]
    Lost,
    /// No answer came in time: it is not known whether it was recorded.
    #[error("the audit log did not answer within {} s", within.as_secs())]
    Late {
        /// How long was waited.
        within: Duration,
    },
    /// The auditor refused. Nothing was recorded.
    #[error("the audit log refused")]
    Refused(#[source] Refusal),
    /// The entry cannot be sent. Nothing was recorded.
    #[error("the entry cannot be recorded")]
    Entry(#[source] EntryError),
    /// The entry is not an intent, or that of something else. Nothing was recorded.
    #[error("the entry is not the intent that it was given for")]
    OtherIntent,
    /// The auditor says that it recorded another intent.
    #[error("the audit log holds something else")]
    WrongReceipt(#[source] WrongReceipt),
    /// The auditor answered something that makes no sense.
    #[error("the audit log answered out of turn: {reason}")]
    Confused {
        /// What.
        reason: String,
    },
}

/// Whether the auditor can be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuditState {
    /// It can. The log's end moves on without waking those who wait for changes.
    Up(LogState),
    /// It cannot: nothing may be changed on a cluster.
    Down {
        /// Since when.
        since: SystemTime,
        /// Why.
        reason: String,
    },
}

/// Asks the auditor. Clones share one connection, which is made anew whenever it is lost.
#[derive(Clone, Debug)]
pub struct AuditClient {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<AuditState>,
    ids: Arc<AtomicU64>,
    in_flight: Arc<Semaphore>,
}

impl AuditClient {
    /// Begins to connect to the auditor's socket, in a task of the current runtime that ends with
    /// the last clone.
    pub fn new(socket: &Path) -> Self {
        let (jobs, queue) = mpsc::channel(IN_FLIGHT_MAX);
        let reason = "not connected yet".to_owned();
        let (sender, state) = watch::channel(AuditState::Down { since: SystemTime::now(), reason });
        tokio::spawn(Link::new(socket.to_owned(), queue, sender).run());
        Self {
            jobs,
            state,
            // The link's own calls have the numbers below.
            ids: Arc::new(AtomicU64::new(link::FIRST_ID)),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        }
    }

    /// Whether the auditor can be reached, now and as it changes.
    pub fn state(&self) -> watch::Receiver<AuditState> {
        self.state.clone()
    }

    /// Waits until the auditor can be reached; the last error when it cannot `within` that time.
    pub async fn connected(&self, within: Duration) -> Result<LogState, AuditError> {
        let mut state = self.state.clone();
        let up = |state: &AuditState| matches!(state, AuditState::Up(_));
        // On time-out the state itself says what is wrong.
        let _ = timeout(within, state.wait_for(up)).await;
        match &*self.state.borrow() {
            AuditState::Up(log) => Ok(log.clone()),
            AuditState::Down { since, reason } => {
                Err(AuditError::Down { since: *since, reason: reason.clone() })
            }
        }
    }

    /// Records the intent to do `value`; gives it back as something that may be done, or as it was
    /// with the reason why not. `entry` must be of kind [`EntryKind::Intent`] with the value's
    /// digest as its subject.
    pub async fn record<T: Intent + Send>(
        &self,
        value: T,
        entry: Entry,
    ) -> Result<Recorded<T>, (T, AuditError)> {
        if entry.kind != EntryKind::Intent || entry.subject != value.digest() {
            return Err((value, AuditError::OtherIntent));
        }
        match self.append(entry).await {
            Ok(receipt) => Recorded::new(value, receipt)
                .map_err(|(value, wrong)| (value, AuditError::WrongReceipt(wrong))),
            Err(error) => Err((value, error)),
        }
    }

    /// Appends an entry; returns once it is on the disk.
    pub async fn append(&self, entry: Entry) -> Result<Receipt, AuditError> {
        entry.canonical().map_err(AuditError::Entry)?;
        match self.call(Request::Append(Box::new(entry)), APPEND_WITHIN).await? {
            Answer::Appended(Appended { head, subject }) => {
                Ok(Receipt { sequence: head.sequence, hash: head.hash, subject })
            }
            other => Err(confused(&other)),
        }
    }

    /// The records of `query`, at most 10 000, in the order in which they were written.
    pub async fn list(&self, query: Query) -> Result<Vec<Record>, AuditError> {
        let mut pages: Vec<Vec<Record>> = Vec::new();
        let mut left = query.limit.min(LIST_RECORDS_MAX);
        let mut query = query;
        while left > 0 {
            query.limit = left.min(PAGE_RECORDS_MAX);
            let page = self.page(Request::List(query.clone())).await?;
            let (Some(first), Some(last)) = (page.records.first(), page.records.last()) else {
                break;
            };
            if query.newest {
                query.before = Some(first.sequence);
            } else {
                query.after = last.sequence;
            }
            left = left.saturating_sub(u32::try_from(page.records.len()).unwrap_or(u32::MAX));
            pages.push(page.records);
            if page.complete {
                break;
            }
        }
        if query.newest {
            pages.reverse();
        }
        Ok(pages.concat())
    }

    /// The records that come after number `after`, as they come; 0 begins at the start of the log.
    /// The bounds of `query` by application, cluster and actor count, the others do not.
    pub fn follow(&self, after: u64, query: Query) -> Follower {
        let limit = PAGE_RECORDS_MAX;
        let query = Query { newest: false, after, before: None, limit, ..query };
        Follower { client: self.clone(), query }
    }

    /// Where the log ends.
    pub async fn head(&self) -> Result<Head, AuditError> {
        self.log_state().await.map(|state| state.head)
    }

    /// How the log stands, as the auditor says now.
    pub async fn log_state(&self) -> Result<LogState, AuditError> {
        match self.call(Request::State, APPEND_WITHIN).await? {
            Answer::State(state) => Ok(state),
            other => Err(confused(&other)),
        }
    }

    async fn page(&self, request: Request) -> Result<Page, AuditError> {
        match self.call(request, READ_WITHIN).await? {
            Answer::Records(page) => Ok(page),
            other => Err(confused(&other)),
        }
    }

    async fn call(&self, request: Request, within: Duration) -> Result<Answer, AuditError> {
        self.fail_if_down()?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(&Call { id, request }).map_err(|error| AuditError::Confused {
            reason: fyr_model::Chain(&error).to_string(),
        })?;
        let exchange = async {
            let lost = |_| AuditError::Lost;
            let _permit = self.in_flight.acquire().await.map_err(lost)?;
            let (reply, answer) = oneshot::channel();
            self.jobs.send(Job { id, frame, reply }).await.map_err(|_| AuditError::Lost)?;
            answer.await.map_err(|_| AuditError::Lost)?
        };
        match timeout(within, exchange).await {
            Ok(Ok(Answer::Refused(refusal))) => Err(AuditError::Refused(refusal)),
            Ok(result) => result,
            Err(_) => Err(AuditError::Late { within }),
        }
    }

    fn fail_if_down(&self) -> Result<(), AuditError> {
        match &*self.state.borrow() {
            AuditState::Up(_) => Ok(()),
            AuditState::Down { since, reason } => {
                Err(AuditError::Down { since: *since, reason: reason.clone() })
            }
        }
    }
}

fn confused(answer: &Answer) -> AuditError {
    let what = match answer {
        Answer::Appended(_) => "a place in the log",
        Answer::Records(_) => "records",
        Answer::State(_) => "its state",
        Answer::Refused(_) => "a refusal",
    };
    AuditError::Confused { reason: format!("{what} where something else was asked for") }
}

/// Records as they come.
#[derive(Debug)]
pub struct Follower {
    client: AuditClient,
    query: Query,
}

impl Follower {
    /// The next records; none when nothing came for a while, or nothing that matches. After an
    /// error it goes on where it was.
    ///
    /// Cancel-safe: what was not returned comes again.
    pub async fn next(&mut self) -> Result<Vec<Record>, AuditError> {
        const { assert!(FOLLOW_HOLD_MS < 30_000, "the auditor answers before we stop waiting") };
        let page = self.client.page(Request::Follow(self.query.clone())).await?;
        let last = page.records.last().map_or(0, |record| record.sequence);
        let seen = if page.complete { page.through } else { last };
        self.query.after = self.query.after.max(last).max(seen);
        Ok(page.records)
    }
}
