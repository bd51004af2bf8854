//! From files to objects: kustomize, plain folders, and what must never be taken for an order to
//! delete.

use fyr_tests::{
    World, condition, config_map, deployment, exists, object, object_gone, object_until, resource,
    shared_kube, value_until,
};
use serde_json::{Value, json};

/// A kustomize overlay over a base with a Deployment, a Service and a generated `ConfigMap`.
fn overlay(level: &str) -> Vec<(&'static str, String)> {
    let base = json!({"resources": ["deployment.yaml", "service.yaml"]});
    let patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 0}]);
    let environment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [
            {"name": "main", "envFrom": [{"configMapRef": {"name": "settings"}}]},
        ]}}},
    });
    let overlay = json!({
        "resources": ["../../base"],
        "namePrefix": "shop-",
        "images": [{"name": "registry.example.org/app", "newTag": "7"}],
        "patches": [
            {"path": "environment.yaml"},
            {"target": {"kind": "Deployment"}, "patch": patch.to_string()},
        ],
        "configMapGenerator": [{"name": "settings", "literals": [format!("level={level}")]}],
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    vec![
        ("base/kustomization.yaml", base.to_string()),
        ("base/deployment.yaml", deployment("web", 3)),
        ("base/service.yaml", service.to_string()),
        ("overlays/production/environment.yaml", environment.to_string()),
        ("overlays/production/kustomization.yaml", overlay.to_string()),
    ]
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_patches_its_base_and_a_changed_setting_rolls_out_under_a_new_name() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed(overlay("info"));
    world.register(&world.application("render-overlay", "overlays/production")).await;
    world.synced("render-overlay").await;

    let path = "/apis/apps/v1/namespaces/render-overlay/deployments/shop-web";
    let before = object(&kube, path).await;
    assert_eq!(before["spec"]["replicas"], 0);
    assert_eq!(container(&before)["image"], "registry.example.org/app:7");
    assert!(exists(&kube, "/api/v1/namespaces/render-overlay/services/shop-web").await);
    let settings = |deployment: &Value| -> String {
        let name = container(deployment)["envFrom"][0]["configMapRef"]["name"].as_str();
        let name = name.expect("the reference is there");
        format!("/api/v1/namespaces/render-overlay/configmaps/{name}")
    };
    let old = settings(&before);
    assert!(old.contains("/shop-settings-"), "{old}");
    assert_eq!(object(&kube, &old).await["data"]["level"], "info");

    world.seed(overlay("debug"));
    world.fyr(["app", "refresh", "render-overlay"]).await;
    object_until(&kube, path, "the new settings", |now| settings(now) != old).await;
    let new = settings(&object(&kube, path).await);
    object_until(&kube, &new, "the new level", |map| map["data"]["level"] == "debug").await;
    object_gone(&kube, &old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kustomize_overrides_of_the_application_win_over_the_repository() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([
        ("app/kustomization.yaml", json!({"resources": ["deployment.yaml"]}).to_string()),
        ("app/deployment.yaml", deployment("web", 3)),
    ]);
    let overrides = json!({
        "namePrefix": "canary-",
        "images": ["registry.example.org/app=mirror.example.org/app:9"],
        "replicas": [{"name": "web", "count": 1}],
    });
    let application =
        world.application("render-overrides", "app").with("/spec/source/kustomize", overrides);
    world.register(&application).await;
    world.synced("render-overrides").await;
    let path = "/apis/apps/v1/namespaces/render-overrides/deployments/canary-web";
    let live = object(&kube, path).await;
    assert_eq!(container(&live)["image"], "mirror.example.org/app:9");
    assert_eq!(live["spec"]["replicas"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_read_as_its_options_say() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([
        ("app/top.yaml", config_map("top", "1")),
        ("app/values.txt", "not a manifest".to_owned()),
        ("app/sub/inner.yaml", config_map("inner", "1")),
        ("app/sub/draft-inner.yaml", config_map("draft", "1")),
        ("app/sub/inner.json", config_map("json", "1")),
    ]);
    let recursive = json!({"recurse": true, "include": "*.yaml", "exclude": "*draft-*"});
    let applications = [
        world.application("render-flat", "app"),
        world.application("render-deep", "app").with("/spec/source/directory", recursive),
    ];
    world.register_all(&applications).await;
    let cases = [("render-flat", &["top"][..]), ("render-deep", &["top", "inner"])];
    for (name, expected) in cases {
        world.synced(name).await;
        for map in ["top", "inner", "draft", "json"] {
            let path = format!("/api/v1/namespaces/{name}/configmaps/{map}");
            assert_eq!(exists(&kube, &path).await, expected.contains(&map), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kustomization_field_that_is_not_supported_is_named_and_nothing_is_applied() {
    let world = World::on_shared_cluster().await;
    let kustomization = json!({
        "resources": ["a.yaml"],
        "helmCharts": [{"name": "redis", "repo": "https://charts.example.org", "version": "1"}],
    });
    world.seed([
        ("app/kustomization.yaml", kustomization.to_string()),
        ("app/a.yaml", config_map("a", "1")),
    ]);
    world.register(&world.application("render-unsupported", "app")).await;
    let app = world.condition_of("render-unsupported", "ComparisonError", "helmCharts").await;
    assert_eq!(app["sync"]["status"], "Unknown", "{app:#}");
    assert!(!exists(&shared_kube().await, "/api/v1/namespaces/render-unsupported").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_does_not_render_leaves_the_last_good_one_in_force_until_the_next() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/b.yaml", config_map("b", "1"))]);
    world.register(&world.application("render-broken", "app")).await;
    world.synced("render-broken").await;
    let [a, b] =
        ["a", "b"].map(|name| format!("/api/v1/namespaces/render-broken/configmaps/{name}"));
    let before = [object(&kube, &a).await, object(&kube, &b).await];

    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    world.infra.write("app/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [").unwrap();
    world.publish("render-broken", "Break").await;
    let app = world.condition_of("render-broken", "ComparisonError", "b.yaml").await;
    assert_eq!(app["sync"]["status"], "Unknown", "{app:#}");
    let after = [object(&kube, &a).await, object(&kube, &b).await];
    assert_eq!(before, after);
    // What rendered last stays in force, so a manual change is still reverted.
    kube.delete(&a).await.unwrap();
    value_until(&kube, &a, "1").await;

    world.infra.remove("app/b.yaml").unwrap();
    let commit = world.publish("render-broken", "Mend").await;
    let app = world.synced_at("render-broken", &commit).await;
    assert_eq!(condition(&app, "ComparisonError"), None);
    value_until(&kube, &a, "2").await;
    object_gone(&kube, &b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_renders_to_nothing_prunes_nothing() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/notes.txt", "kept".to_owned())]);
    world.register(&world.application("render-empty", "app")).await;
    world.synced("render-empty").await;
    let path = "/api/v1/namespaces/render-empty/configmaps/a";
    let before = object(&kube, path).await;

    world.infra.remove("app/a.yaml").unwrap();
    world.publish("render-empty", "Remove everything").await;
    let app = world.condition("render-empty", "auto-sync will wipe out").await;
    assert_eq!(app["sync"]["status"], "OutOfSync", "{app:#}");
    assert_eq!(resource(&app, "ConfigMap", "a")["requiresPruning"], true, "{app:#}");
    assert_eq!(object(&kube, path).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_prunes_nothing() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("render-gone", "app")).await;
    world.synced("render-gone").await;
    let path = "/api/v1/namespaces/render-gone/configmaps/a";
    let before = object(&kube, path).await;

    world.infra.remove("app").unwrap();
    world.publish("render-gone", "Remove the folder").await;
    world.condition_of("render-gone", "ComparisonError", "app").await;
    assert_eq!(object(&kube, path).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leaves_the_repository_is_an_error_and_one_that_stays_is_followed() {
    let world = World::on_shared_cluster().await;
    world.infra.link("inside/linked.yaml", "../shared/a.yaml").unwrap();
    world.seed([("shared/a.yaml", config_map("a", "linked"))]);
    world.infra.link("outside/stolen.yaml", "../../../../etc/hostname").unwrap();
    world.seed([("outside/a.yaml", config_map("a", "1"))]);
    let applications = [
        world.application("render-link-out", "outside"),
        world.application("render-link-in", "inside"),
    ];
    world.register_all(&applications).await;
    world.condition_of("render-link-out", "ComparisonError", "stolen.yaml").await;
    world.synced("render-link-in").await;
    let kube = shared_kube().await;
    value_until(&kube, "/api/v1/namespaces/render-link-in/configmaps/a", "linked").await;
    assert!(!exists(&kube, "/api/v1/namespaces/render-link-out").await);
}
