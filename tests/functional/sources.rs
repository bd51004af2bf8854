//! Where manifests come from: ways into Git hosts, and which commit a revision means.

use fyr_test_cluster::{Credentials, HttpsGitServer, Repository};
use fyr_tests::{Application, World, condition, config_map, exists, shared_kube, value_until};
use serde_json::{Value, json};

/// A Secret for one repository.
fn repository_secret(name: &str, url: &str, more: Value) -> Value {
    let mut entries = json!({"url": url});
    if let (Value::Object(entries), Value::Object(more)) = (&mut entries, more) {
        entries.extend(more);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "stringData": entries,
    })
}

/// An HTTPS server with one repository, which has one `ConfigMap` in the folder `app`: the server,
/// the repository's URL and a clone.
fn https(credentials: Credentials) -> (HttpsGitServer, String, Repository) {
    let server = HttpsGitServer::start(credentials).expect("a Git server");
    let url = server.create_repository("team/shop.git").expect("a repository");
    let clone = Repository::create(&url, server.access()).expect("a clone");
    clone.publish("app/a.yaml", config_map("a", "1"), "Begin").expect("a commit");
    (server, url, clone)
}

fn path_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/a")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_repository_is_read_with_its_own_authority_and_a_password() {
    let credentials = Credentials::Basic { user: "robot".to_owned(), password: "s3".to_owned() };
    let (server, url, clone) = https(credentials);
    let secret = repository_secret(
        "shop",
        &url,
        json!({"username": "robot", "password": "s3", "tlsCA": server.ca_certificate()}),
    );
    let world = World::on_shared_cluster_with(|world| world.add_secret(secret)).await;
    let kube = shared_kube().await;
    world.register(&Application::new("sources-basic", &url, "app", "sources-basic")).await;
    world.synced("sources-basic").await;

    let commit = clone.publish("app/a.yaml", config_map("a", "2"), "Change").unwrap();
    world.fyr(["app", "refresh", "sources-basic"]).await;
    world.synced_at("sources-basic", &commit).await;
    value_until(&kube, &path_of("sources-basic"), "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_repository_is_read_with_a_bearer_token() {
    let (server, url, clone) = https(Credentials::Bearer("t0ken".to_owned()));
    let entries = json!({"bearerToken": "t0ken", "tlsCA": server.ca_certificate()});
    let secret = repository_secret("shop", &url, entries);
    let world = World::on_shared_cluster_with(|world| world.add_secret(secret)).await;
    world.register(&Application::new("sources-bearer", &url, "app", "sources-bearer")).await;
    world.synced_at("sources-bearer", &clone.head().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_shown_as_such_and_shown_nowhere_itself() {
    let credentials = Credentials::Basic { user: "robot".to_owned(), password: "s3".to_owned() };
    let (server, url, _clone) = https(credentials);
    let secret = repository_secret(
        "shop",
        &url,
        json!({"username": "robot", "password": "wr0ng-one", "tlsCA": server.ca_certificate()}),
    );
    let world = World::on_shared_cluster_with(|world| world.add_secret(secret)).await;
    world.register(&Application::new("sources-wrong", &url, "app", "sources-wrong")).await;
    let app =
        world.condition_of("sources-wrong", "ComparisonError", "refused our credentials").await;
    assert_eq!(app["sync"]["status"], "Unknown", "{app:#}");
    assert!(!app.to_string().contains("wr0ng-one"), "{app:#}");
    assert!(!world.daemons.log().contains("wr0ng-one"), "{}", world.daemons.log());
    assert!(!exists(&shared_kube().await, "/api/v1/namespaces/sources-wrong").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_nobody_named_is_not_trusted() {
    let (_server, url, _clone) = https(Credentials::None);
    let world = World::on_shared_cluster().await;
    world.register(&Application::new("sources-authority", &url, "app", "sources-authority")).await;
    world.condition_of("sources-authority", "ComparisonError", "certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_host_whose_key_is_not_known_is_refused_until_it_is() {
    let mut world = World::on_shared_cluster_with(|world| {
        let identity = std::fs::read_to_string(world.git.identity_path()).unwrap();
        let url = world.git.url("org/infra.git");
        world.add_secret(repository_secret("direct", &url, json!({"sshPrivateKey": identity})));
    })
    .await;
    let commit = world.seed([("app/a.yaml", config_map("a", "1"))]);
    let url = world.git.url("org/infra.git");
    world.register(&Application::new("sources-host-key", &url, "app", "sources-host-key")).await;
    world.condition_of("sources-host-key", "ComparisonError", "host key").await;
    assert!(!exists(&shared_kube().await, "/api/v1/namespaces/sources-host-key").await);

    let known = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-ssh-known-hosts-cm", "namespace": "argocd"},
        "data": {"ssh_known_hosts": world.git.known_hosts()},
    });
    world.add_secret(known);
    world.publish_fleet("Look again").await;
    world.synced_at("sources-host-key", &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_the_form_of_scp_is_fetched_from_its_rewrite_and_shown_as_written() {
    let world = World::on_shared_cluster().await;
    let commit = world.seed([("app/a.yaml", config_map("a", "1"))]);
    let written = World::written_url("infra.git");
    assert!(written.starts_with("git@") && !written.contains("://"), "{written}");
    world.register(&world.application("sources-scp", "app")).await;
    let app = world.synced_at("sources-scp", &commit).await;
    assert!(app.to_string().contains(&written), "{app:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn branch_tag_full_id_short_id_and_head_each_mean_their_commit() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let infra = &world.infra;
    let first = infra.publish("app/a.yaml", config_map("a", "first"), "First").unwrap();
    let second = infra.publish("app/a.yaml", config_map("a", "second"), "Second").unwrap();
    infra.tag("stable").unwrap();
    infra.branch("feature").unwrap();
    let third = infra.publish("app/a.yaml", config_map("a", "third"), "Third").unwrap();
    infra.checkout("main").unwrap();
    let fourth = infra.publish("app/a.yaml", config_map("a", "fourth"), "Fourth").unwrap();

    let cases = [
        ("sources-full-id", first.as_str(), &first, "first"),
        ("sources-short-id", &first[..8], &first, "first"),
        ("sources-tag", "stable", &second, "second"),
        ("sources-branch", "feature", &third, "third"),
        ("sources-full-name", "refs/heads/feature", &third, "third"),
        ("sources-head", "HEAD", &fourth, "fourth"),
    ];
    let applications = cases.map(|(name, revision, ..)| {
        world.application(name, "app").with("/spec/source/targetRevision", json!(revision))
    });
    world.register_all(&applications).await;
    for (name, _, commit, value) in cases {
        world.synced_at(name, commit).await;
        value_until(&kube, &path_of(name), value).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_nothing_names_itself_and_what_is_close() {
    let world = World::on_shared_cluster().await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let application = world
        .application("sources-unknown", "app")
        .with("/spec/source/targetRevision", json!("mian"));
    world.register(&application).await;
    let app = world.condition_of("sources-unknown", "ComparisonError", "\"mian\"").await;
    let message = condition(&app, "ComparisonError").unwrap();
    assert!(message.contains("main"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_constraint_follows_the_highest_tag_that_satisfies_it() {
    let world = World::on_shared_cluster().await;
    let infra = &world.infra;
    let publish = |tag: &str| {
        infra.write("app/a.yaml", config_map("a", tag)).unwrap();
        let commit = infra.commit(tag).unwrap();
        infra.tag(tag).unwrap();
        infra.push().unwrap();
        commit
    };
    let first = publish("1.0.0");
    let application = world
        .application("sources-version", "app")
        .with("/spec/source/targetRevision", json!("1.*"));
    world.register(&application).await;
    world.synced_at("sources-version", &first).await;

    let newer = publish("1.10.0");
    publish("1.9.0");
    publish("2.0.0");
    world.fyr(["app", "refresh", "sources-version"]).await;
    world.synced_at("sources-version", &newer).await;
    value_until(&shared_kube().await, &path_of("sources-version"), "1.10.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_comes_before_a_tag_of_the_same_name_and_the_author_is_told() {
    let world = World::on_shared_cluster().await;
    let infra = &world.infra;
    infra.publish("app/a.yaml", config_map("a", "tag"), "Tagged").unwrap();
    infra.tag("release").unwrap();
    infra.branch("release").unwrap();
    let branch = infra.publish("app/a.yaml", config_map("a", "branch"), "Branched").unwrap();
    let application = world
        .application("sources-ambiguous", "app")
        .with("/spec/source/targetRevision", json!("release"));
    world.register(&application).await;
    world.synced_at("sources-ambiguous", &branch).await;
    let app = world.get("sources-ambiguous").await;
    assert!(app["warnings"].to_string().contains("release is a branch and a tag"), "{app:#}");
    value_until(&shared_kube().await, &path_of("sources-ambiguous"), "branch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_was_rewritten_is_followed() {
    let world = World::on_shared_cluster().await;
    let kept = world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("sources-rewritten", "app")).await;
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let thrown_away = world.publish("sources-rewritten", "To be thrown away").await;
    world.synced_at("sources-rewritten", &thrown_away).await;

    world.infra.git(["reset", "--quiet", "--hard", &kept]).unwrap();
    world.infra.write("app/a.yaml", config_map("a", "3")).unwrap();
    let commit = world.publish("sources-rewritten", "Instead").await;
    world.synced_at("sources-rewritten", &commit).await;
    value_until(&shared_kube().await, &path_of("sources-rewritten"), "3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_brings_a_commit_long_before_the_next_poll() {
    let world = World::on_shared_cluster_with(|world| {
        world.set("poll", json!({"interval": "24h"}));
    })
    .await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("sources-refresh", "app")).await;
    world.synced("sources-refresh").await;
    world.infra.write("app/a.yaml", config_map("a", "2")).unwrap();
    let commit = world.publish("sources-refresh", "Change").await;
    world.synced_at("sources-refresh", &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_brings_a_commit_that_nobody_announced() {
    let world = World::on_shared_cluster_with(|world| {
        world.set("poll", json!({"interval": "5s"}));
    })
    .await;
    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application("sources-poll", "app")).await;
    world.synced("sources-poll").await;
    let commit = world.infra.publish("app/a.yaml", config_map("a", "2"), "Change").unwrap();
    world.synced_at("sources-poll", &commit).await;
}
