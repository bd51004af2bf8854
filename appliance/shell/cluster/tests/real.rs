//! A managed cluster against real API servers.
//!
//! Tests that only use the API share one control plane, each in a namespace of its own; tests that
//! break something have their own. kubectl is played by raw requests with its field managers.

#[path = "real/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fyr_cluster::{Connectivity, PROBE_DEADLINE, PROBE_IDLE, Scope};
use fyr_model::{ClusterAccess, GroupKind, GroupVersionKind, Plaintext};
use fyr_plan::{Change, ErrorClass, KindState, Propagation, StepResult};
use fyr_test_cluster::{ControlPlane, ControlPlaneOptions, Cut, Proxy, wait_until};
use serde_json::json;

use rig::*;

#[tokio::test]
async fn a_foreign_change_of_our_fields_wakes_the_application_within_milliseconds() {
    let mut rig = Rig::new("heal").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    let mut latencies = Vec::new();
    for round in 0..10 {
        let ours = rig.apply_quietly(&lamp).await;
        let begun = Instant::now();
        let change = json!({"data": {"light": format!("blue {round}")}});
        rig.merge(&rig.path("configmaps/lamp"), "kubectl-edit", &change).await;
        rig.woken().await;
        latencies.push(begun.elapsed());
        let drifted = rig.live(&lamp).expect("it exists");
        assert_ne!(drifted.own_fields, own_fields(&ours), "ownership of a field was lost");
    }
    latencies.sort();
    assert!(latencies[5] < Duration::from_millis(250), "median of {latencies:?}");
}

#[tokio::test]
async fn what_nobody_acts_on_wakes_nobody() {
    let mut rig = Rig::new("quiet").await;
    let web = rig.deployment("web", "web");
    rig.apply_quietly(&web).await;

    // The status of a controller that has not caught up: the health stays the same.
    let status = json!({"status": {"collisionCount": 1}});
    rig.merge(&rig.path("deployments/web/status"), "controller", &status).await;
    // A label nobody owned before.
    let label = json!({"metadata": {"labels": {"seen": "yes"}}});
    let after = rig.merge(&rig.path("deployments/web"), "kubectl-label", &label).await;

    let version = after["metadata"]["resourceVersion"].as_str().expect("it has one").to_owned();
    wait_until(DEADLINE, "the watch to report both", async || {
        rig.live(&web).is_some_and(|live| live.resource_version == version)
    })
    .await;
    assert_eq!(rig.woken_now().await, None);
}

#[tokio::test]
async fn scaling_by_hand_takes_a_field_from_us() {
    let mut rig = Rig::new("scale").await;
    let web = rig.deployment("web", "web");
    let ours = rig.apply_quietly(&web).await;
    let scale = json!({"spec": {"replicas": 7}});
    rig.merge(&rig.path("deployments/web/scale"), "kubectl", &scale).await;
    rig.woken().await;
    assert_ne!(rig.live(&web).and_then(|live| live.own_fields), own_fields(&ours));
    assert_eq!(change(&rig.apply(&web).await), Some(Change::Configured));
    assert_eq!(
        rig.live(&web).and_then(|live| live.own_fields),
        own_fields(&ours),
        "and it is healed"
    );
}

#[tokio::test]
async fn a_deleted_object_is_noticed_and_its_successor_is_seen_at_once() {
    let mut rig = Rig::new("delete").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    let ours = rig.apply_quietly(&lamp).await;
    assert_eq!(change(&ours), Some(Change::Created));
    rig.kube.delete(&rig.path("configmaps/lamp")).await.unwrap();
    rig.woken().await;
    assert_eq!(rig.live(&lamp), None);
    let again = rig.apply(&lamp).await;
    let live = rig.live(&lamp).expect("our own write is seen without waiting");
    assert_ne!(Some(live.uid), uid(&ours));
    assert_eq!(live.own_fields, own_fields(&again));
    assert_eq!(change(&rig.apply(&lamp).await), Some(Change::Unchanged));
}

