//! Fields that cannot be changed: how a refusal proves one, and which kinds may be made anew.

use kube::core::Status;

use fyr_model::GroupKind;
use fyr_plan::Propagation;

/// What the API server's own validation says about a field that may not change, and nothing else.
/// A status code proves nothing: a misspelt value is 422 as well, and deleting the live object for
/// it would be a disaster.
const PHRASES: [&str; 6] = [
    // Most kinds, PersistentVolumeClaims ("spec is immutable after creation") and CEL rules.
    "immutable",
    // Services: clusterIPs.
    "may not change once set",
    // RoleBindings and ClusterRoleBindings.
    "cannot change roleRef",
    "updates to statefulset spec for fields other than",
    "pod updates may not change fields other than",
    // StorageClasses.
    "updates to parameters are forbidden",
];

/// Whether a refusal proves that a field cannot be changed.
pub(crate) fn is_cause(status: &Status) -> bool {
    status.reason == "Invalid"
        && status.details.iter().flat_map(|details| &details.causes).any(|cause| {
            !cause.field.starts_with("metadata.")
                && PHRASES.iter().any(|phrase| cause.message.contains(phrase))
        })
}

/// How an object of a kind is deleted to be created again; `None` for kinds whose deletion loses
/// data that no apply brings back.
pub(crate) fn recreation(kind: &GroupKind) -> Option<Propagation> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume" | "Namespace")
        | ("apiextensions.k8s.io", "CustomResourceDefinition") => None,
        // Its pods stay and are adopted by the new one.
        ("apps", "StatefulSet") => Some(Propagation::Orphan),
        _ => Some(Propagation::Background),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(reason: &str, field: &str, message: &str) -> Status {
        serde_json::from_value(json!({
            "reason": reason,
            "details": {"causes": [{"field": field, "message": message}]},
        }))
        .unwrap()
    }

    #[test]
    fn only_the_words_of_the_validation_prove_that_a_field_is_immutable() {
        assert!(is_cause(&refusal("Invalid", "spec.selector", "x: field is immutable")));
        assert!(is_cause(&refusal(
            "Invalid",
            "spec",
            "Forbidden: spec is immutable after creation"
        )));
        assert!(is_cause(&refusal("Invalid", "spec.clusterIPs[0]", "may not change once set")));
        assert!(!is_cause(&refusal("Invalid", "spec.replicas", "must be a number")));
        assert!(!is_cause(&refusal("Conflict", "spec.selector", "field is immutable")));
        assert!(!is_cause(&refusal("Invalid", "metadata.uid", "field is immutable")));
    }

    #[test]
    fn kinds_that_hold_data_or_other_objects_are_never_made_anew() {
        for (group, kind) in [
            ("", "PersistentVolumeClaim"),
            ("", "PersistentVolume"),
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ] {
            assert_eq!(recreation(&GroupKind::new(group, kind)), None, "{kind}");
        }
        assert_eq!(recreation(&GroupKind::new("apps", "StatefulSet")), Some(Propagation::Orphan));
        assert!(recreation(&GroupKind::new("batch", "Job")).is_some());
    }
}
