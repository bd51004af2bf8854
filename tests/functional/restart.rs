//! A daemon that starts again: what was in sync is left alone, what happened meanwhile is seen to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fyr_test_cluster::{Proxy, wait_until};
use fyr_tests::{
    Application, World, config_map, exists, object, object_gone, own_cluster, shared_kube, tracked,
    value_until, writes_since,
};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";

/// How long the daemon may take to end: systemd gives it 90 s, people give it less.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Applications of the large fleet.
const APPLICATIONS: usize = 200;

/// Waits until every application of the large fleet is in sync.
async fn all_in_sync(world: &World) {
    wait_until(Duration::from_mins(2), "all applications in sync", async || {
        let status = world.daemons.ask("GET", "/api/v1/status").await;
        status.is_some_and(|(_, status)| status["counts"]["sync"]["Synced"] == APPLICATIONS)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_two_hundred_applications_in_sync_writes_nothing() {
    let cluster = own_cluster().await;
    let kube = cluster.kube();
    let mut world = World::on(&cluster).await;
    let names: Vec<String> = (0..APPLICATIONS).map(|index| format!("r{index:03}")).collect();
    let mut wanted = BTreeMap::new();
    for name in &names {
        world.infra.write(&format!("{name}/a.yaml"), config_map(name, "1")).unwrap();
        wanted.insert(name.clone(), "1".to_owned());
    }
    world.seed([]);
    let url = World::written_url("infra.git");
    let applications: Vec<Application> =
        names.iter().map(|name| Application::new(name, &url, name, "restart")).collect();
    world.register_all(&applications).await;
    all_in_sync(&world).await;
    assert_eq!(tracked(kube).await, wanted);

    for (round, killed) in [false, true].into_iter().enumerate() {
        if killed {
            world.daemons.kill_fyrd();
        } else {
            world.daemons.stop_fyrd();
        }
        let position = cluster.audit_position().unwrap();
        world.daemons.start_fyrd();
        world.daemons.answering().await;
        all_in_sync(&world).await;
        // One change, so that the daemon is known to write whatever it has to.
        let value = format!("after start {round}");
        world.infra.write("r000/a.yaml", config_map("r000", &value)).unwrap();
        let commit = world.publish("r000", "Change one").await;
        world.synced_at("r000", &commit).await;
        value_until(kube, "/api/v1/namespaces/restart/configmaps/r000", &value).await;
        all_in_sync(&world).await;
        let writes = writes_since(&cluster, kube, position).await;
        assert_eq!(writes.len(), 1, "killed: {killed}, {writes:#?}");
        assert!(writes[0].uri.contains("/configmaps/r000?"), "{:?}", writes[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drifted_while_the_daemon_was_down_is_healed_at_its_start() {
    let mut world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([
        ("app/changed.yaml", config_map("changed", "1")),
        ("app/deleted.yaml", config_map("deleted", "1")),
    ]);
    world.register(&world.application("restart-drift", "app")).await;
    world.synced("restart-drift").await;
    world.daemons.stop_fyrd();
    let path = |name: &str| format!("/api/v1/namespaces/restart-drift/configmaps/{name}");
    let by_hand = json!({"data": {"value": "by hand"}});
    kube.patch(&path("changed"), MERGE, &by_hand).await.unwrap();
    kube.delete(&path("deleted")).await.unwrap();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    value_until(&kube, &path("changed"), "1").await;
    value_until(&kube, &path("deleted"), "1").await;
    world.synced("restart-drift").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_while_the_daemon_was_down_is_applied_and_pruned_at_its_start() {
    let mut world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    world.register(&world.application("restart-commit", "app")).await;
    world.synced("restart-commit").await;
    world.daemons.kill_fyrd();
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    world.infra.remove("app/b.yaml").unwrap();
    let commit = world.infra.commit("Change one, remove one").unwrap();
    world.infra.push().unwrap();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    world.synced_at("restart-commit", &commit).await;
    value_until(&kube, "/api/v1/namespaces/restart-commit/configmaps/a", "2").await;
    object_gone(&kube, "/api/v1/namespaces/restart-commit/configmaps/b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_left_the_fleet_while_the_daemon_was_down_still_takes_its_objects() {
    let mut world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let leaving = world.application("restart-leaving", "app").cascading();
    let staying = world.application("restart-staying", "app").cascading();
    world.register_all(&[leaving, staying]).await;
    world.synced("restart-leaving").await;
    world.synced("restart-staying").await;
    world.daemons.stop_fyrd();
    world.unregister("restart-leaving").await;
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    object_gone(&kube, "/api/v1/namespaces/restart-leaving/configmaps/a").await;
    world.until("restart-leaving", "gone", Value::is_null).await;
    world.synced("restart-staying").await;
    assert!(exists(&kube, "/api/v1/namespaces/restart-staying/configmaps/a").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_lost_its_state_takes_its_objects_up_again_and_still_prunes_them() {
    let mut world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    world.register(&world.application("restart-lost", "app")).await;
    world.synced("restart-lost").await;
    let path = |name: &str| format!("/api/v1/namespaces/restart-lost/configmaps/{name}");
    let before = object(&kube, &path("a")).await;
    world.daemons.stop_fyrd();
    let database = world.daemons.audit_database();
    let state = database.parent().unwrap().join("state");
    std::fs::remove_dir_all(state).unwrap();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    world.synced("restart-lost").await;
    assert_eq!(object(&kube, &path("a")).await["metadata"]["uid"], before["metadata"]["uid"]);

    world.infra.remove("app/b.yaml").unwrap();
    let commit = world.publish("restart-lost", "Remove one").await;
    world.synced_at("restart-lost", &commit).await;
    object_gone(&kube, &path("b")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_frozen_holds_up_neither_the_start_nor_the_end_of_the_daemon() {
    let (good, frozen) = tokio::join!(own_cluster(), own_cluster());
    let mut world = World::new();
    world.add_cluster("good", &good, false);
    world.add_cluster("frozen", &frozen, false);
    world.start().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let applications = ["good", "frozen"]
        .map(|cluster| world.application(&format!("restart-{cluster}"), "app").on(cluster));
    world.register_all(&applications).await;
    world.synced("restart-good").await;
    world.synced("restart-frozen").await;

    frozen.freeze();
    for _ in 0..2 {
        let begun = Instant::now();
        world.daemons.stop_fyrd();
        assert!(begun.elapsed() < ENDS_WITHIN, "{:?}", begun.elapsed());
        world.daemons.start_fyrd();
        world.daemons.answering().await;
        let value = format!("{begun:?}");
        world.infra.write("app/a.yaml", config_map("a", &value)).unwrap();
        let commit = world.publish("restart-good", "Change").await;
        world.synced_at("restart-good", &commit).await;
        value_until(good.kube(), "/api/v1/namespaces/restart-good/configmaps/a", &value).await;
        assert_eq!(world.get("restart-frozen").await["sync"]["status"], "Unknown");
    }
    frozen.thaw();
    world.synced_at("restart-frozen", &world.infra.head().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_somebody_asked_for_is_finished_by_the_next_start() {
    let cluster = own_cluster().await;
    let kube = cluster.kube();
    let proxy = Proxy::start(cluster.address()).unwrap();
    // A round trip of 200 ms, so that 40 objects take a second and there is a middle.
    proxy.set_delay(Duration::from_millis(100));
    let mut world = World::behind(&cluster, &proxy).await;
    let name = "restart-ordered";
    for index in 0..40 {
        let map = config_map(&format!("c{index:02}"), "1");
        world.infra.write(&format!("app/c{index:02}.yaml"), map).unwrap();
    }
    world.seed([]);
    world.register(&world.application(name, "app").manual()).await;
    world.out_of_sync(name).await;
    world.fyr(["app", "sync", name, "--yes", "--async", "--reason", "the first release"]).await;
    wait_until(Duration::from_secs(30), "the first objects", async || {
        !tracked(kube).await.is_empty()
    })
    .await;
    world.daemons.kill_fyrd();
    assert!(tracked(kube).await.len() < 40, "it was killed in the middle");
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    world.synced(name).await;
    assert_eq!(tracked(kube).await.len(), 40);

    // It is done now: the next start leaves a new difference alone.
    world.infra.write("app/c00.yaml", config_map("c00", "2")).unwrap();
    world.publish(name, "Change one").await;
    world.out_of_sync(name).await;
    world.daemons.kill_fyrd();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    let app = world.out_of_sync(name).await;
    assert_ne!(app["operation"]["phase"], "Running", "{app:#}");
    assert_eq!(tracked(kube).await.get("c00").map(String::as_str), Some("1"));
}
