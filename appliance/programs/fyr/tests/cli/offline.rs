//! Commands that need no daemon.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::rig::{Daemon, alone};

fn write(folder: &Path, name: &str, value: &str) {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: '{value}'\n"
    );
    fs::write(folder.join(format!("{name}.yaml")), text).expect("the folder is writable");
}

#[tokio::test]
async fn a_folder_is_built_to_a_stream_a_file_or_one_file_an_object() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", "1");
    write(folder.path(), "b", "2");
    let dir = folder.path().to_str().unwrap();
    let finished = alone(["build", dir]).await.code(2);
    assert!(finished.stderr.contains("no kustomization file"), "{}", finished.stderr);
    assert!(finished.stderr.contains("--directory"), "{}", finished.stderr);
    let plain = alone(["build", "--directory", dir]).await.code(0);
    fs::write(folder.path().join("kustomization.yaml"), "resources: [a.yaml, b.yaml]\n").unwrap();
    let finished = alone(["build", dir]).await.code(0);
    assert_eq!(finished.stdout, plain.stdout);
    let all: Vec<Value> = serde_saphyr::from_multiple(&finished.stdout).unwrap();
    assert_eq!(all.len(), 2);

    let target = tempfile::tempdir().unwrap();
    let file = target.path().join("all.yaml");
    alone(["build", dir, "-o", file.to_str().unwrap()]).await.code(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), finished.stdout);
    let each = format!("{}/each/", target.path().display());
    alone(["build", dir, "-o", &each]).await.code(0);
    assert!(Path::new(&each).join("v1_configmap_a.yaml").exists());

    let finished = alone(["build", "/nonexistent"]).await.code(2);
    assert!(finished.stderr.starts_with("error[E0703]: /nonexistent is not a folder"));
}

#[tokio::test]
async fn overrides_of_an_application_apply_only_for_an_application() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", "1");
    let dir = folder.path().to_str().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("kustomization.yaml", "resources: [a.yaml]\n");
    file(".argocd-source.yaml", "kustomize: {namePrefix: every-}\n");
    file(".argocd-source-shop.yaml", "kustomize: {nameSuffix: -shop}\n");
    let alone_name = alone(["build", dir]).await.code(0);
    assert!(alone_name.stdout.contains("  name: a\n"), "{}", alone_name.stdout);
    assert!(alone_name.stderr.contains(".argocd-source.yaml: it is for"), "{}", alone_name.stderr);
    let of_shop = alone(["build", dir, "--app", "shop"]).await.code(0);
    assert!(of_shop.stdout.contains("  name: every-a-shop\n"), "{}", of_shop.stdout);
    assert_eq!(of_shop.stderr, "");
}

#[tokio::test]
async fn two_folders_are_compared() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(one.path(), "a", "1");
    write(two.path(), "a", "1");
    let (first, second) = (one.path().to_str().unwrap(), two.path().to_str().unwrap());
    alone(["diff", first, second]).await.code(0);
    write(two.path(), "a", "2");
    let finished = alone(["diff", first, second]).await.code(1);
    assert!(finished.stdout.contains("-  value: \"1\"\n+  value: \"2\"\n"), "{}", finished.stdout);
    fs::write(two.path().join("a.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: [").unwrap();
    alone(["diff", first, second]).await.code(2);
    alone(["diff", first]).await.code(2);
}

#[tokio::test]
async fn a_folder_is_compared_with_a_cluster() {
    let daemon = Daemon::start().await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", "1");
    let dir = folder.path().to_str().unwrap();
    let finished = daemon.fyr(["diff", dir, "--app", "web"]).await.code(1);
    assert!(finished.stdout.starts_with("=== create ConfigMap a\n--- live\n+++ folder\n"));
}

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: admin
clusters: [{name: c, cluster: {server: 'https://10.0.0.1:6443', insecure-skip-tls-verify: true}}]
contexts: [{name: admin, context: {cluster: c, user: u}}, {name: cloud, context: {cluster: c, user: x}}]
users: [{name: u, user: {token: abc}}, {name: x, user: {exec: {command: aws}}}]
";

#[tokio::test]
async fn a_cluster_is_added_from_a_kubeconfig() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    fs::write(&path, KUBECONFIG).unwrap();
    let file = path.to_str().unwrap();
    let add = ["cluster", "add", "--kubeconfig", file, "--name", "prod"];
    let finished = alone(add).await.code(0);
    assert!(finished.stderr.starts_with("warning: config.tlsClientConfig.insecure"));
    let all: Vec<Value> = serde_saphyr::from_multiple(&finished.stdout).unwrap();
    assert_eq!(all[0]["stringData"]["name"], "prod");
    assert!(all.iter().any(|one| one["kind"] == "ClusterRoleBinding"));

    let secret = ["cluster", "add", "--kubeconfig", file, "--name", "prod", "--output", "secret"];
    let finished = alone(secret).await.code(0);
    let one: Value = serde_saphyr::from_str(&finished.stdout).unwrap();
    assert_eq!(one["kind"], "Secret");

    let cloud = ["cluster", "add", "--kubeconfig", file, "--name", "prod", "--context", "cloud"];
    let finished = alone(cloud).await.code(2);
    assert!(finished.stderr.starts_with("error[E0706]: "), "{}", finished.stderr);
    assert!(finished.stderr.contains("hint: give Fyr an identity of its own"));
}

#[tokio::test]
async fn scripts_explanations_and_the_version_need_no_daemon() {
    assert!(alone(["completion", "bash"]).await.code(0).stdout.contains("_fyr"));
    assert!(alone(["explain", "e0401"]).await.code(0).stdout.starts_with("E0401: "));
    alone(["explain", "E9999"]).await.code(2);
    assert_eq!(alone(["version"]).await.code(0).stdout, "fyr 0.1.0\n");
    assert!(alone(["--help"]).await.code(0).stdout.contains("Exit codes"));
}
