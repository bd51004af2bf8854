//! Single requests to an API server: each under a deadline and a size limit, none through an open
//! circuit.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::client::Body;
use kube::core::Status;
use serde::Deserialize;
use tokio::time::timeout;

use crate::contact::{Contact, PROBE_DEADLINE};

/// How long one request may take. An API server gives up on its own after 60 s; what takes longer
/// than half of that holds one of our few writes back from everybody else.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Largest answer about one object. Kubernetes stores at most 1.5 MiB an object by default; etcd
/// can be told otherwise.
pub(crate) const OBJECT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest answer that lists objects or kinds: one page of 500 large objects.
pub(crate) const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest part of an answer that is no Kubernetes status to show to people, in characters: a
/// proxy's HTML page says nothing after that.
const FOREIGN_TEXT_MAX: usize = 200;

/// An answer that is not an error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads the body as JSON.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RequestError> {
        serde_json::from_slice(&self.body).map_err(RequestError::Malformed)
    }
}

/// Why there is no answer, or none that says yes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The API server, or something before it, said no.
    #[error("the API server answered {} {}: {}", .0.code, .0.reason, .0.message)]
    Refused(Box<Status>),
    /// Something before the API server says that it cannot be reached.
    #[error("a gateway answered {code} in place of the API server")]
    Gateway { code: u16 },
    /// Nothing came back in time.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
    /// There was no connection, or it broke.
    #[error("the connection failed: {reason}")]
    Connection { reason: String },
    /// The circuit is open: nothing was sent, or the answer was not waited for.
    #[error("the cluster is unreachable: {reason}")]
    CircuitOpen { reason: String },
    /// The answer is too large.
    #[error("the answer is over the limit of {limit} bytes")]
    TooLarge { limit: usize },
    /// The answer is not what was asked for.
    #[error("the answer cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// The request cannot be written down.
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
}

/// What a probe found.
#[derive(Debug)]
pub(crate) enum Probed {
    /// The cluster answers.
    Ready,
    /// It does not, for this reason.
    Failed(String),
}

/// Sends requests to one cluster.
#[derive(Clone)]
pub(crate) struct Requests {
    client: kube::Client,
    contact: Arc<Contact>,
}

impl Requests {
    pub(crate) fn new(client: kube::Client, contact: Arc<Contact>) -> Self {
        Self { client, contact }
    }

    pub(crate) fn contact(&self) -> &Contact {
        &self.contact
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        if let Some(reason) = self.contact.open() {
            return Err(RequestError::CircuitOpen { reason });
        }
        tokio::select! {
            // Nothing to keep when cancelled: the circuit has opened and the answer, if it ever
            // comes, is too late.
            answer = self.exchange(request, REQUEST_DEADLINE, limit) => answer,
            // Cancel-safe: it only reads.
            reason = self.contact.opened() => Err(RequestError::CircuitOpen { reason }),
        }
    }

