//! Commands that change something.

use std::process::Stdio;

use fyr_model::api::{HistoryEntry, PreviewAction, PreviewStep, ResourceRef, SyncStatus};
use fyr_web::memory::{Application, healthy};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::rig::Daemon;

fn step(action: PreviewAction, name: &str) -> PreviewStep {
    let key = ResourceRef {
        kind: "ConfigMap".into(),
        namespace: "web".into(),
        name: name.into(),
        ..ResourceRef::default()
    };
    PreviewStep { action, key, reason: "its manifest has changed".into() }
}

/// `web`, out of sync, with a plan of these steps.
fn with_plan<const N: usize>(steps: [(PreviewAction, &str); N]) -> Application {
    let mut web = healthy("web", "prod-eu");
    web.detail.summary.sync.status = SyncStatus::OutOfSync;
    web.plan.steps = steps.into_iter().map(|(action, name)| step(action, name)).collect();
    web.history =
        vec![HistoryEntry { id: 7, revision: "aaaaaaaaaaaa".into(), ..HistoryEntry::default() }];
    web
}

const DIGEST: &str = "9f319f319f319f319f319f319f319f319f319f319f319f319f319f319f319f31";

#[tokio::test]
async fn a_sync_that_deletes_nothing_asks_nothing_and_shows_its_steps() {
    let steps = [(PreviewAction::Update, "a"), (PreviewAction::Create, "b")];
    let daemon = Daemon::with([with_plan(steps)]).await;
    let finished = daemon.fyr(["app", "sync", "web", "--reason", "by hand"]).await.code(0);
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.contains("applied 2/2 ConfigMap/b "), "{}", finished.stderr);
    assert!(finished.stderr.ends_with("web: 1 create · 1 update\n"), "{}", finished.stderr);
    let state = daemon.backend.state();
    assert_eq!(state.applications["web"].detail.summary.sync.status, SyncStatus::Synced);
    assert_eq!(state.audit[0].reason, "by hand");
    // Again there is nothing to do.
    let again = daemon.fyr(["app", "sync", "web"]).await.code(0);
    assert_eq!(again.stderr, "web: nothing to do\n");
}

