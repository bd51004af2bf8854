//! How our types are stored in columns.

use std::time::{Duration, SystemTime};

use fyr_audit::Actor;
use fyr_model::{Cascade, CommitId, Digest};
use fyr_plan::{EntryState, Permission};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Row, RowIndex, ToSql};

use crate::{OrderTerms, Phase};

/// A value on its way into or out of a column.
#[derive(Debug)]
pub(crate) struct Column<T>(pub(crate) T);

/// A column that is never empty where it is read.
pub(crate) fn set<T>(row: &Row<'_>, index: impl RowIndex) -> rusqlite::Result<T>
where
    Column<T>: FromSql,
{
    row.get(index).map(|Column(value)| value)
}

/// A column that may be empty.
pub(crate) fn maybe<T>(row: &Row<'_>, index: impl RowIndex) -> rusqlite::Result<Option<T>>
where
    Column<T>: FromSql,
{
    Ok(row.get::<_, Option<Column<T>>>(index)?.map(|Column(value)| value))
}

/// A column holds something that no version of ours writes there.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not {what}")]
struct Unreadable {
    what: &'static str,
    text: String,
}

fn unreadable(what: &'static str, text: &str) -> FromSqlError {
    FromSqlError::Other(Box::new(Unreadable { what, text: text.to_owned() }))
}

/// Milliseconds since the epoch. Times before it, which only a broken clock shows, become 0.
impl ToSql for Column<SystemTime> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Column<SystemTime> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let stored = value.as_i64()?;
        let since = u64::try_from(stored).map_err(|_| FromSqlError::OutOfRange(stored))?;
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(since));
        time.map(Column).ok_or(FromSqlError::OutOfRange(stored))
    }
}

/// Our counters; `SQLite` has no unsigned numbers.
impl ToSql for Column<u64> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let stored = i64::try_from(self.0);
        let stored =
            stored.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(stored.into())
    }
}

impl FromSql for Column<u64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let stored = value.as_i64()?;
        u64::try_from(stored).map(Column).map_err(|_| FromSqlError::OutOfRange(stored))
    }
}

impl ToSql for Column<&Digest> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_bytes())))
    }
}

impl FromSql for Column<Digest> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let blob = value.as_blob()?;
        let bytes = blob.try_into().map_err(|_| FromSqlError::InvalidBlobSize {
            expected_size: Digest::BYTES,
            blob_size: blob.len(),
        })?;
        Ok(Self(Digest::from_bytes(bytes)))
    }
}

/// Full ids with a space between them; commit ids have none.
impl ToSql for Column<&[CommitId]> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let ids: Vec<&str> = self.0.iter().map(CommitId::as_str).collect();
        Ok(ids.join(" ").into())
    }
}

impl FromSql for Column<Vec<CommitId>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let ids = value.as_str()?.split_ascii_whitespace().map(str::parse);
        let ids = ids.collect::<Result<_, _>>();
        ids.map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// `automation`, or `1000 kari`: the id first, since names may have spaces.
impl ToSql for Column<&Actor> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Actor::Automation => Actor::AUTOMATION.into(),
            Actor::Person { uid, name } => format!("{uid} {name}").into(),
        })
    }
}

impl FromSql for Column<Actor> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        if text == Actor::AUTOMATION {
            return Ok(Self(Actor::Automation));
        }
        let person = text.split_once(' ').and_then(|(uid, name)| {
            Some(Actor::Person { uid: uid.parse().ok()?, name: name.to_owned() })
        });
        person.map(Self).ok_or_else(|| unreadable("an actor", text))
    }
}

/// JSON, because the names of objects may hold any separator.
impl ToSql for Column<&OrderTerms> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(self.0);
        let json = json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(json.into())
    }
}

impl FromSql for Column<OrderTerms> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let terms = serde_json::from_str(value.as_str()?);
        terms.map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// Stores an enum by one word a case.
macro_rules! words {
    ($type:ident, $what:literal, $($case:ident = $word:literal),+) => {
        impl ToSql for Column<$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(match self.0 {
                    $($type::$case => $word,)+
                }
                .into())
            }
        }

        impl FromSql for Column<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($word => Ok(Self($type::$case)),)+
                    text => Err(unreadable($what, text)),
                }
            }
        }
    };
}

words!(Cascade, "a cascade", Foreground = "foreground", Background = "background");
words!(EntryState, "a state", Intent = "intent", Applied = "applied", Deleting = "deleting");
words!(Permission, "a permission", Always = "always", Confirm = "confirm", Never = "never");
words!(Phase, "a phase", Succeeded = "succeeded", Failed = "failed");

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use rusqlite::Connection;

    use super::*;

    fn stored<W: ToSql, R: FromSql + Debug>(value: W) -> rusqlite::Result<R> {
        let connection = Connection::open_in_memory()?;
        connection.query_row("SELECT ?1", [value], |row| row.get(0))
    }

    #[test]
    fn actors_come_back_as_they_were_even_with_odd_names() {
        let person = |name: &str| Actor::Person { uid: 1000, name: name.to_owned() };
        for actor in
            [Actor::Automation, person("kari"), person("automation"), person("a b"), person("")]
        {
            let read: Column<Actor> = stored(Column(&actor)).unwrap();
            assert_eq!(read.0, actor);
        }
        for text in ["kari", "x kari", "-1 kari"] {
            assert!(stored::<_, Column<Actor>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_keep_their_milliseconds_and_impossible_ones_are_refused() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_000_000_123);
        let read: Column<SystemTime> = stored(Column(time)).unwrap();
        assert_eq!(read.0, time);
        assert!(stored::<_, Column<SystemTime>>(-1_i64).is_err());
    }

    #[test]
    fn revisions_come_back_in_their_order() {
        let ids: Vec<CommitId> = ["b", "a"].map(|digit| digit.repeat(40).parse().unwrap()).to_vec();
        for ids in [ids, Vec::new()] {
            let read: Column<Vec<CommitId>> = stored(Column(ids.as_slice())).unwrap();
            assert_eq!(read.0, ids);
        }
        assert!(stored::<_, Column<Vec<CommitId>>>("main").is_err());
    }

    #[test]
    fn a_digest_of_another_length_and_a_word_nobody_writes_are_refused() {
        assert!(stored::<_, Column<Digest>>([0_u8; 31]).is_err());
        let error = stored::<_, Column<Phase>>("sleeping").unwrap_err();
        assert!(error.to_string().contains("\"sleeping\" is not a phase"), "{error}");
    }
}