    /// Reads one path; `accept` names the representation.
    pub(crate) async fn get(
        &self,
        path: &str,
        accept: &str,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty())?;
        self.send(request, limit).await
    }

    /// Opens a stream: the answer's head under a deadline, its body as it comes.
    pub(crate) async fn stream(&self, path: &str, accept: &str) -> Result<Body, RequestError> {
        let request = Request::get(path)
            .header(header::ACCEPT, accept)
            // Compressed watches are one gzip member an event, and kube decodes only the first.
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Body::empty())?;
        let open = async {
            let response = self.client.send(request).await.map_err(connection)?;
            let status = response.status();
            if status.is_success() {
                self.contact.touch();
                return Ok(response.into_body());
            }
            let body = collect(response.into_body(), OBJECT_BYTES_MAX).await?;
            Err(refused(status, &body))
        };
        self.bounded(open, REQUEST_DEADLINE).await
    }

    /// Asks the API server whether it is ready, whatever the circuit says.
    ///
    /// Every answer but "not ready" and "who are you" counts: `/readyz` may be forbidden.
    pub(crate) async fn probe(&self) -> Probed {
        let request = match Request::get("/readyz").body(Body::empty()) {
            Ok(request) => request,
            Err(error) => return Probed::Failed(error.to_string()),
        };
        let answer = timeout(PROBE_DEADLINE, async {
            let response = self.client.send(request).await.map_err(connection)?;
            let status = response.status();
            let body = collect(response.into_body(), OBJECT_BYTES_MAX).await?;
            Ok::<_, RequestError>((status, body))
        });
        match answer.await {
            Err(_) => Probed::Failed(RequestError::Deadline(PROBE_DEADLINE).to_string()),
            Ok(Err(error)) => Probed::Failed(error.to_string()),
            Ok(Ok((StatusCode::UNAUTHORIZED, _))) => {
                Probed::Failed("the API server does not accept the credentials (401)".to_owned())
            }
            Ok(Ok((status, body))) if status.is_server_error() => {
                Probed::Failed(not_ready(status, &body))
            }
            Ok(Ok(_)) => {
                self.contact.touch();
                Probed::Ready
            }
        }
    }

    /// The cluster's version, if it tells.
    pub(crate) async fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let request = Request::get("/version").body(Body::empty()).ok()?;
        let answer = self.exchange(request, PROBE_DEADLINE, OBJECT_BYTES_MAX).await.ok()?;
        answer.json::<Version>().ok().map(|version| version.git_version)
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        deadline: Duration,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        let exchange = async {
            let response = self.client.send(request).await.map_err(connection)?;
            let status = response.status();
            let etag = response.headers().get(header::ETAG);
            let etag = etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            let body = collect(response.into_body(), limit).await?;
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                self.contact.touch();
                return Ok(Answer { status, etag, body });
            }
            let error = refused(status, &body);
            if matches!(error, RequestError::Refused(_)) {
                self.contact.touch();
            }
            Err(error)
        };
        self.bounded(exchange, deadline).await
    }

    async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, RequestError>>,
        deadline: Duration,
    ) -> Result<T, RequestError> {
        let result = timeout(deadline, work).await.unwrap_or(Err(RequestError::Deadline(deadline)));
        if let Err(
            RequestError::Connection { .. }
            | RequestError::Deadline(_)
            | RequestError::Gateway { .. },
        ) = &result
        {
            self.contact.suspect();
        }
        result
    }
}

/// Begins a request that carries JSON.
pub(crate) fn with_body(
    method: Method,
    path_and_query: &str,
    content_type: &str,
    accept: &str,
    body: Vec<u8>,
) -> Result<Request<Body>, RequestError> {
    let request = Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, accept)
        .body(Body::from(body))?;
    Ok(request)
}

/// What broke a connection, in the words of the innermost cause: the outer ones say only that
/// something did.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn connection(error: kube::Error) -> RequestError {
    let mut innermost: &dyn Error = &error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    RequestError::Connection { reason: innermost.to_string() }
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, RequestError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(RequestError::TooLarge { limit }),
        Err(error) => Err(RequestError::Connection { reason: error.to_string() }),
    }
}

fn refused(status: StatusCode, body: &[u8]) -> RequestError {
    match serde_json::from_slice::<Status>(body) {
        Ok(mut refusal) => {
            refusal.code = status.as_u16();
            RequestError::Refused(Box::new(refusal))
        }
        Err(_) if matches!(status.as_u16(), 502..=504) => {
            RequestError::Gateway { code: status.as_u16() }
        }
        Err(_) => {
            let text: String =
                String::from_utf8_lossy(body).trim().chars().take(FOREIGN_TEXT_MAX).collect();
            let refusal = Status::failure(&text, "").with_code(status.as_u16());
            RequestError::Refused(Box::new(refusal))
        }
    }
}

/// Which of the API server's own checks failed, from the lines of `/readyz`.
fn not_ready(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let failed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    match failed.as_slice() {
        [] => format!("the API server is not ready ({})", status.as_u16()),
        [first, ..] => format!("the API server is not ready: {first} failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_something_else_than_the_api_server_is_not_taken_for_its_own() {
        let page = b"<html>Bad Gateway</html>";
        assert!(matches!(
            refused(StatusCode::BAD_GATEWAY, page),
            RequestError::Gateway { code: 502 },
        ));
        let RequestError::Refused(status) = refused(StatusCode::NOT_FOUND, b"404 page not found\n")
        else {
            panic!("a 404 is an answer");
        };
        assert_eq!((status.code, status.message.as_str()), (404, "404 page not found"));
    }

    #[test]
    fn an_api_server_that_is_not_ready_says_which_check_failed() {
        let body = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n";
        assert_eq!(
            not_ready(StatusCode::INTERNAL_SERVER_ERROR, body),
            "the API server is not ready: etcd failed",
        );
    }
}
