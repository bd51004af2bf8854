//! The one writer of a database: a thread that owns the connection and commits in groups.
//!
//! Jobs that arrive while a commit waits for the disk share the next one, so that the number of
//! commits a second bounds the latency and not the throughput. If a group fails, its jobs are done
//! again one by one: a job that cannot be done takes no other with it.

use std::thread;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::WriterConnection;

/// Most jobs in one commit. Above this a commit is long enough that callers notice.
const GROUP_MAX: usize = 256;

/// Jobs that wait for the writer; callers of more wait in line themselves.
const QUEUE_MAX: usize = 1024;

/// Why something was not written. Nothing of the job is in the database.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk, or the database's own limit, is full. It works again once there is space.
    #[error("there is no space left for the database")]
    NoSpace(#[source] rusqlite::Error),
    /// Reading or writing the file failed.
    #[error("the disk failed under the database")]
    Disk(#[source] rusqlite::Error),
    /// The job is at odds with the database.
    #[error("the database refused the change")]
    Refused(#[source] rusqlite::Error),
    /// The writer was closed.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace(error),
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error),
            _ => Self::Refused(error),
        }
    }
}

/// Hands jobs to the thread that writes a database. Clones share the thread.
#[derive(Clone, Debug)]
pub struct Writer {
    messages: mpsc::Sender<Message>,
}

enum Message {
    Job(Box<dyn Job>),
    /// The jobs before it are done first.
    Close(oneshot::Sender<()>),
}

/// One unit of work and whoever waits for it.
trait Job: Send {
    /// Does the work inside a transaction; it may have to be done twice.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Tells how it ended, once that is certain.
    fn finish(self: Box<Self>, result: Result<(), WriteError>);
}

struct Work<T, F> {
    run: F,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, WriteError>>,
}

impl<T: Send, F: Fn(&Connection) -> rusqlite::Result<T> + Send> Job for Work<T, F> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.done = Some((self.run)(connection)?);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<(), WriteError>) {
        let Self { done, reply, .. } = *self;
        let value = result.map(|()| done.expect("only a job that ran is committed"));
        // Whoever asked may have given up waiting; the work is done all the same.
        let _ = reply.send(value);
    }
}

impl Writer {
    /// Starts the thread, which runs until [`Writer::close`] or until all clones are gone.
    pub fn start(connection: WriterConnection) -> std::io::Result<Self> {
        let (messages, receiver) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new()
            .name("database-writer".to_owned())
            .spawn(move || write_all(connection, receiver))?;
        Ok(Self { messages })
    }

    /// Runs `work` inside a transaction and returns once it is on the disk.
    ///
    /// `work` must give the same result each time: it is run again when its group failed. Not
    /// waiting for the answer does not undo it.
    pub async fn write<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { run: work, done: None, reply });
        self.messages.send(Message::Job(job)).await.map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }

    /// Finishes what was asked for and closes the database.
    pub async fn close(&self) {
        let (closed, answer) = oneshot::channel();
        if self.messages.send(Message::Close(closed)).await.is_ok() {
            // Either it says so, or its thread is gone, which is the same.
            let _ = answer.await;
        }
    }
}

fn write_all(writer: WriterConnection, mut messages: mpsc::Receiver<Message>) {
    let mut received = Vec::with_capacity(GROUP_MAX);
    let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP_MAX);
    while messages.blocking_recv_many(&mut received, GROUP_MAX) > 0 {
        let mut closing = Vec::new();
        for message in received.drain(..) {
            match message {
                Message::Job(job) if closing.is_empty() => group.push(job),
                // Asked for after the end.
                Message::Job(job) => job.finish(Err(WriteError::Closed)),
                Message::Close(closed) => closing.push(closed),
            }
        }
        write_group(&writer.connection, &mut group);
        if !closing.is_empty() {
            messages.close();
            while let Some(message) = messages.blocking_recv() {
                match message {
                    Message::Job(job) => job.finish(Err(WriteError::Closed)),
                    Message::Close(closed) => closing.push(closed),
                }
            }
            return close(writer, closing);
        }
    }
}

fn close(writer: WriterConnection, closing: Vec<oneshot::Sender<()>>) {
    // Empties the log into the database and lets go of the lock before anybody is told.
    drop(writer);
    for closed in closing {
        // Whoever asked may have given up waiting.
        let _ = closed.send(());
    }
}

fn write_group(connection: &Connection, group: &mut Vec<Box<dyn Job>>) {
    if group.is_empty() {
        return;
    }
    match transact(connection, group) {
        Ok(()) => group.drain(..).for_each(|job| job.finish(Ok(()))),
        Err(error) if group.len() == 1 => {
            if let Some(job) = group.pop() {
                job.finish(Err(error.into()));
            }
        }
        Err(_) => {
            for mut job in group.drain(..) {
                let result = transact(connection, std::slice::from_mut(&mut job));
                job.finish(result.map_err(WriteError::from));
            }
        }
    }
}

