//! What can go wrong between a test and an API server.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

/// A client could not be made, or a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The server's URL is not `https://HOST:PORT`.
    #[error("{server:?} is not https://HOST:PORT")]
    Server {
        /// What was given.
        server: String,
    },
    /// A PEM text holds no usable certificate or key.
    #[error("unusable {what} for {server}")]
    Tls {
        /// Which.
        what: &'static str,
        /// For which server.
        server: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The token has characters that no header may have.
    #[error("the bearer token is not a token")]
    Token,
    /// The path is not one.
    #[error("{path:?} is not a path")]
    Path {
        /// What was given.
        path: String,
    },
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke before the answer was whole.
    #[error("no whole answer for {path}")]
    Exchange {
        /// What was asked for.
        path: String,
        /// Why.
        source: hyper::Error,
    },
    /// The answer did not come in time.
    #[error("no answer for {path} within {deadline:?}")]
    Deadline {
        /// What was asked for.
        path: String,
        /// The deadline.
        deadline: Duration,
    },
    /// The answer is one the call has no use for.
    #[error("{status} for {path}: {answer}")]
    Answer {
        /// What was asked for.
        path: String,
        /// Its status.
        status: StatusCode,
        /// Its content.
        answer: Value,
    },
    /// A watch sent something that is not an event.
    #[error("the watch of {path} sent something else than an event")]
    Event {
        /// What is watched.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl KubeError {
    pub(super) fn exchange(path: &str, source: hyper::Error) -> Self {
        Self::Exchange { path: path.to_owned(), source }
    }

    /// The error with all its sources on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

/// What was waited for did not come.
#[derive(Debug, thiserror::Error)]
#[error("{path} was not as expected within {waited:?}; the last answer: {last}")]
pub struct WaitForError {
    /// Where it was looked for.
    pub path: String,
    /// How long.
    pub waited: Duration,
    /// The last answer, or why there was none.
    pub last: String,
}
