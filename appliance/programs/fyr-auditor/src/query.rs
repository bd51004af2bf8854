//! Reads records for whoever asks.

use fyr_audit::{DecodeRecordError, StoredRecord};
use fyr_ipc::audit::{PAGE_RECORDS_MAX, Page, Query};
use fyr_store::sqlite::ReadError;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::Log;
use crate::schema::{COLUMNS, head, read};

/// Most bytes of entries in one page: below what a message may have, with a margin for what is
/// around them. One entry alone always fits.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Why records were not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The database cannot be read.
    #[error("the audit log cannot be read")]
    Read(#[source] ReadError),
    /// A record is not one that this version writes.
    #[error("the audit log holds something that cannot be read")]
    Decode(#[source] DecodeRecordError),
}

impl Log {
    /// Some of the records that `query` asks for: as many as fit a page.
    pub(crate) async fn page(&self, query: Query) -> Result<Page, QueryError> {
        let read = self.readers.read(move |connection| stored(connection, &query)).await;
        let Stored { records, complete, through } = read.map_err(QueryError::Read)?;
        let records = records.iter().map(StoredRecord::decode).collect::<Result<_, _>>();
        Ok(Page { records: records.map_err(QueryError::Decode)?, complete, through })
    }
}

struct Stored {
    records: Vec<StoredRecord>,
    complete: bool,
    through: u64,
}

fn stored(connection: &Connection, query: &Query) -> rusqlite::Result<Stored> {
    // The end and the records of one moment.
    let transaction = connection.unchecked_transaction()?;
    let through = head(&transaction)?.sequence;
    let limit = usize::try_from(query.limit.min(PAGE_RECORDS_MAX)).unwrap_or(usize::MAX);
    let (sql, values) = statement(query);
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut records, mut bytes, mut complete) = (Vec::new(), 0, true);
    while let Some(row) = rows.next()? {
        let record = read(row)?;
        bytes += record.entry.len();
        // One entry alone is never too large.
        if records.len() >= limit || (bytes > PAGE_BYTES_MAX && !records.is_empty()) {
            complete = false;
            break;
        }
        records.push(record);
    }
    if query.newest {
        records.reverse();
    }
    Ok(Stored { records, complete, through })
}

/// The statement for a query, and its values in order.
fn statement(query: &Query) -> (String, Vec<Value>) {
    let number = |value: u64| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    let text = |value: &String| Value::Text(value.clone());
    let bounds = [
        ("sequence >", Some(number(query.after))),
        ("sequence <", query.before.map(number)),
        ("at >=", query.since.map(number)),
        ("at <=", query.until.map(number)),
        ("application =", query.application.as_ref().map(text)),
        ("cluster =", query.cluster.as_ref().map(text)),
        ("actor =", query.actor.as_ref().map(text)),
    ];
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for (condition, value) in bounds {
        if let Some(value) = value {
            conditions.push(format!("{condition} ?"));
            values.push(value);
        }
    }
    let order = if query.newest { "DESC" } else { "ASC" };
    let conditions = conditions.join(" AND ");
    let sql = format!("SELECT {COLUMNS} FROM record WHERE {conditions} ORDER BY sequence {order}");
    (sql, values)
}
