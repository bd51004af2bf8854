//! The API over a real socket, with the small daemon side in memory behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use fyr_model::api::{
    ApplicationDetail, ApplicationSummary, Event, OperationPhase, PreviewAction, PreviewStep,
    Problem, ResourceNode, ResourceRef, Status, SyncAnswer, SyncStatus,
};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::memory::{MemoryBackend, Shared, State, healthy};
use crate::{Admission, listen, serve};

struct Api {
    backend: Arc<MemoryBackend>,
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

struct Reply {
    status: StatusCode,
    body: Bytes,
}

impl Reply {
    fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn code(&self) -> String {
        self.read::<Problem>().code
    }
}

fn own_user() -> Admission {
    Admission { uids: BTreeSet::from([nix::unistd::getuid().as_raw()]), ..Admission::default() }
}

async fn start(admission: Admission) -> Api {
    let mut web = healthy("web", "prod");
    web.plan.steps = [PreviewAction::Delete, PreviewAction::Update]
        .into_iter()
        .map(|action| PreviewStep { action, key: ResourceRef::default(), reason: String::new() })
        .collect();
    let applications = BTreeMap::from([
        ("web".to_owned(), web),
        ("team/other".to_owned(), healthy("team/other", "test")),
    ]);
    let backend = MemoryBackend::new(State { applications, ..State::default() });
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let listener = listen(&socket, 0o600).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let shared = Arc::new(Shared(Arc::clone(&backend)));
    let task = tokio::spawn(serve(listener, shared, admission, async {
        stopped.await.unwrap();
    }));
    Api { backend, socket, stop, task, _folder: folder }
}

async fn connect(api: &Api) -> SendRequest<Full<Bytes>> {
    let stream = UnixStream::connect(&api.socket).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(api: &Api, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
    let request = http::Request::builder().method(method).uri(path).header("host", "fyrd");
    let request = request.body(Full::new(body.into())).unwrap();
    let response = connect(api).await.send_request(request).await.unwrap();
    let status = response.status();
    Reply { status, body: response.into_body().collect().await.unwrap().to_bytes() }
}

async fn get(api: &Api, path: &str) -> Reply {
    ask(api, Method::GET, path, "").await
}

async fn post(api: &Api, path: &str, body: &Value) -> Reply {
    ask(api, Method::POST, path, body.to_string()).await
}

#[tokio::test]
async fn applications_are_listed_filtered_and_shown() {
    let api = start(own_user()).await;
    let status: Status = get(&api, "/api/v1/status").await.read();
    assert_eq!(status.counts.sync[&SyncStatus::Synced], 2);
    let all: Vec<ApplicationSummary> = get(&api, "/api/v1/applications").await.read();
    assert_eq!(all.len(), 2);
    let some: Vec<ApplicationSummary> =
        get(&api, "/api/v1/applications?cluster=prod&sync=Synced").await.read();
    assert_eq!(some.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["web"]);
    let one: ApplicationDetail = get(&api, "/api/v1/applications/web").await.read();
    assert_eq!(one.summary.name, "web");
    let tree: Vec<ResourceNode> = get(&api, "/api/v1/applications/web/tree").await.read();
    assert!(tree.is_empty());
}

#[tokio::test]
async fn an_application_of_another_namespace_has_a_slash_in_its_name() {
    let api = start(own_user()).await;
    let one: ApplicationDetail = get(&api, "/api/v1/applications/team%2Fother").await.read();
    assert_eq!(one.summary.name, "team/other");
    let reply = get(&api, "/api/v1/applications/team/other").await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (404, "E0303"));
}

#[tokio::test]
async fn every_failure_is_a_problem_with_its_code_and_status() {
    let api = start(own_user()).await;
    let cases = [
        (Method::GET, "/api/v1/applications/none", "", 404, "E0301"),
        (Method::GET, "/api/v1/nothing", "", 404, "E0303"),
        (Method::DELETE, "/api/v1/status", "", 405, "E0101"),
        (Method::GET, "/api/v1/applications?colour=red", "", 400, "E0101"),
        (Method::GET, "/api/v1/applications/%FF", "", 400, "E0101"),
        (Method::POST, "/api/v1/applications/web/sync", r#"{"pruned":true}"#, 400, "E0101"),
        (Method::POST, "/api/v1/applications/web/sync", r#"{"plan":"00"}"#, 409, "E0401"),
        (Method::POST, "/api/v1/applications/web/terminate", "", 409, "E0403"),
        (Method::POST, "/api/v1/applications/web/pause", r#"{"reason":" "}"#, 400, "E0101"),
        (
            Method::POST,
            "/api/v1/applications/web/rollback",
            r#"{"id":9,"reason":"x"}"#,
            404,
            "E0302",
        ),
    ];
    for (method, path, body, status, code) in cases {
        let reply = ask(&api, method.clone(), path, body).await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (status, code), "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_but_objects_may_be_larger() {
    let api = start(own_user()).await;
    let reason = "x".repeat(70 * 1024);
    let reply = post(&api, "/api/v1/applications/web/pause", &json!({"reason": reason})).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (413, "E0102"));
    let object = json!({"kind": "A", "metadata": {"name": "a"}, "data": reason});
    let reply = post(&api, "/api/v1/applications/web/diff", &json!({"objects": [object]})).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_user_who_is_not_admitted_is_told_so_and_gets_nothing() {
    let api = start(Admission::default()).await;
    let reply = get(&api, "/api/v1/status").await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (403, "E0201"));
}

#[tokio::test]
async fn the_backend_is_told_who_asks() {
    let api = start(own_user()).await;
    let reply = post(&api, "/api/v1/applications/web/pause", &json!({"reason": "incident"})).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap();
    let expected = user.map_or(nix::unistd::getuid().to_string(), |user| user.name);
    let paused = api.backend.state().applications["web"].detail.summary.paused.clone().unwrap();
    assert_eq!((paused.by, &*paused.reason), (expected, "incident"));
}

#[tokio::test]
async fn a_dry_run_plans_and_a_sync_is_carried_out_while_events_tell() {
    let api = start(own_user()).await;
    let reply = post(&api, "/api/v1/applications/web/sync", &json!({"dryRun": true})).await;
    assert_eq!(reply.status, StatusCode::OK);
    let preview: SyncAnswer = reply.read();
    assert!(preview.plan.is_dangerous() && preview.operation.is_none());

    let request = http::Request::get("/api/v1/events?application=web").header("host", "fyrd");
    let request = request.body(Full::default()).unwrap();
    let mut connection = connect(&api).await;
    let mut events = connection.send_request(request).await.unwrap().into_body();
    assert_eq!(next_event(&mut events).await, Some(Event::Resync));

    let confirmed = json!({"plan": preview.plan.digest});
    let reply = post(&api, "/api/v1/applications/web/sync", &confirmed).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    assert_eq!(reply.read::<SyncAnswer>().operation, Some(1));
    loop {
        assert_eq!(
            next_event(&mut events).await,
            Some(Event::Application { name: "web".to_owned() })
        );
        let one: ApplicationDetail = get(&api, "/api/v1/applications/web").await.read();
        if one.summary.operation.phase == OperationPhase::Succeeded {
            assert_eq!(one.summary.operation.applied, 2);
            break;
        }
    }
}

async fn next_event(body: &mut hyper::body::Incoming) -> Option<Event> {
    let frame = body.frame().await?.unwrap().into_data().unwrap();
    Some(serde_json::from_slice(&frame).unwrap())
}

#[tokio::test]
async fn a_request_needs_no_body() {
    let api = start(own_user()).await;
    let reply = ask(&api, Method::POST, "/api/v1/applications/web/refresh", "").await;
    assert_eq!(reply.status, StatusCode::OK);
    let reply = ask(&api, Method::POST, "/api/v1/applications/web/resume", "").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn stopping_ends_streams_and_lets_nobody_new_in() {
    let api = start(own_user()).await;
    let request = http::Request::get("/api/v1/events").header("host", "fyrd");
    let mut connection = connect(&api).await;
    let response = connection.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    let mut events = response.into_body();
    assert_eq!(next_event(&mut events).await, Some(Event::Resync));
    api.stop.send(()).unwrap();
    assert_eq!(next_event(&mut events).await, None);
    api.task.await.unwrap();
    assert!(UnixStream::connect(&api.socket).await.is_err());
}

#[tokio::test]
async fn a_stream_more_than_the_limit_is_refused_while_questions_are_answered() {
    let api = start(own_user()).await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let request = http::Request::get("/api/v1/events").header("host", "fyrd");
        let mut connection = connect(&api).await;
        let response =
            connection.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        open.push((connection, response));
    }
    let refused = get(&api, "/api/v1/events").await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (503, "E0505"));
    // Questions are still answered.
    assert_eq!(get(&api, "/api/v1/status").await.status, StatusCode::OK);
}