#[tokio::test]
async fn deletions_without_a_terminal_need_the_digest_of_the_plan() {
    let steps = [(PreviewAction::Update, "a"), (PreviewAction::Delete, "old")];
    let daemon = Daemon::with([with_plan(steps)]).await;
    let finished = daemon.fyr(["app", "sync", "web", "--prune", "--yes"]).await.code(2);
    assert!(finished.stderr.contains("- delete ConfigMap web/old"), "{}", finished.stderr);
    assert!(finished.stderr.contains("error[E0705]"), "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("--plan {DIGEST} --yes")), "{}", finished.stderr);

    let finished =
        daemon.fyr(["app", "sync", "web", "--prune", "--plan", "ffffffffffff", "--yes"]).await;
    assert!(finished.code(5).stderr.contains("error[E0401]"));
    let status = || daemon.backend.state().applications["web"].detail.summary.sync.status;
    assert_eq!(status(), SyncStatus::OutOfSync);

    let dry = daemon.fyr(["app", "sync", "web", "--prune", "--dry-run", "-o", "json"]).await;
    let plan: Value = serde_json::from_str(&dry.code(0).stdout).unwrap();
    assert_eq!(status(), SyncStatus::OutOfSync);
    let digest = plan["digest"].as_str().unwrap();
    daemon.fyr(["app", "sync", "web", "--prune", "--plan", digest, "--yes"]).await.code(0);
    assert_eq!(status(), SyncStatus::Synced);
}

/// Runs the program on a terminal of its own, types `answer`, and returns the exit code and what
/// the terminal shows. `script` of util-linux, which every Debian has, makes the terminal.
async fn on_a_terminal(daemon: &Daemon, arguments: &str, answer: &str) -> (Option<i32>, String) {
    let mut child = Command::new("script")
        .args(["-qec", &format!("{} {arguments}", env!("CARGO_BIN_EXE_fyr")), "/dev/null"])
        .env("FYR_SOCKET", daemon.socket())
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("script is there");
    let mut screen = String::new();
    let mut output = child.stdout.take().expect("it is piped");
    let mut buffer = [0; 4096];
    // The question is answered once it is asked.
    while !screen.contains("Type the cluster's name") {
        let count = output.read(&mut buffer).await.expect("the terminal can be read");
        assert_ne!(count, 0, "{screen}");
        screen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(answer.as_bytes()).await.expect("the terminal reads");
    output.read_to_string(&mut screen).await.expect("it shows text");
    (child.wait().await.expect("it ends").code(), screen)
}

#[tokio::test]
async fn on_a_terminal_the_name_of_the_cluster_has_to_be_typed() {
    let daemon = Daemon::with([with_plan([(PreviewAction::Delete, "old")])]).await;
    let status = || daemon.backend.state().applications["web"].detail.summary.sync.status;
    // `--yes` alone does not answer for a person who is there.
    let sync = "app sync web --prune --yes";
    let (code, screen) = on_a_terminal(&daemon, sync, "yes\n").await;
    assert_eq!(code, Some(2), "{screen}");
    assert!(screen.contains("not confirmed; nothing was changed"), "{screen}");
    let (code, screen) = on_a_terminal(&daemon, sync, "\u{3}").await;
    assert_eq!(code, Some(130), "{screen}");
    assert_eq!(status(), SyncStatus::OutOfSync);
    let (code, screen) = on_a_terminal(&daemon, sync, "prod-eu\n").await;
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(status(), SyncStatus::Synced);
}

#[tokio::test]
async fn a_rollback_needs_a_yes_and_a_reason() {
    let daemon = Daemon::with([with_plan([(PreviewAction::Update, "a")])]).await;
    daemon.fyr(["app", "rollback", "web", "7"]).await.code(2);
    let reason = ["app", "rollback", "web", "7", "--reason", "it misbehaves"];
    assert!(daemon.fyr(reason).await.code(2).stderr.contains("repeat with --yes"));
    assert!(daemon.backend.state().applications["web"].detail.pin.is_none());
    daemon.fyr(["app", "rollback", "web", "7", "--reason", "it misbehaves", "--yes"]).await.code(0);
    let web = daemon.backend.state().applications["web"].clone();
    assert_eq!(web.detail.pin.unwrap().history_id, 7);
    assert_eq!(web.detail.summary.paused.unwrap().reason, "it misbehaves");
    daemon.fyr(["app", "rollback", "web", "9", "--reason", "x", "--yes"]).await.code(2);
}

#[tokio::test]
async fn an_operation_that_fails_is_the_answer_no() {
    let mut web = with_plan([(PreviewAction::Update, "a")]);
    web.failure = "ConfigMap web/a: the quota is used up".into();
    let daemon = Daemon::with([web]).await;
    let finished = daemon.fyr(["app", "sync", "web"]).await.code(1);
    assert!(
        finished.stderr.contains(
            "error[E0709]: the operation on web failed after 0 of 1 steps\n  \
             caused by: ConfigMap web/a: the quota is used up\n"
        ),
        "{}",
        finished.stderr
    );
}

#[tokio::test]
async fn a_sync_that_is_not_waited_for_says_how_to_wait() {
    let daemon = Daemon::with([with_plan([(PreviewAction::Update, "a")])]).await;
    let finished = daemon.fyr(["app", "sync", "web", "--async"]).await.code(0);
    assert!(finished.stderr.contains("fyr app wait web --operation"), "{}", finished.stderr);
    daemon.fyr(["app", "wait", "web", "--operation"]).await.code(0);
}

#[tokio::test]
async fn pausing_and_resuming_are_told_to_the_daemon() {
    let daemon = Daemon::start().await;
    daemon.fyr(["app", "pause", "web"]).await.code(2);
    daemon.fyr(["app", "pause", "web", "--reason", "incident"]).await.code(0);
    let paused = || daemon.backend.state().applications["web"].detail.summary.paused.is_some();
    assert!(paused());
    daemon.fyr(["app", "resume", "web"]).await.code(0);
    assert!(!paused());
    let finished = daemon.fyr(["app", "terminate", "web"]).await.code(2);
    assert!(finished.stderr.contains("error[E0403]"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_refresh_prints_what_is_in_force_now() {
    let daemon = Daemon::start().await;
    let finished = daemon.fyr(["app", "refresh", "web"]).await.code(0);
    assert_eq!(finished.stdout, "NAME  REVISION  RESULT\nweb   4be1c02   unchanged\n");
    daemon.fyr(["app", "refresh", "--fleet"]).await.code(0);
    daemon.fyr(["app", "refresh"]).await.code(2);
}
