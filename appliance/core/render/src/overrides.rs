//! Overrides of the tool's options, kept beside the manifests in `.argocd-source.yaml` and
//! `.argocd-source-APPLICATION.yaml`.

/// How the name of every file of overrides begins.
pub(crate) const OVERRIDE_FILE_START: &str = ".argocd-source";
