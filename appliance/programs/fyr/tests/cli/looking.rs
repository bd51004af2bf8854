//! Commands that only look.

use std::process::Stdio;

use fyr_model::api::{Attention, HealthStatus, ObjectDiff, ResourceRef, SyncStatus};
use fyr_web::Admission;
use fyr_web::memory::healthy;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::rig::{Daemon, alone, command};

#[tokio::test]
async fn status_says_yes_or_no_with_its_exit_code() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["status"]).await.code(0);
    assert!(finished.stdout.contains("Nothing needs attention."), "{}", finished.stdout);

    let mut state = daemon.backend.state();
    state.status.attention.push(Attention {
        kind: "application".into(),
        name: "web".into(),
        message: "Degraded".into(),
        since: None,
    });
    let daemon = Daemon::start().await;
    daemon.backend.replace(state);
    let finished = daemon.fyr(["status", "-o", "name"]).await.code(1);
    assert_eq!(finished.stdout, "application/web\n");
    let json: Value =
        serde_json::from_str(&daemon.fyr(["status", "-o", "json"]).await.code(1).stdout).unwrap();
    assert_eq!(json["counts"]["sync"]["Synced"], 2);
}

#[tokio::test]
async fn applications_are_listed_in_every_form() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["app", "list"]).await.code(0);
    assert_eq!(
        finished.stdout,
        "\
NAME  CLUSTER  SYNC    HEALTH   REVISION  MODE  CHANGED
api   test     Synced  Healthy  4be1c02   auto  -
web   prod-eu  Synced  Healthy  4be1c02   auto  -
"
    );
    assert_eq!(finished.stderr, "");
    let names = daemon.fyr(["app", "list", "--cluster", "test", "-o", "name"]).await.code(0);
    assert_eq!(names.stdout, "application/api\n");
    let json = daemon.fyr(["app", "get", "web", "-o", "json"]).await.code(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["sync"]["status"], "Synced");
    assert!(json["paused"].is_null());
    let yaml = daemon.fyr(["app", "get", "web", "-o", "yaml"]).await.code(0);
    let yaml: Value = serde_saphyr::from_str(&yaml.stdout).unwrap();
    assert_eq!(yaml, json);
}

#[tokio::test]
async fn an_application_of_another_namespace_is_found_by_its_whole_name() {
    let daemon = Daemon::with([healthy("team/web", "prod")]).await;
    let finished = daemon.fyr(["app", "get", "team/web", "-o", "name"]).await.code(0);
    assert_eq!(finished.stdout, "application/team/web\n");
    daemon.fyr(["app", "wait", "team/web", "--sync"]).await.code(0);
}

#[tokio::test]
async fn an_empty_list_says_why_and_prints_no_data() {
    let daemon = Daemon::with([]).await;
    let finished = daemon.fyr(["app", "list"]).await.code(0);
    assert_eq!(finished.stdout, "");
    assert_eq!(
        finished.stderr,
        "no applications: the fleet repository git@git.example.org:platform/fleet.git defines \
         none in applications at 4be1c02\n"
    );
    assert_eq!(daemon.fyr(["app", "list", "-o", "json"]).await.code(0).stdout, "[]\n");
    assert!(daemon.fyr(["cluster", "list"]).await.code(0).stderr.contains("cluster add"));
    assert!(daemon.fyr(["repo", "list"]).await.code(0).stderr.contains("no repositories"));
    assert!(daemon.fyr(["audit", "list"]).await.code(0).stderr.contains("no records"));
}

#[tokio::test]
async fn an_error_goes_to_standard_error_with_code_and_hint() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["app", "get", "nothing"]).await.code(2);
    assert_eq!(finished.stdout, "");
    assert_eq!(
        finished.stderr,
        "error[E0301]: there is no application nothing\nhint: `fyr app list` shows all\n"
    );
}

#[tokio::test]
async fn a_daemon_that_does_not_run_is_named_with_its_socket() {
    let finished = alone(["status"]).await.code(2);
    let begin = "error[E0701]: cannot reach fyrd at /nonexistent/api.sock: is it running?\n";
    assert!(finished.stderr.starts_with(begin), "{}", finished.stderr);
    assert!(finished.stderr.contains("\nhint: "), "{}", finished.stderr);
    // Waiting does not help against a daemon that was never there.
    alone(["app", "wait", "web"]).await.code(2);
}

#[tokio::test]
async fn whoever_is_not_admitted_gets_exit_code_3() {
    let daemon = Daemon::admitting(Admission::default(), []).await;
    let finished = daemon.fyr(["app", "list"]).await.code(3);
    assert!(finished.stderr.starts_with("error[E0201]: user "), "{}", finished.stderr);
}

