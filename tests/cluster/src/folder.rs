//! Where a test program keeps its files: a folder that is ours alone.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tempfile::{NamedTempFile, TempDir};

/// A folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Making it failed.
    #[error("cannot make the folder {}", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file in it cannot be read or written.
    #[error("cannot use the file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process works in it.
    #[error("{} is in use by another run", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// A folder, locked for as long as this exists; removed afterwards if nobody named it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Flock<File>,
    // Last, so that the lock is given back before its file goes.
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Takes `named`, which may hold what an earlier run left, or makes a temporary one.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, FolderError> {
        let (path, temporary) = if let Some(path) = named {
            fs::create_dir_all(path)
                .and_then(|()| path.canonicalize())
                .map(|path| (path, None))
                .map_err(|source| FolderError::Make { path: path.to_owned(), source })?
        } else {
            let temporary = tempfile::Builder::new()
                .prefix("fyr-test-")
                .tempdir()
                .map_err(|source| FolderError::Make { path: std::env::temp_dir(), source })?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let lock_path = path.join("lock");
        let file_error = |source| FolderError::File { path: lock_path.clone(), source };
        let file = File::create(&lock_path).map_err(file_error)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno == Errno::EWOULDBLOCK {
                FolderError::InUse { path: path.clone() }
            } else {
                file_error(errno.into())
            }
        })?;
        Ok(Self { path, _lock: lock, _temporary: temporary })
    }

    /// The folder's absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file or folder `name` in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner can read, whole or not at all.
    pub(crate) fn write(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
    ) -> Result<PathBuf, FolderError> {
        let path = self.join(name);
        NamedTempFile::new_in(&self.path)
            .and_then(|mut file| {
                file.write_all(content.as_ref())?;
                file.persist(&path).map_err(|error| error.error)
            })
            .map_err(|source| FolderError::File { path: path.clone(), source })?;
        Ok(path)
    }

    /// Reads a file; nothing when there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::File { path, source }),
        }
    }

    /// Makes the folder `name` in it.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf, FolderError> {
        let path = self.join(name);
        fs::create_dir_all(&path)
            .map_err(|source| FolderError::Make { path: path.clone(), source })?;
        Ok(path)
    }
}
