//! The test cluster itself: that its programs are real, and that its faults are.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fyr_test_cluster::{
    AuditPosition, ControlPlane, ControlPlaneOptions, Credentials, Cut, GitAccess, GitError,
    HttpsGitServer, Identity, Kube, Proxy, Repository, SshGitServer, wait_until,
};
use serde_json::{Value, json};

/// More than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);
const PLACE: &str = "/api/v1/namespaces/default/configmaps/lamp";

fn lamp(light: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lamp"},
        "data": {"light": light}})
}

fn is_lit(light: &str) -> impl Fn(http::StatusCode, &Value) -> bool {
    move |status, object| status == 200 && object["data"]["light"] == light
}

/// Whether the process exists and is no zombie.
fn is_alive(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[tokio::test]
async fn an_object_survives_the_death_of_the_api_server_and_of_etcd() {
    let mut plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let (status, _) = plane.kube().apply(PLACE, &lamp("red")).await.unwrap();
    assert_eq!(status, 201);

    plane.kill_api_server();
    assert!(plane.kube().get(PLACE).await.is_err(), "a dead API server answers");
    plane.kill_etcd();
    plane.start_etcd().unwrap();
    plane.start_api_server().await.unwrap();

    plane.kube().wait_for(PLACE, is_lit("red"), DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_frozen_api_server_accepts_and_does_not_answer_until_it_is_thawed() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let impatient = plane.kube().clone().with_deadline(Duration::from_millis(300));
    impatient.get("/version").await.unwrap();

    plane.freeze();
    let error = impatient.get("/version").await.unwrap_err();
    assert!(error.to_string().contains("within 300ms"), "{error}");

    plane.thaw();
    plane.kube().wait_for("/version", |status, _| status == 200, DEADLINE).await.unwrap();
}

#[test]
fn a_control_plane_outlives_the_thread_and_the_runtime_that_started_it() {
    let run = |future: std::pin::Pin<Box<dyn Future<Output = ControlPlane> + Send>>| {
        std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(future)
        })
        .join()
        .unwrap()
    };
    let plane =
        run(Box::pin(async { ControlPlane::start(ControlPlaneOptions::default()).await.unwrap() }));
    // Its idle connections were those of the runtime that is gone.
    run(Box::pin(async {
        let (status, _) = plane.kube().get("/readyz").await.unwrap();
        assert_eq!(status, 200);
        plane
    }));
}

#[tokio::test]
async fn all_processes_are_gone_after_the_drop() {
    let options = ControlPlaneOptions { controllers: true, nodes: 1, ..Default::default() };
    let plane = ControlPlane::start(options).await.unwrap();
    let ids = plane.process_ids();
    let folder = plane.folder().to_owned();
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|&id| is_alive(id)));

    drop(plane);
    assert!(!ids.into_iter().any(is_alive));
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_deployment_becomes_available_on_a_node_that_is_played() {
    let options = ControlPlaneOptions { controllers: true, nodes: 2, ..Default::default() };
    let mut plane = ControlPlane::start(options).await.unwrap();
    let labels = json!({"app": "lamp"});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "lamp"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "lamp", "image": "lamp:1"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments/lamp";
    plane.kube().apply(path, &deployment).await.unwrap();
    let available = |count| move |_, object: &Value| object["status"]["availableReplicas"] == count;
    plane.kube().wait_for(path, available(3), DEADLINE).await.unwrap();

    // The controllers must find back to an API server that was gone.
    plane.kill_api_server();
    plane.start_api_server().await.unwrap();
    let scaled = json!({"spec": {"replicas": 5}});
    plane.kube().patch(path, "application/merge-patch+json", &scaled).await.unwrap();
    plane.kube().wait_for(path, available(5), DEADLINE).await.unwrap();
    plane.check().unwrap();
}

#[tokio::test]
async fn the_audit_log_tells_writes_from_reads_and_dry_runs_and_says_whose_they_were() {
    let options = ControlPlaneOptions { audit_log: true, ..Default::default() };
    let plane = ControlPlane::start(options).await.unwrap();
    let (certificate, key) = plane.client_certificate("keeper", Some("system:masters")).unwrap();
    let identity = Identity::Certificate { certificate, key };
    let keeper = plane.kube_with(&plane.server(), &identity, 1).unwrap();
    let start = plane.audit_position().unwrap();

    keeper.get(PLACE).await.unwrap();
    keeper.apply(&format!("{PLACE}?dryRun=All"), &lamp("dry")).await.unwrap();
    keeper.apply(PLACE, &lamp("red")).await.unwrap();
    keeper.delete(PLACE).await.unwrap();

    let verbs = |since: AuditPosition| -> Vec<String> {
        let mut writes = plane.write_requests(since).unwrap();
        writes.retain(|event| event.user == "keeper");
        writes.into_iter().map(|event| event.verb).collect()
    };
    wait_until(DEADLINE, "two writes in the audit log", async || verbs(start).len() >= 2).await;
    assert_eq!(verbs(start), ["patch", "delete"]);
    assert!(verbs(plane.audit_position().unwrap()).is_empty());
    let events = plane.audit_events(start).unwrap();
    assert!(events.iter().any(|event| event.verb == "get" && event.status == Some(404)));
}

