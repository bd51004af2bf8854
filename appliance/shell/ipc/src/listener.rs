//! Unix sockets that know who is at the other end.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a socket is not listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens on it.
    #[error("another process listens on {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in its place. It is left alone.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who is at the other end, by the kernel's account at the time it connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id, if it still had one. For logs only: it may be another process by now.
    pub pid: Option<i32>,
}

/// A connection; its place among the limited number is free again when it is dropped.
#[derive(Debug)]
pub struct Connection {
    /// The stream.
    pub stream: UnixStream,
    /// Who is at the other end.
    pub peer: Peer,
    _place: OwnedSemaphorePermit,
}

/// What came in.
#[derive(Debug)]
pub enum Accepted {
    /// Somebody who may.
    Admitted(Connection),
    /// Somebody who may not: to be told so, and nothing else.
    Refused(Connection),
}

/// A Unix socket that admits some users only. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of our file, so that we never remove that of a successor.
    file: (u64, u64),
    uids: BTreeSet<u32>,
    places: Arc<Semaphore>,
}

impl Listener {
    /// Listens at `path` with file mode `mode`, for processes of `uids`, at most `connections_max`
    /// at a time; more wait to be accepted. A socket that nobody listens on is replaced.
    pub fn bind(
        path: &Path,
        mode: u32,
        uids: BTreeSet<u32>,
        connections_max: usize,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind { path: path.to_owned(), source };
        remove_stale(path)?;
        let socket = UnixListener::bind(path).map_err(failed)?;
        // Until here the umask decides who can connect; who may is decided on every connection.
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            file: (metadata.dev(), metadata.ino()),
            uids,
            places: Arc::new(Semaphore::new(connections_max)),
        })
    }

    /// The next connection, once there is a place for it.
    ///
    /// Cancel-safe: a connection that is not returned is accepted by the next call.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (stream, _) = self.socket.accept().await?;
        let credentials = stream.peer_cred()?;
        let peer = Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
        let connection = Connection { stream, peer, _place: place };
        Ok(if self.uids.contains(&peer.uid) {
            Accepted::Admitted(connection)
        } else {
            Accepted::Refused(connection)
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours {
            // The next start removes what is left here.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket of a process that is gone.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Bind { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(source) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER_ONLY: u32 = 0o600;

    fn own_uid(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().uid()
    }

    fn bind(path: &Path, uids: impl IntoIterator<Item = u32>) -> Result<Listener, BindError> {
        Listener::bind(path, OWNER_ONLY, uids.into_iter().collect(), 1)
    }

    #[tokio::test]
    async fn only_the_named_users_are_admitted() {
        let folder = tempfile::tempdir().unwrap();
        let uid = own_uid(folder.path());
        for (path, uids, expected) in [("a", vec![uid], true), ("b", vec![uid + 1], false)] {
            let path = folder.path().join(path);
            let listener = bind(&path, uids).unwrap();
            let _stream = UnixStream::connect(&path).await.unwrap();
            let (admitted, connection) = match listener.accept().await.unwrap() {
                Accepted::Admitted(connection) => (true, connection),
                Accepted::Refused(connection) => (false, connection),
            };
            assert_eq!((admitted, connection.peer.uid), (expected, uid));
        }
    }

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let listener = bind(&path, []).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        // Dropping a plain listener leaves its file, as a killed process does.
        drop(UnixListener::bind(&path).unwrap());
        let listener = bind(&path, []).unwrap();
        assert!(matches!(bind(&path, []), Err(BindError::InUse { .. })));
        drop(listener);
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path, []), Err(BindError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let first = bind(&path, []).unwrap();
        fs::remove_file(&path).unwrap();
        let second = bind(&path, []).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_limit_a_connection_waits_for_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let listener = bind(&path, []).unwrap();
        let (_one, _two) =
            (UnixStream::connect(&path).await.unwrap(), UnixStream::connect(&path).await.unwrap());
        let first = listener.accept().await.unwrap();
        let wait = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, listener.accept()).await.is_err());
        drop(first);
        listener.accept().await.unwrap();
    }
}
