//! Records: entries with their place in the chain.

use fyr_model::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::Entry;

/// Version of the encoding that is hashed. Another encoding gets another word here.
const ENCODING: &[u8] = b"fyr-audit-1";

/// An entry with its place in the log.
///
/// `hash` covers, each preceded by its length: the word of the encoding, the sequence and the time
/// (big-endian), the hash of the record before, and the entry's canonical JSON. A changed, removed
/// or reordered record therefore breaks every hash after it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Number in the log, from 1.
    pub sequence: u64,
    /// When it was appended, in milliseconds since the epoch. Never before the record before it.
    pub at: u64,
    /// What happened.
    pub entry: Entry,
    /// Hash of the record before it; [`Head::start`]'s for the first.
    pub previous: Digest,
    /// Hash of this record.
    pub hash: Digest,
}

/// The end of a log: all that is needed to append to it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Number of the last record; 0 for an empty log.
    pub sequence: u64,
    /// Time of the last record.
    pub at: u64,
    /// Hash of the last record.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty log.
    pub fn start() -> Self {
        Self { sequence: 0, at: 0, hash: Digest::of(ENCODING) }
    }

    /// The head once this entry is appended at `now`. A clock that went back does not take the
    /// log's time back.
    pub fn append(&self, canonical_entry: &[u8], now: u64) -> Self {
        let (sequence, at) = (self.sequence + 1, now.max(self.at));
        Self { sequence, at, hash: hash(sequence, at, &self.hash, canonical_entry) }
    }
}

/// The hash of a record with these parts.
fn hash(sequence: u64, at: u64, previous: &Digest, canonical_entry: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.field(ENCODING);
    hasher.field(&sequence.to_be_bytes());
    hasher.field(&at.to_be_bytes());
    hasher.field(previous.as_bytes());
    hasher.field(canonical_entry);
    hasher.finish()
}

/// A record as it is stored: the entry is the text that was hashed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRecord {
    /// Number in the log.
    pub sequence: u64,
    /// When it was appended.
    pub at: u64,
    /// The entry's canonical JSON.
    pub entry: Vec<u8>,
    /// Hash of this record.
    pub hash: Digest,
}

/// What is wrong with a log, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("record {sequence} {why}")]
pub struct Broken {
    /// The first record that is not as it was written.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Checks that `record` follows `head`; the head after it.
pub fn follow(head: &Head, record: &StoredRecord) -> Result<Head, Broken> {
    let broken = |sequence, why| Broken { sequence, why };
    if record.sequence != head.sequence + 1 {
        return Err(broken(head.sequence + 1, "is missing"));
    }
    if record.at < head.at {
        return Err(broken(record.sequence, "is older than the record before it"));
    }
    let expected = hash(record.sequence, record.at, &head.hash, &record.entry);
    if expected != record.hash {
        return Err(broken(record.sequence, "does not have the hash of its content"));
    }
    Ok(Head { sequence: record.sequence, at: record.at, hash: record.hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[&[u8]]) -> Vec<StoredRecord> {
        let mut head = Head::start();
        let mut records = Vec::new();
        for entry in entries {
            head = head.append(entry, 1000);
            let Head { sequence, at, hash } = head;
            records.push(StoredRecord { sequence, at, entry: entry.to_vec(), hash });
        }
        records
    }

    fn verify(records: &[StoredRecord]) -> Result<Head, Broken> {
        records.iter().try_fold(Head::start(), |head, record| follow(&head, record))
    }

    #[test]
    fn a_log_as_written_is_intact() {
        let records = log(&[b"a", b"b", b"c"]);
        assert_eq!(verify(&records).unwrap().sequence, 3);
    }

    #[test]
    fn a_changed_removed_or_reordered_record_is_found() {
        let mut changed = log(&[b"a", b"b", b"c"]);
        changed[1].entry = b"x".to_vec();
        assert_eq!(verify(&changed).unwrap_err().sequence, 2);

        let mut removed = log(&[b"a", b"b", b"c"]);
        removed.remove(1);
        assert_eq!(verify(&removed).unwrap_err().sequence, 2);

        let mut swapped = log(&[b"a", b"b", b"c"]);
        swapped.swap(1, 2);
        assert_eq!(verify(&swapped).unwrap_err().sequence, 2);

        let mut retimed = log(&[b"a", b"b", b"c"]);
        retimed[2].at += 1;
        assert_eq!(verify(&retimed).unwrap_err().sequence, 3);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_take_the_log_back() {
        let head = Head::start().append(b"a", 5000);
        assert_eq!(head.append(b"b", 4000).at, 5000);
    }
}
