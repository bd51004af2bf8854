//! Checks the log: its end at the start, the rest in the background, and a file at rest.

use std::path::{Path, PathBuf};

use fyr_audit::{Broken, Fault, Head, StoredRecord, Verified, Verifier};
use fyr_ipc::audit::Verification;
use fyr_model::Chain;
use fyr_store::sqlite::{OpenError, open_known};
use rusqlite::Connection;
use tracing::{error, info};

use crate::Log;
use crate::schema::{COLUMNS, SCHEMA, is_odd_row, read};

/// Records checked before the log is written on: what a crash or a careless hand last touched, in a
/// few milliseconds.
const TAIL_RECORDS: u64 = 1000;

/// Records checked in one read. A longer read would keep the write-ahead log from being emptied.
const CHUNK_RECORDS: u32 = 2000;

/// Why a log could not be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// It cannot be opened.
    #[error("cannot open the audit log")]
    Open(#[source] OpenError),
    /// It cannot be read.
    #[error("cannot read the audit log {}", path.display())]
    Read {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Checks the last records, from a record that is believed if its own hash fits.
pub(crate) fn check_tail(connection: &Connection) -> rusqlite::Result<Result<Verified, Broken>> {
    let last: i64 =
        connection
            .query_row("SELECT coalesce(max(sequence), 0) FROM record", [], |row| row.get(0))?;
    let last = u64::try_from(last).unwrap_or(0);
    let before = last.saturating_sub(TAIL_RECORDS);
    let mut verifier = Verifier::after(Head::start());
    if before > 0 {
        match chunk(connection, before - 1, 1)? {
            Ok(records) => match records.as_slice() {
                [anchor] if anchor.sequence == before && anchor.is_whole() => {
                    verifier = Verifier::after(anchor.head());
                }
                [anchor] if anchor.sequence == before => {
                    return Ok(Err(Broken { sequence: before, why: Fault::WrongHash }));
                }
                _ => return Ok(Err(Broken { sequence: before, why: Fault::Missing })),
            },
            Err(broken) => return Ok(Err(broken)),
        }
    }
    check_rest(connection, &mut verifier)
}

/// Checks everything after what `verifier` has seen.
fn check_rest(
    connection: &Connection,
    verifier: &mut Verifier,
) -> rusqlite::Result<Result<Verified, Broken>> {
    loop {
        let after = verifier.verified().head.sequence;
        let checked = check_chunk(connection, verifier)?;
        match checked {
            Err(broken) => return Ok(Err(broken)),
            Ok(seen) if seen.head.sequence == after => return Ok(Ok(seen)),
            Ok(_) => {}
        }
    }
}

/// Checks the next records; the head stays where it was when there are none.
fn check_chunk(
    connection: &Connection,
    verifier: &mut Verifier,
) -> rusqlite::Result<Result<Verified, Broken>> {
    let after = verifier.verified().head.sequence;
    let records = match chunk(connection, after, CHUNK_RECORDS)? {
        Ok(records) => records,
        Err(broken) => return Ok(Err(broken)),
    };
    let checked = records.iter().try_for_each(|record| verifier.check(record));
    Ok(checked.map(|()| verifier.verified()))
}

/// The next records after a number, or where a row is none.
fn chunk(
    connection: &Connection,
    after: u64,
    limit: u32,
) -> rusqlite::Result<Result<Vec<StoredRecord>, Broken>> {
    // Not by an index: what is checked is the table itself.
    let sql = format!(
        "SELECT {COLUMNS} FROM record NOT INDEXED WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let after_row = i64::try_from(after).unwrap_or(i64::MAX);
    let mut records = Vec::new();
    for record in statement.query_map((after_row, limit), read)? {
        match record {
            Ok(record) => records.push(record),
            Err(error) if is_odd_row(&error) => {
                let sequence =
                    records.last().map_or(after, |last: &StoredRecord| last.sequence) + 1;
                return Ok(Err(Broken { sequence, why: Fault::NotARecord }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(records))
}

/// Checks the log from its start to record `end` in the background, and keeps the log's state up to
/// date. What came after the start of this process is its own.
pub(crate) async fn check_whole(log: Log, end: u64) {
    let mut verifier = Verifier::after(Head::start());
    let verdict = loop {
        let through = verifier.verified().head.sequence;
        if through >= end {
            break Verification::Intact { through };
        }
        log.set_verification(Verification::Running { through });
        let mut next = verifier.clone();
        let checked = log
            .readers
            .read(move |connection| Ok((check_chunk(connection, &mut next)?, next)))
            .await;
        match checked {
            Ok((Ok(seen), _)) if seen.head.sequence == through => {
                let missing = Broken { sequence: through + 1, why: Fault::Missing };
                break Verification::Broken(missing);
            }
            Ok((Ok(_), next)) => verifier = next,
            Ok((Err(broken), _)) => break Verification::Broken(broken),
            Err(failure) => {
                break Verification::Unreadable { reason: Chain(&failure).to_string() };
            }
        }
    };
    match &verdict {
        Verification::Intact { through } => info!(through, "the audit log is intact"),
        Verification::Broken(broken) => {
            error!(sequence = broken.sequence, "the audit log was changed: {broken}");
        }
        Verification::Unreadable { reason } => error!("the audit log cannot be checked: {reason}"),
        Verification::Running { .. } => {}
    }
    log.set_verification(verdict);
}

/// Checks a whole log that may be in use by another process.
pub(crate) fn verify_file(path: &Path) -> Result<Result<Verified, Broken>, VerifyError> {
    let connection = open_known(path, &SCHEMA).map_err(VerifyError::Open)?;
    let mut verifier = Verifier::after(Head::start());
    check_rest(&connection, &mut verifier)
        .map_err(|source| VerifyError::Read { path: path.to_owned(), source })
}
