//! Patches of every kind.

use serde_json::{Value, json};

use super::objects::{WORKLOAD_KINDS, WORKLOADS};
use super::random::Random;

/// One entry of `patches`. `objects` are those of the base.
pub(super) fn patch(random: &mut Random, objects: &[Value]) -> Value {
    match random.below(10) {
        0..=3 => merge_by_target(random),
        4..=5 => merge_by_name(random, objects),
        6 => json!({"patch": deletion(random, objects).to_string()}),
        7 => anything(random),
        _ => json!({"target": workloads(random), "patch": operations(random).to_string()}),
    }
}

/// A merge patch as `patchesStrategicMerge` has it, for an object of the base.
pub(super) fn merge(random: &mut Random, objects: &[Value]) -> Value {
    let object = &objects[random.index(objects.len())];
    let mut patch = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
        "metadata": {"name": object["metadata"]["name"]}});
    if let Some(namespace) = object["metadata"].get("namespace") {
        patch["metadata"]["namespace"] = namespace.clone();
    }
    let kind = object["kind"].as_str().unwrap();
    if WORKLOAD_KINDS.contains(&kind) {
        patch["spec"] = workload_spec(random);
    } else {
        fill(random, kind, &mut patch);
    }
    patch
}

/// One entry of `patchesJson6902`: operations on the workload that is always there.
pub(super) fn operations_by_name(random: &mut Random, objects: &[Value]) -> Value {
    let target =
        json!({"group": "apps", "version": "v1", "kind": objects[0]["kind"], "name": "web"});
    json!({"target": target, "patch": operations(random).to_string()})
}

fn merge_by_target(random: &mut Random) -> Value {
    let patch = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "any"},
        "spec": workload_spec(random)});
    let mut entry = json!({"target": workloads(random), "patch": patch.to_string()});
    if random.chance(10) {
        entry["options"] = json!({"allowNameChange": false, "allowKindChange": false});
    }
    entry
}

fn merge_by_name(random: &mut Random, objects: &[Value]) -> Value {
    json!({"patch": merge(random, objects).to_string()})
}

fn deletion(random: &mut Random, objects: &[Value]) -> Value {
    // Not the first one: what is left has to be something.
    let object = objects.last().unwrap();
    let mut patch = json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
        "metadata": object["metadata"], "$patch": "delete"});
    if random.chance(30) {
        patch["spec"] = json!({"ignored": true});
    }
    patch
}

/// A patch of whatever matches, which changes only metadata.
fn anything(random: &mut Random) -> Value {
    let target = match random.below(7) {
        0 => json!({"kind": "Service|Ingress"}),
        1 => json!({"name": ".*e.*"}),
        2 => json!({"version": "v1", "kind": "C.*"}),
        3 => json!({"labelSelector": "app=web"}),
        4 => json!({"annotationSelector": "scrape=true"}),
        5 => json!({"namespace": "shop"}),
        _ => json!({"group": "rbac.authorization.k8s.io"}),
    };
    let patch = match random.below(4) {
        0 => json!({"metadata": {"name": "any", "annotations": {"patched": "yes"}}}),
        1 => json!({"metadata": {"name": "any", "labels": {"app": null, "patched": "1"}}}),
        2 => json!({"metadata": {"name": "any", "annotations": null}}),
        _ => json!([{"op": "add", "path": "/metadata/labels", "value": {"only": "this"}}]),
    };
    let patch = match patch {
        Value::Object(mut patch) => {
            patch.insert("apiVersion".to_owned(), json!("v1"));
            patch.insert("kind".to_owned(), json!("Any"));
            Value::Object(patch)
        }
        operations => operations,
    };
    json!({"target": target, "patch": patch.to_string()})
}

/// A target that has only workloads.
fn workloads(random: &mut Random) -> Value {
    let kinds = WORKLOAD_KINDS.join("|");
    match random.below(5) {
        0 => json!({"kind": kinds}),
        1 => json!({"kind": kinds, "name": random.pick(&WORKLOADS)}),
        2 => json!({"group": "apps", "labelSelector": "app notin (none)", "name": "w.*"}),
        3 => json!({"group": "apps", "version": "v1", "annotationSelector": "!none"}),
        _ => json!({"kind": "Deployment", "name": "web|api"}),
    }
}

