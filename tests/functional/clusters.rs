//! Ways into clusters: credentials, trust and proxies.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fyr_test_cluster::ControlPlane;
use fyr_tests::{
    ConnectProxy, World, cluster_secret_with, config_map, create, exists, shared_cluster,
    shared_kube, value_until,
};
use serde_json::{Value, json};

/// A world whose only cluster is the shared one, reached as `config` says, with one `ConfigMap` in
/// the folder `app`.
async fn world_with(config: &Value) -> World {
    let mut world = World::new();
    let server = shared_cluster().await.server();
    world.add_secret(cluster_secret_with("shared", &server, config));
    world.start().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world
}

/// TLS settings with the administrator's certificate.
fn admin(cluster: &ControlPlane) -> Value {
    json!({
        "serverName": "localhost",
        "caData": STANDARD.encode(cluster.ca_certificate()),
        "certData": STANDARD.encode(cluster.admin_certificate()),
        "keyData": STANDARD.encode(cluster.admin_key()),
    })
}

fn path_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/a")
}

/// The only cluster as `fyr cluster list` shows it.
async fn listed(world: &World) -> Value {
    let text = world.fyr(["cluster", "list", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&text).expect("JSON");
    list[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_used_with_the_token_of_a_service_account() {
    let cluster = shared_cluster().await;
    let kube = shared_kube().await;
    let lifetime = Duration::from_mins(10);
    let name = "clusters-token";
    let token = cluster.service_account_token("default", name, lifetime).await.unwrap();
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": name}],
    });
    create(&kube, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    let authority = STANDARD.encode(cluster.ca_certificate());
    let tls = json!({"serverName": "localhost", "caData": authority});
    let world = world_with(&json!({"bearerToken": token, "tlsClientConfig": tls})).await;
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    value_until(&kube, &path_of(name), "1").await;
    let shown = listed(&world).await;
    assert_eq!(shown["reachable"], true, "{shown:#}");
    assert!(!shown.to_string().contains(&token));
    assert!(!world.daemons.log().contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_server_is_used_on_request_and_warned_about() {
    let mut tls = admin(shared_cluster().await);
    let settings = tls.as_object_mut().unwrap();
    settings.remove("caData");
    settings.insert("insecure".to_owned(), json!(true));
    let world = world_with(&json!({"tlsClientConfig": tls})).await;
    world.register(&world.application("clusters-insecure", "app")).await;
    world.synced("clusters-insecure").await;
    let shown = listed(&world).await;
    assert!(shown["warnings"].to_string().contains("insecure"), "{shown:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_authority_is_refused_and_said_to_be() {
    let stranger = ControlPlane::start(fyr_test_cluster::ControlPlaneOptions::default());
    let stranger = stranger.await.unwrap();
    let mut tls = admin(shared_cluster().await);
    tls["caData"] = json!(STANDARD.encode(stranger.ca_certificate()));
    let world = world_with(&json!({"tlsClientConfig": tls})).await;
    world.register(&world.application("clusters-authority", "app")).await;
    let app = world
        .until("clusters-authority", "refusing the certificate", |app| {
            app.to_string().contains("certificate")
        })
        .await;
    assert_eq!(app["sync"]["status"], "Unknown", "{app:#}");
    assert_eq!(app["health"]["status"], "Unknown", "{app:#}");
    let shown = listed(&world).await;
    assert_eq!(shown["reachable"], false, "{shown:#}");
    assert!(!exists(&shared_kube().await, "/api/v1/namespaces/clusters-authority").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_a_program_would_make_are_refused_with_what_to_do_instead() {
    let program = json!({"command": "touch", "args": ["/tmp/fyr-test-exec"]});
    let mut tls = admin(shared_cluster().await);
    tls.as_object_mut().unwrap().remove("keyData");
    tls.as_object_mut().unwrap().remove("certData");
    let config = json!({"execProviderConfig": program, "tlsClientConfig": tls});
    let world = world_with(&config).await;
    world.register(&world.application("clusters-exec", "app")).await;
    world.condition_of("clusters-exec", "InvalidSpecError", "shared").await;
    let status = world.daemons.fyr(["status", "-o", "json"]).await;
    assert_eq!(status.code, Some(1), "something needs attention: {status:?}");
    let problems = status.json()["fleet"]["problems"].to_string();
    assert!(problems.contains("execProviderConfig runs a program"), "{problems}");
    assert!(problems.contains("bearerToken"), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_behind_a_proxy_is_reached_through_it_alone() {
    let proxy = ConnectProxy::start().await;
    let tls = admin(shared_cluster().await);
    let config = json!({"proxyUrl": proxy.url(), "tlsClientConfig": tls});
    let world = world_with(&config).await;
    world.register(&world.application("clusters-proxy", "app")).await;
    world.synced("clusters-proxy").await;
    assert!(proxy.tunnels() > 0);
    value_until(&shared_kube().await, &path_of("clusters-proxy"), "1").await;
}
