//! Faults of the world around the daemons: API servers, Git hosts and the lines to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fyr_test_cluster::{ControlPlane, Cut, Kube, Proxy, Watch, wait_until};
use fyr_tests::{
    World, config_map, create, exists, object, object_until, own_cluster, shared_kube, tracked,
    value_until, writes_since,
};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";

/// Long enough for anything that works.
const PATIENCE: Duration = Duration::from_mins(1);

/// Commits measured on either side of the fault; on two clusters each.
const COMMITS: u32 = 15;

/// What a commit may take longer beside the factor: the noise of a busy test machine, whose
/// processors the frozen cluster's neighbours share. Waiting for a frozen API server even once
/// takes seconds, so nothing hides below it.
const NOISE: Duration = Duration::from_millis(400);

/// Writes `ConfigMap`s into the folder `app`, one a file, and returns them.
fn write_maps(world: &World, count: usize, value: &str) -> BTreeMap<String, String> {
    let names = (0..count).map(|index| format!("c{index:02}"));
    names
        .map(|name| {
            let text = config_map(&name, value);
            world.infra.write(&format!("app/{name}.yaml"), text).expect("a file");
            (name, value.to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_killed_in_the_middle_of_a_sync_gets_the_rest_and_the_inventory_is_true() {
    let mut cluster = own_cluster().await;
    let kube = cluster.kube().clone();
    let proxy = Proxy::start(cluster.address()).unwrap();
    // A round trip of 80 ms, so that 60 objects take a good half second and there is a middle.
    proxy.set_delay(Duration::from_millis(40));
    let world = World::behind(&cluster, &proxy).await;
    let mut wanted = write_maps(&world, 60, "1");
    world.seed([]);
    world.register(&world.application("faults-killed", "app").pruned_in_the_background()).await;

    let collection = "/api/v1/namespaces/faults-killed/configmaps";
    wait_until(PATIENCE, "the first objects", async || {
        kube.list(collection).await.is_ok_and(|objects| objects.len() >= 5)
    })
    .await;
    cluster.kill_api_server();
    let killed = cluster.audit_position().unwrap();
    proxy.set_delay(Duration::ZERO);
    cluster.start_api_server().await.unwrap();
    world.synced("faults-killed").await;
    assert_eq!(tracked(&kube).await, wanted);
    let rest = writes_since(&cluster, &kube, killed).await;
    assert!(!rest.is_empty(), "it was killed in the middle");

    let foreign = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "foreign"},
    });
    create(&kube, collection, &foreign).await;
    let kept = object(&kube, &format!("{collection}/c00")).await;
    for index in 50..60 {
        let name = format!("c{index:02}");
        world.infra.remove(&format!("app/{name}.yaml")).unwrap();
        wanted.remove(&name);
    }
    let commit = world.publish("faults-killed", "Remove some").await;
    let app = world.synced_at("faults-killed", &commit).await;
    assert_eq!(tracked(&kube).await, wanted);
    assert_eq!(app["resourceCount"], 50, "{app:#}");
    assert_eq!(object(&kube, &format!("{collection}/c00")).await, kept);
    assert!(exists(&kube, &format!("{collection}/foreign")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_lost_its_store_in_the_middle_of_a_sync_is_not_believed() {
    let mut cluster = own_cluster().await;
    let kube = cluster.kube().clone();
    let proxy = Proxy::start(cluster.address()).unwrap();
    proxy.set_delay(Duration::from_millis(40));
    let world = World::behind(&cluster, &proxy).await;
    let wanted = write_maps(&world, 60, "1");
    world.seed([]);
    world.register(&world.application("faults-store", "app")).await;
    let collection = "/api/v1/namespaces/faults-store/configmaps";
    wait_until(PATIENCE, "the first objects", async || {
        kube.list(collection).await.is_ok_and(|objects| objects.len() >= 5)
    })
    .await;
    cluster.kill_etcd();
    // It still answers, and some of it out of its memory: that is no cluster to be in sync with.
    world
        .until("faults-store", "unknown or out of sync", |app| app["sync"]["status"] != "Synced")
        .await;
    cluster.start_etcd().unwrap();
    cluster.start_api_server().await.unwrap();
    world.synced("faults-store").await;
    assert_eq!(tracked(&kube).await, wanted);
}

/// What `fyr status` says needs attention about the Git host.
async fn complaint(world: &World) -> Value {
    let attention = world.status().await["attention"].take();
    let all = attention.as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        one["kind"] == "repository" && name.contains("infra")
    });
    found.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_git_host_healing_goes_on_from_the_mirror_even_over_a_restart() {
    let mut world =
        World::on_shared_cluster_with(|world| world.set("poll", json!({"interval": "5s"}))).await;
    let kube = shared_kube().await;
    let name = "faults-git";
    let path = "/api/v1/namespaces/faults-git/configmaps/a";
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    let fetched = world.synced(name).await["fetchedAt"].clone();
    assert!(fetched.is_string(), "{fetched}");

    world.git.stop();
    world.condition_of(name, "RepositoryWarning", "serving the mirror").await;
    let complained = complaint(&world).await;
    let since = complained["since"].as_str().map(str::to_owned);
    assert!(since.as_deref() >= fetched.as_str(), "{complained}, last fetched {fetched}");
    let before = object(&kube, path).await;
    kube.delete(path).await.unwrap();
    object_until(&kube, path, "another object", |object| {
        object["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;

    world.daemons.kill_fyrd();
    kube.patch(path, MERGE, &json!({"data": {"value": "by hand"}})).await.unwrap();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    value_until(&kube, path, "1").await;
    world.condition_of(name, "RepositoryWarning", "serving the mirror").await;
    assert!(complaint(&world).await["since"].is_string());

    world.git.restart().unwrap();
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let commit = world.publish(name, "After the fault").await;
    world.synced_at(name, &commit).await;
    value_until(&kube, path, "2").await;
    assert_eq!(complaint(&world).await, Value::Null);
}

/// Waits for the value of the `ConfigMap` that is watched, and says how long that took.
async fn seen(watch: &mut Watch, value: &str, begun: Instant) -> Duration {
    let arrives = async {
        while let Some(event) = watch.next().await {
            if event.expect("an event").object["data"]["value"] == value {
                return begun.elapsed();
            }
        }
        panic!("the watch ended");
    };
    tokio::time::timeout(PATIENCE, arrives).await.unwrap_or_else(|_| panic!("no {value}"))
}

/// Publishes commits that change the `ConfigMap` of every application and measures on each of the
/// watched clusters how long each takes, from the end of the push. Returns the last commit, too.
async fn measure(
    world: &World,
    watches: &mut [Watch; 2],
    values: std::ops::Range<u32>,
) -> (Vec<Duration>, String) {
    let (mut times, mut commit) = (Vec::new(), String::new());
    let [one, two] = watches;
    for value in values {
        let value = value.to_string();
        world.infra.write("app/a.yaml", config_map("a", &value)).expect("a file");
        commit = world.infra.commit("Change").expect("a commit");
        world.infra.push().expect("a push");
        let begun = Instant::now();
        let (on_one, on_two, _) = tokio::join!(
            seen(one, &value, begun),
            seen(two, &value, begun),
            world.daemons.ask("POST", "/api/v1/applications/faults-one/refresh"),
        );
        times.extend([on_one, on_two]);
    }
    (times, commit)
}

/// The smallest of the times that 99 % do not exceed.
fn p99(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[(times.len() * 99).div_ceil(100) - 1]
}

async fn watch_map(cluster: &ControlPlane, namespace: &str) -> Watch {
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    cluster.kube().watch(&format!("{path}?fieldSelector=metadata.name=a")).await.expect("a watch")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_cluster_is_unknown_since_its_last_contact_and_slows_no_other() {
    let (one, two, three) = tokio::join!(own_cluster(), own_cluster(), own_cluster());
    let mut world = World::new();
    for (name, cluster) in [("one", &one), ("two", &two), ("three", &three)] {
        world.add_cluster(name, cluster, false);
    }
    world.start().await;
    world.seed([("app/a.yaml", config_map("a", "0"))]);
    let applications = ["one", "two", "three"]
        .map(|cluster| world.application(&format!("faults-{cluster}"), "app").on(cluster));
    world.register_all(&applications).await;
    for application in &applications {
        world.synced(application.name()).await;
    }
    let mut watches = [watch_map(&one, "faults-one").await, watch_map(&two, "faults-two").await];
    // The first commits pay for connections and caches.
    measure(&world, &mut watches, 1..4).await;
    let (before, _) = measure(&world, &mut watches, 100..100 + COMMITS).await;

    three.freeze();
    let (during, commit) = measure(&world, &mut watches, 200..200 + COMMITS).await;
    let allowed = p99(&before).mul_f64(1.5) + NOISE;
    assert!(p99(&during) <= allowed, "before: {before:?}\nduring: {during:?}");

    let frozen = world
        .until("faults-three", "unknown", |app| {
            app["sync"]["status"] == "Unknown" && app["health"]["status"] == "Unknown"
        })
        .await;
    let contact = frozen["lastContact"].clone();
    assert!(contact.is_string(), "{frozen:#}");
    let shown = world.cluster_reachable("three", false).await;
    assert!(shown["message"].as_str().is_some_and(|why| !why.is_empty()), "{shown:#}");
    assert!(shown["lastContact"].is_string(), "{shown:#}");
    let (_, newest) = measure(&world, &mut watches, 300..301).await;
    assert_ne!(commit, newest);
    assert_eq!(world.get("faults-three").await["lastContact"], contact, "nothing was heard");
    world.synced_at("faults-one", &newest).await;

    three.thaw();
    world.synced_at("faults-three", &newest).await;
    value_until(three.kube(), "/api/v1/namespaces/faults-three/configmaps/a", "300").await;
    world.cluster_reachable("three", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_makes_a_sync_late_and_not_wrong() {
    let cluster = own_cluster().await;
    let kube = cluster.kube();
    let proxy = Proxy::start(cluster.address()).unwrap();
    // Half a second a round trip: worse than any satellite.
    proxy.set_delay(Duration::from_millis(250));
    let world = World::behind(&cluster, &proxy).await;
    let wanted = write_maps(&world, 30, "1");
    world.seed([]);
    world.register(&world.application("faults-slow", "app").pruned_in_the_background()).await;
    world.synced("faults-slow").await;
    assert_eq!(tracked(kube).await, wanted);

    let path = "/api/v1/namespaces/faults-slow/configmaps/c07";
    kube.patch(path, MERGE, &json!({"data": {"value": "by hand"}})).await.unwrap();
    value_until(kube, path, "1").await;
    world.infra.remove("app/c07.yaml").unwrap();
    let commit = world.publish("faults-slow", "Remove one").await;
    world.synced_at("faults-slow", &commit).await;
    assert!(!exists(kube, path).await);
}

/// Cuts the line to a cluster, changes it meanwhile, and expects all to be put right afterwards.
async fn changes_behind_a_cut(kube: &Kube, proxy: &Proxy, world: &World, cut: Cut) {
    let path = |name: &str| format!("/api/v1/namespaces/faults-cut/configmaps/{name}");
    let before = object(kube, &path("c00")).await;
    proxy.cut(cut).await.expect("the proxy takes the cut");
    world.cluster_reachable("own", false).await;
    kube.delete(&path("c00")).await.expect("the API server answers");
    kube.patch(&path("c01"), MERGE, &json!({"data": {"value": "by hand"}}))
        .await
        .expect("the API server answers");
    assert_eq!(world.get("faults-cut").await["sync"]["status"], "Unknown");

    proxy.restore().await.expect("the proxy is restored");
    object_until(kube, &path("c00"), "another object", |object| {
        object["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
    value_until(kube, &path("c01"), "1").await;
    world.synced("faults-cut").await;
    // The watches are back: what happens from now on is seen as it happens.
    kube.delete(&path("c02")).await.expect("the API server answers");
    value_until(kube, &path("c02"), "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_behind_a_cut_line_is_put_right_when_it_is_mended() {
    let cluster = own_cluster().await;
    let proxy = Proxy::start(cluster.address()).unwrap();
    let world = World::behind(&cluster, &proxy).await;
    let wanted = write_maps(&world, 3, "1");
    world.seed([]);
    world.register(&world.application("faults-cut", "app")).await;
    world.synced("faults-cut").await;
    for cut in [Cut::Refuse, Cut::Silence] {
        changes_behind_a_cut(cluster.kube(), &proxy, &world, cut).await;
        assert_eq!(tracked(cluster.kube()).await, wanted, "{cut:?}");
    }
}
