//! Health: event-driven, with reasons, and the worst object decides.

use fyr_tests::{World, config_map, deployment, manifest, object_until, resource, shared_kube};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";

/// A Deployment whose pods no node takes.
fn unschedulable(name: &str) -> Value {
    let mut deployment = manifest(&deployment(name, 1));
    deployment["spec"]["template"]["spec"]["nodeSelector"] = json!({"fyr.dev/nowhere": "true"});
    deployment
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_progressing_until_its_pods_are_ready() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/web.yaml", unschedulable("web").to_string())]);
    world.register(&world.application("health-progress", "app")).await;
    let app = world.health("health-progress", "Progressing").await;
    let health = &resource(&app, "Deployment", "web")["health"];
    assert!(!health["reason"].as_str().unwrap_or_default().is_empty(), "{app:#}");
    // In sync is a matter of what was applied, not of how it does.
    world.synced("health-progress").await;

    world.infra.write("app/web.yaml", deployment("web", 1)).unwrap();
    world.publish("health-progress", "Let any node take them").await;
    let app = world.health("health-progress", "Healthy").await;
    assert_eq!(resource(&app, "Deployment", "web")["health"]["status"], "Healthy", "{app:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_past_its_deadline_is_degraded_and_the_worst_object_is_the_application() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let mut stuck = unschedulable("stuck");
    stuck["spec"]["progressDeadlineSeconds"] = json!(1);
    world.seed([
        ("app/a.yaml", config_map("a", "1")),
        ("app/good.yaml", deployment("good", 1)),
        ("app/stuck.yaml", stuck.to_string()),
    ]);
    world.register(&world.application("health-degraded", "app")).await;
    let app = world.health("health-degraded", "Degraded").await;
    let stuck = &resource(&app, "Deployment", "stuck")["health"];
    assert_eq!(stuck["status"], "Degraded", "{app:#}");
    assert!(!stuck["reason"].as_str().unwrap_or_default().is_empty(), "{app:#}");
    world
        .resource_until("health-degraded", ("Deployment", "good"), "healthy", |entry| {
            entry["health"]["status"] == "Healthy"
        })
        .await;
    assert_eq!(world.get("health-degraded").await["health"]["status"], "Degraded");

    world.infra.remove("app/stuck.yaml").unwrap();
    world.publish("health-degraded", "Remove the stuck one").await;
    world.health("health-degraded", "Healthy").await;
    let path = "/apis/apps/v1/namespaces/health-degraded/deployments/good";
    object_until(&kube, path, "ready", |object| object["status"]["readyReplicas"] == 1).await;
}

/// A custom resource definition with a status of its own, and one resource.
fn gadget() -> [(&'static str, String); 2] {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.health.example.org"},
        "spec": {
            "group": "health.example.org",
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    let resource = json!({
        "apiVersion": "health.example.org/v1",
        "kind": "Gadget",
        "metadata": {"name": "one"},
        "spec": {"size": 1},
    });
    [("app/definition.yaml", definition.to_string()), ("app/one.yaml", resource.to_string())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_resource_is_as_healthy_as_its_conditions_say() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed(gadget());
    world.register(&world.application("health-custom", "app")).await;
    world.synced("health-custom").await;

    let path = "/apis/health.example.org/v1/namespaces/health-custom/gadgets/one/status";
    let stages = [
        ("Ready", "False", "still warming up", "Progressing"),
        ("Stalled", "True", "out of fuel", "Degraded"),
        ("Ready", "True", "", "Healthy"),
    ];
    for (kind, status, message, expected) in stages {
        let published = json!([{"type": kind, "status": status, "message": message}]);
        let change = json!({"status": {"conditions": published}});
        let (answered, body) = kube.patch(path, MERGE, &change).await.unwrap();
        assert!(answered.is_success(), "{body:#}");
        let app = world.health("health-custom", expected).await;
        let health = &resource(&app, "Gadget", "one")["health"];
        assert_eq!(health["status"], expected, "{app:#}");
        assert!(health["reason"].as_str().unwrap_or_default().contains(message), "{app:#}");
    }
    // A status is nobody's desired state.
    world.synced("health-custom").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_object_that_nobody_heals_is_missing() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/web.yaml", deployment("web", 0)), ("app/a.yaml", config_map("a", "1"))]);
    let application = world
        .application("health-missing", "app")
        .with("/spec/syncPolicy/automated/selfHeal", json!(false));
    world.register(&application).await;
    world.health("health-missing", "Healthy").await;
    kube.delete("/apis/apps/v1/namespaces/health-missing/deployments/web").await.unwrap();
    let app = world.out_of_sync("health-missing").await;
    assert_eq!(resource(&app, "Deployment", "web")["health"]["status"], "Missing", "{app:#}");
}
