//! What goes over the auditor's socket.
//!
//! The auditor greets first. Then the client calls and the auditor answers; an answer has the
//! number of its call, and answers come in any order.

use fyr_audit::{Broken, Entry, Head, Record};
use fyr_model::Digest;
use serde::{Deserialize, Serialize};

/// The auditor's first message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Greeting {
    /// Calls are answered.
    Welcome(LogState),
    /// The peer may not call; the connection is closed.
    Unwelcome {
        /// Why.
        reason: String,
    },
}

/// How the log stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogState {
    /// Its end.
    pub head: Head,
    /// How far it was checked since the auditor started.
    pub verification: Verification,
}

/// How far a log was checked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// The records up to this one are as they were written; the others are being checked.
    Running {
        /// The last one checked.
        through: u64,
    },
    /// All records that were there when the auditor started are as they were written. Those after
    /// it the auditor wrote itself.
    Intact {
        /// The last one checked.
        through: u64,
    },
    /// The log was changed by something else than the auditor.
    Broken(Broken),
    /// The log could not be read to its end.
    Unreadable {
        /// What failed.
        reason: String,
    },
}

/// A call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Append an entry: answered with [`Answer::Appended`] once it is on the disk.
    Append(Box<Entry>),
    /// Records that are there: answered with [`Answer::Records`].
    List(Query),
    /// Records that are there or come: as `List`, but answered only once there is something new
    /// after `after`, or [`FOLLOW_HOLD_MS`] have passed.
    Follow(Query),
    /// How the log stands: answered with [`Answer::State`].
    State,
}

/// Longest that the auditor holds a `Follow` back, in milliseconds.
pub const FOLLOW_HOLD_MS: u64 = 20_000;

/// Most records in one answer; larger listings take several calls.
pub const PAGE_RECORDS_MAX: u32 = 1000;

/// Which records. They come in the order in which they were written.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Query {
    /// Only records after this number; 0 is before the first.
    pub after: u64,
    /// Only records before this number.
    pub before: Option<u64>,
    /// Only records since this time, in milliseconds since the epoch.
    pub since: Option<u64>,
    /// Only records until this time, in milliseconds since the epoch.
    pub until: Option<u64>,
    /// Only records about this application.
    pub application: Option<String>,
    /// Only records about this cluster.
    pub cluster: Option<String>,
    /// Only records of this actor: a user name, or `automation`.
    pub actor: Option<String>,
    /// If there are more than the limit: the newest ones instead of the oldest ones.
    pub newest: bool,
    /// Most records to return; 0 returns none.
    pub limit: u32,
}

/// A call with its number.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Call<R> {
    /// Chosen by the client; its answer has the same.
    pub id: u64,
    /// What is asked.
    pub request: R,
}

/// An answer with the number of its call.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Response {
    /// That of the call.
    pub id: u64,
    /// The answer.
    pub answer: Answer,
}

/// An answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The entry is on the disk.
    Appended(Appended),
    /// Records.
    Records(Page),
    /// How the log stands.
    State(LogState),
    /// It was not done.
    Refused(Refusal),
}

/// Where an entry stands in the log.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Appended {
    /// The record, which is the log's end at this moment.
    pub head: Head,
    /// Subject of the entry, as the log holds it.
    pub subject: Digest,
}

/// Some of the records that were asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Whether there were no more within the query's bounds, whatever its limit.
    pub complete: bool,
    /// The log's end when they were read.
    pub through: u64,
}

/// Why a call was not done. Nothing was recorded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The disk is full.
    #[error("there is no space left for the audit log")]
    NoSpace,
    /// The log's file cannot be read or written.
    #[error("the audit log failed: {reason}")]
    Storage {
        /// What failed.
        reason: String,
    },
    /// The call makes no sense to the auditor.
    #[error("the auditor does not take this: {reason}")]
    Invalid {
        /// Why not.
        reason: String,
    },
    /// A record that was asked for is not as it was written.
    #[error("the audit log is damaged: {reason}")]
    Damaged {
        /// Which record, and how.
        reason: String,
    },
    /// Too much is under way.
    #[error("the auditor is busy")]
    Busy,
    /// The auditor is about to end.
    #[error("the auditor is stopping")]
    Stopping,
}
