use fyr_model::SourceTree;
use serde_json::json;

use super::super::configuration::Configuration;
use super::*;
use crate::LoadRestrictor;

fn named(api: &str, kind: &str, namespace: &str, name: &str, more: &Value) -> Resource {
    let mut value = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}});
    for (key, field) in more.as_object().into_iter().flatten() {
        value[key] = field.clone();
    }
    let mut resource = Resource::of(value);
    resource.set_namespace(namespace);
    resource
}

fn prefixed(mut resource: Resource, prefix: &str) -> Resource {
    resource.remember();
    let name = format!("{prefix}{}", resource.name());
    resource.set_name(name);
    resource.prefixes.push(prefix.to_owned());
    resource
}

fn pod(namespace: &str, config: &str) -> Resource {
    let spec = json!({
        "volumes": [{"configMap": {"name": config}}],
        "containers": [
            {"name": "a", "env": [{"valueFrom": {"configMapKeyRef": {"name": config}}}]},
            {"name": "b", "envFrom": [{"configMapRef": {"name": "other"}}]},
        ],
    });
    named("v1", "Pod", namespace, "pod", &json!({"spec": spec}))
}

fn config(namespace: &str) -> Resource {
    named("v1", "ConfigMap", namespace, "config", &json!({}))
}

fn volume(resource: &Resource) -> &Value {
    &resource.value["spec"]["volumes"][0]["configMap"]["name"]
}

fn fixed(all: &mut [Resource]) -> Result<(), RenderError> {
    let tree = SourceTree::default();
    let reader = Reader::new(&tree, LoadRestrictor::RootOnly);
    fix(&reader, all, &Configuration::defaults().references, "k")
}

#[test]
fn references_follow_and_unknown_names_stay() {
    let mut all = [pod("", "config"), prefixed(config("default"), "p-")];
    fixed(&mut all).unwrap();
    assert_eq!(*volume(&all[0]), "p-config");
    let containers = &all[0].value["spec"]["containers"];
    assert_eq!(containers[0]["env"][0]["valueFrom"]["configMapKeyRef"]["name"], "p-config");
    assert_eq!(containers[1]["envFrom"][0]["configMapRef"]["name"], "other");
}

#[test]
fn another_namespace_or_kind_is_not_meant() {
    let secret = prefixed(named("v1", "Secret", "one", "config", &json!({})), "s-");
    let mut all = [pod("one", "config"), prefixed(config("two"), "p-"), secret];
    fixed(&mut all).unwrap();
    assert_eq!(*volume(&all[0]), "config");
}

#[test]
fn prefixes_tell_namesakes_apart() {
    let mut all =
        [prefixed(pod("", "config"), "a-"), prefixed(config(""), "a-"), prefixed(config(""), "b-")];
    fixed(&mut all).unwrap();
    assert_eq!(*volume(&all[0]), "a-config");
}

#[test]
fn namesakes_that_cannot_be_told_apart_are_an_error_with_both() {
    let mut all = [pod("", "config"), prefixed(config(""), "a-"), prefixed(config(""), "b-")];
    // A strict comparison leaves none of them: kustomize changes nothing then.
    fixed(&mut all).unwrap();
    assert_eq!(*volume(&all[0]), "config");
    for resource in &mut all {
        resource.prefixes.clear();
    }
    let error = fixed(&mut all).unwrap_err().to_string();
    assert!(error.contains("a-config") && error.contains("b-config"), "{error}");
}

#[test]
fn subjects_get_the_namespace_and_roles_are_told_apart_by_kind() {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let more = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
        "subjects": [
            {"kind": "ServiceAccount", "name": "sa", "namespace": "old"},
            {"kind": "ServiceAccount", "name": "sa", "namespace": "elsewhere"},
        ],
    });
    let mut account = prefixed(named("v1", "ServiceAccount", "old", "sa", &json!({})), "p-");
    account.set_namespace("new");
    let mut all = [
        named(RBAC, "ClusterRoleBinding", "", "b", &more),
        account,
        prefixed(named(RBAC, "ClusterRole", "", "r", &json!({})), "c-"),
        prefixed(named(RBAC, "Role", "new", "r", &json!({})), "n-"),
    ];
    fixed(&mut all).unwrap();
    let binding = &all[0].value;
    assert_eq!(binding["roleRef"]["name"], "c-r");
    assert_eq!(binding["subjects"][0]["name"], "p-sa");
    assert_eq!(binding["subjects"][0]["namespace"], "new");
    assert_eq!(binding["subjects"][1]["name"], "sa");
}
