//! What the daemons refuse, and that what they refuse changes nothing.

use std::path::Path;

use fyr_tests::{
    Application, World, cluster_secret, condition, config_map, exists, object, run, shared_cluster,
    shared_kube, value_until,
};
use serde_json::{Value, json};

/// Runs `fyrd` to its end: on a document and a state, with sockets of its own.
async fn run_fyrd(folder: &Path, config: &Path, state: &Path) -> fyr_tests::Finished {
    let text = |path: &Path| path.to_str().expect("a path of ours is UTF-8").to_owned();
    let socket = text(&folder.join("other/api.sock"));
    let audit = text(&folder.join("other/audit.sock"));
    std::fs::create_dir_all(folder.join("other")).expect("the folder is writable");
    let (config, state) = (text(config), text(state));
    let arguments = ["--config", &config, "--state", &state];
    run("fyrd", arguments.into_iter().chain(["--socket", &socket, "--audit-socket", &audit])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_state_says_so_and_leaves_the_first_alone() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("limits-second", "app")).await;
    world.synced("limits-second").await;
    let database = world.daemons.audit_database();
    let folder = database.parent().unwrap();
    let second = run_fyrd(folder, &folder.join("appliance.yaml"), &folder.join("state")).await;
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stderr.contains("another fyrd uses the state in"), "{second:?}");

    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let commit = world.publish("limits-second", "Change").await;
    world.synced_at("limits-second", &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_document_that_cannot_be_used_ends_the_daemon_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let document = |spec: Value| {
        let metadata = json!({"name": "test"});
        json!({"apiVersion": "fyr.dev/v1alpha1", "kind": "Appliance", "metadata": metadata,
               "spec": spec})
    };
    let fleet = json!({"repoURL": "https://git.example.org/fleet.git"});
    let over_ssh = json!({"fleet": {"repoURL": "git@git.example.org:fleet.git"}});
    let poll = json!({"interval": "1s"});
    let misspelt = json!({"fleet": fleet, "secret": {}});
    let kind = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"},
                      "spec": {"fleet": fleet}});
    let key = json!({"repoURL": "ssh://git.example.org/fleet.git", "knownHosts": "x y z",
                     "sshPrivateKeyFile": "nowhere"});
    let cases = [
        ("misspelt", document(misspelt).to_string(), "secret"),
        ("other-kind", kind.to_string(), "fyr.dev/v1alpha1 and Appliance"),
        ("no-fleet", document(json!({"fleet": {"repoURL": ""}})).to_string(), "spec.fleet.repoURL"),
        ("too-often", document(json!({"fleet": fleet, "poll": poll})).to_string(), "5 s"),
        ("no-host-keys", document(over_ssh).to_string(), "knownHosts"),
        ("no-key", document(json!({"fleet": key})).to_string(), "nowhere"),
        ("no-yaml", "a: [".to_owned(), "not an Appliance document"),
    ];
    for (name, text, expected) in cases {
        let path = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        let ended = run_fyrd(folder.path(), &path, &folder.path().join("state")).await;
        assert_eq!(ended.code, Some(2), "{name}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{name}: {ended:?}");
        // What is there already is not named twice over: the document itself, or the file in it.
        let place = if name == "no-key" { "nowhere" } else { name };
        assert!(ended.stderr.contains(place), "{name}: {ended:?}");
    }
    let absent = folder.path().join("absent.yaml");
    let ended = run_fyrd(folder.path(), &absent, &folder.path().join("state")).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("absent.yaml"), "{ended:?}");
}

/// A manifest that ends in the middle.
const BROKEN: &str = "apiVersion: v1\nkind: Secret\nmetadata: [\n";

/// What is wrong with the fleet, as one text.
async fn problems(world: &World) -> String {
    world.status().await["fleet"]["problems"].to_string()
}

/// Two applications that would take their objects along, in sync.
async fn two_in_sync(world: &World, names: [&str; 2]) {
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let both = names.map(|name| world.application(name, "app").cascading());
    world.register_all(&both).await;
    for name in names {
        world.synced(name).await;
    }
}

/// Both are still there, healed and synced as before.
async fn both_live_on(world: &World, names: [&str; 2], before: &[Value; 2]) {
    let kube = shared_kube().await;
    for (name, before) in names.iter().zip(before) {
        let path = format!("/api/v1/namespaces/{name}/configmaps/a");
        assert_eq!(object(&kube, &path).await, *before);
        world.synced(name).await;
    }
    world.infra.write("app/a.yaml", config_map("a", "2")).expect("a file");
    let commit = world.publish(names[0], "Change").await;
    for name in names {
        world.synced_at(name, &commit).await;
        value_until(&kube, &format!("/api/v1/namespaces/{name}/configmaps/a"), "2").await;
    }
}

