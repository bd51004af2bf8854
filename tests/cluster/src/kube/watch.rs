//! A running watch.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::connection::Connection;
use super::error::KubeError;

/// One event of a watch.
#[derive(Clone, Debug, Deserialize)]
pub struct WatchEvent {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object, or the status that explains an error.
    pub object: Value,
}

/// The events of one collection as they come. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    path: String,
    body: Incoming,
    received: Vec<u8>,
    // The connection ends with its sender.
    _connection: Connection,
}

impl Watch {
    pub(super) fn new(path: String, body: Incoming, connection: Connection) -> Self {
        Self { path, body, received: Vec::new(), _connection: connection }
    }

    /// Waits for the next event; nothing once the server has ended the watch. Cancel-safe: what
    /// was received of an event is kept.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, KubeError>> {
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let event = serde_json::from_slice(&line);
                return Some(
                    event.map_err(|source| KubeError::Event { path: self.path.clone(), source }),
                );
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        self.received.extend_from_slice(data);
                    }
                }
                Err(source) => return Some(Err(KubeError::exchange(&self.path, source))),
            }
        }
    }
}