/// What a merge patch says about the `spec` of a workload.
fn workload_spec(random: &mut Random) -> Value {
    let pod = match random.below(12) {
        0 => container(&json!({"name": "main", "resources": {"limits": {"memory": "64Mi"}}})),
        1 => container(&json!({"name": "side", "image": "nginx", "ports": [{"containerPort": 1}]})),
        2 => container(&json!({"name": "main", "env": [{"name": "MORE", "value": "1"},
            {"name": "LEVEL", "$patch": "delete"}]})),
        3 => {
            container(&json!({"name": "main", "ports": [{"containerPort": 9090, "name": "admin"}]}))
        }
        4 => container(&json!({"name": "main", "ports": [
            {"containerPort": 53, "protocol": "TCP", "name": "changed"}]})),
        5 => container(&json!({"name": "proxy", "$patch": "delete"})),
        6 => json!({"containers": [{"name": "only", "image": "nginx"}, {"$patch": "replace"}]}),
        7 => json!({"volumes": [{"name": "settings", "configMap": null, "emptyDir": {}},
            {"name": "more", "secret": {"secretName": "keys"}}]}),
        8 => json!({"serviceAccountName": null, "nodeSelector": {"disk": "ssd"}}),
        9 => json!({"tolerations": [{"key": "b", "effect": "NoSchedule"}],
            "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2,
                "whenUnsatisfiable": "DoNotSchedule"}]}),
        10 => json!({"imagePullSecrets": [{"name": "more"}],
            "initContainers": [{"name": "init", "args": ["a"]}]}),
        _ => json!({"securityContext": {"runAsNonRoot": true, "$patch": "replace"}}),
    };
    let mut spec = json!({"template": {"spec": pod}});
    if random.chance(20) {
        spec["template"]["metadata"] = json!({"annotations": {"a": "b", "scrape": null}});
    }
    if random.chance(15) {
        spec["replicas"] = if random.chance(50) { json!(7) } else { Value::Null };
    }
    spec
}

fn container(container: &Value) -> Value {
    json!({"containers": [container]})
}

/// What a merge patch says about an object that is no workload.
fn fill(random: &mut Random, kind: &str, patch: &mut Value) {
    match kind {
        "Service" => {
            patch["spec"] = match random.below(3) {
                0 => json!({"ports": [{"port": 80, "nodePort": 30080}]}),
                1 => json!({"ports": [{"port": 53, "protocol": "TCP", "targetPort": 5353}]}),
                _ => json!({"type": "NodePort", "selector": {"app": null, "role": "x"}}),
            };
        }
        "ConfigMap" => patch["data"] = json!({"a": null, "more": "x\ny\n"}),
        "Secret" => patch["stringData"] = json!({"a": "c"}),
        "ServiceAccount" => patch["imagePullSecrets"] = json!([{"name": "more"}]),
        "ClusterRoleBinding" | "RoleBinding" => {
            patch["subjects"] = json!([{"kind": "Group", "name": "team"}]);
        }
        "Ingress" => patch["spec"] = json!({"rules": [{"host": "other.example.org"}]}),
        "Backup" | "Certificate" => {
            patch["spec"] = json!({"steps": [{"name": "a", "run": "z"}], "target": {"kind": null}});
        }
        _ => patch["metadata"]["annotations"] = json!({"patched": "1"}),
    }
}

fn operations(random: &mut Random) -> Value {
    let template = "/spec/template";
    let container = format!("{template}/spec/containers/0");
    let operation = match random.below(10) {
        0 => json!({"op": "add", "path": format!("{template}/metadata/annotations"),
            "value": {"a/b": "c"}}),
        1 => json!({"op": "replace", "path": format!("{container}/image"), "value": "nginx:9"}),
        2 => json!({"op": "add", "path": format!("{container}/args"), "value": ["a", 1, null]}),
        3 => json!({"op": "remove", "path": format!("{template}/metadata/labels/app")}),
        4 => json!({"op": "copy", "from": format!("{container}/image"),
            "path": format!("{container}/old~1image")}),
        5 => json!({"op": "move", "from": format!("{container}/image"),
            "path": format!("{container}/imageName")}),
        6 => json!({"op": "test", "path": "/kind", "value": "Deployment"}),
        7 => json!({"op": "add", "path": format!("{template}/spec/containers/-"),
            "value": {"name": "last", "image": "nginx:1.25"}}),
        8 => json!({"op": "add", "path": format!("{template}/spec/containers/0"),
            "value": {"name": "first", "image": "nginx"}}),
        _ => json!({"op": "add", "path": "/metadata/labels", "value": {"b": "c"}}),
    };
    json!([operation, {"op": "add", "path": "/spec/more", "value": {"x": random.below(9)}}])
}
