//! What has to be known of kinds to order, keep and leave them alone.

use fyr_model::GroupKind;

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// They do not.
    Cluster,
    /// They do.
    Namespaced,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Order of kinds within a sync wave: each rank needs the ones before it.
///
/// Few ranks on purpose: each is a round trip that nothing else of the application passes.
pub(crate) fn rank(kind: &GroupKind) -> u8 {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => 1,
        (
            "",
            "ConfigMap"
            | "LimitRange"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "ResourceQuota"
            | "Secret"
            | "Service"
            | "ServiceAccount",
        )
        | (RBAC, "ClusterRole" | "Role")
        | ("networking.k8s.io", "IngressClass" | "NetworkPolicy")
        | ("node.k8s.io" | "scheduling.k8s.io" | "storage.k8s.io" | "policy", _) => 2,
        (RBAC, "ClusterRoleBinding" | "RoleBinding") => 3,
        // They stand in the way of everything else until what answers for them runs.
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 5,
        _ => 4,
    }
}

/// Whether this is a custom resource definition. It gets no tracking annotation and is never
/// deleted, because all its objects would go with it; the same in Argo CD.
pub(crate) fn is_definition(kind: &GroupKind) -> bool {
    kind.group == "apiextensions.k8s.io" && kind.kind == "CustomResourceDefinition"
}

/// Whether recreating would lose data or other people's objects: never done, even if asked for.
pub(crate) fn is_irreplaceable(kind: &GroupKind) -> bool {
    let core = ["Namespace", "PersistentVolume", "PersistentVolumeClaim"];
    is_definition(kind) || kind.group.is_empty() && core.contains(&kind.kind.as_str())
}

/// Kinds that are written by controllers or hold no state, and are never managed; Argo CD's
/// default `resource.exclusions`.
pub(crate) fn is_excluded(kind: &GroupKind) -> bool {
    let name = kind.kind.as_str();
    match kind.group.as_str() {
        "" => name == "Endpoints",
        "discovery.k8s.io" => name == "EndpointSlice",
        "coordination.k8s.io" => name == "Lease",
        "authentication.k8s.io" | "authorization.k8s.io" => name.ends_with("Review"),
        "certificates.k8s.io" => name == "CertificateSigningRequest",
        "cert-manager.io" => name == "CertificateRequest",
        "cilium.io" => ["CiliumIdentity", "CiliumEndpoint", "CiliumEndpointSlice"].contains(&name),
        "kyverno.io" | "reports.kyverno.io" | "wgpolicyk8s.io" => {
            name.ends_with("Report") || name == "UpdateRequest"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_comes_after_what_it_needs() {
        let order = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            (RBAC, "Role"),
            (RBAC, "RoleBinding"),
            ("apps", "Deployment"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let ranks = order.map(|(group, kind)| rank(&GroupKind::new(group, kind)));
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        for kind in ["ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim", "Service"] {
            assert!(rank(&GroupKind::new("", kind)) < rank(&GroupKind::new("apps", "DaemonSet")));
        }
        assert_eq!(rank(&GroupKind::new("example.org", "Database")), 4);
    }

    #[test]
    fn custom_kinds_of_a_built_in_name_are_not_excluded() {
        assert!(is_excluded(&GroupKind::new("", "Endpoints")));
        assert!(is_excluded(&GroupKind::new("authorization.k8s.io", "SubjectAccessReview")));
        assert!(!is_excluded(&GroupKind::new("example.org", "Endpoints")));
        assert!(!is_excluded(&GroupKind::new("authorization.k8s.io", "Other")));
    }
}
