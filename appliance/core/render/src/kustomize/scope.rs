//! Which kinds live in no namespace.

/// Kinds of Kubernetes 1.21 that live in no namespace, by group: the version whose schema
/// kustomize 5 carries. Kinds it does not know count as namespaced.
const CLUSTER_SCOPED: [(&str, &[&str]); 14] = [
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("authentication.k8s.io", &["TokenReview"]),
    (
        "authorization.k8s.io",
        &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("certificates.k8s.io", &["CertificateSigningRequest"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["IngressClass"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"]),
];

/// Whether objects of a kind certainly live in no namespace.
pub(crate) fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    let kinds = CLUSTER_SCOPED.iter().find(|(known, _)| *known == group);
    kinds.is_some_and(|(_, kinds)| kinds.contains(&kind))
}
