//! Who decides: sync policies, projects, deletion, and the verbs of operators.

use fyr_tests::{
    World, condition, config_map, create, exists, is_paused, manifest, object, object_gone,
    resource, shared_cluster, shared_kube, value_until,
};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";

fn path_of(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{name}")
}

/// A `ConfigMap` with sync options of its own.
fn with_options(name: &str, value: &str, options: &str) -> String {
    let mut map = manifest(&config_map(name, value));
    map["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] = json!(options);
    map.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_application_waits_for_the_operator() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("policy-manual", "app").manual()).await;
    let app = world.out_of_sync("policy-manual").await;
    assert_eq!(app["health"]["status"], "Missing", "{app:#}");
    assert!(!exists(&kube, "/api/v1/namespaces/policy-manual").await);

    world.fyr(["app", "sync", "policy-manual", "--yes"]).await;
    world.synced("policy-manual").await;
    value_until(&kube, &path_of("policy-manual", "a"), "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prune_a_removed_object_stays_until_an_operator_prunes_it() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    let application = world
        .application("policy-no-prune", "app")
        .with("/spec/syncPolicy/automated/prune", json!(false));
    world.register(&application).await;
    world.synced("policy-no-prune").await;

    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    world.infra.remove("app/b.yaml").unwrap();
    world.publish("policy-no-prune", "Change one, remove one").await;
    value_until(&kube, &path_of("policy-no-prune", "a"), "2").await;
    let app = world
        .resource_until("policy-no-prune", ("ConfigMap", "b"), "requiring pruning", |entry| {
            entry["requiresPruning"] == true
        })
        .await;
    assert_eq!(app["sync"]["status"], "OutOfSync", "{app:#}");
    assert!(exists(&kube, &path_of("policy-no-prune", "b")).await);

    let shown =
        world.fyr(["app", "sync", "policy-no-prune", "--prune", "--dry-run", "-o", "json"]).await;
    let digest = manifest(&shown)["digest"].as_str().unwrap().to_owned();
    assert!(exists(&kube, &path_of("policy-no-prune", "b")).await);
    world.fyr(["app", "sync", "policy-no-prune", "--prune", "--plan", &digest, "--yes"]).await;
    object_gone(&kube, &path_of("policy-no-prune", "b")).await;
    world.synced("policy-no-prune").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_self_heal_a_manual_change_is_shown_and_left() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let application = world
        .application("policy-no-heal", "app")
        .with("/spec/syncPolicy/automated/selfHeal", json!(false));
    world.register(&application).await;
    world.synced("policy-no-heal").await;

    let path = path_of("policy-no-heal", "a");
    kube.patch(&path, MERGE, &json!({"data": {"value": "by hand"}})).await.unwrap();
    world.out_of_sync("policy-no-heal").await;
    world.fyr(["app", "refresh", "policy-no-heal"]).await;
    let app = world.out_of_sync("policy-no-heal").await;
    assert_eq!(resource(&app, "ConfigMap", "a")["status"], "OutOfSync", "{app:#}");
    assert_eq!(object(&kube, &path).await["data"]["value"], "by hand");

    world.fyr(["app", "sync", "policy-no-heal", "--yes"]).await;
    value_until(&kube, &path, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_made_on_request_is_not_owned_and_outlives_the_application() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("policy-namespace", "app").cascading()).await;
    world.synced("policy-namespace").await;
    let path = "/api/v1/namespaces/policy-namespace";
    let namespace = object(&kube, path).await;
    let tracking = "argocd.argoproj.io/tracking-id";
    assert_eq!(namespace["metadata"]["annotations"][tracking], Value::Null);

    world.unregister("policy-namespace").await;
    object_gone(&kube, &path_of("policy-namespace", "a")).await;
    world.until("policy-namespace", "gone", Value::is_null).await;
    assert_eq!(object(&kube, path).await["metadata"]["deletionTimestamp"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_nobody_asked_to_create_is_named_and_waited_for() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let application = world
        .application("policy-no-namespace", "app")
        .with("/spec/syncPolicy/syncOptions", json!([]));
    world.register(&application).await;
    world.condition("policy-no-namespace", "policy-no-namespace").await;
    assert!(!exists(&kube, "/api/v1/namespaces/policy-no-namespace").await);

    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "policy-no-namespace"},
    });
    create(&kube, "/api/v1/namespaces", &namespace).await;
    value_until(&kube, &path_of("policy-no-namespace", "a"), "1").await;
    world.synced("policy-no-namespace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_says_so_is_never_pruned() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([
        ("app/a.yaml", config_map("a", "1")),
        ("app/kept.yaml", with_options("kept", "1", "Prune=false")),
        ("app/pruned.yaml", config_map("pruned", "1")),
    ]);
    world.register(&world.application("policy-kept", "app")).await;
    world.synced("policy-kept").await;

    world.infra.remove("app/kept.yaml").unwrap();
    world.infra.remove("app/pruned.yaml").unwrap();
    world.publish("policy-kept", "Remove both").await;
    object_gone(&kube, &path_of("policy-kept", "pruned")).await;
    // A look that began after the prune sees what is left.
    world.fyr(["app", "refresh", "policy-kept"]).await;
    let kept = object(&kube, &path_of("policy-kept", "kept")).await;
    assert_eq!(kept["metadata"]["deletionTimestamp"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_the_finalizer_leaves_its_objects() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("policy-left", "app")).await;
    world.synced("policy-left").await;
    let before = object(&kube, &path_of("policy-left", "a")).await;
    world.unregister("policy-left").await;
    world.until("policy-left", "gone", Value::is_null).await;
    assert_eq!(object(&kube, &path_of("policy-left", "a")).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_with_the_finalizer_takes_its_objects_with_it() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    world.register(&world.application("policy-taken", "app").cascading()).await;
    world.synced("policy-taken").await;
    let foreign = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "foreign"},
    });
    create(&kube, "/api/v1/namespaces/policy-taken/configmaps", &foreign).await;
    world.unregister("policy-taken").await;
    object_gone(&kube, &path_of("policy-taken", "a")).await;
    object_gone(&kube, &path_of("policy-taken", "b")).await;
    world.until("policy-taken", "gone", Value::is_null).await;
    assert!(exists(&kube, &path_of("policy-taken", "foreign")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_parse_any_more_loses_nothing() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let application = world.application("policy-unreadable", "app").cascading();
    world.register(&application).await;
    world.synced("policy-unreadable").await;
    let before = object(&kube, &path_of("policy-unreadable", "a")).await;
    world.register(&application.with("/spec/destination", json!("nowhere"))).await;
    world.condition_of("policy-unreadable", "InvalidSpecError", "spec.destination").await;
    assert_eq!(object(&kube, &path_of("policy-unreadable", "a")).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_permits_its_own_sources_and_destinations_and_no_others() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let project = |name: &str, repository: &str| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "sourceRepos": [repository],
                "destinations": [{"server": "*", "namespace": "policy-project-*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        })
    };
    let ours = project("ours", &World::written_url("infra.git")).to_string();
    let theirs = project("theirs", "https://git.example.org/theirs/*").to_string();
    world.fleet.write("applications/project-ours.yaml", ours).unwrap();
    world.fleet.write("applications/project-theirs.yaml", theirs).unwrap();
    let application = |name: &str, project: &str| {
        world.application(name, "app").with("/spec/project", json!(project))
    };
    let applications = [
        application("policy-project-inside", "ours"),
        application("policy-elsewhere", "ours"),
        application("policy-project-source", "theirs"),
        application("policy-project-unknown", "nobodys"),
    ];
    world.register_all(&applications).await;
    world.synced("policy-project-inside").await;
    let refused = [
        ("policy-elsewhere", "do not match any of the allowed destinations in project 'ours'"),
        ("policy-project-source", "is not permitted in project 'theirs'"),
        ("policy-project-unknown", "nobodys which does not exist"),
    ];
    for (name, message) in refused {
        world.condition_of(name, "InvalidSpecError", message).await;
        assert!(!exists(&kube, &format!("/api/v1/namespaces/{name}")).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_without_effect_is_shown_with_its_path_and_stops_nothing() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let application = world
        .application("policy-unknown-field", "app")
        .with("/spec/syncPolicy/automated/selfheal", json!(true));
    world.register(&application).await;
    world.condition("policy-unknown-field", "spec.syncPolicy.automated.selfheal").await;
    world.synced("policy-unknown-field").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_in_cluster_address_without_a_marked_cluster_names_the_fix() {
    let mut world = World::new();
    world.add_cluster("shared", shared_cluster().await, false);
    world.start().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("policy-unmarked", "app")).await;
    let app = world
        .condition_of("policy-unmarked", "InvalidSpecError", "fyr.dev/in-cluster: \"true\"")
        .await;
    assert_eq!(app["sync"]["status"], "Unknown", "{app:#}");
    // By its name the same cluster can be used.
    world.register(&world.application("policy-unmarked", "app").on("shared")).await;
    let app = world.synced("policy-unmarked").await;
    assert_eq!(condition(&app, "InvalidSpecError"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_application_is_watched_and_not_touched_until_it_is_resumed() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("policy-paused", "app")).await;
    world.synced("policy-paused").await;
    world.fyr(["app", "pause", "policy-paused", "--reason", "an incident"]).await;
    let app = world.until("policy-paused", "paused", is_paused).await;
    assert!(app.to_string().contains("an incident"), "{app:#}");

    let path = path_of("policy-paused", "a");
    kube.patch(&path, MERGE, &json!({"data": {"value": "by hand"}})).await.unwrap();
    world.out_of_sync("policy-paused").await;
    world.fyr(["app", "refresh", "policy-paused"]).await;
    world.out_of_sync("policy-paused").await;
    assert_eq!(object(&kube, &path).await["data"]["value"], "by hand");

    world.fyr(["app", "resume", "policy-paused"]).await;
    value_until(&kube, &path, "1").await;
    let app = world.synced("policy-paused").await;
    assert!(!is_paused(&app), "{app:#}");
}

/// The ids and revisions of an application's history, newest first.
async fn history(world: &World, name: &str) -> Vec<(u64, String)> {
    let finished = world.daemons.fyr(["app", "history", name, "-o", "json"]).await.success();
    let text = finished.json();
    let list = text.as_array().or_else(|| text["history"].as_array()).expect("a list").clone();
    let entry = |one: &Value| {
        let revision = one["revision"].as_str().expect("a revision").to_owned();
        (one["id"].as_u64().expect("a number"), revision)
    };
    let mut entries: Vec<_> = list.iter().map(entry).collect();
    entries.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn history_gains_an_entry_for_each_revision_and_none_for_healing() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let first = world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("policy-history", "app")).await;
    world.synced_at("policy-history", &first).await;
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let second = world.publish("policy-history", "Change").await;
    world.synced_at("policy-history", &second).await;
    let path = path_of("policy-history", "a");
    kube.patch(&path, MERGE, &json!({"data": {"value": "by hand"}})).await.unwrap();
    value_until(&kube, &path, "2").await;
    world.synced("policy-history").await;

    let revisions: Vec<String> =
        history(&world, "policy-history").await.into_iter().map(|(_, it)| it).collect();
    assert_eq!(revisions, [second, first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_pins_and_pauses_and_resuming_follows_git_again() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let name = "policy-rollback";
    let witness = "policy-rollback-witness";
    let first = world.seed([("app/a.yaml", config_map("a", "1"))]);
    let applications = [world.application(name, "app"), world.application(witness, "app")];
    world.register_all(&applications).await;
    world.synced_at(name, &first).await;
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let second = world.publish(name, "Change").await;
    world.synced_at(name, &second).await;

    let entries = history(&world, name).await;
    let (id, _) = entries.iter().find(|(_, revision)| *revision == first).unwrap();
    let id = id.to_string();
    world.fyr(["app", "rollback", name, &id, "--reason", "it misbehaves", "--yes"]).await;
    let path = path_of(name, "a");
    value_until(&kube, &path, "1").await;
    let app = world.until(name, "paused", is_paused).await;
    assert!(app.to_string().contains("it misbehaves"), "{app:#}");

    world.infra.write("app/a.yaml", config_map("a", "3")).unwrap();
    let third = world.publish(name, "Mend").await;
    // What another application has applied was there for this one too.
    world.synced_at(witness, &third).await;
    assert_eq!(object(&kube, &path).await["data"]["value"], "1");

    world.fyr(["app", "resume", name]).await;
    world.synced_at(name, &third).await;
    value_until(&kube, &path, "3").await;
    assert!(!is_paused(&world.get(name).await));
}
