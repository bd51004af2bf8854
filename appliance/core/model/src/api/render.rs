//! What a folder of a mirrored repository renders to.

use serde::{Deserialize, Serialize};

/// Which folder, at which revision.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RenderQuery {
    /// The repository, in any spelling of its URL.
    pub repository: String,
    /// The folder; empty is the root.
    pub path: String,
    /// Branch, tag, full or short id, or semver constraint; empty means `HEAD`.
    pub revision: String,
    /// The application whose overrides in the folder apply: `.argocd-source.yaml` and
    /// `.argocd-source-APPLICATION.yaml`. None apply without.
    pub application: Option<String>,
}

/// The manifests of a folder.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderAnswer {
    /// The full id of the commit that was rendered.
    pub revision: String,
    /// The objects as documents of YAML, as `kustomize build` prints them. Secrets that stand in
    /// Git stand here too.
    pub manifests: String,
    /// What was left out, and what to know about the revision.
    #[serde(default)]
    pub warnings: Vec<String>,
}
