//! The audit log: nothing without it, everything in it, and nothing in it can be changed unseen.

use std::process::Stdio;
use std::time::Duration;

use fyr_test_cluster::wait_until;
use fyr_tests::{
    World, condition, config_map, object, program, run, shared_cluster, shared_kube, value_until,
    writes_since,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

const MERGE: &str = "application/merge-patch+json";

fn path_of(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{name}")
}

/// The one record of a kind and a revision.
fn record<'a>(records: &'a [Value], kind: &str, revision: &str) -> &'a Value {
    let found: Vec<&Value> =
        records.iter().filter(|one| one["kind"] == kind && one["revision"] == revision).collect();
    assert_eq!(found.len(), 1, "{kind} of {revision} in {records:#?}");
    found[0]
}

/// The objects that a record lists, as `KIND NAMESPACE/NAME ACTION`.
fn steps(record: &Value) -> Vec<String> {
    let items = record["details"]["steps"]["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |step: &Value| {
        let key = &step["key"];
        let (kind, namespace) = (text(&key["kind"]), text(&key["namespace"]));
        format!("{kind} {namespace}/{} {}", text(&key["name"]), text(&step["action"]))
    };
    items.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_auditor_nothing_is_applied_or_healed_and_the_status_says_so() {
    let mut world = World::on_shared_cluster().await;
    let (cluster, kube) = (shared_cluster().await, shared_kube().await);
    let name = "audit-stopped";
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;

    world.daemons.stop_auditor();
    let position = cluster.audit_position().unwrap();
    let by_hand = json!({"data": {"value": "by hand"}});
    kube.patch(&path_of(name, "b"), MERGE, &by_hand).await.unwrap();
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let commit = world.publish(name, "Change").await;
    // The record that an earlier sync ended may be what finds the auditor gone, before the commit.
    let refused = |app: &Value| {
        app["sync"]["status"] == "OutOfSync"
            && condition(app, "SyncError").is_some_and(|why| why.contains("it cannot be recorded"))
    };
    world.until(name, "out of sync and saying why nothing is applied", refused).await;
    let sync = world.daemons.fyr(["app", "sync", name, "--yes"]).await;
    assert_eq!(sync.code, Some(2), "{sync:?}");
    assert!(sync.stderr.contains("E0503"), "{sync:?}");
    let status = world.daemons.fyr(["status", "-o", "json"]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
    let status = status.json();
    assert_eq!(status["audit"]["writable"], false, "{status:#}");
    assert_eq!(status["attention"][0]["kind"], "audit", "{status:#}");
    let namespace = format!("/namespaces/{name}/");
    let mut writes = writes_since(cluster, &kube, position).await;
    writes.retain(|event| event.uri.contains(&namespace));
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(object(&kube, &path_of(name, "a")).await["data"]["value"], "1");

    world.daemons.start_auditor();
    let app = world.synced_at(name, &commit).await;
    assert_eq!(condition(&app, "SyncError"), None, "{app:#}");
    value_until(&kube, &path_of(name, "a"), "2").await;
    value_until(&kube, &path_of(name, "b"), "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_starts_without_the_auditor_waits_for_it() {
    let mut world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let name = "audit-later";
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    world.daemons.stop_fyrd();
    world.daemons.stop_auditor();
    kube.delete(&path_of(name, "a")).await.unwrap();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    world.condition_of(name, "SyncError", "it cannot be recorded").await;
    let (status, _) = kube.get(&path_of(name, "a")).await.unwrap();
    assert_eq!(status.as_u16(), 404);

    world.daemons.start_auditor();
    value_until(&kube, &path_of(name, "a"), "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_recorded_before_it_begins_and_after_it_ends_with_what_it_does() {
    let world = World::on_shared_cluster().await;
    let (cluster, kube) = (shared_cluster().await, shared_kube().await);
    let name = "audit-order";
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    let position = cluster.audit_position().unwrap();
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    world.infra.remove("app/b.yaml").unwrap();
    let commit = world.publish(name, "Change one, remove one").await;
    world.synced_at(name, &commit).await;

    let namespace = format!("/namespaces/{name}/");
    let writes = writes_since(cluster, &kube, position).await;
    assert_eq!(writes.iter().filter(|event| event.uri.contains(&namespace)).count(), 2);
    wait_until(Duration::from_secs(10), "the outcome", async || {
        let records = world.records(name).await;
        records.iter().any(|one| one["kind"] == "outcome" && one["revision"] == commit)
    })
    .await;
    let records = world.records(name).await;
    let intent = record(&records, "intent", &commit);
    let outcome = record(&records, "outcome", &commit);
    assert_eq!(outcome["details"]["intent"], intent["sequence"], "{outcome:#}");
    assert!(outcome["sequence"].as_u64() > intent["sequence"].as_u64());
    for one in [intent, outcome] {
        assert_eq!(one["actor"], "automation", "{one:#}");
        assert_eq!((&one["application"], &one["cluster"]), (&json!(name), &json!("shared")));
        assert_eq!(one["subject"], intent["subject"], "both are about one plan");
    }
    assert_eq!(outcome["details"]["results"], json!({"applied": 1, "pruned": 1}));
    let expected = [format!("ConfigMap {name}/a apply"), format!("ConfigMap {name}/b prune")];
    assert_eq!(steps(intent), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn healing_is_recorded_like_everything_else() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let name = "audit-heal";
    let commit = world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    let before = world.records(name).await.len();
    let by_hand = json!({"data": {"value": "by hand"}});
    kube.patch(&path_of(name, "a"), MERGE, &by_hand).await.unwrap();
    value_until(&kube, &path_of(name, "a"), "1").await;
    wait_until(Duration::from_secs(10), "intent and outcome", async || {
        world.records(name).await.len() >= before + 2
    })
    .await;
    let records = world.records(name).await.split_off(before);
    let intent = record(&records, "intent", &commit);
    assert_eq!(steps(intent), [format!("ConfigMap {name}/a apply")]);
    assert!(intent["reason"].as_str().is_some_and(|why| why.contains("moved away")), "{intent:#}");
    record(&records, "outcome", &commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_asks_for_is_recorded_under_their_name_with_their_reason() {
    let world = World::on_shared_cluster().await;
    let name = "audit-person";
    let commit = world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app").manual()).await;
    world.out_of_sync(name).await;
    world.fyr(["app", "sync", name, "--yes", "--reason", "the first release"]).await;
    world.fyr(["app", "pause", name, "--reason", "an incident"]).await;
    world.fyr(["app", "resume", name, "--reason", "it is over"]).await;

    let me = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    let records = world.records(name).await;
    let asked: Vec<(&str, &str)> = records
        .iter()
        .filter(|one| one["kind"].as_str().is_some_and(|kind| kind.ends_with("requested")))
        .inspect(|one| assert_eq!(one["actor"], me.as_str(), "{one:#}"))
        .map(|one| (one["kind"].as_str().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        ("sync requested", "the first release"),
        ("pause requested", "an incident"),
        ("resume requested", "it is over"),
    ];
    assert_eq!(asked, expected);
    let intent = record(&records, "intent", &commit);
    assert_eq!(intent["actor"], me.as_str(), "{intent:#}");
    assert_eq!(intent["reason"], "the first release", "{intent:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_verifies_offline_and_one_changed_byte_is_found() {
    let mut world = World::on_shared_cluster().await;
    let name = "audit-verified";
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    world.daemons.stop_fyrd();
    world.daemons.stop_auditor();
    let database = world.daemons.audit_database();
    let verify = ["verify", "--database", database.to_str().unwrap()];
    let intact = run("fyr-auditor", verify).await;
    assert_eq!(intact.code, Some(0), "{intact:?}");
    assert!(intact.stdout.starts_with("intact: "), "{intact:?}");

    // A byte of the name of the application in one of the entries: another letter, nothing more.
    let mut bytes = std::fs::read(&database).unwrap();
    let needle = format!("\"application\":\"{name}\"");
    let place = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
    let place = place.expect("the log names the application") + needle.len() - 2;
    bytes[place] ^= 1;
    std::fs::write(&database, bytes).unwrap();
    let broken = run("fyr-auditor", verify).await;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stdout.starts_with("broken: "), "{broken:?}");

    // Nothing is appended to a log that was changed, so nothing is applied.
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    world.daemons.start_auditor();
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    world.publish(name, "Change").await;
    world.condition_of(name, "SyncError", "it cannot be recorded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_records_is_filtered_by_application_number_and_count() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let (one, other) = ("audit-filter-one", "audit-filter-other");
    world.register_all(&[world.application(one, "app"), world.application(other, "app")]).await;
    world.synced(one).await;
    world.synced(other).await;
    let list = async |more: &[&str]| -> Vec<Value> {
        let arguments = ["audit", "list", "-o", "json"].iter().chain(more).copied();
        let records = world.daemons.fyr(arguments).await.success().json();
        records.as_array().expect("a list").clone()
    };
    let numbers = |records: &[Value]| -> Vec<u64> {
        records.iter().map(|one| one["sequence"].as_u64().expect("a number")).collect()
    };
    wait_until(Duration::from_secs(10), "two outcomes", async || {
        list(&[]).await.iter().filter(|record| record["kind"] == "outcome").count() >= 2
    })
    .await;
    let all = list(&[]).await;
    let sequence = numbers(&all);
    assert!(sequence.is_sorted() && sequence.len() >= 5, "{sequence:?}");
    let ours = list(&["--app", one]).await;
    assert!(!ours.is_empty() && ours.iter().all(|record| record["application"] == one));
    assert_eq!(numbers(&list(&["--limit", "2"]).await), sequence[sequence.len() - 2..]);
    let first = sequence[0].to_string();
    let after = list(&["--after", &first, "--limit", "2"]).await;
    assert_eq!(numbers(&after), sequence[1..3]);
    let none = list(&["--app", "nobody"]).await;
    assert!(none.is_empty(), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_a_record_as_soon_as_it_is_there() {
    let world = World::on_shared_cluster().await;
    let name = "audit-tail";
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    let mut tail = tokio::process::Command::new(program("fyr"))
        .args(["audit", "tail", "--app", name, "--limit", "1", "-o", "json"])
        .env("FYR_SOCKET", world.daemons.socket())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let line = line.expect("a line in time").unwrap().expect("tail goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    // The one from before: it follows from here on.
    let earlier = next().await;
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let commit = world.publish(name, "Change").await;
    for kind in ["intent", "outcome"] {
        let mut record = next().await;
        if record["revision"] != commit {
            // The end of the first sync, which may come in after `tail` began.
            record = next().await;
        }
        assert_eq!((&record["kind"], &record["revision"]), (&json!(kind), &json!(commit)));
        assert!(record["sequence"].as_u64() > earlier["sequence"].as_u64());
    }
    assert!(tail.try_wait().unwrap().is_none(), "it follows until it is stopped");
}
