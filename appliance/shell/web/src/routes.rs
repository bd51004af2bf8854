//! The paths of the API: each asks the backend one thing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use fyr_model::api::{
    ApplicationDetail, ApplicationFilter, ApplicationSummary, AuditPage, AuditQuery,
    ClusterSummary, DiffRequest, DiffResponse, ErrorCode, HistoryEntry, PauseRequest, Problem,
    RefreshAnswer, RenderAnswer, RenderQuery, RepositorySummary, ResourceNode, ResourceStatus,
    ResumeRequest, RollbackRequest, Status, SyncAnswer, SyncRequest,
};
use http::{Method, StatusCode, Uri, header};
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::events::Stream;
use crate::extract::{Failure, Name, Payload, Wanted};
use crate::{Actor, Backend};

/// Largest body of a request, in bytes. The largest legitimate one names a few hundred objects.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest body of a request that brings objects: ten of the largest that Kubernetes takes.
const OBJECTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest answer from what the daemon holds in memory or on its disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Longest answer that needs a cluster or a Git host. Longer than the deadlines of the daemon's
/// own requests to them, so that their reasons reach whoever asks.
const OUTSIDE_ANSWER_WITHIN: Duration = Duration::from_mins(3);
/// Longest wait for a refresh before the answer is that it goes on.
const REFRESH_WITHIN: Duration = Duration::from_mins(2);
/// Streams of events at once. Fewer than connections, so that questions are always answered.
const STREAMS_MAX: usize = 64;

/// What handlers share.
pub(crate) struct Shared<B> {
    backend: Arc<B>,
    streams: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            streams: Arc::clone(&self.streams),
            stopping: self.stopping.clone(),
        }
    }
}

type Context<B> = State<Shared<B>>;
type Reply<T> = Result<Json<T>, Failure>;

/// All paths of the API. Streams end when `stopping` becomes true.
pub(crate) fn router<B: Backend>(backend: Arc<B>, stopping: watch::Receiver<bool>) -> Router {
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let app = "/api/v1/applications/{name}";
    let quick = Router::new()
        .route("/api/v1/status", get(status::<B>))
        .route("/api/v1/applications", get(applications::<B>))
        .route(app, get(application::<B>))
        .route(&format!("{app}/resources"), get(resources::<B>))
        .route(&format!("{app}/tree"), get(tree::<B>))
        .route(&format!("{app}/history"), get(history::<B>))
        .route("/api/v1/clusters", get(clusters::<B>))
        .route("/api/v1/repositories", get(repositories::<B>))
        .route("/api/v1/audit", get(audit::<B>))
        .route("/api/v1/events", get(events::<B>))
        .layer(from_fn_with_state(ANSWER_WITHIN, within));
    let outside = Router::new()
        .route(&format!("{app}/refresh"), post(refresh::<B>))
        .route("/api/v1/fleet/refresh", post(refresh_fleet::<B>))
        .route(&format!("{app}/sync"), post(sync::<B>))
        .route(&format!("{app}/rollback"), post(rollback::<B>))
        .route(&format!("{app}/pause"), post(pause::<B>))
        .route(&format!("{app}/resume"), post(resume::<B>))
        .route(&format!("{app}/terminate"), post(terminate::<B>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(OUTSIDE_ANSWER_WITHIN, within));
    let objects = Router::new()
        .route(&format!("{app}/diff"), get(diff::<B>).post(diff_objects::<B>))
        .route("/api/v1/render", get(render::<B>))
        .layer(DefaultBodyLimit::max(OBJECTS_BYTES_MAX))
        .layer(from_fn_with_state(OUTSIDE_ANSWER_WITHIN, within));
    quick
        .merge(outside)
        .merge(objects)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Shared { backend, streams, stopping })
}

/// Answers in time, or says that it does not. Covers reading the request's body.
async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("there is no answer within {} s", limit.as_secs());
        Failure(Problem::new(ErrorCode::DeadlineExceeded, message)).into_response()
    })
}

async fn no_such_path(uri: Uri) -> Failure {
    Failure(Problem::new(ErrorCode::NoSuchPath, format!("the API has no path {}", uri.path())))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} cannot be used with {method}", uri.path());
    let problem = Problem::new(ErrorCode::InvalidRequest, message);
    (StatusCode::METHOD_NOT_ALLOWED, Json(problem)).into_response()
}

async fn status<B: Backend>(State(shared): Context<B>) -> Reply<Status> {
    Ok(Json(shared.backend.status().await?))
}

async fn applications<B: Backend>(
    State(shared): Context<B>,
    Wanted(filter): Wanted<ApplicationFilter>,
) -> Reply<Vec<ApplicationSummary>> {
    Ok(Json(shared.backend.applications(&filter).await?))
}

async fn application<B: Backend>(
    State(shared): Context<B>,
    Name(name): Name,
) -> Reply<ApplicationDetail> {
    Ok(Json(shared.backend.application(&name).await?))
}

async fn resources<B: Backend>(
    State(shared): Context<B>,
    Name(name): Name,
) -> Reply<Vec<ResourceStatus>> {
    Ok(Json(shared.backend.application(&name).await?.resources))
}

async fn tree<B: Backend>(State(shared): Context<B>, Name(name): Name) -> Reply<Vec<ResourceNode>> {
    let resources = shared.backend.application(&name).await?.resources;
    Ok(Json(ResourceNode::forest(&resources)))
}

