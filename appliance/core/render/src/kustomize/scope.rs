//! Which kinds live in no namespace.

/// One API group, the versions of it, and the kinds in all of these that live in no namespace.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const V1: &[&str] = &["v1"];
const BOTH: &[&str] = &["v1", "v1beta1"];

/// Kinds of Kubernetes 1.21 that live in no namespace: the version whose schema kustomize 5
/// carries. Kinds and versions it does not know count as namespaced, newer versions of these too,
/// and so do kinds that are only ever created, such as `TokenReview`.
const CLUSTER_SCOPED: [Row; 12] = [
    ("", V1, &["ComponentStatus", "Namespace", "Node", "NodeProxyOptions", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        BOTH,
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
    ),
    ("apiextensions.k8s.io", BOTH, &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", BOTH, &["APIService"]),
    ("certificates.k8s.io", BOTH, &["CertificateSigningRequest"]),
    ("flowcontrol.apiserver.k8s.io", &["v1beta1"], &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", BOTH, &["IngressClass"]),
    ("node.k8s.io", BOTH, &["RuntimeClass"]),
    ("policy", &["v1beta1"], &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", BOTH, &["ClusterRole", "ClusterRoleBinding"]),
    ("scheduling.k8s.io", BOTH, &["PriorityClass"]),
    ("storage.k8s.io", BOTH, &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"]),
];

/// Whether objects of a kind certainly live in no namespace.
pub(crate) fn is_cluster_scoped([group, version, kind]: [&str; 3]) -> bool {
    let row = CLUSTER_SCOPED.iter().find(|(known, ..)| *known == group);
    row.is_some_and(|(_, versions, kinds)| versions.contains(&version) && kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_versions_that_kustomize_knows_are_certain() {
        assert!(is_cluster_scoped(["storage.k8s.io", "v1", "StorageClass"]));
        assert!(!is_cluster_scoped(["storage.k8s.io", "v1alpha1", "StorageClass"]));
        assert!(!is_cluster_scoped(["flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"]));
        assert!(!is_cluster_scoped(["example.com", "v1", "Namespace"]));
    }
}
