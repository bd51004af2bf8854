use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    Object::parse(value).unwrap()
}

fn manifest(api_version: &str, kind: &str, metadata: &Value) -> Object {
    object(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}))
}

fn prepare(rendered: Vec<Object>) -> Desired {
    let scopes = |kind: &GroupKind| match kind.kind.as_str() {
        "Namespace" | "ClusterRole" | "CustomResourceDefinition" => Some(Scope::Cluster),
        "ConfigMap" | "Deployment" | "Secret" | "Endpoints" | "Pod" => Some(Scope::Namespaced),
        _ => None,
    };
    let permits = |key: &ObjectKey, _: Scope| match key.name.as_str() {
        "forbidden" => Err("not permitted in project p".to_owned()),
        _ => Ok(()),
    };
    Desired::prepare(
        rendered,
        &DesiredContext {
            application: "app",
            destination_namespace: "dest",
            scopes: &scopes,
            permits: &permits,
        },
    )
}

fn body(desired: &Desired, name: &str) -> Value {
    let (_, object) = desired.objects.iter().find(|(key, _)| key.name == name).unwrap();
    serde_json::from_str(&object.body).unwrap()
}

fn kinds(desired: &Desired) -> Vec<ConditionKind> {
    desired.conditions.iter().map(|condition| condition.kind).collect()
}

fn definition_of(kind: &str, scope: &str) -> Object {
    object(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
        "spec": {"group": "example.org", "names": {"kind": kind}, "scope": scope},
    }))
}

#[test]
fn namespaces_follow_the_scope_of_the_kind() {
    let desired = prepare(vec![
        manifest("v1", "ConfigMap", &json!({"name": "without"})),
        manifest("v1", "ConfigMap", &json!({"name": "with", "namespace": "own"})),
        manifest(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            &json!({"name": "r", "namespace": "x"}),
        ),
    ]);
    assert_eq!(body(&desired, "without")["metadata"]["namespace"], "dest");
    assert_eq!(body(&desired, "with")["metadata"]["namespace"], "own");
    assert_eq!(body(&desired, "r")["metadata"].get("namespace"), None);
}

#[test]
fn every_object_but_a_definition_carries_our_tracking_id() {
    let desired = prepare(vec![
        manifest(
            "v1",
            "ConfigMap",
            &json!({"name": "a", "annotations": {TRACKING_ANNOTATION: "other:/ConfigMap:x/a"}}),
        ),
        manifest("rbac.authorization.k8s.io/v1", "ClusterRole", &json!({"name": "r"})),
        definition_of("Db", "Cluster"),
    ]);
    let id = |name| body(&desired, name)["metadata"]["annotations"][TRACKING_ANNOTATION].clone();
    assert_eq!(id("a"), "app:/ConfigMap:dest/a");
    assert_eq!(id("r"), "app:rbac.authorization.k8s.io/ClusterRole:dest/r");
    assert_eq!(id("x"), Value::Null);
}

#[test]
fn an_unknown_kind_holds_back_only_itself() {
    let desired = prepare(vec![
        manifest("example.org/v1", "Db", &json!({"name": "db"})),
        manifest("v1", "ConfigMap", &json!({"name": "a"})),
    ]);
    assert_eq!(desired.objects.len(), 1);
    assert_eq!(desired.pending.len(), 1);
    assert_eq!(kinds(&desired), [ConditionKind::PendingResourceWarning]);
    let mut live = desired.pending.keys().next().unwrap().clone();
    live.namespace = "anywhere".to_owned();
    assert!(desired.wants(&live), "its namespace is not known yet");
}

#[test]
fn an_object_without_a_version_is_held_back_even_if_its_kind_is_known() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "p"}});
    let desired = prepare(vec![Object::parse(pod).unwrap()]);
    assert!(desired.objects.is_empty());
    let reason = desired.pending.values().next().unwrap();
    assert_eq!(reason, "apiVersion is missing or not a non-empty string");
}

