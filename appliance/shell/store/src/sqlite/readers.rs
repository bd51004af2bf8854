//! Reads beside the writer, off the async threads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{OpenError, open_reader};

/// Reads at a time, and connections kept. Our machines have few cores and reads take microseconds.
const READERS_MAX: usize = 4;

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[source] OpenError),
    /// The query failed, or found what it cannot make sense of.
    #[error("the database cannot be read")]
    Query(#[source] rusqlite::Error),
    /// The runtime is shutting down.
    #[error("the read was given up")]
    GivenUp,
}

/// Read-only connections to a database. Clones share them.
#[derive(Clone, Debug)]
pub struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Readers of the database at `path`; opened when they are needed.
    pub fn new(path: &Path) -> Self {
        let permits = Arc::new(Semaphore::new(READERS_MAX));
        Self { path: path.to_owned(), idle: Arc::default(), permits }
    }

    /// Runs `query` on a connection of its own. It sees everything that was committed before.
    pub async fn read<T, F>(&self, query: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| ReadError::GivenUp)?;
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let read = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some(connection) => connection,
                None => open_reader(&path).map_err(ReadError::Open)?,
            };
            let value = query(&connection).map_err(ReadError::Query)?;
            // Kept only after a success: another connection may fare better.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            Ok(value)
        });
        read.await.map_err(|_| ReadError::GivenUp)?
    }
}
