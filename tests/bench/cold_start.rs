//! N applications of four objects each, from registration to applied and Healthy.

use std::time::{Duration, Instant};

use fyr_test_cluster::{ControlPlane, ControlPlaneOptions};
use fyr_tests::{Application, World};
use serde_json::{Value, json};

use crate::report;

/// The namespace of everything a benchmark applies.
pub(crate) const NAMESPACE: &str = "bench";
/// Connections of the floor: as many writes as the daemon has under way on one cluster.
const CONNECTIONS: usize = 8;
/// Nodes for the pods; each holds at most 110 by the kubelet's default.
const NODES: u32 = 20;

/// A control plane as all benchmarks of many applications use it.
pub(crate) async fn control_plane() -> ControlPlane {
    let options = ControlPlaneOptions {
        controllers: true,
        nodes: NODES,
        audit_log: true,
        ..ControlPlaneOptions::default()
    };
    let plane = ControlPlane::start(options).await.expect("the control plane starts");
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE},
    });
    let path = format!("/api/v1/namespaces/{NAMESPACE}");
    plane.kube().apply(&path, &namespace).await.expect("a namespace");
    plane
}

/// The four objects of application `index`: path and manifest.
fn objects(index: usize) -> [(String, Value); 4] {
    let name = format!("app-{index:04}");
    let labels = json!({"app": name});
    let meta = |kind: &str, version: &str| {
        json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        })
    };
    let mut config = meta("ConfigMap", "v1");
    config["data"] = json!({"LOG_LEVEL": "info", "REGION": "eu-north"});
    let mut service = meta("Service", "v1");
    service["spec"] = json!({
        "selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    });
    let mut deployment = meta("Deployment", "apps/v1");
    deployment["spec"] = json!({
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": name,
                "containers": [{
                    "name": "main", "image": "registry.example.org/app:1",
                    "ports": [{"containerPort": 8080}],
                    "envFrom": [{"configMapRef": {"name": name}}],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                }],
            },
        },
    });
    let core = format!("/api/v1/namespaces/{NAMESPACE}");
    let apps = format!("/apis/apps/v1/namespaces/{NAMESPACE}");
    [
        (format!("{core}/serviceaccounts/{name}"), meta("ServiceAccount", "v1")),
        (format!("{core}/configmaps/{name}"), config),
        (format!("{core}/services/{name}"), service),
        (format!("{apps}/deployments/{name}"), deployment),
    ]
}

/// Writes the folders of `apps` applications and gives back the applications.
fn write(world: &World, apps: usize) -> Vec<Application> {
    let url = World::written_url("infra.git");
    (0..apps)
        .map(|index| {
            let name = format!("app-{index:04}");
            let files = ["service-account", "config", "service", "deployment"];
            for (file, (_, manifest)) in files.iter().zip(objects(index)) {
                let path = format!("{name}/{file}.yaml");
                world.infra.write(&path, manifest.to_string()).expect("a file");
            }
            let resources: Vec<_> = files.iter().map(|file| format!("{file}.yaml")).collect();
            let kustomization = json!({"resources": resources});
            let path = format!("{name}/kustomization.yaml");
            world.infra.write(&path, kustomization.to_string()).expect("a file");
            Application::new(&name, &url, &name, NAMESPACE)
        })
        .collect()
}

/// A running world with `apps` applications in sync and Healthy, and how long that took.
pub(crate) async fn settled(apps: usize) -> (World, ControlPlane, Duration, Duration) {
    let plane = control_plane().await;
    let mut world = World::new();
    world.add_cluster("bench", &plane, true);
    let applications = write(&world, apps);
    world.infra.commit("Begin").expect("a commit");
    world.infra.push().expect("a push");
    world.start().await;

    let started = Instant::now();
    world.register_all(&applications).await;
    let applied = until(&world, started, "sync", "Synced", apps).await;
    let healthy = until(&world, started, "health", "Healthy", apps).await;
    (world, plane, applied, healthy)
}

/// Waits until `apps` applications have this state; the time since `started`.
pub(crate) async fn until(
    world: &World,
    started: Instant,
    kind: &str,
    state: &str,
    apps: usize,
) -> Duration {
    loop {
        let status = world.daemons.api("GET", "/api/v1/status").await;
        if status["counts"][kind][state].as_u64() == u64::try_from(apps).ok() {
            return started.elapsed();
        }
        let patience = Duration::from_mins(10);
        assert!(
            started.elapsed() < patience,
            "not all {state}: {status:#}\n{}",
            world.daemons.log()
        );
        // Ten looks a second: precise enough for seconds, and next to nothing for the daemon.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The same objects over a few connections, by a bare client on a control plane of its own.
async fn floor(apps: usize) -> Duration {
    let plane = control_plane().await;
    let kube = plane
        .kube_with(&plane.server(), &plane.admin(), CONNECTIONS)
        .expect("valid certificates")
        .with_field_manager("fyr");
    let started = Instant::now();
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let workers = (0..CONNECTIONS).map(|_| {
        let (kube, next) = (kube.clone(), std::sync::Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if index >= apps {
                    return;
                }
                for (path, manifest) in objects(index) {
                    let (status, body) = kube.apply(&path, &manifest).await.expect("an answer");
                    assert!(status.is_success(), "{body}");
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("the worker does not panic");
    }
    started.elapsed()
}

/// Prints the measurement.
pub(crate) async fn run(apps: usize) {
    let floor = floor(apps).await;
    let (_world, _plane, applied, healthy) = settled(apps).await;
    report::print(&json!({
        "bench": "cold-start",
        "apps": apps,
        "applied_s": report::seconds(applied),
        "healthy_s": report::seconds(healthy),
        "floor_s": report::seconds(floor),
    }));
}
