//! Objects with a will of their own: kinds that come later, fields that cannot change, other
//! owners, and limits of our rights.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fyr_test_cluster::{AuditPosition, Kube};
use fyr_tests::{
    World, cluster_secret_with, config_map, create, deployment, exists, manifest, object,
    object_until, resource, shared_cluster, shared_kube, value_until,
};
use serde_json::{Value, json};

/// A custom resource definition of `kind` in `group`.
fn definition(group: &str, kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": singular, "kind": kind},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

fn custom_resource(group: &str, kind: &str, name: &str) -> String {
    json!({
        "apiVersion": format!("{group}/v1"),
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"size": 1},
    })
    .to_string()
}

async fn make_namespace(kube: &Kube, name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    create(kube, "/api/v1/namespaces", &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_and_its_resource_come_in_one_commit() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let group = "together.example.org";
    world.seed([
        ("app/a-resource.yaml", custom_resource(group, "Widget", "one")),
        ("app/z-definition.yaml", definition(group, "Widget").to_string()),
    ]);
    world.register(&world.application("objects-together", "app")).await;
    world.synced("objects-together").await;
    let path = "/apis/together.example.org/v1/namespaces/objects-together/widgets/one";
    assert_eq!(object(&kube, path).await["spec"]["size"], 1);

    kube.delete(path).await.unwrap();
    object_until(&kube, path, "back", |object| object["spec"]["size"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_of_a_kind_that_comes_later_holds_back_nothing_but_itself() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let group = "later.example.org";
    world.seed([
        ("app/a.yaml", config_map("a", "1")),
        ("app/resource.yaml", custom_resource(group, "Widget", "one")),
    ]);
    world.register(&world.application("objects-later", "app")).await;
    value_until(&kube, "/api/v1/namespaces/objects-later/configmaps/a", "1").await;
    world
        .until("objects-later", "waiting for one kind alone", |app| {
            app["sync"]["status"] == "OutOfSync"
                && resource(app, "ConfigMap", "a")["status"] == "Synced"
                && resource(app, "Widget", "one").to_string().contains("no such kind")
        })
        .await;

    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    create(&kube, path, &definition(group, "Widget")).await;
    let path = "/apis/later.example.org/v1/namespaces/objects-later/widgets/one";
    object_until(&kube, path, "applied", |object| object["spec"]["size"] == 1).await;
    world.synced("objects-later").await;
}

/// A webhook configuration that would refuse every `ConfigMap` of a namespace: nobody listens.
fn refusing_webhook(namespace: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [{
            "name": "refuse.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [{
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["configmaps"],
            }],
        }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_comes_before_its_content_and_webhooks_come_last() {
    let world = World::on_shared_cluster().await;
    let cluster = shared_cluster().await;
    let inner = "objects-order-inner";
    let mut content = manifest(&config_map("a", "1"));
    content["metadata"]["namespace"] = json!(inner);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inner}});
    world.seed([
        ("app/1-webhook.yaml", refusing_webhook(inner).to_string()),
        ("app/2-content.yaml", content.to_string()),
        ("app/3-namespace.yaml", namespace.to_string()),
    ]);
    world.register(&world.application("objects-order", "app")).await;
    world.synced("objects-order").await;

    // In the order in which the API server took them.
    let places = [
        format!("/api/v1/namespaces/{inner}?"),
        format!("/api/v1/namespaces/{inner}/configmaps/a?"),
        format!("/validatingwebhookconfigurations/{inner}?"),
    ];
    let mut times = Vec::new();
    for place in &places {
        let mut writes = Vec::new();
        fyr_test_cluster::wait_until(std::time::Duration::from_mins(1), place, async || {
            writes = cluster.write_requests(AuditPosition::default()).unwrap();
            writes.retain(|event| event.verb == "patch" && event.uri.contains(place.as_str()));
            !writes.is_empty()
        })
        .await;
        assert!(writes.iter().all(|event| event.status.is_some_and(|it| it < 300)), "{writes:#?}");
        times.push(writes[0].received.clone());
    }
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_cannot_change_is_an_error_until_its_author_permits_a_new_object() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let names = ["replaced", "forced"];
    let write = |label: &str, options: [Option<&str>; 2]| {
        for (name, option) in names.into_iter().zip(options) {
            let mut object = manifest(&deployment(name, 0));
            object["spec"]["selector"]["matchLabels"] = json!({"app": label});
            object["spec"]["template"]["metadata"]["labels"] = json!({"app": label});
            if let Some(option) = option {
                let annotation = "argocd.argoproj.io/sync-options";
                object["metadata"]["annotations"][annotation] = json!(option);
            }
            world.infra.write(&format!("app/{name}.yaml"), object.to_string()).unwrap();
        }
    };
    write("before", [None, None]);
    world.seed([]);
    world.register(&world.application("objects-immutable", "app")).await;
    world.synced("objects-immutable").await;
    let path =
        |name: &str| format!("/apis/apps/v1/namespaces/objects-immutable/deployments/{name}");
    let [old_replaced, old_forced] =
        [object(&kube, &path("replaced")).await, object(&kube, &path("forced")).await];

    write("after", [None, None]);
    world.publish("objects-immutable", "Change what cannot change").await;
    for name in names {
        world
            .resource_until("objects-immutable", ("Deployment", name), "immutable", |entry| {
                entry["message"].as_str().is_some_and(|message| message.contains("immutable"))
            })
            .await;
    }
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(uid(&object(&kube, &path("replaced")).await), uid(&old_replaced));

    write("after", [Some("Replace=true"), Some("Force=true")]);
    let commit = world.publish("objects-immutable", "Permit new objects").await;
    world.synced_at("objects-immutable", &commit).await;
    for (name, old) in names.into_iter().zip([old_replaced, old_forced]) {
        let new = object(&kube, &path(name)).await;
        assert_ne!(uid(&new), uid(&old));
        assert_eq!(new["spec"]["selector"]["matchLabels"]["app"], "after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_wrong_is_never_taken_for_one_that_needs_a_new_object() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let mut web = manifest(&deployment("web", 0));
    web["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] = json!("Replace=true");
    world.seed([("app/web.yaml", web.to_string())]);
    world.register(&world.application("objects-wrong", "app")).await;
    world.synced("objects-wrong").await;
    let path = "/apis/apps/v1/namespaces/objects-wrong/deployments/web";
    let before = object(&kube, path).await;

    web["spec"]["replicas"] = json!(-1);
    world.infra.write("app/web.yaml", web.to_string()).unwrap();
    world.publish("objects-wrong", "Ask for fewer than none").await;
    world
        .resource_until("objects-wrong", ("Deployment", "web"), "refused", |entry| {
            entry["message"].as_str().is_some_and(|message| message.contains("replicas"))
        })
        .await;
    let after = object(&kube, path).await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_applied_is_adopted_so_that_a_removed_field_goes_away() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let name = "objects-kubectl";
    make_namespace(&kube, name).await;
    let mut applied = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": name},
        "data": {"value": "1", "removed": "yes"},
    });
    let last_applied = applied.to_string();
    applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        json!(last_applied);
    let collection =
        format!("/api/v1/namespaces/{name}/configmaps?fieldManager=kubectl-client-side-apply");
    let created = create(&kube, &collection, &applied).await;

    world.seed([("app/a.yaml", config_map("a", "1"))]);
    world.register(&world.application(name, "app")).await;
    world.synced(name).await;
    let now = object(&kube, &format!("/api/v1/namespaces/{name}/configmaps/a")).await;
    assert_eq!(now["data"], json!({"value": "1"}));
    assert_eq!(now["metadata"]["uid"], created["metadata"]["uid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_argo_cd_applied_shows_no_difference_and_is_taken_over_as_it_is() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let name = "objects-argo";
    make_namespace(&kube, name).await;
    let mut applied = manifest(&config_map("a", "1"));
    applied["metadata"]["namespace"] = json!(name);
    applied["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
        json!(format!("{name}:/ConfigMap:{name}/a"));
    let path = format!("/api/v1/namespaces/{name}/configmaps/a");
    let argo = kube.clone().with_field_manager("argocd-controller");
    let (status, before) = argo.apply(&path, &applied).await.unwrap();
    assert!(status.is_success(), "{before:#}");

    world.seed([("app/a.yaml", config_map("a", "1"))]);
    let application = world.application(name, "app");
    world.register(&application.clone().manual()).await;
    world.until(name, "compared", |app| app["sync"]["status"] != "Unknown").await;
    let difference = world.daemons.fyr(["app", "diff", name]).await;
    assert_eq!(difference.code, Some(0), "{difference:?}");

    world.register(&application).await;
    world.synced(name).await;
    object_until(&kube, &path, "ours", |object| {
        object["metadata"]["managedFields"].to_string().contains("\"fyr\"")
    })
    .await;
    let mut now = object(&kube, &path).await;
    let mut before = before;
    for object in [&mut now, &mut before] {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    assert_eq!(now, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_applications_with_one_object_the_first_keeps_it_and_the_other_says_so() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([
        ("first/a.yaml", config_map("a", "first")),
        ("second/a.yaml", config_map("a", "second")),
        ("second/b.yaml", config_map("b", "second")),
    ]);
    world.register(&world.application("objects-first", "first")).await;
    world.synced("objects-first").await;
    let path = "/api/v1/namespaces/objects-first/configmaps/a";
    let before = object(&kube, path).await;

    let second = world
        .application("objects-second", "second")
        .with("/spec/destination/namespace", json!("objects-first"));
    world.register(&second).await;
    world.condition_of("objects-second", "SharedResourceWarning", "objects-first").await;
    value_until(&kube, "/api/v1/namespaces/objects-first/configmaps/b", "second").await;
    for _ in 0..3 {
        world.fyr(["app", "refresh", "objects-second"]).await;
        world.fyr(["app", "refresh", "objects-first"]).await;
    }
    world.synced("objects-first").await;
    assert_eq!(object(&kube, path).await, before);

    // Leaving it to the other one settles the matter.
    world.infra.remove("first/a.yaml").unwrap();
    world.infra.write("first/c.yaml", config_map("c", "first")).unwrap();
    world.publish("objects-first", "Let go").await;
    value_until(&kube, path, "second").await;
    world.synced("objects-second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_claimed_and_never_applied_is_free_once_git_drops_it() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    world.seed([
        ("first/a.yaml", config_map("a", "first")),
        ("first/c.yaml", config_map("c", "first")),
        ("second/a.yaml", config_map("a", "second")),
    ]);
    world.register(&world.application("objects-claim", "first").manual()).await;
    world.out_of_sync("objects-claim").await;
    let second = world
        .application("objects-claim-second", "second")
        .with("/spec/destination/namespace", json!("objects-claim"));
    world.register(&second).await;
    world.condition_of("objects-claim-second", "SharedResourceWarning", "objects-claim").await;
    assert!(!exists(&kube, "/api/v1/namespaces/objects-claim/configmaps/a").await);

    world.infra.remove("first/a.yaml").unwrap();
    world.publish("objects-claim", "Let go").await;
    value_until(&kube, "/api/v1/namespaces/objects-claim/configmaps/a", "second").await;
    world.synced("objects-claim-second").await;
}

/// The Secret of the shared cluster for a user who may read everything, and change `ConfigMap`s
/// in one namespace.
async fn limited_cluster(kube: &Kube, namespace: &str) -> Value {
    let cluster = shared_cluster().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let user =
        json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": namespace}]);
    let reference = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": namespace});
    let reader =
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]);
    let writer = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]);
    let inner = format!("{rbac}/namespaces/{namespace}");
    let objects = [
        (format!("{rbac}/clusterroles"), "ClusterRole", json!({"rules": reader})),
        (
            format!("{rbac}/clusterrolebindings"),
            "ClusterRoleBinding",
            json!({"subjects": user, "roleRef": reference("ClusterRole")}),
        ),
        (format!("{inner}/roles"), "Role", json!({"rules": writer})),
        (
            format!("{inner}/rolebindings"),
            "RoleBinding",
            json!({"subjects": user, "roleRef": reference("Role")}),
        ),
    ];
    for (path, kind, mut object) in objects {
        object["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": namespace});
        create(kube, &path, &object).await;
    }
    let (certificate, key) = cluster.client_certificate(namespace, None).expect("a certificate");
    let config = json!({
        "tlsClientConfig": {
            "serverName": "localhost",
            "caData": STANDARD.encode(cluster.ca_certificate()),
            "certData": STANDARD.encode(certificate),
            "keyData": STANDARD.encode(key),
        },
    });
    cluster_secret_with("limited", &cluster.server(), &config)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_we_may_not_apply_fails_alone() {
    let kube = shared_kube().await;
    let name = "objects-forbidden";
    make_namespace(&kube, name).await;
    let mut world = World::new();
    world.add_secret(limited_cluster(&kube, name).await);
    world.start().await;
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    world.seed([
        ("app/a.yaml", config_map("a", "1")),
        ("app/web.yaml", service.to_string()),
        ("app/z.yaml", config_map("z", "1")),
    ]);
    let application =
        world.application(name, "app").with("/spec/syncPolicy/syncOptions", json!([]));
    world.register(&application).await;
    let app = world
        .resource_until(name, ("Service", "web"), "forbidden", |entry| {
            entry["message"].as_str().is_some_and(|message| message.contains("forbidden"))
        })
        .await;
    assert_eq!(app["sync"]["status"], "OutOfSync", "{app:#}");
    for map in ["a", "z"] {
        value_until(&kube, &format!("/api/v1/namespaces/{name}/configmaps/{map}"), "1").await;
        let synced = |entry: &Value| entry["status"] == "Synced";
        world.resource_until(name, ("ConfigMap", map), "in sync", synced).await;
    }
    assert!(!exists(&kube, &format!("/api/v1/namespaces/{name}/services/web")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_leaves_the_string_data_of_a_secret_leaves_the_secret() {
    let world = World::on_shared_cluster().await;
    let kube = shared_kube().await;
    let secret = |entries: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login"},
            "stringData": entries,
        })
        .to_string()
    };
    world.seed([("app/login.yaml", secret(json!({"user": "robot", "password": "pl4in-text"})))]);
    world.register(&world.application("objects-secret", "app")).await;
    let app = world.synced("objects-secret").await;
    assert!(!app.to_string().contains("pl4in-text"), "{app:#}");
    let path = "/api/v1/namespaces/objects-secret/secrets/login";
    assert_eq!(object(&kube, path).await["data"]["password"], STANDARD.encode("pl4in-text"));

    world.infra.write("app/login.yaml", secret(json!({"user": "robot"}))).unwrap();
    let commit = world.publish("objects-secret", "No password any more").await;
    world.synced_at("objects-secret", &commit).await;
    assert_eq!(object(&kube, path).await["data"], json!({"user": STANDARD.encode("robot")}));
    assert!(!world.daemons.log().contains("pl4in-text"), "{}", world.daemons.log());
}
