//! How messages stand on a socket: one byte of version, four of length (big-endian), then JSON.

use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Version of the frames and of what is in them. A program talks to its own version only: all of
/// them are installed together.
pub const VERSION: u8 = 1;

/// Largest content of a frame, in bytes: four audit entries of the largest size.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest that a frame takes to arrive once it began, or to be taken. Both ends are on one
/// machine, so this is a stopped peer.
const FRAME_WITHIN: Duration = Duration::from_secs(10);

const HEADER_BYTES: usize = 5;

/// Why a frame was not sent or not read. The connection is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The other end closed the connection in the middle of a frame.
    #[error("the connection was closed within a message")]
    Cut,
    /// Nothing came, or nothing was taken, in time.
    #[error("the other end is silent for more than {} s", within.as_secs())]
    Silent {
        /// How long was waited.
        within: Duration,
    },
    /// The other end speaks another version.
    #[error("the other end speaks version {found} of the protocol, not {VERSION}")]
    Version {
        /// Its version.
        found: u8,
    },
    /// The frame is larger than any frame may be.
    #[error("a message of {bytes} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The content is not what it should be.
    #[error("a message cannot be understood")]
    Content(#[source] serde_json::Error),
}

/// A value as a frame, ready to write.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0];
    serde_json::to_writer(&mut bytes, value).map_err(FrameError::Content)?;
    let length = bytes.len() - HEADER_BYTES;
    let too_large = || FrameError::TooLarge { bytes: length };
    if length > FRAME_BYTES_MAX {
        return Err(too_large());
    }
    let length = u32::try_from(length).map_err(|_| too_large())?;
    bytes[1..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Writes one or more frames.
///
/// Not cancel-safe: when dropped half way, the connection is of no use any more.
pub async fn write<W: AsyncWrite + Unpin>(writer: &mut W, frames: &[u8]) -> Result<(), FrameError> {
    let written = timeout(FRAME_WITHIN, writer.write_all(frames)).await;
    let written = written.map_err(|_| FrameError::Silent { within: FRAME_WITHIN })?;
    written.map_err(FrameError::Io)
}

/// Reads the content of the next frame, which has to begin within `idle`; `None` when the other
/// end closed the connection between frames.
///
/// Not cancel-safe: when dropped half way, the connection is of no use any more.
pub async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    idle: Duration,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut version = [0; 1];
    let first = timeout(idle, reader.read(&mut version)).await;
    let first = first.map_err(|_| FrameError::Silent { within: idle })?;
    if first.map_err(FrameError::Io)? == 0 {
        return Ok(None);
    }
    let [found] = version;
    if found != VERSION {
        return Err(FrameError::Version { found });
    }
    let rest = timeout(FRAME_WITHIN, read_content(reader)).await;
    rest.map_err(|_| FrameError::Silent { within: FRAME_WITHIN })?.map(Some)
}

async fn read_content<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Vec<u8>, FrameError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Cut,
        _ => FrameError::Io(error),
    };
    let bytes = usize::try_from(reader.read_u32().await.map_err(failed)?).unwrap_or(usize::MAX);
    // Before anything is allocated.
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    let mut content = vec![0; bytes];
    reader.read_exact(&mut content).await.map_err(failed)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(1);

    async fn read_all(bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        let (mut near, mut far) = tokio::io::duplex(64);
        let bytes = bytes.to_vec();
        let writer = tokio::spawn(async move { far.write_all(&bytes).await });
        let read = read(&mut near, IDLE).await;
        drop(near);
        // Fails when the reader did not want all of it.
        let _ = writer.await.unwrap();
        read
    }

    #[tokio::test]
    async fn a_value_comes_out_as_it_went_in() {
        let frame = encode(&["a", "b"]).unwrap();
        assert_eq!(read_all(&frame).await.unwrap().unwrap(), b"[\"a\",\"b\"]");
        assert!(read_all(&[]).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_over_the_limit_is_neither_made_nor_read() {
        let fits = encode(&"x".repeat(FRAME_BYTES_MAX - 2)).unwrap();
        assert_eq!(read_all(&fits).await.unwrap().unwrap().len(), FRAME_BYTES_MAX);
        let error = encode(&"x".repeat(FRAME_BYTES_MAX - 1)).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { bytes } if bytes == FRAME_BYTES_MAX + 1));
        // It is refused by its length alone: nothing of the content is there to be read.
        let claim = [VERSION, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(read_all(&claim).await, Err(FrameError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn a_frame_that_is_cut_or_of_another_version_is_an_error() {
        let whole = encode(&"abc").unwrap();
        for length in 1..whole.len() {
            assert!(matches!(read_all(&whole[..length]).await, Err(FrameError::Cut)), "{length}");
        }
        let found = read_all(&[VERSION + 1, 0, 0, 0, 0]).await;
        assert!(matches!(found, Err(FrameError::Version { found: 2 })));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_its_deadline_before_and_within_a_frame() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let silent = read(&mut near, IDLE).await;
        assert!(matches!(silent, Err(FrameError::Silent { within }) if within == IDLE));
        far.write_all(&[VERSION, 0, 0]).await.unwrap();
        let silent = read(&mut near, IDLE).await;
        assert!(matches!(silent, Err(FrameError::Silent { within }) if within == FRAME_WITHIN));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut near, _far) = tokio::io::duplex(64);
        let written = write(&mut near, &[0; 65]).await;
        assert!(matches!(written, Err(FrameError::Silent { .. })));
    }
}
