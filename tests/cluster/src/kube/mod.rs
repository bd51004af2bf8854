//! A bare client of an API server: HTTPS, JSON and a pool of connections, nothing else.
//!
//! It is the witness of the tests, so it shares no code with the client under test, and the floor
//! of the benchmarks, so it does no more for a request than must be done. It does not discover,
//! cache, retry or throttle.
//!
//! Limits: HTTP/1.1, one request a connection at a time; more wait for a connection. Every
//! exchange has a deadline (30 s unless set).

mod connection;
mod error;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use tokio::time::{Instant, sleep};

pub use connection::Identity;
use connection::Pool;
pub use error::{KubeError, WaitForError};
pub use watch::{Watch, WatchEvent};

/// Deadline of an exchange unless set: what the API server itself allows is twice as much.
const DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two looks of [`Kube::wait_for`].
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Who owns the fields of [`Kube::apply`] unless set.
const FIELD_MANAGER: &str = "fyr-test";
/// Server-side apply. The body is JSON, which is YAML.
const APPLY: &str = "application/apply-patch+yaml";

/// A client. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Kube {
    pool: Arc<Pool>,
    headers: HeaderMap,
    deadline: Duration,
    field_manager: String,
}

impl Kube {
    /// Makes a client of `server` (`https://HOST:PORT`), which must have a certificate of the
    /// authority `ca_certificate` (PEM). It opens at most `connections` connections, and none
    /// before it needs one; watches have their own.
    pub fn new(
        server: &str,
        ca_certificate: &str,
        identity: &Identity,
        connections: usize,
    ) -> Result<Self, KubeError> {
        let pool = Pool::new(server, ca_certificate, identity, connections)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, pool.host().clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("fyr-test"));
        if let Identity::Token(token) = identity {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| KubeError::Token)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(Self {
            pool: Arc::new(pool),
            headers,
            deadline: DEADLINE,
            field_manager: FIELD_MANAGER.to_owned(),
        })
    }

    /// The same client with another deadline for each exchange.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same client with another owner of the fields it applies.
    #[must_use]
    pub fn with_field_manager(mut self, name: &str) -> Self {
        name.clone_into(&mut self.field_manager);
        self
    }

    /// Gets what is at `path` (with query, if any).
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value), KubeError> {
        self.ask(Method::GET, path, None).await
    }

    /// Lists the objects at `path`. Any answer but 200 is an error.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, KubeError> {
        let (status, mut answer) = self.get(path).await?;
        match answer["items"].take() {
            Value::Array(items) if status == StatusCode::OK => Ok(items),
            _ => Err(KubeError::Answer { path: path.to_owned(), status, answer }),
        }
    }

    /// Applies `object` server-side at its own path, taking fields from other owners.
    pub async fn apply(
        &self,
        path: &str,
        object: &Value,
    ) -> Result<(StatusCode, Value), KubeError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}fieldManager={}&force=true", self.field_manager);
        self.patch(&path, APPLY, object).await
    }

    /// Patches what is at `path`; `content_type` says which kind of patch.
    pub async fn patch(
        &self,
        path: &str,
        content_type: &'static str,
        body: &Value,
    ) -> Result<(StatusCode, Value), KubeError> {
        self.ask(Method::PATCH, path, Some((content_type, body))).await
    }

    /// Posts `object` to the collection at `path`.
    pub async fn post(&self, path: &str, object: &Value) -> Result<(StatusCode, Value), KubeError> {
        self.ask(Method::POST, path, Some(("application/json", object))).await
    }

    /// Replaces what is at `path` by `object`.
    pub async fn put(&self, path: &str, object: &Value) -> Result<(StatusCode, Value), KubeError> {
        self.ask(Method::PUT, path, Some(("application/json", object))).await
    }

    /// Deletes what is at `path`.
    pub async fn delete(&self, path: &str) -> Result<(StatusCode, Value), KubeError> {
        self.ask(Method::DELETE, path, None).await
    }

    /// Watches `path`: a collection with its query, without `watch=true`. The deadline holds until
    /// the watch is established; an answer but 200 is an error.
    pub async fn watch(&self, path: &str) -> Result<Watch, KubeError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}watch=true");
        let opening = async {
            let mut connection = self.pool.connect().await?;
            let request = self.request(Method::GET, &path, None, Bytes::new())?;
            let response = connection.send_request(request).await;
            let response = response.map_err(|source| KubeError::exchange(&path, source))?;
            if response.status() == StatusCode::OK {
                return Ok(Watch::new(path.clone(), response.into_body(), connection));
            }
            let status = response.status();
            let body = collect(&path, response.into_body()).await?;
            Err(KubeError::Answer { path: path.clone(), status, answer: parse(&body) })
        };
        self.within_deadline(&path, opening).await
    }

    /// Looks at `path` until `expected` holds for its status and content, and returns the latter.
    /// A failed look is no end: what is waited for may be that the server comes back.
    pub async fn wait_for(
        &self,
        path: &str,
        mut expected: impl FnMut(StatusCode, &Value) -> bool,
        deadline: Duration,
    ) -> Result<Value, WaitForError> {
        let end = Instant::now() + deadline;
        let mut last = "none".to_owned();
        while let Ok(answer) = tokio::time::timeout_at(end, self.get(path)).await {
            last = match answer {
                Ok((status, value)) if expected(status, &value) => return Ok(value),
                Ok((status, value)) => format!("{status} {value}"),
                Err(error) => error.chain(),
            };
            if Instant::now() >= end {
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
        Err(WaitForError { path: path.to_owned(), waited: deadline, last })
    }

    /// Sends one request as it is and returns the answer as it is: the floor of any client. The
    /// deadline covers the wait for a connection, the request and the whole answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), KubeError> {
        self.within_deadline(path, self.exchange(method, path, content_type, body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, &Value)>,
    ) -> Result<(StatusCode, Value), KubeError> {
        let (content_type, body) = match body {
            Some((content_type, body)) => (Some(content_type), body.to_string().into()),
            None => (None, Bytes::new()),
        };
        let (status, answer) = self.send(method, path, content_type, body).await?;
        Ok((status, parse(&answer)))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), KubeError> {
        let _place = self.pool.place().await;
        loop {
            let (mut connection, reused) = match self.pool.take_idle().await {
                Some(connection) => (connection, true),
                None => (self.pool.connect().await?, false),
            };
            let request = self.request(method.clone(), path, content_type, body.clone())?;
            match connection.send_request(request).await {
                Ok(response) => {
                    let status = response.status();
                    let answer = collect(path, response.into_body()).await?;
                    self.pool.put_back(connection);
                    return Ok((status, answer));
                }
                // The server closed an idle connection at that moment: nothing was sent.
                Err(error) if reused && error.is_canceled() => {}
                Err(source) => return Err(KubeError::exchange(path, source)),
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, KubeError> {
        let uri = path.parse().map_err(|_| KubeError::Path { path: path.to_owned() })?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_static(content_type);
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        Ok(request)
    }

    async fn within_deadline<T>(
        &self,
        path: &str,
        work: impl Future<Output = Result<T, KubeError>>,
    ) -> Result<T, KubeError> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(KubeError::Deadline { path: path.to_owned(), deadline: self.deadline }),
        }
    }
}

async fn collect(path: &str, body: Incoming) -> Result<Bytes, KubeError> {
    let collected = body.collect().await;
    Ok(collected.map_err(|source| KubeError::exchange(path, source))?.to_bytes())
}

/// The answer as JSON, or as a JSON string where it is plain text (`/readyz`).
fn parse(answer: &[u8]) -> Value {
    serde_json::from_slice(answer)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(answer).into_owned()))
}
