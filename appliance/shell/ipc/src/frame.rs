//! Frames: a length of four bytes, big-endian, and that much JSON.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest frame: an audit entry of the largest size, and a page of records.
pub const FRAME_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Why a frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// The other side announces more than is allowed, or we would.
    #[error("a frame of {bytes} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The other side speaks something else, or another version.
    #[error("a frame is not understood; are both programs of one version?")]
    Nonsense(#[source] serde_json::Error),
}

/// Reads one frame; `None` when the other side closed between frames.
pub async fn read_frame<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, FrameError> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(FrameError::Io(error)),
    }
    let length = u32::from_be_bytes(length);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes: usize::try_from(length).unwrap_or(usize::MAX) });
    }
    let mut bytes = Vec::new();
    // Grows as bytes arrive: a length alone does not make us reserve memory.
    stream.take(length.into()).read_to_end(&mut bytes).await.map_err(FrameError::Io)?;
    if bytes.len() != usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(FrameError::Nonsense)
}

/// The bytes of one frame.
pub fn encode_frame(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(FrameError::Nonsense)?;
    let length = u32::try_from(bytes.len() - 4)
        .ok()
        .filter(|length| *length <= FRAME_BYTES_MAX)
        .ok_or(FrameError::TooLong { bytes: bytes.len() - 4 })?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Writes one frame.
pub async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> Result<(), FrameError> {
    stream.write_all(&encode_frame(message)?).await.map_err(FrameError::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in_and_then_end() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let writer = tokio::spawn(async move {
            write_frame(&mut near, &"a").await.unwrap();
            write_frame(&mut near, &"b".repeat(1000)).await.unwrap();
        });
        assert_eq!(read_frame::<String>(&mut far).await.unwrap().unwrap(), "a");
        assert_eq!(read_frame::<String>(&mut far).await.unwrap().unwrap().len(), 1000);
        assert!(read_frame::<String>(&mut far).await.unwrap().is_none());
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_length_over_the_limit_is_refused_before_anything_is_read() {
        let bytes = (FRAME_BYTES_MAX + 1).to_be_bytes();
        let error = read_frame::<String>(&mut &bytes[..]).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }));
    }

    #[tokio::test]
    async fn a_frame_that_is_cut_off_is_an_error_and_not_an_end() {
        let bytes = encode_frame(&"abcdef").unwrap();
        let error = read_frame::<String>(&mut &bytes[..7]).await.unwrap_err();
        assert!(matches!(error, FrameError::Io(_)));
    }
}