#[tokio::test]
async fn an_apply_for_another_object_changes_nothing_and_creates_nothing() {
    let rig = Rig::new("uid").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    let stale = Options { uid: Some("00000000-0000-0000-0000-000000000000"), ..Options::default() };
    assert_eq!(class(&rig.apply_with(&lamp, stale).await), Some(ErrorClass::Stale));
    assert_eq!(rig.kube.get(&rig.path("configmaps/lamp")).await.unwrap().0, 404);
    rig.apply(&lamp).await;
    let blue = rig.config_map("lamp", &json!({"light": "blue"}));
    assert_eq!(class(&rig.apply_with(&blue, stale).await), Some(ErrorClass::Stale));
    let live = rig.live(&lamp).expect("it exists");
    let exact = Options { uid: Some(&live.uid), ..Options::default() };
    assert_eq!(change(&rig.apply_with(&blue, exact).await), Some(Change::Configured));
}

#[tokio::test]
async fn a_prune_deletes_only_the_object_that_was_seen() {
    let rig = Rig::new("prune").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    rig.apply(&lamp).await;
    let seen = rig.live(&lamp).expect("it exists");
    rig.apply(&rig.config_map("lamp", &json!({"light": "blue"}))).await;
    assert_eq!(class(&rig.prune(&lamp, &seen).await), Some(ErrorClass::Stale));
    let now = rig.live(&lamp).expect("it was not deleted");
    assert_eq!(rig.prune(&lamp, &now).await, StepResult::Pruned);
    assert_eq!(rig.live(&lamp), None, "our own deletion is seen without waiting");
    assert_eq!(rig.prune(&lamp, &now).await, StepResult::AlreadyGone);
}

#[tokio::test]
async fn a_custom_resource_follows_its_definition_in_one_plan() {
    let rig = Rig::new("crd").await;
    let (definition, widget) = (definition("gadgets", "Gadget"), rig.custom("Gadget", "one"));
    let outcome = rig.run(vec![vec![definition], vec![widget]]).await;
    assert!(outcome.succeeded(), "{outcome:?}");
    let kind = GroupKind::new("example.org", "Gadget");
    assert_eq!(rig.cluster.scope(&kind), Some(Scope::Namespaced));
}

#[tokio::test]
async fn a_resource_without_its_kind_waits_alone_and_its_application_is_woken_when_it_comes() {
    let mut rig = Rig::new("pending").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    let widget = rig.custom("Widget", "one");
    let kind = GroupKind::new("example.org", "Widget");
    rig.use_also(&kind).await;
    rig.interest(&[&lamp, &widget]);
    let outcome = rig.run(vec![vec![widget.clone(), lamp]]).await;
    assert_eq!(class(&outcome.steps[0].result), Some(ErrorClass::NoSuchKind));
    assert_eq!(change(&outcome.steps[1].result), Some(Change::Created));
    assert_eq!(rig.cluster.status().kinds.get(&kind), Some(&KindState::Missing));
    rig.woken_now().await;

    let object = definition("widgets", "Widget");
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.org";
    rig.kube.apply(path, &object).await.unwrap();
    rig.woken().await;
    wait_until(DEADLINE, "the kind to be known", async || {
        rig.cluster.status().kinds.get(&kind) == Some(&KindState::Synced)
    })
    .await;
    assert_eq!(change(&rig.apply(&widget).await), Some(Change::Created));
}

