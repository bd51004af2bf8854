//! Hooks: objects that are not part of an application but run around its sync.

use fyr_model::Object;

/// Whether an object is a hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Hook {
    /// It is an ordinary object.
    None,
    /// It is not to be applied: `Skip`, and Helm's tests.
    Skip,
    /// It is a hook of these phases, or of an unknown one.
    Unsupported(String),
}

impl Hook {
    /// Reads Argo CD's annotation, or else Helm's.
    pub(super) fn of(object: &Object) -> Self {
        if let Some(phases) = object.annotation("argocd.argoproj.io/hook") {
            return match phases.trim() {
                "" => Self::None,
                "Skip" => Self::Skip,
                phases => Self::Unsupported(phases.to_owned()),
            };
        }
        let Some(phases) = object.annotation("helm.sh/hook") else { return Self::None };
        let mut phases = phases.split(',').map(str::trim).filter(|phase| !phase.is_empty());
        // Helm 2's way to install definitions first, which the order of kinds does anyway.
        let normal = |phase: &str| phase == "crd-install";
        let test = |phase: &str| matches!(phase, "test" | "test-success" | "test-failure");
        match phases.clone().next() {
            None => Self::None,
            Some(_) if phases.clone().all(normal) => Self::None,
            Some(_) if phases.all(test) => Self::Skip,
            Some(first) => Self::Unsupported(first.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hook(annotations: &[(&str, &str)]) -> Hook {
        let annotations: serde_json::Map<_, _> =
            annotations.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "annotations": annotations},
        });
        Hook::of(&Object::parse(object).unwrap())
    }

    #[test]
    fn argo_cd_goes_before_helm_and_unknown_phases_are_hooks_too() {
        let (argo, helm) = ("argocd.argoproj.io/hook", "helm.sh/hook");
        assert_eq!(hook(&[]), Hook::None);
        assert_eq!(hook(&[(argo, "Skip")]), Hook::Skip);
        assert_eq!(hook(&[(argo, "PreSync")]), Hook::Unsupported("PreSync".to_owned()));
        assert_eq!(hook(&[(argo, "Presinc")]), Hook::Unsupported("Presinc".to_owned()));
        assert_eq!(hook(&[(argo, "Skip"), (helm, "pre-install")]), Hook::Skip);
        assert_eq!(hook(&[(helm, "crd-install")]), Hook::None);
        assert_eq!(hook(&[(helm, "test-success")]), Hook::Skip);
        let both = hook(&[(helm, "pre-install, pre-upgrade")]);
        assert_eq!(both, Hook::Unsupported("pre-install".to_owned()));
    }
}
