//! The socket of the API.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Why the API has no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something answers there.
    #[error("another program listens at {} already", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// There is a file in the way that is no socket.
    #[error("{} is in the way: it is not a socket", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot listen at {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens at `path`, replacing a socket that a killed daemon has left. `mode` is that of the
/// socket: who may not write to it does not even reach the admission.
pub async fn listen(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    let io = |source| ListenError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::InTheWay { path: path.to_owned() });
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            return Err(ListenError::InUse { path: path.to_owned() });
        }
        Ok(_) => std::fs::remove_file(path).map_err(io)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(io)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_and_a_file_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        let first = listen(&path, 0o600).await.unwrap();
        assert!(matches!(listen(&path, 0o600).await, Err(ListenError::InUse { .. })));
        drop(first);
        assert!(listen(&path, 0o660).await.is_ok());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);

        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(listen(&file, 0o600).await, Err(ListenError::InTheWay { .. })));
    }
}
