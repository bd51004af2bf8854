//! The command line against daemons that run: exit codes, forms of output, and adding a cluster.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fyr_test_cluster::{Identity, Kube};
use fyr_tests::{
    Finished, World, config_map, deployment, manifest, object, run, shared_cluster, shared_kube,
    tracked, value_until,
};
use serde_json::{Value, json};

/// How long after the event a command that waits for it may end: it is told, it does not poll.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

fn secret(name: &str, value: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"password": value},
    })
    .to_string()
}

async fn code<const N: usize>(world: &World, arguments: [&str; N]) -> Option<i32> {
    world.daemons.fyr(arguments).await.code
}

#[tokio::test(flavor = "multi_thread")]
async fn status_answers_yes_when_all_is_well_and_no_when_something_needs_a_person() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("cli-status", "app")).await;
    world.synced("cli-status").await;
    world.health("cli-status", "Healthy").await;
    let well = world.daemons.fyr(["status"]).await.success();
    assert!(well.stdout.contains("Nothing needs attention."), "{well:?}");
    assert_eq!(world.fyr(["status", "-o", "name"]).await, "");

    world.infra.write("app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: [\n").unwrap();
    world.publish("cli-status", "Break").await;
    world.condition_of("cli-status", "ComparisonError", "a.yaml").await;
    let ill = world.daemons.fyr(["status"]).await;
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert!(ill.stdout.contains("application/cli-status"), "{ill:?}");
    let names = world.daemons.fyr(["status", "-o", "name"]).await;
    assert_eq!((names.code, names.stdout.as_str()), (Some(1), "application/cli-status\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_there_is_no_answer_and_the_error_says_what_to_look_at() {
    let world = World::new();
    let commands: [&[&str]; 6] = [
        &["status"],
        &["app", "list"],
        &["app", "diff", "web"],
        &["app", "wait", "web", "--timeout", "1s"],
        &["cluster", "list", "-o", "json"],
        &["audit", "list"],
    ];
    for arguments in commands {
        let ended = world.daemons.fyr(arguments.iter().copied()).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("E0701"), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("hint:"), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_shows_what_a_sync_would_change_and_nothing_of_a_secret() {
    let world = World::on_shared_cluster().await;
    let name = "cli-diff";
    world.seed([
        ("app/a.yaml", config_map("a", "old-value")),
        ("app/b.yaml", secret("b", "0ld-passw0rd")),
    ]);
    world.register(&world.application(name, "app").manual()).await;
    world.out_of_sync(name).await;
    assert_eq!(code(&world, ["app", "sync", name, "--yes"]).await, Some(0));
    world.synced(name).await;
    let same = world.daemons.fyr(["app", "diff", name]).await.success();
    assert_eq!(same.stdout, "", "{same:?}");

    world.infra.write("app/a.yaml", config_map("a", "new-value")).unwrap();
    world.infra.write("app/b.yaml", secret("b", "n3w-passw0rd")).unwrap();
    world.publish(name, "Change both").await;
    world.out_of_sync(name).await;
    let shown = world.daemons.fyr(["app", "diff", name]).await;
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.stdout.contains("old-value") && shown.stdout.contains("new-value"), "{shown:?}");
    let names = world.daemons.fyr(["app", "diff", name, "-o", "name"]).await;
    assert_eq!(names.code, Some(1));
    assert_eq!(names.stdout.lines().collect::<Vec<_>>(), ["configmap/a", "secret/b"]);
    let whole = world.daemons.fyr(["app", "diff", name, "-o", "json"]).await;
    for value in ["0ld-passw0rd", "n3w-passw0rd"] {
        for hidden in [value.to_owned(), STANDARD.encode(value)] {
            assert!(!shown.stdout.contains(&hidden), "{shown:?}");
            assert!(!whole.stdout.contains(&hidden), "{whole:?}");
            assert!(!world.daemons.log().contains(&hidden));
        }
    }
    assert_eq!(code(&world, ["app", "diff", "nobody"]).await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_ends_as_soon_as_the_commit_is_there_and_says_when_it_did_not_come() {
    let world = World::on_shared_cluster().await;
    let name = "cli-wait";
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    world.health(name, "Healthy").await;
    let begun = Instant::now();
    assert_eq!(code(&world, ["app", "wait", name, "--timeout", "30s"]).await, Some(0));
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());

    let nothing = "0".repeat(40);
    let late = ["app", "wait", name, "--revision", &nothing, "--timeout", "1s"];
    let late = world.daemons.fyr(late).await;
    assert_eq!(late.code, Some(4), "{late:?}");
    assert!(late.stderr.contains("E0707"), "{late:?}");

    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let commit = world.infra.commit("Change").unwrap();
    let arguments = ["app", "wait", name, "--revision", &commit, "--timeout", "60s"];
    let waiting = async {
        let ended = world.daemons.fyr(arguments).await;
        (ended, Instant::now())
    };
    let changing = async {
        world.infra.push().unwrap();
        world.daemons.api("POST", &format!("/api/v1/applications/{name}/refresh")).await;
        world.synced_at(name, &commit).await;
        Instant::now()
    };
    let ((ended, told), synced) = tokio::join!(waiting, changing);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(told.saturating_duration_since(synced) < TOLD_WITHIN, "{:?}", told - synced);
    assert_eq!(code(&world, ["app", "wait", "nobody", "--timeout", "5s"]).await, Some(2));
}

/// Whether YAML says the same as JSON, but for what changes from one moment to the next.
fn parsed(finished: &Finished) -> Value {
    serde_saphyr::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}", finished.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_comes_as_json_yaml_and_names() {
    let world = World::on_shared_cluster().await;
    let name = "cli-forms";
    world.seed([("app/a.yaml", config_map("a", "1")), ("app/d.yaml", deployment("web", 1))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    world.health(name, "Healthy").await;
    let names: [(&[&str], &str); 4] = [
        (&["app", "list"], "application/cli-forms\n"),
        (&["cluster", "list"], "cluster/shared\n"),
        (&["app", "get", name], "application/cli-forms\n"),
        (&["repo", "list"], "infra"),
    ];
    for (command, expected) in names {
        let form = async |form: &str| {
            let arguments = command.iter().copied().chain(["-o", form]);
            world.daemons.fyr(arguments).await.success()
        };
        let text = form("name").await.stdout;
        assert!(text.contains(expected), "{command:?}: {text}");
        let (json, yaml) = (form("json").await.json(), parsed(&form("yaml").await));
        assert!(json.is_object() || json.as_array().is_some_and(|all| !all.is_empty()));
        let (Value::Array(json), Value::Array(yaml)) = (&json, &yaml) else {
            assert_eq!(json["name"], yaml["name"], "{command:?}");
            continue;
        };
        assert_eq!(json.len(), yaml.len(), "{command:?}");
        assert_eq!(json[0]["name"], yaml[0]["name"], "{command:?}");
    }
    let status = parsed(&world.daemons.fyr(["status", "-o", "yaml"]).await.success());
    assert_eq!(status["counts"]["applications"], 1, "{status:#}");
    let history = world.daemons.fyr(["app", "history", name, "-o", "yaml"]).await.success();
    assert!(parsed(&history).to_string().contains("revision"), "{history:?}");
    let tree = world.daemons.fyr(["app", "tree", name, "-o", "json"]).await.success();
    assert!(tree.json().to_string().contains("\"web\""), "{tree:?}");
    let records = world.daemons.fyr(["audit", "list", "-o", "yaml"]).await.success();
    assert!(parsed(&records).is_array(), "{records:?}");
    let wrong = world.daemons.fyr(["app", "list", "-o", "xml"]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_application_has_is_an_error_and_not_an_empty_answer() {
    let world = World::on_shared_cluster().await;
    world.publish_fleet("Nothing").await;
    for verb in ["get", "diff", "history", "tree", "refresh", "resume"] {
        let ended = world.daemons.fyr(["app", verb, "nobody"]).await;
        assert_eq!(ended.code, Some(2), "{verb}: {ended:?}");
        assert!(ended.stderr.contains("E0301"), "{verb}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_scripts_come_for_every_shell_without_a_daemon() {
    for (shell, word) in [("bash", "complete"), ("zsh", "#compdef fyr"), ("fish", "complete")] {
        let script = run("fyr", ["completion", shell]).await.success();
        assert!(script.stdout.contains(word), "{shell}: {script:?}");
        assert!(script.stdout.contains("rollback"), "{shell}");
    }
}

/// Applies the manifest of rights and waits for the token it asks for.
async fn token_of(kube: &Kube, rights: &str) -> String {
    let objects: Vec<Value> = serde_saphyr::from_multiple(rights).expect("YAML");
    for object in &objects {
        let (kind, name) = (object["kind"].as_str().expect("a kind"), &object["metadata"]["name"]);
        let name = name.as_str().expect("a name");
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let path = match kind {
            "Namespace" => format!("/api/v1/namespaces/{name}"),
            "ServiceAccount" => format!("/api/v1/namespaces/fyr-system/serviceaccounts/{name}"),
            "Secret" => format!("/api/v1/namespaces/fyr-system/secrets/{name}"),
            "ClusterRole" => format!("{rbac}/clusterroles/{name}"),
            "ClusterRoleBinding" => format!("{rbac}/clusterrolebindings/{name}"),
            _ => panic!("{object:#}"),
        };
        let (status, answer) = kube.apply(&path, object).await.expect("the API server answers");
        assert!(status.is_success(), "{path}: {status} {answer:#}");
    }
    let path = "/api/v1/namespaces/fyr-system/secrets/fyr-token";
    let has_token = |_, secret: &Value| secret["data"]["token"].is_string();
    let secret = kube
        .wait_for(path, has_token, Duration::from_secs(30))
        .await
        .expect("the API server answers");
    let token =
        STANDARD.decode(secret["data"]["token"].as_str().expect("a token")).expect("base64");
    String::from_utf8(token).expect("a token is ASCII")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_added_with_the_printed_rights_and_secret_works_and_can_do_no_more() {
    let (cluster, kube) = (shared_cluster().await, shared_kube().await);
    let mut world = World::new();
    let database = world.daemons.audit_database();
    let folder = database.parent().expect("the API server answers").to_owned();
    let kubeconfig = cluster.kubeconfig();
    let add = ["cluster", "add", "--kubeconfig", kubeconfig.to_str().unwrap(), "--name", "least"];
    let rights = add.into_iter().chain(["--output", "rbac"]);
    let rights = run("fyr", rights).await.success().stdout;
    let token = token_of(&kube, &rights).await;
    let token_file = folder.join("token");
    std::fs::write(&token_file, &token).unwrap();
    let secret = ["--in-cluster", "--token-file", token_file.to_str().unwrap()];
    let secret = add.into_iter().chain(secret).chain(["--output", "secret"]);
    let secret = run("fyr", secret).await.success().stdout;
    assert!(!secret.contains(&STANDARD.encode(cluster.admin_key())), "the token stands in for it");
    std::fs::write(folder.join("cluster.yaml"), secret).unwrap();
    world.set("secrets", json!({"files": ["secrets.yaml", "cluster.yaml"]}));
    world.start().await;

    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
    });
    let mut role = manifest(&config_map("role", ""));
    role["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    role["kind"] = json!("Role");
    role.as_object_mut().unwrap().remove("data");
    role["rules"] = json!([]);
    world.seed([
        ("app/a.yaml", config_map("least", "1")),
        ("app/service.yaml", service.to_string()),
        ("app/web.yaml", deployment("web", 2)),
        ("role/role.yaml", role.to_string()),
        ("role/a.yaml", config_map("beside", "1")),
    ]);
    let beyond = world.application("cli-beyond", "role");
    world.register_all(&[world.application("cli-least", "app"), beyond]).await;
    world.synced("cli-least").await;
    world.health("cli-least", "Healthy").await;
    let path = "/api/v1/namespaces/cli-least/configmaps/least";
    kube.delete(path).await.unwrap();
    value_until(&kube, path, "1").await;
    world.infra.remove("app/a.yaml").unwrap();
    let commit = world.publish("cli-least", "Remove one").await;
    world.synced_at("cli-least", &commit).await;
    assert!(!tracked(&kube).await.contains_key("least"));

    // What it has no rights for is refused by name, and does not hold back what is beside it.
    world
        .until("cli-beyond", "naming what it may not do", |app| {
            let text = app.to_string();
            text.contains("roles") && text.contains("forbidden")
        })
        .await;
    value_until(&kube, "/api/v1/namespaces/cli-beyond/configmaps/beside", "1").await;
    let least = cluster.kube_with(&cluster.server(), &Identity::Token(token), 1).unwrap();
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    assert_eq!(least.get(roles).await.unwrap().0.as_u16(), 403);
    assert_eq!(object(&kube, "/api/v1/namespaces/cli-least").await["kind"], "Namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_mirror_renders_as_the_same_folder_does_here() {
    let world = World::on_shared_cluster().await;
    let name = "cli-mirror";
    world.seed([
        ("base/kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
        ("base/a.yaml", config_map("a", "1")),
        ("overlay/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n".to_owned()),
        ("overlay/.argocd-source-other.yaml", "kustomize: {nameSuffix: -other}\n".to_owned()),
    ]);
    world.register(&world.application(name, "overlay")).await;
    world.synced(name).await;
    let url = World::written_url("infra.git");
    let folder = world.infra.path().join("overlay");
    let here = world.fyr(["build", folder.to_str().unwrap()]).await;
    let there = world.fyr(["build", &format!("{url}//overlay?ref=main")]).await;
    assert!(here.contains("name: x-a\n"), "{here}");
    assert_eq!(there, here);
    let here = world.fyr(["build", folder.to_str().unwrap(), "--app", "other"]).await;
    let there = world.fyr(["build", &format!("{url}//overlay"), "--app", "other"]).await;
    assert!(here.contains("name: x-a-other\n"), "{here}");
    assert_eq!(there, here);

    let unknown = world.daemons.fyr(["build", "https://git.example.org/other.git//a"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("E0304") && unknown.stderr.contains("hint"), "{unknown:?}");
    let gone = world.daemons.fyr(["build", &format!("{url}//overlay?ref=v9")]).await;
    assert!(gone.stderr.contains("v9"), "{gone:?}");
}
