//! Which lists of the built-in kinds have items with a key, and which key that is. Facts of the
//! Kubernetes 1.21 schema, which kustomize 5 merges by.

use super::resource::Id;

/// Lists within pods, by the last names of their path.
const POD: [(&[&str], &[&str]); 17] = [
    (&["containers"], &["name"]),
    (&["initContainers"], &["name"]),
    (&["ephemeralContainers"], &["name"]),
    (&["containers", "ports"], &["containerPort", "protocol"]),
    (&["initContainers", "ports"], &["containerPort", "protocol"]),
    (&["containers", "env"], &["name"]),
    (&["initContainers", "env"], &["name"]),
    (&["ephemeralContainers", "env"], &["name"]),
    (&["containers", "volumeMounts"], &["mountPath"]),
    (&["initContainers", "volumeMounts"], &["mountPath"]),
    (&["ephemeralContainers", "volumeMounts"], &["mountPath"]),
    (&["containers", "volumeDevices"], &["devicePath"]),
    (&["initContainers", "volumeDevices"], &["devicePath"]),
    (&["volumes"], &["name"]),
    (&["imagePullSecrets"], &["name"]),
    (&["hostAliases"], &["ip"]),
    (&["topologySpreadConstraints"], &["topologyKey", "whenUnsatisfiable"]),
];

/// Where the pod of a kind is.
const PODS: [(&str, &str, &[&str]); 8] = [
    ("", "Pod", &["spec"]),
    ("", "ReplicationController", &["spec", "template", "spec"]),
    ("apps", "Deployment", &["spec", "template", "spec"]),
    ("apps", "ReplicaSet", &["spec", "template", "spec"]),
    ("apps", "DaemonSet", &["spec", "template", "spec"]),
    ("apps", "StatefulSet", &["spec", "template", "spec"]),
    ("batch", "Job", &["spec", "template", "spec"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// Lists of other kinds, by their whole path.
const OTHERS: [(&str, &str, &[&str], &[&str]); 6] = [
    ("", "Service", &["spec", "ports"], &["port", "protocol"]),
    ("", "ServiceAccount", &["secrets"], &["name"]),
    ("", "ServiceAccount", &["imagePullSecrets"], &["name"]),
    ("", "Node", &["spec", "taints"], &["key"]),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", &["webhooks"], &["name"]),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", &["webhooks"], &["name"]),
];

/// The keys of the list at `path` in an object of this identity; none if its items have none.
pub(crate) fn keys_of(id: &Id, path: &[&str]) -> &'static [&'static str] {
    let is_kind = |group: &str, kind: &str| id.group == group && id.kind == kind;
    let other = OTHERS.iter().find(|(group, kind, list, _)| is_kind(group, kind) && *list == path);
    if let Some((.., keys)) = other {
        return keys;
    }
    if path == ["metadata", "ownerReferences"] {
        return &["uid"];
    }
    let Some((.., pod)) = PODS.iter().find(|(group, kind, _)| is_kind(group, kind)) else {
        return &[];
    };
    let Some(within) = path.strip_prefix(*pod) else { return &[] };
    POD.iter().find(|(list, _)| *list == within).map_or(&[], |(_, keys)| keys)
}
