//! The main job: a commit becomes the state of a cluster, and stays it.

use fyr_tests::{World, config_map, object_gone, object_until, shared_kube};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_the_state_of_the_cluster_and_what_leaves_git_leaves_the_cluster() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.infra.write("app/a.yaml", config_map("a", "1")).unwrap();
    world.infra.write("app/b.yaml", config_map("b", "1")).unwrap();
    world.infra.commit("Add two").unwrap();
    world.infra.push().unwrap();
    world.register(&world.application("spine-commit", "app")).await;
    world.synced("spine-commit").await;

    let a = "/api/v1/namespaces/spine-commit/configmaps/a";
    let b = "/api/v1/namespaces/spine-commit/configmaps/b";
    let (_, object) = kube.get(a).await.unwrap();
    assert_eq!(
        object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"],
        "spine-commit:/ConfigMap:spine-commit/a"
    );

    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    world.infra.remove("app/b.yaml").unwrap();
    let commit = world.publish("spine-commit", "Change one, remove one").await;
    world.synced_at("spine-commit", &commit).await;
    object_until(&kube, a, "the new value", |object| object["data"]["value"] == "2").await;
    object_gone(&kube, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_change_is_reverted_and_a_deleted_object_comes_back() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.infra.write("app/a.yaml", config_map("a", "1")).unwrap();
    world.infra.commit("Add one").unwrap();
    world.infra.push().unwrap();
    world.register(&world.application("spine-heal", "app")).await;
    world.synced("spine-heal").await;

    let path = "/api/v1/namespaces/spine-heal/configmaps/a";
    let change = json!({"data": {"value": "by hand"}});
    let (status, _) = kube.patch(path, "application/merge-patch+json", &change).await.unwrap();
    assert!(status.is_success());
    object_until(&kube, path, "the value of Git", |object| object["data"]["value"] == "1").await;

    let (_, before) = kube.get(path).await.unwrap();
    kube.delete(path).await.unwrap();
    object_until(&kube, path, "another object", |object| {
        object["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
}