#[tokio::test]
async fn a_token_has_the_rights_of_its_account_and_no_more() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let lifetime = Duration::from_mins(10);
    let token = plane.service_account_token("default", "guest", lifetime).await.unwrap();
    let guest = plane.kube_with(&plane.server(), &Identity::Token(token), 1).unwrap();
    let (status, answer) = guest.get(PLACE).await.unwrap();
    assert_eq!(status, 403, "{answer}");
    assert!(answer.to_string().contains("system:serviceaccount:default:guest"), "{answer}");

    let stranger = plane.kube_with(&plane.server(), &Identity::Token("x".into()), 1).unwrap();
    assert_eq!(stranger.get(PLACE).await.unwrap().0, 401);
}

#[tokio::test]
async fn a_watch_reports_what_changes() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let path = "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dlamp";
    let mut watch = plane.kube().watch(path).await.unwrap();
    plane.kube().apply(PLACE, &lamp("red")).await.unwrap();
    plane.kube().apply(PLACE, &lamp("green")).await.unwrap();
    plane.kube().delete(PLACE).await.unwrap();

    for (kind, light) in [("ADDED", "red"), ("MODIFIED", "green"), ("DELETED", "green")] {
        let event = tokio::time::timeout(DEADLINE, watch.next()).await.unwrap();
        let event = event.unwrap().unwrap();
        assert_eq!((event.kind.as_str(), &event.object["data"]["light"]), (kind, &json!(light)));
    }
}

#[tokio::test]
async fn a_folder_can_be_used_again_by_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        || ControlPlaneOptions { folder: Some(folder.path().join("plane")), ..Default::default() };
    let plane = ControlPlane::start(options()).await.unwrap();
    let (server, authority) = (plane.server(), plane.ca_certificate().to_owned());
    plane.kube().apply(PLACE, &lamp("red")).await.unwrap();
    let error = ControlPlane::start(options()).await.unwrap_err();
    assert!(error.source_text().contains("in use by another run"), "{error:?}");

    plane.stop();
    let plane = ControlPlane::start(options()).await.unwrap();
    assert_eq!((plane.server(), plane.ca_certificate()), (server, authority.as_str()));
    plane.kube().wait_for(PLACE, is_lit("red"), DEADLINE).await.unwrap();
}

/// The text of an error's source.
trait SourceText {
    fn source_text(&self) -> String;
}

impl<E: std::error::Error> SourceText for E {
    fn source_text(&self) -> String {
        self.source().map(ToString::to_string).unwrap_or_default()
    }
}

/// A proxy in front of a control plane, and an impatient client that goes through it.
async fn behind_a_proxy() -> (ControlPlane, Proxy, Kube) {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.expect("a control plane");
    let proxy = Proxy::start(plane.address()).expect("a proxy");
    let server = format!("https://{}", proxy.address());
    let kube = plane.kube_with(&server, &plane.admin(), 2).expect("a client");
    let kube = kube.with_deadline(Duration::from_secs(1));
    kube.wait_for("/version", |status, _| status == 200, DEADLINE).await.expect("an answer");
    (plane, proxy, kube)
}

