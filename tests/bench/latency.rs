//! How long one change takes: from a commit, and from a foreign write.

use std::time::{Duration, Instant};

use fyr_test_cluster::{ControlPlane, Kube, Watch};
use fyr_tests::{Application, World, config_map};
use serde_json::{Value, json};

use crate::cold_start::{NAMESPACE, control_plane};
use crate::report::{self, Samples};

/// Lets one drift end before the next begins.
const BETWEEN_DRIFTS: Duration = Duration::from_millis(200);

const WATCHED: &str = "/api/v1/namespaces/bench/configmaps";

fn path(name: &str) -> String {
    format!("{WATCHED}/{name}")
}

/// Waits until the object of this name has this value.
async fn seen(watch: &mut Watch, name: &str, value: &str) {
    loop {
        let event = watch.next().await.expect("the watch goes on").expect("a readable event");
        if event.object["metadata"]["name"] == name && event.object["data"]["value"] == value {
            return;
        }
    }
}

fn manifest(name: &str, value: &str) -> Value {
    let mut object: Value = serde_json::from_str(&config_map(name, value)).expect("a manifest");
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object
}

async fn change(kube: &Kube, name: &str, value: &str) {
    let patch = json!({"data": {"value": value}});
    let (status, body) = kube
        .patch(&path(name), "application/merge-patch+json", &patch)
        .await
        .expect("the API server answers");
    assert!(status.is_success(), "{body}");
}

/// A world with one application of these ConfigMaps, in sync.
async fn world(names: &[String]) -> (World, ControlPlane) {
    let plane = control_plane().await;
    let mut world = World::new();
    world.add_cluster("bench", &plane, true);
    for name in names {
        world.infra.write(&format!("app/{name}.yaml"), config_map(name, "git")).expect("a file");
    }
    world.infra.commit("Begin").expect("a commit");
    world.infra.push().expect("a push");
    world.start().await;
    let url = World::written_url("infra.git");
    world.register(&Application::new("app", &url, "app", NAMESPACE)).await;
    world.synced("app").await;
    (world, plane)
}

/// One apply of a changed object by a bare client, until its watch shows it.
async fn apply_floor(samples: usize) -> Samples {
    let plane = control_plane().await;
    let kube = plane.kube().clone().with_field_manager("fyr");
    let mut watch = kube.watch(WATCHED).await.expect("a watch");
    let mut times = Vec::with_capacity(samples);
    for sample in 0..samples {
        let value = format!("floor {sample}");
        let started = Instant::now();
        kube.apply(&path("a"), &manifest("a", &value)).await.expect("an answer");
        seen(&mut watch, "a", &value).await;
        times.push(started.elapsed());
    }
    Samples::new(times)
}

/// Prints commit-to-applied: the clock starts when the push is done.
pub(crate) async fn commit_to_applied(samples: usize) {
    let floor = apply_floor(samples).await;
    let (world, plane) = world(&["a".to_owned()]).await;
    let mut watch = plane.kube().watch(WATCHED).await.expect("a watch");
    let mut times = Vec::with_capacity(samples);
    for sample in 0..samples {
        let value = format!("commit {sample}");
        world.infra.write("app/a.yaml", config_map("a", &value)).expect("a file");
        world.infra.commit("Change").expect("a commit");
        world.infra.push().expect("a push");
        let started = Instant::now();
        world.daemons.api("POST", "/api/v1/applications/app/refresh").await;
        seen(&mut watch, "a", &value).await;
        times.push(started.elapsed());
    }
    print("commit-to-applied", &Samples::new(times), &floor);
}

/// A bare client that undoes foreign writes: its watch brings the event, one apply answers it.
async fn heal_floor(names: &[String]) -> Samples {
    let plane = control_plane().await;
    let healer = plane.kube().clone().with_field_manager("fyr");
    for name in names {
        healer.apply(&path(name), &manifest(name, "git")).await.expect("an answer");
    }
    let mut events = healer.watch(WATCHED).await.expect("a watch");
    let task = tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            if let Some(name) = event.object["metadata"]["name"].as_str()
                && event.object["data"]["value"] == "foreign"
            {
                healer.apply(&path(name), &manifest(name, "git")).await.expect("an answer");
            }
        }
    });
    let times = drifts(&plane, names).await;
    task.abort();
    times
}

/// One foreign write to each object, one after the other, each timed until it is undone.
async fn drifts(plane: &ControlPlane, names: &[String]) -> Samples {
    let kube = plane.kube_with(&plane.server(), &plane.admin(), 2).expect("valid certificates");
    let mut watch = kube.watch(WATCHED).await.expect("a watch");
    let mut times = Vec::with_capacity(names.len());
    for name in names {
        change(&kube, name, "foreign").await;
        let started = Instant::now();
        seen(&mut watch, name, "foreign").await;
        seen(&mut watch, name, "git").await;
        times.push(started.elapsed());
        tokio::time::sleep(BETWEEN_DRIFTS).await;
    }
    Samples::new(times)
}

/// Prints heal: the clock starts when the foreign write is answered. Each drift is of another
/// object: drifts of one object again and again would measure the breaker of fights.
pub(crate) async fn heal(samples: usize) {
    let names: Vec<String> = (0..samples).map(|index| format!("object-{index}")).collect();
    let floor = heal_floor(&names).await;
    let (_world, plane) = world(&names).await;
    print("heal", &drifts(&plane, &names).await, &floor);
}

fn print(bench: &str, times: &Samples, floor: &Samples) {
    report::print(&json!({
        "bench": bench,
        "samples": times.len(),
        "p50_ms": times.percentile_ms(50),
        "p99_ms": times.percentile_ms(99),
        "floor_p50_ms": floor.percentile_ms(50),
    }));
}
