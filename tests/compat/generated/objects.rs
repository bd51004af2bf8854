//! Objects of many kinds that refer to each other.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::random::Random;

/// Names of workloads; `web` is always there.
pub(super) const WORKLOADS: [&str; 4] = ["web", "api", "worker", "db"];
/// Kinds whose objects have a pod template at `/spec/template`.
pub(super) const WORKLOAD_KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// Images of containers.
pub(super) const IMAGES: [&str; 6] = [
    "nginx",
    "nginx:1.25",
    "registry.local:5000/shop/web:1.0",
    "ghcr.io/shop/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "ghcr.io/shop/api:v2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "nginx-exporter:0.1",
];

/// Objects of a base, no two of the same kind and name.
pub(super) fn objects(random: &mut Random) -> Vec<Value> {
    let mut objects = vec![workload(random, "web")];
    for _ in 0..2 + random.below(6) {
        objects.push(object(random));
    }
    let mut seen = BTreeSet::new();
    let id = |object: &Value| format!("{}/{}", object["kind"], object["metadata"]["name"]);
    objects.retain(|object| seen.insert(id(object)));
    for object in &mut objects {
        decorate(random, object);
    }
    objects
}

/// What any object may have.
fn decorate(random: &mut Random, object: &mut Value) {
    let kind = object["kind"].as_str().unwrap();
    let is_cluster_scoped = kind.starts_with("Cluster") || CLUSTER_KINDS.contains(&kind);
    let metadata = &mut object["metadata"];
    if random.chance(15) && !is_cluster_scoped {
        metadata["namespace"] = json!(random.pick(&["shop", "default"]));
    }
    if random.chance(25) {
        metadata["labels"] = json!({"app": random.pick(&WORKLOADS), "n": "1"});
    }
    if random.chance(25) {
        metadata["annotations"] = match random.below(6) {
            0 => json!({"port": 8080, "on": true}),
            1 => json!({"size": 1.5, "name": "y"}),
            2 => json!({"empty": "", "number": "0644"}),
            3 => json!({"large": 123_456, "nothing": null}),
            4 => json!({"text": "two\nlines\n", "json": "{\"a\": [1]}"}),
            _ => json!({}),
        };
    }
}

/// Kinds without a namespace, besides those that say so in their name.
const CLUSTER_KINDS: [&str; 6] = [
    "Namespace",
    "PriorityClass",
    "StorageClass",
    "CustomResourceDefinition",
    "ValidatingWebhookConfiguration",
    "APIService",
];

fn object(random: &mut Random) -> Value {
    let name = random.pick(&WORKLOADS);
    match random.below(16) {
        0..=3 => workload(random, name),
        4 => job(random, name),
        5..=6 => service(random, name),
        7 => access(random, name),
        8 => traffic(random, name),
        9 => scaling(random, name),
        10 => storage(random, name),
        11..=12 => configuration(random, name),
        13 => cluster(random, name),
        14 => custom(random, name),
        _ => pod_alone(random, name),
    }
}

fn new(api_version: &str, kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A workload with a pod template.
fn workload(random: &mut Random, name: &str) -> Value {
    let kind = random.pick(&["Deployment", "Deployment", "StatefulSet", "DaemonSet"]);
    let spec = json!({"selector": {"matchLabels": {"app": name}}, "template": pod(random, name)});
    let mut workload = new("apps/v1", kind, name, &spec);
    let spec = &mut workload["spec"];
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name);
        if random.chance(60) {
            spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"},
                "spec": {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}}]);
        }
    }
    if kind != "DaemonSet" && random.chance(50) {
        spec["replicas"] = json!(random.below(4));
    }
    workload
}

fn pod(random: &mut Random, name: &str) -> Value {
    let mut containers = vec![container(random, "main")];
    if random.chance(25) {
        containers.push(container(random, "proxy"));
    }
    let mut spec = json!({"containers": containers});
    if random.chance(50) {
        spec["serviceAccountName"] = json!("runner");
    }
    if random.chance(30) {
        spec["initContainers"] = json!([{"name": "init", "image": random.pick(&IMAGES)}]);
    }
    if random.chance(40) {
        spec["volumes"] = json!([
            {"name": "settings", "configMap": {"name": "settings", "optional": true}},
            {"name": "keys", "projected": {"sources": [{"secret": {"name": "keys"}},
                {"configMap": {"name": "plain"}}]}},
            {"name": "data", "persistentVolumeClaim": {"claimName": name}},
        ]);
    }
    if random.chance(20) {
        spec["imagePullSecrets"] = json!([{"name": "keys"}]);
        spec["priorityClassName"] = json!(name);
    }
    if random.chance(20) {
        spec["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": name}}}]);
        spec["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    }
    let mut metadata = json!({"labels": {"app": name}});
    if random.chance(20) {
        metadata["annotations"] = json!({"scrape": "true"});
    }
    json!({"metadata": metadata, "spec": spec})
}

fn container(random: &mut Random, name: &str) -> Value {
    let mut container = json!({"name": name, "image": random.pick(&IMAGES)});
    if random.chance(50) {
        container["env"] = json!([
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            {"name": "HOST", "value": "web.shop.svc:8080"},
        ]);
    }
    if random.chance(30) {
        container["envFrom"] = json!([{"secretRef": {"name": "keys"}},
            {"configMapRef": {"name": "settings"}, "prefix": "A_"}]);
    }
    if random.chance(60) {
        container["ports"] = match random.below(3) {
            0 => json!([{"containerPort": 8080, "name": "http"}]),
            1 => json!([{"containerPort": 53, "protocol": "UDP", "name": "u"},
                {"containerPort": 53, "protocol": "TCP", "name": "t"}]),
            _ => json!([{"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9090}]),
        };
    }
    if random.chance(30) {
        container["volumeMounts"] = json!([{"name": "settings", "mountPath": "/etc/settings"}]);
        container["args"] = json!(["--level=$(LEVEL)", "--x"]);
    }
    container
}

fn pod_alone(random: &mut Random, name: &str) -> Value {
    let mut pod = pod(random, name);
    pod["metadata"]["name"] = json!(name);
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod
}

fn job(random: &mut Random, name: &str) -> Value {
    let template = pod(random, name);
    if random.chance(50) {
        return new("batch/v1", "Job", name, &json!({"backoffLimit": 1, "template": template}));
    }
    let version = random.pick(&["batch/v1", "batch/v1beta1"]);
    let spec = json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}});
    new(version, "CronJob", name, &spec)
}