#[tokio::test]
async fn a_cut_proxy_refuses_or_swallows_and_goes_on_once_restored() {
    let (_plane, proxy, kube) = behind_a_proxy().await;
    for (cut, symptom) in
        [(Cut::Refuse, "cannot connect"), (Cut::Blackhole, "within"), (Cut::Silence, "within")]
    {
        proxy.cut(cut).await.unwrap();
        // The first may be on the connection that the cut ended.
        let _ = kube.get("/version").await;
        let error = kube.get("/version").await.unwrap_err();
        assert!(error.to_string().contains(symptom), "{cut:?}: {error}");

        proxy.restore().await.unwrap();
        kube.wait_for("/version", |status, _| status == 200, DEADLINE).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_opens_no_more_connections_than_it_may_and_uses_them_again() {
    let (_plane, proxy, kube) = behind_a_proxy().await;
    proxy.set_delay(Duration::from_millis(10));
    let requests = (0..12).map(|_| kube.get("/version"));
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer.unwrap().0, 200);
    }
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
#[should_panic(expected = "waited 50ms for the tide: not so in")]
async fn waiting_for_what_does_not_come_names_it() {
    wait_until(Duration::from_millis(50), "the tide", async || false).await;
}

#[tokio::test]
async fn a_delayed_proxy_holds_back_both_directions() {
    let (_plane, proxy, kube) = behind_a_proxy().await;
    proxy.set_delay(Duration::from_millis(100));
    let started = Instant::now();
    kube.get("/version").await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
}

/// What fails in a round trip says so itself: the error shows the command and what `git` said.
const STEP: &str = "a step of the round trip";

/// Fills the empty repository at `url` and checks that a clone has it all.
fn round_trip(url: &str, access: &GitAccess) {
    let source = Repository::create(url, access.clone()).expect(STEP);
    source.write("base/lamp.yaml", "light: red\n").expect(STEP);
    source.link("lamp", "base/lamp.yaml").expect(STEP);
    let commit = source.commit("Light the lamp").expect(STEP);
    source.tag("v1").expect(STEP);
    source.push().expect(STEP);

    let clone = Repository::clone_from(url, access.clone()).expect(STEP);
    assert_eq!(clone.head().expect(STEP), commit);
    assert_eq!(clone.git(["rev-parse", "v1"]).expect(STEP), commit);
    assert_eq!(fs::read_to_string(clone.path().join("lamp")).expect(STEP), "light: red\n");

    source.remove("lamp").expect(STEP);
    let commit = source.publish("base/lamp.yaml", "light: green\n", "Turn it green").expect(STEP);
    clone.git(["pull", "--quiet"]).expect(STEP);
    assert_eq!(clone.head().expect(STEP), commit);
    assert!(!clone.path().join("lamp").is_symlink());
}

/// Lists what is at `url` as a client that knows one host and has one key; else what `git` says.
fn ls_remote(url: &str, known_hosts: &str, identity: &Path) -> Result<(), String> {
    let mut known = tempfile::NamedTempFile::new().expect("a file");
    writeln!(known, "{known_hosts}").expect("a line in it");
    let ssh = format!(
        "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none \
         -o StrictHostKeyChecking=yes -o UserKnownHostsFile='{}' -i '{}'",
        known.path().display(),
        identity.display()
    );
    let mut command = Command::new("git");
    command
        .args(["ls-remote", url])
        .env("GIT_SSH_COMMAND", ssh)
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().expect("git runs");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn git_works_over_ssh_with_the_key_and_not_without() {
    let mut server = SshGitServer::start(None).unwrap();
    let url = server.create_repository("team/shop.git").unwrap();
    round_trip(&url, &server.access());

    let other = SshGitServer::start(None).unwrap();
    let error = Repository::clone_from(&url, other.access()).unwrap_err();
    assert!(error.to_string().contains("Host key verification failed"), "{error}");

    let error = ls_remote(&url, &server.known_hosts(), &other.identity_path()).unwrap_err();
    assert!(error.contains("Permission denied"), "{error}");
    let proxy = Proxy::start(server.address()).unwrap();
    let (url_at, known) =
        (server.url_at(proxy.address(), "team/shop.git"), server.known_hosts_at(proxy.address()));
    ls_remote(&url_at, &known, &server.identity_path()).unwrap();

    server.stop();
    assert!(Repository::clone_from(&url, server.access()).is_err());
    server.restart().unwrap();
    Repository::clone_from(&url, server.access()).unwrap();
}

#[test]
fn git_works_over_https_with_the_credentials_and_not_without() {
    for credentials in [
        Credentials::None,
        Credentials::Basic { user: "keeper".into(), password: "of the light".into() },
        Credentials::Bearer("token".into()),
    ] {
        let mut server = HttpsGitServer::start(credentials.clone()).unwrap();
        let url = server.create_repository("team/shop.git").unwrap();
        round_trip(&url, &server.access());
        let fetches = server.requests();
        assert!(fetches.iter().any(|line| line.starts_with("POST /team/shop.git/git-upload-pack")));

        let untrusting = Repository::clone_from(&url, GitAccess::default()).unwrap_err();
        assert!(matches!(untrusting, GitError::Failed { .. }), "{untrusting}");
        if credentials != Credentials::None {
            let trusting = Command::new("git")
                .args(["ls-remote", &url])
                .env("GIT_SSL_CAINFO", server.ca_certificate_path())
                .env("GIT_TERMINAL_PROMPT", "0")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .output()
                .unwrap();
            assert!(!trusting.status.success(), "let in without credentials");
        }

        server.stop();
        assert!(Repository::clone_from(&url, server.access()).is_err());
        server.restart().unwrap();
        Repository::clone_from(&url, server.access()).unwrap();
    }
}

/// What `/proc` says of the children of `id`.
fn children(id: u32) -> BTreeSet<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the process runs");
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| {
            children.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

/// Starts the program's `git` command and waits until it prints that it is ready.
fn start_program(folder: &Path) -> (std::process::Child, Value) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fyr-test-cluster"))
        .args(["git", "--with-parent", "--dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let output = program.stdout.take().expect("stdout is a pipe");
    BufReader::new(output).read_line(&mut line).expect("the program prints a line");
    (program, serde_json::from_str(&line).expect("the line is JSON"))
}

#[tokio::test]
async fn a_killed_program_leaves_no_process_and_its_folder_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, first) = start_program(folder.path());
    let servers = children(program.id());
    assert_eq!(servers.len(), 1);
    program.kill().unwrap();
    program.wait().unwrap();
    wait_until(DEADLINE, "the end of sshd", async || !servers.iter().any(|&id| is_alive(id))).await;

    let (mut program, second) = start_program(folder.path());
    assert_eq!(first, second);
    program.kill().unwrap();
    program.wait().unwrap();
}