/// All jobs in one transaction, or none.
fn transact(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let statement = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    statement("BEGIN IMMEDIATE")?;
    let result =
        jobs.iter_mut().try_for_each(|job| job.run(connection)).and_then(|()| statement("COMMIT"));
    // SQLite rolls back by itself after some errors, such as a full disk.
    if result.is_err() && !connection.is_autocommit() {
        statement("ROLLBACK")?;
    }
    result
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc as blocking};

    use super::*;
    use crate::sqlite::{Schema, open_reader, open_writer};

    const SCHEMA: Schema = Schema {
        application_id: 7,
        migrations: &["CREATE TABLE a (n INTEGER PRIMARY KEY, text TEXT) STRICT"],
    };

    fn start(path: &Path) -> Writer {
        Writer::start(open_writer(path, &SCHEMA).unwrap()).unwrap()
    }

    async fn insert(writer: &Writer, n: i64, text: String) -> Result<usize, WriteError> {
        let work = move |connection: &Connection| {
            connection.execute("INSERT INTO a VALUES (?1, ?2)", (n, &text))
        };
        writer.write(work).await
    }

    fn count(path: &Path) -> i64 {
        let reader = open_reader(path).unwrap();
        reader.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap()
    }

    /// Keeps the writer busy until the guard is dropped, so that jobs gather behind it.
    async fn hold(writer: &Writer) -> blocking::Sender<()> {
        let (release, held) = blocking::channel::<()>();
        let (started, running) = blocking::channel();
        let held = std::sync::Mutex::new(held);
        let writer = writer.clone();
        tokio::spawn(async move {
            let wait = move |_: &Connection| {
                started.send(()).unwrap();
                // Ends with an error when the other side is dropped, which is what releases it.
                let released = held.lock().unwrap().recv();
                assert!(released.is_err());
                Ok(())
            };
            writer.write(wait).await.unwrap();
        });
        tokio::task::spawn_blocking(move || running.recv()).await.unwrap().unwrap();
        release
    }

    /// Returns once this many jobs are in the queue.
    async fn waiting(writer: &Writer, jobs: usize) {
        while writer.messages.capacity() > QUEUE_MAX - jobs {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_was_answered_is_in_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = start(&path);
        insert(&writer, 1, "x".to_owned()).await.unwrap();
        assert_eq!(count(&path), 1);
    }

    #[tokio::test]
    async fn jobs_that_wait_share_one_commit() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open_writer(&folder.path().join("a.db"), &SCHEMA).unwrap();
        let commits = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&commits);
        let count = move || {
            seen.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.connection.commit_hook(Some(count)).unwrap();
        let writer = Writer::start(connection).unwrap();
        let release = hold(&writer).await;
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let writer = writer.clone();
                tokio::spawn(async move { insert(&writer, n, String::new()).await })
            })
            .collect();
        waiting(&writer, 100).await;
        drop(release);
        for job in jobs {
            job.await.unwrap().unwrap();
        }
        // One for the job that held the others up, one for all of them.
        assert_eq!(commits.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_job_that_fails_takes_no_other_of_its_group_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = start(&path);
        let release = hold(&writer).await;
        let jobs: Vec<_> = [1, 2, 2, 3]
            .map(|n| {
                let writer = writer.clone();
                tokio::spawn(async move { insert(&writer, n, String::new()).await })
            })
            .into_iter()
            .collect();
        waiting(&writer, 4).await;
        drop(release);
        let mut failed = 0;
        for job in jobs {
            match job.await.unwrap() {
                Ok(_) => {}
                Err(WriteError::Refused(_)) => failed += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((failed, count(&path)), (1, 3));
    }

    #[tokio::test]
    async fn a_full_disk_refuses_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = start(&path);
        let limit = |pages: i64| {
            let set = move |connection: &Connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            };
            writer.write(set)
        };
        limit(10).await.unwrap();
        let large = "x".repeat(100_000);
        let error = insert(&writer, 1, large.clone()).await.unwrap_err();
        assert!(matches!(error, WriteError::NoSpace(_)), "{error}");
        // What fits is taken even now.
        insert(&writer, 2, String::new()).await.unwrap();
        limit(1_000).await.unwrap();
        insert(&writer, 1, large).await.unwrap();
        assert_eq!(count(&path), 2);
    }

    #[tokio::test]
    async fn closing_finishes_what_was_asked_for_and_refuses_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = start(&path);
        let (written, ()) = tokio::join!(insert(&writer, 1, String::new()), writer.close());
        written.unwrap();
        assert!(matches!(insert(&writer, 2, String::new()).await, Err(WriteError::Closed)));
        assert_eq!(count(&path), 1);
        // The lock is gone as well: the next process can open it.
        open_writer(&path, &SCHEMA).unwrap();
    }
}