#[tokio::test]
async fn an_immutable_field_is_an_error_unless_recreation_was_opted_in_to() {
    let rig = Rig::new("immutable").await;
    rig.apply(&rig.deployment("web", "old")).await;
    let before = rig.live(&rig.deployment("web", "old")).expect("it exists");
    let new = rig.deployment("web", "new");
    assert_eq!(class(&rig.apply(&new).await), Some(ErrorClass::Immutable));

    let recreate = Options { recreate: true, ..Options::default() };
    let mut broken = new.clone();
    broken["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
    let refused = rig.apply_with(&broken, recreate).await;
    assert!(class(&refused).is_some(), "{refused:?}");
    let path = rig.path("deployments/web");
    let (_, survivor) = rig.kube.get(&path).await.unwrap();
    assert_eq!(survivor["metadata"]["uid"], json!(before.uid), "a typo costs nothing");

    assert_eq!(change(&rig.apply_with(&new, recreate).await), Some(Change::Recreated));
    let after = rig.live(&new).expect("it was created again");
    assert_ne!(after.uid, before.uid);
}

#[tokio::test]
async fn adoption_takes_over_what_kubectl_applied_so_that_removed_fields_go_away() {
    let rig = Rig::new("adopt").await;
    let both = rig.config_map("lamp", &json!({"light": "red", "shade": "linen"}));
    let path = format!("{}?fieldManager=kubectl-client-side-apply", rig.path("configmaps"));
    assert_eq!(rig.kube.post(&path, &both).await.unwrap().0, 201);
    wait_until(DEADLINE, "the object to be seen", async || rig.live(&both).is_some()).await;
    let found = rig.live(&both).expect("it exists");
    assert!(found.adoptable && found.own_fields.is_none(), "{found:?}");

    let one = rig.config_map("lamp", &json!({"light": "red"}));
    let adopt = Options { adopt_fields: true, uid: Some(&found.uid), ..Options::default() };
    assert!(change(&rig.apply_with(&one, adopt).await).is_some());
    let (_, object) = rig.kube.get(&rig.path("configmaps/lamp")).await.unwrap();
    assert_eq!(object["data"], json!({"light": "red"}));
    let live = rig.live(&one).expect("it exists");
    assert!(!live.adoptable && live.own_fields.is_some(), "{live:?}");
}

#[tokio::test]
async fn a_misspelt_field_is_an_error_and_a_refused_secret_shows_no_value() {
    let rig = Rig::new("strict").await;
    let mut web = rig.deployment("web", "web");
    web["spec"]["replica"] = json!(3);
    let refused = rig.apply(&web).await;
    assert_eq!(class(&refused), Some(ErrorClass::Invalid), "{refused:?}");
    assert!(format!("{refused:?}").contains("replica"), "{refused:?}");
    for data in [json!({"password": "not base64: hunter2"}), json!({"password": {"a": "hunter2"}})]
    {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "key", "namespace": rig.namespace}, "data": data});
        let refused = rig.apply(&secret).await;
        assert_eq!(class(&refused), Some(ErrorClass::Invalid), "{refused:?}");
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_namespace_is_made_on_demand_and_one_that_goes_away_takes_nothing_new() {
    let rig = Rig::new("spaces").await;
    let mut lamp = rig.config_map("lamp", &json!({"light": "red"}));
    lamp["metadata"]["namespace"] = json!("spaces-new");
    assert_eq!(class(&rig.apply(&lamp).await), Some(ErrorClass::NoNamespace));
    for _ in 0..2 {
        let outcome = rig.run_steps(vec![vec![namespace_step("spaces-new")]]).await;
        assert_eq!(outcome.steps[0].result, StepResult::NamespaceReady);
    }
    assert_eq!(change(&rig.apply(&lamp).await), Some(Change::Created));
    // No controllers run here, so it stays on its way out.
    rig.kube.delete("/api/v1/namespaces/spaces-new").await.unwrap();
    lamp["metadata"]["name"] = json!("lamp-2");
    assert_eq!(class(&rig.apply(&lamp).await), Some(ErrorClass::NoNamespace));
}

#[tokio::test]
async fn a_stage_that_needs_success_is_held_back_by_a_failure_before_it() {
    let rig = Rig::new("stages").await;
    let mut bad = rig.config_map("bad", &json!({}));
    bad["metadata"]["namespace"] = json!("stages-missing");
    let good = rig.config_map("good", &json!({}));
    let stages = vec![vec![bad], vec![good.clone()]];
    let mut plan = rig.plan(stages.into_iter().map(|stage| stage.iter().map(apply).collect()));
    let outcome = rig.execute(plan.clone()).await;
    assert_eq!(change(&outcome.steps[1].result), Some(Change::Created), "nothing holds it back");
    plan.stages[1].needs_success = true;
    let outcome = rig.execute(plan).await;
    assert_eq!(outcome.steps[1].result, StepResult::NotTried);
}

