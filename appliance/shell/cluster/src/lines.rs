//! The lines of a watch: one JSON document each, as they come.

use http_body_util::BodyExt;
use kube::client::Body;

use crate::requests::{OBJECT_BYTES_MAX, RequestError};

/// Largest buffer kept between events, in bytes.
const BUFFER_KEPT: usize = 64 * 1024;

/// Splits a body into lines of at most [`OBJECT_BYTES_MAX`] bytes.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    start: usize,
    /// Up to where `buffer` holds no newline, so that no byte is looked at twice.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: Vec::new(), start: 0, searched: 0 }
    }

    /// The next line without its newline; `None` at the end of the body.
    ///
    /// Cancel-safe: what has been read stays in the buffer.
    pub(crate) async fn next(&mut self) -> Result<Option<&[u8]>, RequestError> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let end = self.searched + length;
                let line = self.start..end;
                self.start = end + 1;
                self.searched = self.start;
                return Ok(self.buffer.get(line));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.searched = self.buffer.len();
            if self.buffer.is_empty() && self.buffer.capacity() > BUFFER_KEPT {
                // One large object must not cost its size for as long as the watch lives.
                self.buffer = Vec::new();
            }
            if self.buffer.len() > OBJECT_BYTES_MAX {
                return Err(RequestError::TooLarge { limit: OBJECT_BYTES_MAX });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(RequestError::Connection { reason: error.to_string() });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &str) -> Vec<String> {
        let mut lines = Lines::new(Body::from(text.as_bytes().to_vec()));
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(String::from_utf8(line.to_vec()).unwrap());
        }
        all
    }

    #[tokio::test]
    async fn each_line_comes_once_and_an_unfinished_one_not_at_all() {
        assert_eq!(lines("a\nbc\n\nd").await, ["a", "bc", ""]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_an_error_and_not_memory() {
        let mut lines = Lines::new(Body::from(vec![b'x'; OBJECT_BYTES_MAX + 1]));
        assert!(matches!(lines.next().await, Err(RequestError::TooLarge { .. })));
    }
}
