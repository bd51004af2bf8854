//! What is said over the auditor's socket.

use fyr_audit::{Entry, Head, Receipt, Record};
use serde::{Deserialize, Serialize};

/// A request with the number its reply will bear: many can be under way at once.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Chosen by the client.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked of the auditor.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Append this entry; the reply comes once it is on disk.
    Append(Box<Entry>),
    /// Give these records.
    List(Query),
    /// Say where the log ends.
    Head,
}

/// Which records are wanted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Query {
    /// Only records after this number.
    pub after: u64,
    /// Only records of this application.
    pub application: Option<String>,
    /// Only records of this cluster.
    pub cluster: Option<String>,
    /// Only records not before this time, in milliseconds since the epoch.
    pub since: Option<u64>,
    /// The newest ones instead of the oldest ones; in either case oldest first.
    pub newest: bool,
    /// At most this many.
    pub limit: u32,
}

impl Query {
    /// Most records of one reply.
    pub const LIMIT_MAX: u32 = 1000;
}

/// A reply with the number of its request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The number of the request.
    pub id: u64,
    /// The answer.
    pub answer: Answer,
}

/// What the auditor answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The entry is on disk.
    Appended(Receipt),
    /// The records.
    Records(Vec<Record>),
    /// Where the log ends.
    Head(Head),
    /// It could not be done, and why.
    Refused(String),
}
