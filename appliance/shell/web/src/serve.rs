//! Accepts connections and answers on them until it is told to stop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use fyr_model::api::{ErrorCode, Problem};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::extract::Failure;
use crate::patient::Patient;
use crate::routes::router;
use crate::{Actor, Admission, Backend};

/// Connections at once. Whoever comes later waits in the socket's own queue. Each costs a task and
/// two buffers.
const CONNECTIONS_MAX: usize = 256;
/// Longest wait for the head of a request, on a new connection and between requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for a reader who does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Bytes buffered for the head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for answers that are under way when the daemon stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted: the process is out of file descriptors, and
/// trying again at once would only burn time.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Serves the API on `listener` until `stop` completes; then ends streams, lets answers that are
/// under way finish, and returns.
pub async fn serve<B: Backend>(
    listener: UnixListener,
    backend: Arc<B>,
    admission: Admission,
    stop: impl Future<Output = ()> + Send,
) {
    let (stopping, receiver) = watch::channel(false);
    let server = Server {
        router: router(backend, receiver),
        admission: Arc::new(admission),
        connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        graceful: GracefulShutdown::new(),
    };
    tokio::select! {
        // Cancel-safe: between two connections nothing is held, see `accept`.
        () = server.accept(&listener) => {}
        // It ends only once.
        () = stop => {}
    }
    drop(listener);
    // Nobody may be reading any streams, which is no error.
    let _ = stopping.send(true);
    if timeout(STOP_WITHIN, server.graceful.shutdown()).await.is_err() {
        warn!("some answers did not finish within {} s", STOP_WITHIN.as_secs());
    }
}

struct Server {
    router: Router,
    admission: Arc<Admission>,
    connections: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl Server {
    async fn accept(&self, listener: &UnixListener) {
        loop {
            let permit = Arc::clone(&self.connections)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = Connection {
                        router: self.router.clone(),
                        admission: Arc::clone(&self.admission),
                        watcher: self.graceful.watcher(),
                        _permit: permit,
                    };
                    tokio::spawn(connection.run(stream));
                }
                Err(error) => {
                    warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
}

struct Connection {
    router: Router,
    admission: Arc<Admission>,
    watcher: Watcher,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: UnixStream) {
        let (actor, admitted) = match self.admission.identify(&stream).await {
            Ok(identified) => identified,
            Err(error) => {
                warn!("the kernel does not say who connects: {error}");
                return;
            }
        };
        let router = self.router;
        let service = service_fn(move |request: Request<Incoming>| {
            answer(router.clone(), actor.clone(), admitted, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Patient::new(stream, WRITE_WITHIN)), service);
        if let Err(error) = self.watcher.watch(connection).await {
            debug!("a connection ended early: {error}");
        }
    }
}

async fn answer(
    router: Router,
    actor: Actor,
    admitted: bool,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if !admitted {
        warn!(uid = actor.uid, name = actor.name, "refused to serve a user who is not admitted");
        let message = format!("user {} (id {}) may not use this API", actor.name, actor.uid);
        let problem = Problem::new(ErrorCode::NotAllowed, message)
            .with_hint("ask whoever runs fyrd to admit this user, or use sudo");
        return Ok(Failure(problem).into_response());
    }
    request.extensions_mut().insert(actor);
    router.oneshot(request.map(Body::new)).await
}