#[tokio::test]
async fn a_diff_shows_what_would_change_and_changes_nothing() {
    let rig = Rig::new("diff").await;
    rig.apply(&rig.config_map("lamp", &json!({"light": "red"}))).await;
    let blue = rig.config_map("lamp", &json!({"light": "blue"}));
    let gvk = GroupVersionKind::from_api_version("v1", "ConfigMap");
    let diff = rig.cluster.diff(&key(&blue), &gvk, &blue.to_string()).await.unwrap();
    assert_eq!(diff.live.expect("it exists")["data"]["light"], "red");
    assert_eq!(diff.merged.expect("it is valid")["data"]["light"], "blue");
    let (_, object) = rig.kube.get(&rig.path("configmaps/lamp")).await.unwrap();
    assert_eq!(object["data"]["light"], "red");
}

#[tokio::test]
async fn a_cluster_limited_to_a_namespace_sees_it_and_no_other() {
    let rig = Rig::new("limited").await;
    let mut entry = entry(shared(), &shared().server());
    entry.namespaces = vec![rig.namespace.clone()];
    entry.cluster_resources = false;
    let limited = connect(&entry);
    let kinds = [GroupKind::new("", "ConfigMap"), GroupKind::new("", "Namespace")];
    limited.use_kinds(BTreeSet::from(kinds.clone()));
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    rig.apply(&lamp).await;
    let inside = BTreeSet::from([key(&lamp)]);
    wait_until(DEADLINE, "the object to be seen", async || {
        !limited.live(&rig.namespace, &inside).objects.is_empty()
    })
    .await;
    let status = limited.status();
    assert!(matches!(status.kinds.get(&kinds[1]), Some(KindState::Failed { .. })), "{status:?}");
    assert_eq!(status.objects, 1, "the root certificates of the namespace are not published here");
}

#[tokio::test]
async fn a_cluster_that_refuses_connections_or_credentials_says_which() {
    let plane = shared();
    let nobody = Proxy::start(plane.address()).unwrap();
    nobody.cut(Cut::Refuse).await.unwrap();
    let dead = entry(plane, &format!("https://{}", nobody.address()));
    let mut stranger = entry(plane, &plane.server());
    stranger.access = Arc::new(ClusterAccess {
        ca_pem: Some(plane.ca_certificate().as_bytes().to_vec()),
        bearer_token: Some(Plaintext::from("of another cluster".to_owned())),
        ..ClusterAccess::default()
    });
    for (entry, said) in [(dead, "refused"), (stranger, "credentials")] {
        let cluster = connect(&entry);
        let reason = unreachable(&cluster, Duration::from_secs(10)).await;
        assert!(reason.contains(said), "{reason}");
        assert_eq!(cluster.status().last_contact, None);
    }
}

#[tokio::test]
async fn a_client_without_rights_knows_nothing_and_changes_nothing_and_says_so() {
    let rig = Rig::new("rights").await;
    let mut entry = entry(shared(), &shared().server());
    let (certificate, key) = shared().client_certificate("nobody", None).unwrap();
    entry.access = access(shared(), &certificate, &key);
    let rig = rig.through(connect(&entry)).await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    wait_until(DEADLINE, "the refusal to be told", async || {
        let known = rig.cluster.status().kinds;
        let state = known.get(&GroupKind::new("", "ConfigMap"));
        matches!(state, Some(KindState::Failed { reason }) if reason.contains("cannot"))
    })
    .await;
    assert_eq!(class(&rig.apply(&lamp).await), Some(ErrorClass::Forbidden));
    assert!(!rig.is_complete(&lamp));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_called_is_a_failure_that_passes() {
    let rig = Rig::new("webhook").await;
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "absent"},
        "webhooks": [{
            "name": "absent.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": rig.namespace}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"],
                "resources": ["configmaps"], "scope": "*"}],
        }],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/absent";
    rig.kube.apply(path, &configuration).await.unwrap();
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    wait_until(DEADLINE, "the webhook to be in effect", async || {
        class(&rig.apply(&lamp).await) == Some(ErrorClass::Transient)
    })
    .await;
    rig.kube.delete(path).await.unwrap();
    wait_until(DEADLINE, "the webhook to be out of effect", async || {
        change(&rig.apply(&lamp).await).is_some()
    })
    .await;
}

