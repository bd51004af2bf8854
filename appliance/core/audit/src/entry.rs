//! What the log says happened.

use fyr_model::{CommitId, Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A plan is about to be carried out.
    Intent,
    /// A plan was carried out, or given up.
    Outcome,
    /// An operator asked for something: sync, pause, resume, rollback.
    Operation,
    /// An operator asked for something and was refused.
    Denied,
    /// A daemon started or stopped.
    Daemon,
}

/// Who did it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// Fyr by itself: a commit, drift, a retry.
    Automation,
    /// A person on this machine, as the kernel knows the peer of a socket.
    Person {
        /// User id.
        uid: u32,
        /// User name, or the id as text when it has none.
        name: String,
    },
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Automation => f.write_str("automation"),
            Self::Person { name, .. } => f.write_str(name),
        }
    }
}

/// One thing that happened, before it has a place in the log.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// What kind of thing.
    pub kind: EntryKind,
    /// Who did it.
    pub actor: Actor,
    /// The application concerned.
    pub application: Option<String>,
    /// The cluster concerned.
    pub cluster: Option<String>,
    /// The commit concerned.
    pub revision: Option<CommitId>,
    /// Why, in the words of whoever asked; for automation, what made it act.
    pub reason: String,
    /// Identifies exactly what this is about: for intents and outcomes the plan's id.
    pub subject: Digest,
    /// More: for an intent its steps, for an outcome what became of them. Never the content of an
    /// object.
    pub details: Value,
}

/// The entry is larger than the log takes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an audit entry of {bytes} bytes is over the limit of {}", Entry::BYTES_MAX)]
pub struct EntryTooLarge {
    bytes: usize,
}

impl Entry {
    /// Most bytes of an entry as JSON. A plan of ten thousand steps stays below it.
    pub const BYTES_MAX: usize = 2 * 1024 * 1024;

    /// The entry as compact JSON with sorted keys in `details`: equal entries give equal bytes.
    pub fn canonical(&self) -> Result<Vec<u8>, EntryTooLarge> {
        let bytes = serde_json::to_vec(self).expect("an entry has only string keys");
        if bytes.len() > Self::BYTES_MAX {
            return Err(EntryTooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }
}