#[test]
fn a_definition_in_the_render_gives_its_objects_their_scope() {
    for (scope, namespace) in [("Namespaced", "dest"), ("Cluster", "")] {
        let db = manifest("example.org/v1", "Db", &json!({"name": "db"}));
        let desired = prepare(vec![db, definition_of("Db", scope)]);
        assert!(desired.pending.is_empty());
        assert!(desired.objects.keys().any(|key| key.name == "db" && key.namespace == namespace));
        assert!(desired.defines(&GroupKind::new("example.org", "Db")));
    }
}

#[test]
fn of_two_objects_of_one_identity_the_last_counts_and_a_condition_says_so() {
    let config = |value: &str, namespace: Value| {
        object(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": namespace}, "data": {"k": value},
        }))
    };
    let desired = prepare(vec![config("1", Value::Null), config("2", json!("dest"))]);
    assert_eq!(body(&desired, "a")["data"]["k"], "2");
    assert_eq!(kinds(&desired), [ConditionKind::RepeatedResourceWarning]);
    assert!(desired.conditions[0].message.contains("ConfigMap dest/a is rendered 2 times"));
}

#[test]
fn excluded_kinds_hooks_and_denied_objects_are_left_out_with_a_condition() {
    let hook = json!({"name": "h", "annotations": {"argocd.argoproj.io/hook": "PreSync"}});
    let skip = json!({"name": "s", "annotations": {"argocd.argoproj.io/hook": "Skip"}});
    let desired = prepare(vec![
        manifest("v1", "Endpoints", &json!({"name": "e"})),
        manifest("v1", "Pod", &hook),
        manifest("v1", "Pod", &skip),
        manifest("v1", "ConfigMap", &json!({"name": "forbidden"})),
    ]);
    assert!(desired.objects.is_empty());
    assert_eq!(desired.denied.len(), 1);
    assert_eq!(
        kinds(&desired),
        [
            ConditionKind::ExcludedResourceWarning,
            ConditionKind::DeniedResourceWarning,
            ConditionKind::UnsupportedWarning,
        ]
    );
}

#[test]
fn waves_options_and_annotations_are_read_and_wrong_ones_reported() {
    let desired = prepare(vec![
        manifest(
            "v1",
            "ConfigMap",
            &json!({"name": "a", "annotations": {
                "argocd.argoproj.io/sync-wave": "-3",
                "argocd.argoproj.io/sync-options": "Prune=false, Replace=true",
                "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
                "argocd.argoproj.io/ignore-healthcheck": "true",
                "helm.sh/resource-policy": "keep",
            }}),
        ),
        manifest(
            "v1",
            "ConfigMap",
            &json!({"name": "b", "annotations": {
                "argocd.argoproj.io/sync-wave": "early",
                "argocd.argoproj.io/sync-options": "Pruen=false",
            }}),
        ),
    ]);
    let a = desired.objects.values().next().unwrap();
    assert_eq!(a.wave, -3);
    assert!(a.options.has(Flag::Replace) && a.ignore_health && a.retention.ignore_extraneous);
    assert_eq!(a.retention.prune, Some(Permission::Never));
    assert_eq!(a.retention.delete, Some(Permission::Never));
    assert_eq!(kinds(&desired), [ConditionKind::UnsupportedWarning; 2]);
}

#[test]
fn the_digest_follows_what_is_wanted() {
    let config = |value: &str| {
        object(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "data": {"k": value},
        }))
    };
    assert_eq!(prepare(vec![config("1")]).digest, prepare(vec![config("1")]).digest);
    assert_ne!(prepare(vec![config("1")]).digest, prepare(vec![config("2")]).digest);
    assert_ne!(prepare(vec![config("1")]).digest, prepare(vec![]).digest);
}

#[test]
fn an_object_without_any_namespace_is_denied() {
    let desired = Desired::prepare(
        vec![manifest("v1", "ConfigMap", &json!({"name": "a"}))],
        &DesiredContext {
            application: "app",
            destination_namespace: "",
            scopes: &|_| Some(Scope::Namespaced),
            permits: &|_, _| Ok(()),
        },
    );
    assert_eq!(desired.denied.len(), 1);
}
