//! The log's table, and how its rows become records.

use fyr_audit::{Head, StoredRecord};
use fyr_model::Digest;
use fyr_store::sqlite::Schema;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

/// The id is `FyrA` in ASCII.
pub(crate) const SCHEMA: Schema =
    Schema { application_id: 0x4679_7241, migrations: &[include_str!("schema.sql")] };

/// The columns that [`read`] wants, in its order.
pub(crate) const COLUMNS: &str = "sequence, at, previous, entry, hash";

const INSERT: &str =
    "INSERT INTO record (sequence, at, previous, entry, hash) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Lets a connection do what the log needs, and nothing else: no statement of ours, or of whoever
/// gets to run one, changes or removes records, drops the triggers or writes other tables.
pub(crate) fn may(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Insert { table_name: "record" }
        // A limit on the file's size, which tests use to stand in for a full disk.
        | AuthAction::Pragma { pragma_name: "max_page_count", .. } => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

/// The end of the log.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let sql = format!("SELECT {COLUMNS} FROM record ORDER BY sequence DESC LIMIT 1");
    let last = connection.prepare_cached(&sql)?.query_row([], read).optional()?;
    Ok(last.map_or_else(Head::start, |record| record.head()))
}

pub(crate) fn insert(connection: &Connection, record: &StoredRecord) -> rusqlite::Result<()> {
    let number = |value: u64| {
        i64::try_from(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    };
    let row = (
        number(record.sequence)?,
        number(record.at)?,
        record.previous.as_bytes(),
        &record.entry,
        record.hash.as_bytes(),
    );
    connection.prepare_cached(INSERT)?.execute(row).map(drop)
}

/// A row of [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<StoredRecord> {
    let number = |index| {
        let stored: i64 = row.get(index)?;
        u64::try_from(stored).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, stored))
    };
    let digest = |index| {
        let stored: Vec<u8> = row.get(index)?;
        let bytes = <[u8; Digest::BYTES]>::try_from(stored.as_slice());
        bytes.map(Digest::from_bytes).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, error.into())
        })
    };
    Ok(StoredRecord {
        sequence: number(0)?,
        at: number(1)?,
        previous: digest(2)?,
        entry: row.get(3)?,
        hash: digest(4)?,
    })
}

/// Whether an error says that a row is not one of ours, rather than that it could not be read.
pub(crate) fn is_odd_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}