async fn maps(names: [&str; 2]) -> [Value; 2] {
    let kube = shared_kube().await;
    let path = |name: &str| format!("/api/v1/namespaces/{name}/configmaps/a");
    [object(&kube, &path(names[0])).await, object(&kube, &path(names[1])).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_does_not_render_changes_nothing_and_says_where() {
    let world = World::on_shared_cluster().await;
    let names = ["limits-broken-one", "limits-broken-two"];
    two_in_sync(&world, names).await;
    let before = maps(names).await;
    let in_force = world.status().await["fleet"]["revision"].clone();
    world.fleet.remove(&format!("applications/{}.yaml", names[0])).unwrap();
    world.fleet.write("applications/broken.yaml", BROKEN).unwrap();
    world.publish_fleet("Break").await;
    let shown = problems(&world).await;
    assert!(shown.contains("applications/broken.yaml"), "{shown}");
    assert_eq!(world.status().await["fleet"]["revision"], in_force);
    both_live_on(&world, names, &before).await;

    world.fleet.remove("applications/broken.yaml").unwrap();
    world.publish_fleet("Mend").await;
    assert_eq!(problems(&world).await, "[]");
    world.until(names[0], "gone", Value::is_null).await;
    world.synced(names[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_names_nothing_any_more_is_taken_for_a_mistake() {
    let mut world = World::on_shared_cluster().await;
    let names = ["limits-empty-one", "limits-empty-two"];
    two_in_sync(&world, names).await;
    let before = maps(names).await;
    for name in names {
        world.fleet.remove(&format!("applications/{name}.yaml")).unwrap();
    }
    world.publish_fleet("Remove all").await;
    let shown = problems(&world).await;
    assert!(shown.contains("names no application, and 2 run"), "{shown}");
    both_live_on(&world, names, &before).await;

    // A start finds the same fleet, and what it knows of the applications is on disk only.
    world.daemons.kill_fyrd();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    world.publish_fleet("Look again").await;
    let shown = problems(&world).await;
    assert!(shown.contains("names no application, and 2 run"), "{shown}");
    let kube = shared_kube().await;
    for name in names {
        assert!(exists(&kube, &format!("/api/v1/namespaces/{name}/configmaps/a")).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_cannot_be_read_leaves_the_others_alone() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let good = world.application("limits-good", "app");
    let broken = world.application("limits-broken", "app").with("/spec/source", json!("nowhere"));
    let nameless = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "Not A Name", "namespace": "argocd"},
        "spec": {},
    });
    world.fleet.write("applications/nameless.yaml", nameless.to_string()).unwrap();
    world.register_all(&[good, broken]).await;
    let app = world.synced("limits-good").await;
    assert_eq!(condition(&app, "InvalidSpecError"), None, "{app:#}");
    world.condition_of("limits-broken", "InvalidSpecError", "spec.source").await;
    let status = world.daemons.fyr(["status", "-o", "json"]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
    let attention = status.json()["attention"].to_string();
    assert!(attention.contains("limits-broken"), "{attention}");
    assert!(attention.contains("Not A Name"), "{attention}");
    assert!(!attention.contains("limits-good"), "{attention}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_proxy_does_not_answer_is_unreachable_and_says_through_what() {
    let cluster = shared_cluster().await;
    let mut world = World::new();
    // Another address of the same API server: two clusters of one address are one too many.
    let server = cluster.server().replace("127.0.0.1", "localhost");
    let mut secret = cluster_secret("behind", cluster, &server, true);
    let config = secret["stringData"]["config"].as_str().unwrap();
    let mut config: Value = serde_json::from_str(config).unwrap();
    // The discard port: nobody listens there.
    config["proxyUrl"] = json!("http://127.0.0.1:9");
    secret["stringData"]["config"] = json!(config.to_string());
    world.add_secret(secret);
    world.add_cluster("direct", cluster, false);
    world.start().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let url = World::written_url("infra.git");
    let direct = Application::new("limits-direct", &url, "app", "limits-direct").on("direct");
    world.register_all(&[world.application("limits-proxy", "app"), direct]).await;
    world.synced("limits-direct").await;
    let app = world
        .until("limits-proxy", "unknown for a reason", |app| {
            app["sync"]["status"] == "Unknown" && app.to_string().contains("behind")
        })
        .await;
    assert_eq!(app["health"]["status"], "Unknown", "{app:#}");
    let shown = world.cluster_reachable("behind", false).await;
    let why = shown["message"].as_str().unwrap_or_default();
    assert!(why.contains("127.0.0.1:9") || why.contains("refused"), "{shown:#}");
    assert_eq!(shown["lastContact"], Value::Null, "{shown:#}");
    let listed = world.fyr(["cluster", "list"]).await;
    assert!(listed.contains("behind"), "{listed}");
}