fn service(random: &mut Random, name: &str) -> Value {
    let ports = match random.below(3) {
        0 => json!([{"port": 80, "targetPort": "http"}]),
        1 => json!([{"port": 53, "protocol": "UDP", "name": "u"},
            {"port": 53, "protocol": "TCP", "name": "t"}]),
        _ => json!([{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]),
    };
    let mut spec = json!({"ports": ports});
    if random.chance(80) {
        spec["selector"] = json!({"app": name});
    }
    new("v1", "Service", name, &spec)
}

fn access(random: &mut Random, name: &str) -> Value {
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    let rules = json!([{"apiGroups": [""], "resources": ["secrets", "configmaps"],
        "resourceNames": ["keys", "plain"], "verbs": ["get"]}]);
    let subjects = json!([
        {"kind": "ServiceAccount", "name": random.pick(&["runner", "default"]), "namespace": "default"},
        {"kind": "User", "name": "web", "apiGroup": api},
    ]);
    let role = |kind| json!({"apiGroup": api, "kind": kind, "name": name});
    let head =
        |kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
    let mut object;
    match random.below(5) {
        0 => {
            object = head("Role");
            object["rules"] = rules;
        }
        1 => {
            object = head("ClusterRole");
            object["rules"] = rules;
        }
        2 => {
            object = head("RoleBinding");
            object["roleRef"] = role(random.pick(&["Role", "ClusterRole"]));
            object["subjects"] = subjects;
        }
        3 => {
            object = head("ClusterRoleBinding");
            object["roleRef"] = role("ClusterRole");
            object["subjects"] = subjects;
        }
        _ => {
            object = json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "runner"}, "secrets": [{"name": "keys"}],
                "imagePullSecrets": [{"name": "keys"}]});
        }
    }
    object
}

fn traffic(random: &mut Random, name: &str) -> Value {
    if random.chance(50) {
        let labels = json!({"matchLabels": {"app": name}});
        let spec = json!({"podSelector": labels, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": labels}, {"namespaceSelector": {}}]}],
            "egress": [{"to": [{"podSelector": labels}]}]});
        return new("networking.k8s.io/v1", "NetworkPolicy", name, &spec);
    }
    let backend = json!({"service": {"name": name, "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let spec = json!({"tls": [{"hosts": ["shop.example.org"], "secretName": "keys"}],
        "rules": [{"host": "shop.example.org", "http": {"paths": [path]}}]});
    new("networking.k8s.io/v1", "Ingress", name, &spec)
}

fn scaling(random: &mut Random, name: &str) -> Value {
    if random.chance(50) {
        let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}});
        return new("policy/v1", "PodDisruptionBudget", name, &spec);
    }
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    let spec = json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5});
    let version = random.pick(&["autoscaling/v1", "autoscaling/v2"]);
    new(version, "HorizontalPodAutoscaler", name, &spec)
}

fn storage(random: &mut Random, name: &str) -> Value {
    if random.chance(50) {
        let spec = json!({"storageClassName": "fast", "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}});
        return new("v1", "PersistentVolumeClaim", name, &spec);
    }
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": "example.org/disk"})
}

fn configuration(random: &mut Random, name: &str) -> Value {
    if random.chance(30) {
        return json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "type": "Opaque", "stringData": {"a": "b"}, "data": {"c": "ZA=="}});
    }
    let name = random.pick(&["plain", "plain", name]);
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"a": "b", "url": "http://web.shop.svc:8080/path?q=1", "yes": "no",
            "script": "#!/bin/sh\necho $HOME\n"}});
    if random.chance(15) {
        object["metadata"]["annotations"] =
            json!({"config.kubernetes.io/local-config": random.pick(&["true", "false"])});
    }
    object
}

fn cluster(random: &mut Random, name: &str) -> Value {
    let service = json!({"name": name, "namespace": "shop"});
    match random.below(5) {
        0 => json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": random.pick(&["shop", "default", "other"])}}),
        1 => json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": 1000}),
        2 => new(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "backups.example.org",
            &json!({"group": "example.org", "scope": "Namespaced",
                "conversion": {"webhook": {"clientConfig": {"service": service}}}}),
        ),
        3 => json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
            "webhooks": [{"name": "a.example.org", "clientConfig": {"service": service}}]}),
        _ => new(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1.example.org",
            &json!({"group": "example.org", "version": "v1", "service": service}),
        ),
    }
}

fn custom(random: &mut Random, name: &str) -> Value {
    let kind = random.pick(&["Backup", "Backup", "Certificate"]);
    let spec = json!({"secretName": "keys", "secretRef": {"name": "keys"}, "image": "nginx:1.25", "selector": {"app": name},
        "target": {"kind": "StatefulSet", "name": name}, "replicas": 1,
        "jobs": [{"containers": [{"name": "main", "image": "nginx"}]}],
        "steps": [{"name": "a", "run": "x"}, {"name": "b", "run": "y"}]});
    new("example.org/v1", kind, name, &spec)
}
