//! Checks that a log is as it was written.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Head, StoredRecord};

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It is not where it belongs: removed, or out of order.
    Missing,
    /// It claims an earlier time than the record before it.
    TimeWentBack,
    /// It does not continue the record before it.
    WrongPrevious,
    /// Its hash is not that of its content.
    WrongHash,
    /// It is stored in a way that no auditor writes: a number below zero, a hash of another length.
    NotARecord,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::TimeWentBack => "is older than the record before it",
            Self::WrongPrevious => "does not continue the record before it",
            Self::WrongHash => "does not have the hash of its content",
            Self::NotARecord => "is not stored as a record",
        })
    }
}

/// A log is not as it was written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("audit record {sequence} {why}")]
pub struct Broken {
    /// The first record that is not as it was written.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: Fault,
}

/// A log is as it was written, up to and including `head`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// How many records were checked.
    pub count: u64,
    /// The last of them.
    pub head: Head,
}

/// Checks records one after the other.
#[derive(Clone, Debug)]
pub struct Verifier {
    seen: Verified,
}

impl Verifier {
    /// Begins behind `head`, which is believed: [`Head::start`] checks a whole log.
    pub fn after(head: Head) -> Self {
        Self { seen: Verified { count: 0, head } }
    }

    /// Checks the next record.
    pub fn check(&mut self, record: &StoredRecord) -> Result<(), Broken> {
        let Head { sequence, at, hash } = self.seen.head;
        if record.sequence != sequence + 1 {
            return Err(Broken { sequence: sequence + 1, why: Fault::Missing });
        }
        let broken = |why| Err(Broken { sequence: record.sequence, why });
        if record.previous != hash {
            return broken(Fault::WrongPrevious);
        }
        if !record.is_whole() {
            return broken(Fault::WrongHash);
        }
        if record.at < at {
            return broken(Fault::TimeWentBack);
        }
        self.seen = Verified { count: self.seen.count + 1, head: record.head() };
        Ok(())
    }

    /// What was checked so far.
    pub fn verified(&self) -> Verified {
        self.seen
    }
}

/// Checks a whole log from its first record.
pub fn verify<R: Borrow<StoredRecord>>(
    records: impl IntoIterator<Item = R>,
) -> Result<Verified, Broken> {
    let mut verifier = Verifier::after(Head::start());
    for record in records {
        verifier.check(record.borrow())?;
    }
    Ok(verifier.verified())
}

#[cfg(test)]
mod tests {
    use fyr_model::Digest;

    use super::*;

    fn log(entries: &[&str]) -> Vec<StoredRecord> {
        let mut head = Head::start();
        let mut records = Vec::new();
        for (entry, now) in entries.iter().zip(1000..) {
            let record = head.append((*entry).to_owned(), now);
            head = record.head();
            records.push(record);
        }
        records
    }

    fn broken(change: impl FnOnce(&mut Vec<StoredRecord>)) -> (u64, Fault) {
        let mut records = log(&["a", "b", "c", "d"]);
        change(&mut records);
        let Broken { sequence, why } = verify(&records).unwrap_err();
        (sequence, why)
    }

    #[test]
    fn a_log_as_written_is_intact() {
        let records = log(&["a", "b", "c"]);
        let verified = verify(&records).unwrap();
        assert_eq!((verified.count, verified.head), (3, records[2].head()));
        assert_eq!(verify::<StoredRecord>([]).unwrap().head, Head::start());
    }

    #[test]
    fn every_kind_of_change_is_found_at_its_record() {
        assert_eq!(broken(|log| log[1].entry = "x".to_owned()), (2, Fault::WrongHash));
        assert_eq!(broken(|log| log[2].at += 1), (3, Fault::WrongHash));
        assert_eq!(broken(|log| log[3].hash = Digest::of(b"x")), (4, Fault::WrongHash));
        assert_eq!(broken(|log| log[3].previous = Digest::of(b"x")), (4, Fault::WrongPrevious));
        assert_eq!(broken(|log| drop(log.remove(0))), (1, Fault::Missing));
        assert_eq!(broken(|log| drop(log.remove(2))), (3, Fault::Missing));
        assert_eq!(broken(|log| log.swap(1, 2)), (2, Fault::Missing));
    }

    #[test]
    fn a_record_written_anew_breaks_the_one_after_it() {
        let rewritten = broken(|log| log[1] = log[0].head().append("x".to_owned(), 1001));
        assert_eq!(rewritten, (3, Fault::WrongPrevious));
    }

    #[test]
    fn a_time_that_goes_back_is_found_even_with_a_hash_that_fits() {
        let retimed = broken(|log| {
            let early = Head { at: 0, ..log[2].head() };
            log[3] = early.append("d".to_owned(), 5);
        });
        assert_eq!(retimed, (4, Fault::TimeWentBack));
    }

    #[test]
    fn a_tail_is_checked_against_a_head_that_is_believed() {
        let records = log(&["a", "b", "c"]);
        let mut verifier = Verifier::after(records[0].head());
        assert_eq!(verifier.check(&records[1]), Ok(()));
        assert_eq!(verifier.verified().count, 1);
        let message = verifier.check(&records[1]).unwrap_err().to_string();
        assert_eq!(message, "audit record 3 is missing");
    }
}