async fn history<B: Backend>(
    State(shared): Context<B>,
    Name(name): Name,
) -> Reply<Vec<HistoryEntry>> {
    Ok(Json(shared.backend.history(&name).await?))
}

async fn clusters<B: Backend>(State(shared): Context<B>) -> Reply<Vec<ClusterSummary>> {
    Ok(Json(shared.backend.clusters().await?))
}

async fn repositories<B: Backend>(State(shared): Context<B>) -> Reply<Vec<RepositorySummary>> {
    Ok(Json(shared.backend.repositories().await?))
}

async fn audit<B: Backend>(
    State(shared): Context<B>,
    Wanted(query): Wanted<AuditQuery>,
) -> Reply<AuditPage> {
    Ok(Json(shared.backend.audit(&query).await?))
}

/// Which events are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    application: Option<String>,
}

async fn events<B: Backend>(
    State(shared): Context<B>,
    Wanted(query): Wanted<EventQuery>,
) -> Result<Response, Failure> {
    let permit = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let message = format!("{STREAMS_MAX} streams of events are open already");
        Failure(Problem::new(ErrorCode::Overloaded, message))
    })?;
    let stream = Stream {
        changes: shared.backend.changes(),
        application: query.application,
        stopping: shared.stopping.clone(),
        permit,
    };
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], stream.into_body()).into_response())
}

/// Which revision is compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    revision: Option<String>,
}

async fn diff<B: Backend>(
    State(shared): Context<B>,
    Name(name): Name,
    Wanted(query): Wanted<DiffQuery>,
) -> Reply<DiffResponse> {
    Ok(Json(shared.backend.diff(&name, query.revision.as_deref()).await?))
}

async fn render<B: Backend>(
    State(shared): Context<B>,
    Wanted(query): Wanted<RenderQuery>,
) -> Reply<RenderAnswer> {
    Ok(Json(shared.backend.render(&query).await?))
}

async fn diff_objects<B: Backend>(
    State(shared): Context<B>,
    Name(name): Name,
    Payload(request): Payload<DiffRequest>,
) -> Reply<DiffResponse> {
    Ok(Json(shared.backend.diff_objects(&name, request).await?))
}

async fn refresh<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
    Name(name): Name,
) -> Result<Response, Failure> {
    refreshed(timeout(REFRESH_WITHIN, shared.backend.refresh(&actor, &name)).await)
}

async fn refresh_fleet<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
) -> Result<Response, Failure> {
    refreshed(timeout(REFRESH_WITHIN, shared.backend.refresh_fleet(&actor)).await)
}

fn refreshed(
    answer: Result<Result<RefreshAnswer, Problem>, tokio::time::error::Elapsed>,
) -> Result<Response, Failure> {
    let answer = answer.unwrap_or_else(|_| Ok(RefreshAnswer::default()))?;
    let status = if answer.finished { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(answer)).into_response())
}

async fn sync<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
    Name(name): Name,
    Payload(request): Payload<SyncRequest>,
) -> Result<Response, Failure> {
    Ok(begun(shared.backend.sync(&actor, &name, request).await?))
}

async fn rollback<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
    Name(name): Name,
    Payload(request): Payload<RollbackRequest>,
) -> Result<Response, Failure> {
    reason_given(&request.reason)?;
    Ok(begun(shared.backend.rollback(&actor, &name, request).await?))
}

fn begun(answer: SyncAnswer) -> Response {
    let status = if answer.operation.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    (status, Json(answer)).into_response()
}

async fn pause<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
    Name(name): Name,
    Payload(request): Payload<PauseRequest>,
) -> Result<StatusCode, Failure> {
    reason_given(&request.reason)?;
    shared.backend.pause(&actor, &name, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
    Name(name): Name,
    Payload(request): Payload<ResumeRequest>,
) -> Result<StatusCode, Failure> {
    shared.backend.resume(&actor, &name, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn terminate<B: Backend>(
    State(shared): Context<B>,
    Extension(actor): Extension<Actor>,
    Name(name): Name,
) -> Result<StatusCode, Failure> {
    shared.backend.terminate(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What stops automation needs a reason, for whoever finds it stopped.
fn reason_given(reason: &str) -> Result<(), Failure> {
    if reason.trim().is_empty() {
        let message = "a reason is needed: it is what others read when they find it so";
        return Err(Failure(Problem::new(ErrorCode::InvalidRequest, message)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered_by_its_deadline() {
        let router = Router::new()
            .route("/slow", get(std::future::pending::<()>))
            .layer(from_fn_with_state(ANSWER_WITHIN, within));
        let request = Request::get("/slow").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_stands_under_the_deadline_too() {
        let router = Router::new()
            .route("/", post(|Payload(_): Payload<SyncRequest>| async {}))
            .layer(from_fn_with_state(ANSWER_WITHIN, within));
        let silent = futures::stream::pending::<Result<&'static [u8], std::io::Error>>();
        let request = Request::post("/").body(Body::from_stream(silent)).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_that_takes_long_is_accepted_and_goes_on() {
        let never = timeout(REFRESH_WITHIN, std::future::pending()).await;
        assert_eq!(refreshed(never).unwrap().status(), StatusCode::ACCEPTED);
    }

    // The daemon's own words have to come before the deadline cuts them off.
    const _: () = assert!(REFRESH_WITHIN.as_secs() < OUTSIDE_ANSWER_WITHIN.as_secs());
}
