//! The audit log's database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fyr_audit::{Broken, Entry, EntryError, Head};
use fyr_ipc::audit::{Appended, LogState, Verification};
use fyr_store::sqlite::{OpenError, Readers, WriteError, Writer, open_writer};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::schema::{SCHEMA, head, insert, may};
use crate::verify::check_tail;

/// Why the log is not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenLogError {
    /// The database cannot be used.
    #[error("cannot open the audit log")]
    Database(#[source] OpenError),
    /// Its end cannot be read.
    #[error("cannot read the end of the audit log {}", path.display())]
    Read {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// Its end is not as it was written.
    #[error(
        "the audit log {} was changed by something else than fyr-auditor; nothing is added to it: \
         keep the file as evidence, then restore a backup or move it away to begin a new log",
        path.display()
    )]
    Broken {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        source: Broken,
    },
    /// The thread that writes it could not be started.
    #[error("cannot start the thread that writes the audit log")]
    Thread(#[source] std::io::Error),
}

/// Why an entry was not appended. It is not in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// It is not one the log takes.
    #[error("the entry cannot be encoded")]
    Entry(#[source] EntryError),
    /// The database does not take it.
    #[error("the audit log was not written")]
    Write(#[source] WriteError),
}

/// The audit log. Clones share its writer and its readers.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    writer: Writer,
    pub(crate) readers: Readers,
    head: Arc<watch::Sender<Head>>,
    verification: Arc<watch::Sender<Verification>>,
    disk_failed: Arc<watch::Sender<bool>>,
}

impl Log {
    /// Opens the log at `path`, makes it if there is none, and checks its end: the last thousand
    /// records. Blocks on the disk.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenLogError> {
        let read = |source| OpenLogError::Read { path: path.to_owned(), source };
        let mut writer = open_writer(path, &SCHEMA).map_err(OpenLogError::Database)?;
        let connection = &mut writer.connection;
        connection.authorizer(Some(may)).map_err(read)?;
        let checked = check_tail(connection).map_err(read)?;
        let head =
            checked.map_err(|source| OpenLogError::Broken { path: path.to_owned(), source })?.head;
        let writer = Writer::start(writer).map_err(OpenLogError::Thread)?;
        Ok(Self {
            writer,
            readers: Readers::new(path),
            head: Arc::new(watch::Sender::new(head)),
            verification: Arc::new(watch::Sender::new(Verification::Running { through: 0 })),
            disk_failed: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Appends an entry; returns once it is on the disk.
    pub(crate) async fn append(&self, entry: &Entry) -> Result<Appended, AppendError> {
        let text = entry.canonical().map_err(AppendError::Entry)?;
        let work = move |connection: &Connection| {
            let record = head(connection)?.append(text.clone(), now());
            insert(connection, &record)?;
            Ok(record.head())
        };
        let head = self.write(work).await.map_err(AppendError::Write)?;
        // Commits end in order, the tasks that waited for them in any.
        self.head.send_if_modified(|newest| {
            let newer = head.sequence > newest.sequence;
            if newer {
                *newest = head;
            }
            newer
        });
        Ok(Appended { head, subject: entry.subject })
    }

    /// Returns once the writer has done everything asked of it before: it is alive.
    pub(crate) async fn settle(&self) -> Result<(), WriteError> {
        self.write(|_| Ok(())).await
    }

    /// Finishes what was asked for and closes the database.
    pub(crate) async fn close(&self) {
        self.writer.close().await;
    }

    /// The log's end, now and as it moves.
    pub(crate) fn head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// How the log stands.
    pub(crate) fn state(&self) -> LogState {
        let verification = self.verification.borrow().clone();
        LogState { head: *self.head.borrow(), verification }
    }

    /// Says how far the log was checked.
    pub(crate) fn set_verification(&self, verification: Verification) {
        self.verification.send_replace(verification);
    }

    /// Becomes true when the disk fails. What the kernel holds of the file may then be something
    /// else than what is on the disk: only a new start, which reads and checks it, helps.
    pub(crate) fn disk_failed(&self) -> watch::Receiver<bool> {
        self.disk_failed.subscribe()
    }

    async fn write<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let written = self.writer.write(work).await;
        if let Err(WriteError::Disk(_)) = &written {
            self.disk_failed.send_replace(true);
        }
        written
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use fyr_audit::{Actor, EntryKind};

    use super::*;

    fn entry(reason: &str) -> Entry {
        Entry::new(EntryKind::Outcome, Actor::Automation, reason)
    }

    /// Stands in for the space left on the disk.
    async fn limit_pages(log: &Log, pages: i64) {
        let set = move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        };
        log.write(set).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_refuses_entries_and_takes_them_once_there_is_space() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("audit.db")).unwrap();
        log.append(&entry("before")).await.unwrap();
        limit_pages(&log, 20).await;
        let large = entry(&"x".repeat(200_000));
        let error = log.append(&large).await.unwrap_err();
        assert!(matches!(error, AppendError::Write(WriteError::NoSpace(_))), "{error}");
        assert_eq!(log.state().head.sequence, 1);
        assert!(!*log.disk_failed().borrow(), "a full disk is not a failing one");
        limit_pages(&log, 1_000).await;
        assert_eq!(log.append(&large).await.unwrap().head.sequence, 2);
    }

    #[tokio::test]
    async fn entries_that_arrive_together_get_numbers_without_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("audit.db")).unwrap();
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let log = log.clone();
                tokio::spawn(async move { log.append(&entry(&number.to_string())).await })
            })
            .collect();
        let mut numbers = Vec::new();
        for task in tasks {
            numbers.push(task.await.unwrap().unwrap().head.sequence);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
        assert_eq!(log.state().head.sequence, 200);
    }

    #[tokio::test]
    async fn no_statement_on_the_writing_connection_changes_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("audit.db")).unwrap();
        log.append(&entry("a")).await.unwrap();
        for sql in [
            "UPDATE record SET entry = '{}'",
            "DELETE FROM record",
            "DROP TRIGGER record_not_updated",
            "DROP TABLE record",
            "PRAGMA writable_schema = on",
            "CREATE TABLE other (n INTEGER)",
            "INSERT OR REPLACE INTO record (sequence, at, previous, entry, hash)
             SELECT sequence, at, previous, '{}', hash FROM record",
        ] {
            let run = move |connection: &Connection| connection.execute_batch(sql);
            assert!(log.write(run).await.is_err(), "{sql}");
        }
    }

    #[tokio::test]
    async fn an_entry_over_the_limit_is_refused_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("audit.db")).unwrap();
        let error = log.append(&entry(&"x".repeat(Entry::BYTES_MAX))).await.unwrap_err();
        assert!(matches!(error, AppendError::Entry(EntryError::TooLarge { .. })));
        assert_eq!(log.append(&entry("a")).await.unwrap().head.sequence, 1);
    }
}