#[tokio::test]
async fn a_difference_is_the_answer_no_and_no_answer_is_2() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["app", "diff", "web"]).await.code(0);
    assert_eq!((&*finished.stdout, &*finished.stderr), ("", "no difference · 0 unchanged\n"));

    let key = ResourceRef { kind: "ConfigMap".into(), name: "a".into(), ..ResourceRef::default() };
    let changed = ObjectDiff {
        key: key.clone(),
        live: Some(json!({"data": {"value": "1"}})),
        desired: Some(json!({"data": {"value": "2"}})),
        changed: true,
        error: None,
    };
    daemon.backend.change("web", |web| web.diff.objects = vec![changed]);
    let finished = daemon.fyr(["app", "diff", "web"]).await.code(1);
    assert_eq!(
        finished.stdout,
        "\
=== update ConfigMap a
--- live
+++ desired
@@ -1,2 +1,2 @@ data › value
 data:
-  value: \"1\"
+  value: \"2\"
"
    );
    let error = Some("the cluster does not answer".to_owned());
    let unknown = ObjectDiff { key, error, ..ObjectDiff::default() };
    daemon.backend.change("web", |web| web.diff.objects.push(unknown));
    daemon.fyr(["app", "diff", "web"]).await.code(2);
}

#[tokio::test]
async fn waiting_ends_with_the_event_that_brings_what_is_waited_for() {
    let daemon = Daemon::start().await;
    daemon
        .backend
        .change("web", |web| web.detail.summary.health.status = HealthStatus::Progressing);
    let child = daemon.spawn(["app", "wait", "web", "--health", "-o", "name"]);
    daemon.has_a_reader().await;
    daemon.backend.change("web", |web| web.detail.summary.health.status = HealthStatus::Healthy);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "application/web\n");
}

#[tokio::test]
async fn waiting_is_over_at_the_timeout_and_when_there_is_no_hope() {
    let daemon = Daemon::start().await;
    daemon.backend.change("web", |web| {
        web.detail.summary.sync.status = SyncStatus::OutOfSync;
        web.detail.summary.sync.reason = "2 objects differ".into();
    });
    let finished = daemon.fyr(["app", "wait", "web", "--sync", "--timeout", "50ms"]).await.code(4);
    assert!(finished.stderr.contains("error[E0707]"), "{}", finished.stderr);
    assert!(finished.stderr.contains("caused by: OutOfSync (2 objects differ)"));

    daemon.backend.change("api", |api| {
        api.detail.summary.health.status = HealthStatus::Degraded;
    });
    daemon.fyr(["app", "wait", "api", "--health"]).await.code(1);
    daemon.fyr(["app", "wait", "nothing"]).await.code(2);
}

#[tokio::test]
async fn ctrl_c_is_exit_code_130() {
    let daemon = Daemon::start().await;
    daemon.backend.change("web", |web| web.detail.summary.sync.status = SyncStatus::OutOfSync);
    let child = daemon.spawn(["app", "wait", "web", "--sync"]);
    daemon.has_a_reader().await;
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(130));
}

#[tokio::test]
async fn a_reader_who_leaves_is_success() {
    let daemon = Daemon::with((0..2000).map(|n| healthy(&format!("app-{n:04}"), "prod"))).await;
    let mut child = daemon.spawn(["app", "list", "-o", "json"]);
    // More than a pipe holds is written, and nobody reads it.
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[tokio::test]
async fn watching_prints_one_document_a_line_for_what_changes() {
    let daemon = Daemon::start().await;
    let mut child = daemon.spawn(["app", "list", "--watch", "--cluster", "test", "-o", "json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["name"], "api");
    daemon.backend.change("web", |_| {});
    daemon.backend.change("api", |api| api.detail.summary.health.status = HealthStatus::Degraded);
    let second: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!((&second["name"], &second["health"]["status"]), (&json!("api"), &json!("Degraded")));
}

#[tokio::test]
async fn the_audit_log_is_followed() {
    let daemon = Daemon::start().await;
    let mut child = daemon.spawn(["audit", "tail", "--app", "web"]);
    daemon.has_a_reader().await;
    daemon.fyr(["app", "pause", "web", "--reason", "an incident"]).await.code(0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.contains("operation") && line.ends_with("web  an incident"), "{line}");
}

#[tokio::test]
async fn colours_are_there_only_when_they_are_asked_for() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["app", "list"]).await.code(0);
    assert!(!finished.stdout.contains('\u{1b}'));
    let finished = daemon.fyr(["--color", "always", "app", "list"]).await.code(0);
    assert!(finished.stdout.contains("\u{1b}[32mSynced\u{1b}[0m"), "{}", finished.stdout);
}

#[tokio::test]
async fn verbose_tells_what_is_asked() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["-v", "app", "tree", "web"]).await.code(0);
    assert!(finished.stderr.contains("GET /api/v1/applications/web/tree → 200 OK"));
    assert_eq!(finished.stdout, "web\n");
}

#[tokio::test]
async fn wrong_usage_is_no_answer() {
    alone(["app", "list", "-o", "xml"]).await.code(2);
    alone(["app", "wait"]).await.code(2);
    let output = command(std::path::Path::new("/nonexistent"), &[])
        .stdout(Stdio::null())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
