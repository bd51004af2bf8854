//! What the log says happened.

use std::fmt;

use fyr_model::{CommitId, Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{NotCanonical, canonical};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A plan is about to be carried out.
    Intent,
    /// A plan was carried out, or given up.
    Outcome,
    /// Somebody asked for something.
    Operation(Operation),
    /// Somebody asked for something and was refused.
    Denied(Operation),
    /// A daemon started or stopped.
    Daemon(DaemonEvent),
    /// An object that somebody else made was taken over.
    Adopted,
}

/// What people can ask for. Desired state they change by committing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Look at Git and the cluster now.
    Refresh,
    /// Bring the cluster in line now.
    Sync,
    /// Leave the application alone.
    Pause,
    /// No longer leave it alone.
    Resume,
    /// Go back to an earlier deployment and stay there.
    Rollback,
    /// Give up what is being done.
    Terminate,
}

/// What becomes of a daemon.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonEvent {
    /// It started.
    Started,
    /// It was told to stop. A start without it means that the daemon crashed or was killed.
    Stopped,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intent => f.write_str("intent"),
            Self::Outcome => f.write_str("outcome"),
            Self::Operation(operation) => write!(f, "{operation} requested"),
            Self::Denied(operation) => write!(f, "{operation} denied"),
            Self::Daemon(DaemonEvent::Started) => f.write_str("daemon started"),
            Self::Daemon(DaemonEvent::Stopped) => f.write_str("daemon stopped"),
            Self::Adopted => f.write_str("adopted"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refresh => "refresh",
            Self::Sync => "sync",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rollback => "rollback",
            Self::Terminate => "terminate",
        })
    }
}

/// Who did it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
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

impl Actor {
    /// The name that stands for [`Actor::Automation`].
    pub const AUTOMATION: &'static str = "automation";
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Automation => f.write_str(Self::AUTOMATION),
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
    /// Identifies exactly what this is about: for intents and outcomes the plan's id, for an
    /// operation whatever tells it from others.
    pub subject: Digest,
    /// More: for an intent its steps, for an outcome what became of them. Never the content of an
    /// object.
    pub details: Value,
}

/// Why the log does not take an entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EntryError {
    /// It is too large.
    #[error("an audit entry of {bytes} bytes is over the limit of {}", Entry::BYTES_MAX)]
    TooLarge {
        /// Its size as canonical JSON.
        bytes: usize,
    },
    /// Its details have no canonical form.
    #[error("the details of an audit entry cannot be encoded")]
    Details(#[source] NotCanonical),
}

impl Entry {
    /// Most bytes of an entry as canonical JSON. [`crate::steps`] stays below it whatever the
    /// length of a plan.
    pub const BYTES_MAX: usize = 1024 * 1024;

    /// An entry about nothing in particular: the caller sets the other fields. Its subject is the
    /// digest of the reason.
    pub fn new(kind: EntryKind, actor: Actor, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            kind,
            actor,
            application: None,
            cluster: None,
            revision: None,
            subject: Digest::of(reason.as_bytes()),
            reason,
            details: Value::Null,
        }
    }

    /// The entry as JSON in its one form: equal entries give equal text.
    pub fn canonical(&self) -> Result<String, EntryError> {
        let value = serde_json::to_value(self).map_err(|error| {
            EntryError::Details(NotCanonical::NotJson { reason: error.to_string() })
        })?;
        let text = canonical(&value).map_err(EntryError::Details)?;
        if text.len() > Self::BYTES_MAX {
            return Err(EntryError::TooLarge { bytes: text.len() });
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Entry {
        let person = Actor::Person { uid: 1000, name: "kari".to_owned() };
        Entry {
            application: Some("shop".to_owned()),
            cluster: Some("prod".to_owned()),
            revision: Some("a".repeat(40).parse().unwrap()),
            details: json!({"b": 1, "a": [2]}),
            ..Entry::new(EntryKind::Denied(Operation::Sync), person, "not an operator")
        }
    }

    /// The stored form is read for years: changing it needs a decision, not an accident.
    #[test]
    fn the_canonical_form_is_what_it_always_was() {
        assert_eq!(
            entry().canonical().unwrap(),
            format!(
                "{{\"actor\":{{\"person\":{{\"name\":\"kari\",\"uid\":1000}}}},\
                 \"application\":\"shop\",\"cluster\":\"prod\",\"details\":{{\"a\":[2],\"b\":1}},\
                 \"kind\":{{\"denied\":\"sync\"}},\"reason\":\"not an operator\",\
                 \"revision\":\"{}\",\"subject\":\"{}\"}}",
                "a".repeat(40),
                Digest::of(b"not an operator"),
            )
        );
    }

    #[test]
    fn an_entry_survives_its_canonical_form() {
        let entry = entry();
        let read: Entry = serde_json::from_str(&entry.canonical().unwrap()).unwrap();
        assert_eq!(read, entry);
    }

    #[test]
    fn a_field_that_is_not_known_is_an_error_and_not_dropped() {
        let mut value = serde_json::to_value(entry()).unwrap();
        value["extra"] = json!(1);
        assert!(serde_json::from_value::<Entry>(value).is_err());
    }

    #[test]
    fn an_entry_over_the_limit_is_refused_with_its_size() {
        let large = Entry { reason: "x".repeat(Entry::BYTES_MAX), ..entry() };
        assert!(matches!(
            large.canonical(),
            Err(EntryError::TooLarge { bytes }) if bytes > Entry::BYTES_MAX
        ));
    }

    #[test]
    fn details_with_a_fraction_are_refused() {
        let fraction = Entry { details: json!({"seconds": 0.5}), ..entry() };
        assert!(matches!(fraction.canonical(), Err(EntryError::Details(_))));
    }

    #[test]
    fn kinds_read_like_what_happened() {
        assert_eq!(EntryKind::Operation(Operation::Rollback).to_string(), "rollback requested");
        assert_eq!(EntryKind::Denied(Operation::Pause).to_string(), "pause denied");
        assert_eq!(EntryKind::Daemon(DaemonEvent::Stopped).to_string(), "daemon stopped");
    }
}
