//! Asks the daemon over its Unix socket. Each request has a connection and a deadline of its own.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fyr_model::api::{ApplicationDetail, ErrorCode, Event, Problem};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::exit::Failure;

/// Longest wait for an answer: a little longer than the longest deadline of the daemon, so that
/// its own words arrive.
const ANSWER_WITHIN: Duration = Duration::from_secs(200);
/// Largest answer. Some hundred times what a thousand applications give.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest line of the stream of events: one name.
const EVENT_BYTES_MAX: usize = 64 * 1024;
/// A stream of events that is silent for this long is dead: the daemon sends heartbeats every 15 s.
const EVENTS_SILENT_MAX: Duration = Duration::from_secs(35);

/// The way to the daemon.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    verbose: bool,
}

impl Client {
    pub(crate) fn new(socket: PathBuf, verbose: bool) -> Self {
        Self { socket, verbose }
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// One application.
    pub(crate) async fn application(&self, name: &str) -> Result<ApplicationDetail, Failure> {
        self.get(&application_path(name, "")).await
    }

    /// Asks to do something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(request)
            .map_err(|error| Failure::of(ErrorCode::Internal, &error))?;
        self.ask(Method::POST, path, body.into()).await
    }

    /// What happens from now on; of one application, or of all.
    pub(crate) async fn events(&self, application: Option<&str>) -> Result<Events, Failure> {
        let query = application.map(|name| format!("?application={}", encoded(name)));
        let path = format!("/api/v1/events{}", query.unwrap_or_default());
        let (sender, response) = self.send(Method::GET, &path, Bytes::new()).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(Events { body: response.into_body(), buffer: Vec::new(), _sender: sender })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Failure> {
        let answer = async {
            let (_sender, response) = self.send(method, path, body).await?;
            let status = response.status();
            if !status.is_success() {
                return Err(refusal(response).await);
            }
            let bytes = read(response).await?;
            let text: &[u8] = if status == StatusCode::NO_CONTENT { b"null" } else { &bytes };
            serde_json::from_slice(text).map_err(|error| bad_answer(path, &error))
        };
        timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| {
            let seconds = ANSWER_WITHIN.as_secs();
            let message = format!("fyrd does not answer within {seconds} s");
            Err(Failure::new(ErrorCode::DeadlineExceeded, message))
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(SendRequest<Full<Bytes>>, Response<Incoming>), Failure> {
        let started = Instant::now();
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let lost = |error: hyper::Error| {
            let message = format!("the connection to fyrd at {} broke", self.socket.display());
            Failure::caused(ErrorCode::DaemonUnreachable, message, &error)
        };
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // Ends with the connection; what goes wrong on it is seen by whoever waits for the answer.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header(header::HOST, "fyrd")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::of(ErrorCode::Internal, &error))?;
        let response = sender.send_request(request).await.map_err(lost)?;
        if self.verbose {
            let milliseconds = started.elapsed().as_millis();
            let line = format!("{method} {path} → {} in {milliseconds} ms\n", response.status());
            // If nobody reads it there is nobody to tell.
            let _ = io::Write::write_all(&mut io::stderr(), line.as_bytes());
        }
        Ok((sender, response))
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            let message = format!("you may not use fyrd's socket {socket}");
            let hint = "ask whoever runs it to add you to the group of the socket, or use sudo";
            return Failure::new(ErrorCode::NotAllowed, message).with_hint(hint);
        }
        let message = format!("cannot reach fyrd at {socket}: is it running?");
        Failure::caused(ErrorCode::DaemonUnreachable, message, error).with_hint(
            "`systemctl status fyrd` shows whether it runs, `fyr up` starts one for a first look; \
             --socket or FYR_SOCKET names another socket",
        )
    }
}

/// The path of an application, or of something of it.
pub(crate) fn application_path(name: &str, what: &str) -> String {
    let slash = if what.is_empty() { "" } else { "/" };
    format!("/api/v1/applications/{}{slash}{what}", encoded(name))
}

/// A query of the parameters that are set; empty when none is.
pub(crate) fn query<'a>(
    parameters: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&encoded(value));
    }
    text
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Failure> {
    match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            let message = "fyrd's answer cannot be read";
            Err(Failure::caused(ErrorCode::BadAnswer, message, error.as_ref()))
        }
    }
}

/// What the daemon says when it does not do what it is asked.
async fn refusal(response: Response<Incoming>) -> Failure {
    let status = response.status();
    let bytes = match read(response).await {
        Ok(bytes) => bytes,
        Err(failure) => return failure,
    };
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => problem.into(),
        Err(_) => Failure::new(ErrorCode::BadAnswer, format!("fyrd answers {status} and no more")),
    }
}

fn bad_answer(path: &str, error: &serde_json::Error) -> Failure {
    let message = format!("fyrd's answer to {path} cannot be understood");
    Failure::caused(ErrorCode::BadAnswer, message, error)
        .with_hint("use a command line and a daemon of the same version")
}

/// The stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    /// Keeps the connection open.
    _sender: SendRequest<Full<Bytes>>,
}

impl Events {
    /// The next thing that happened; `None` when the stream ends or is dead. Heartbeats are passed
    /// over. A kind of event that is not known here means "look at everything".
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                match serde_json::from_slice(&line).unwrap_or(Event::Resync) {
                    Event::Heartbeat => continue,
                    event => return Some(event),
                }
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return None;
            }
            let frame = timeout(EVENTS_SILENT_MAX, self.body.frame()).await.ok()??.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_change_the_path_they_stand_in() {
        assert_eq!(
            application_path("a/../b?c", "tree"),
            "/api/v1/applications/a%2F..%2Fb%3Fc/tree"
        );
        assert_eq!(application_path("web", ""), "/api/v1/applications/web");
    }

    #[test]
    fn a_query_holds_only_what_is_set() {
        assert_eq!(query([("a", None), ("b", Some("x y")), ("c", Some("1"))]), "?b=x%20y&c=1");
        assert_eq!(query([("a", None)]), "");
    }
}
