//! Unix sockets that only some users may connect to.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Why a program cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something else answers there.
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

/// A socket and who may connect to it.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    allowed: BTreeSet<u32>,
}

impl Listener {
    /// Listens at `path` for users of these ids. A socket left by a killed program is replaced;
    /// `mode` is that of the new one.
    pub async fn bind(path: &Path, mode: u32, allowed: BTreeSet<u32>) -> Result<Self, ListenError> {
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
        Ok(Self { listener, allowed })
    }

    /// The next connection of a user who may connect; others are closed without a word.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if self.allowed.contains(&stream.peer_cred()?.uid()) {
                return Ok(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_uid(path: &Path) -> u32 {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).unwrap().uid()
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let allowed = BTreeSet::from([own_uid(folder.path())]);
        let first = Listener::bind(&path, 0o600, allowed.clone()).await.unwrap();
        let second = Listener::bind(&path, 0o600, allowed.clone()).await;
        assert!(matches!(second, Err(ListenError::InUse { .. })));
        drop(first);
        assert!(Listener::bind(&path, 0o600, allowed.clone()).await.is_ok());

        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let blocked = Listener::bind(&file, 0o600, allowed).await;
        assert!(matches!(blocked, Err(ListenError::InTheWay { .. })));
    }

    #[tokio::test]
    async fn a_user_who_may_not_connect_is_closed_out() {
        use tokio::io::AsyncReadExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let stranger = own_uid(folder.path()).wrapping_add(1);
        let listener = Listener::bind(&path, 0o600, BTreeSet::from([stranger])).await.unwrap();
        let task = tokio::spawn(async move { listener.accept().await.is_ok() });
        let mut stream = UnixStream::connect(&path).await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        task.abort();
    }
}
