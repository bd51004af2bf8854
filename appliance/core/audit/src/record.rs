//! Records: entries with their place in the chain.

use fyr_model::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::Entry;

/// Names the encoding that is hashed. Another encoding gets another name here, and the verifier
/// then knows both.
const ENCODING: &[u8] = b"fyr-audit-1";

/// An entry with its place in the log, ready to read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Number in the log, from 1.
    pub sequence: u64,
    /// When it was appended, in milliseconds since the epoch. Never before the record before it.
    pub at: u64,
    /// What happened.
    pub entry: Entry,
    /// Hash of the record before it; that of [`Head::start`] for the first.
    pub previous: Digest,
    /// Hash of this record.
    pub hash: Digest,
}

/// A record as it is stored: the entry is the text that was hashed.
///
/// `hash` is SHA-256 over these fields, each preceded by its length in bytes as a big-endian
/// 64-bit number:
///
/// 1. the name of the encoding, `fyr-audit-1`;
/// 2. `sequence` and 3. `at`, as big-endian 64-bit numbers;
/// 4. `previous`, 32 bytes;
/// 5. the entry's canonical JSON.
///
/// A changed, removed or reordered record therefore breaks itself or the one after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRecord {
    /// Number in the log, from 1.
    pub sequence: u64,
    /// When it was appended, in milliseconds since the epoch.
    pub at: u64,
    /// Hash of the record before it.
    pub previous: Digest,
    /// The entry's canonical JSON.
    pub entry: String,
    /// Hash of this record.
    pub hash: Digest,
}

/// A stored record holds an entry that this version does not understand.
#[derive(Debug, thiserror::Error)]
#[error("audit record {sequence} holds an entry that this version cannot read")]
pub struct DecodeRecordError {
    sequence: u64,
    #[source]
    source: serde_json::Error,
}

impl StoredRecord {
    /// Whether the hash is that of the other fields.
    pub fn is_whole(&self) -> bool {
        hash(self.sequence, self.at, &self.previous, self.entry.as_bytes()) == self.hash
    }

    /// The end of a log whose last record this is.
    pub fn head(&self) -> Head {
        Head { sequence: self.sequence, at: self.at, hash: self.hash }
    }

    /// Reads the entry. Says nothing about the chain.
    pub fn decode(&self) -> Result<Record, DecodeRecordError> {
        let entry = serde_json::from_str(&self.entry)
            .map_err(|source| DecodeRecordError { sequence: self.sequence, source })?;
        Ok(Record {
            sequence: self.sequence,
            at: self.at,
            entry,
            previous: self.previous,
            hash: self.hash,
        })
    }
}

/// The end of a log: all that is needed to append to it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Number of the last record; 0 for an empty log.
    pub sequence: u64,
    /// Time of the last record, in milliseconds since the epoch.
    pub at: u64,
    /// Hash of the last record.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty log.
    pub fn start() -> Self {
        Self { sequence: 0, at: 0, hash: Digest::of(ENCODING) }
    }

    /// The record that holds `canonical_entry` after this head, appended at `now` (milliseconds
    /// since the epoch). A clock that went back does not take the log's time back.
    pub fn append(&self, canonical_entry: String, now: u64) -> StoredRecord {
        let (sequence, at, previous) = (self.sequence + 1, now.max(self.at), self.hash);
        let hash = hash(sequence, at, &previous, canonical_entry.as_bytes());
        StoredRecord { sequence, at, previous, entry: canonical_entry, hash }
    }
}

fn hash(sequence: u64, at: u64, previous: &Digest, canonical_entry: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.field(ENCODING);
    hasher.field(&sequence.to_be_bytes());
    hasher.field(&at.to_be_bytes());
    hasher.field(previous.as_bytes());
    hasher.field(canonical_entry);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, EntryKind};

    #[test]
    fn a_clock_that_goes_back_does_not_take_the_log_back() {
        let first = Head::start().append("{}".to_owned(), 5000);
        assert_eq!(first.head().append("{}".to_owned(), 4000).at, 5000);
    }

    /// Computed apart from this crate: SHA-256 over the fields as documented.
    #[test]
    fn the_hash_is_what_it_always_was() {
        let record = Head::start().append("{\"a\":1}".to_owned(), 1_000);
        assert_eq!(
            record.hash.to_string(),
            "9b898f69d493446c17dd47b6ca7efd8f80a7619e0a8f8cd8a9e99655b01bbe3b"
        );
    }

    #[test]
    fn every_field_counts_towards_the_hash() {
        let record = Head::start().append("{}".to_owned(), 1_000);
        assert!(record.is_whole());
        let changed = [
            StoredRecord { sequence: 2, ..record.clone() },
            StoredRecord { at: 1_001, ..record.clone() },
            StoredRecord { previous: Digest::of(b"x"), ..record.clone() },
            StoredRecord { entry: "{ }".to_owned(), ..record.clone() },
            StoredRecord { hash: Digest::of(b"x"), ..record },
        ];
        for record in changed {
            assert!(!record.is_whole(), "{record:?}");
        }
    }

    #[test]
    fn an_entry_is_read_back_from_its_record() {
        let entry = Entry::new(EntryKind::Adopted, Actor::Automation, "first sync");
        let stored = Head::start().append(entry.canonical().unwrap(), 7);
        assert_eq!(stored.decode().unwrap().entry, entry);
        let unreadable = Head::start().append("{}".to_owned(), 7).decode().unwrap_err();
        assert!(unreadable.to_string().starts_with("audit record 1 "));
    }
}