#[tokio::test]
async fn what_was_deleted_while_the_api_server_was_gone_is_noticed_afterwards() {
    let mut plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let proxy = Proxy::start(plane.address()).unwrap();
    let server = format!("https://{}", proxy.address());
    let mut rig = Rig::of(&plane, &server, "gap").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    let other = rig.config_map("other", &json!({}));
    rig.apply(&lamp).await;
    rig.apply(&other).await;

    proxy.cut(Cut::Refuse).await.unwrap();
    unreachable(&rig.cluster, Duration::from_secs(5)).await;
    assert_eq!(class(&rig.apply(&lamp).await), Some(ErrorClass::Unreachable));
    rig.kube.delete(&rig.path("configmaps/lamp")).await.unwrap();
    // Its memory of past events goes with it: the watch cannot resume and has to list.
    plane.kill_api_server();
    plane.start_api_server().await.unwrap();
    assert!(rig.live(&lamp).is_some(), "what is known stays known, as old");
    rig.woken_now().await;
    proxy.restore().await.unwrap();

    wait_until(DEADLINE, "the deletion to be noticed", async || rig.live(&lamp).is_none()).await;
    assert!(rig.live(&other).is_some());
    rig.woken().await;
    wait_until(DEADLINE, "the kinds to be known again", async || rig.is_complete(&lamp)).await;
}

#[tokio::test]
async fn a_frozen_cluster_is_unreachable_within_its_time_fails_fast_and_recovers() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let mut rig = Rig::of(&plane, &plane.server(), "frozen").await;
    let lamp = rig.config_map("lamp", &json!({"light": "red"}));
    rig.apply_quietly(&lamp).await;
    plane.freeze();
    let begun = Instant::now();
    let under_way = rig.apply(&rig.config_map("lamp", &json!({"light": "blue"}))).await;
    assert_eq!(class(&under_way), Some(ErrorClass::Unreachable), "{under_way:?}");
    let limit = PROBE_IDLE + 2 * PROBE_DEADLINE + Duration::from_secs(2);
    assert!(begun.elapsed() < limit, "noticed after {:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(class(&rig.apply(&lamp).await), Some(ErrorClass::Unreachable));
    assert!(begun.elapsed() < Duration::from_millis(100), "failed after {:?}", begun.elapsed());
    assert!(!rig.is_complete(&lamp), "what is known is not taken for current");
    rig.woken().await;

    plane.thaw();
    let mut state = rig.cluster.connectivity();
    let back = state.wait_for(|state| matches!(state, Connectivity::Connected { .. }));
    tokio::time::timeout(DEADLINE, back).await.expect("it recovers").unwrap();
    wait_until(DEADLINE, "the kinds to be known again", async || rig.is_complete(&lamp)).await;
    let red = rig.config_map("lamp", &json!({"light": "green"}));
    assert!(change(&rig.apply(&red).await).is_some());
}

#[tokio::test]
async fn a_prune_in_the_foreground_leaves_the_object_marked_until_its_dependents_are_gone() {
    let rig = Rig::new("foreground").await;
    let web = rig.deployment("web", "web");
    rig.apply(&web).await;
    let seen = rig.live(&web).expect("it exists");
    let result = rig.prune_with(&web, &seen, Propagation::Foreground).await;
    assert_eq!(result, StepResult::Pruned);
    // No garbage collector runs here, so it stays.
    assert!(rig.live(&web).is_some_and(|live| live.deleting));
}
