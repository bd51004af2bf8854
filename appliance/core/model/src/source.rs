//! Where an application's manifests come from: `spec.source` of an Argo CD Application.

use std::collections::BTreeMap;

use serde::Serialize;

/// One source of an application.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Repository URL as written.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Folder in the repository; `.` or empty is its root.
    pub path: String,
    /// Branch, tag, SHA, semver constraint or `HEAD`; empty means `HEAD`.
    pub target_revision: String,
    /// How the folder is rendered.
    pub tool: Tool,
}

/// What renders a folder.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tool {
    /// Kustomize if there is a kustomization file, a plain directory otherwise.
    #[default]
    Detect,
    /// Kustomize, with overrides from the Application.
    Kustomize(KustomizeOptions),
    /// A plain directory.
    Directory(DirectoryOptions),
}

/// `spec.source.kustomize`: overrides applied to the kustomization at the source's path.
#[expect(clippy::struct_excessive_bools, reason = "they are Argo CD's fields, one for one")]
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeOptions {
    /// Replaces `namePrefix` when set.
    pub name_prefix: Option<String>,
    /// Replaces `nameSuffix` when set.
    pub name_suffix: Option<String>,
    /// `[old=]new[:tag][@digest]`; replaces the file's entry of the same name.
    pub images: Vec<String>,
    /// Replica counts by name.
    pub replicas: Vec<KustomizeReplicas>,
    /// Added to `commonLabels`.
    pub common_labels: BTreeMap<String, String>,
    /// Lets `common_labels` replace labels of the file; without it that is an error.
    pub force_common_labels: bool,
    /// Applies `common_labels` without selectors.
    pub label_without_selector: bool,
    /// Applies `common_labels` to templates too; needs `label_without_selector`.
    pub label_include_templates: bool,
    /// Added to `commonAnnotations`.
    pub common_annotations: BTreeMap<String, String>,
    /// Lets `common_annotations` replace annotations of the file; without it that is an error.
    pub force_common_annotations: bool,
    /// Expands `$ARGOCD_APP_…` in the values of `common_annotations`.
    pub common_annotations_envsubst: bool,
    /// Replaces `namespace` when set.
    pub namespace: Option<String>,
    /// Appended to the file's `patches`.
    pub patches: Vec<KustomizePatch>,
    /// Appended to the file's `components`.
    pub components: Vec<String>,
    /// Leaves out components whose folder does not exist.
    pub ignore_missing_components: bool,
}

/// One entry of `spec.source.kustomize.replicas`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct KustomizeReplicas {
    /// Name of the workload.
    pub name: String,
    /// Count; at most what a Kubernetes `replicas` field takes.
    pub count: i32,
}

/// One entry of `spec.source.kustomize.patches`, in the form of a kustomization file's `patches`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KustomizePatch {
    /// File of the patch; exactly one of `path` and `patch` is set.
    pub path: Option<String>,
    /// The patch itself.
    pub patch: Option<String>,
    /// Which objects it applies to.
    pub target: Option<KustomizeSelector>,
    /// `allowNameChange`, `allowKindChange`.
    pub options: BTreeMap<String, bool>,
}

/// Which objects a patch applies to; empty fields match everything.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeSelector {
    /// API group, a regular expression.
    pub group: String,
    /// Version, a regular expression.
    pub version: String,
    /// Kind, a regular expression.
    pub kind: String,
    /// Name, a regular expression.
    pub name: String,
    /// Namespace, a regular expression.
    pub namespace: String,
    /// Label selector in Kubernetes' string form.
    pub label_selector: String,
    /// Annotation selector in the same form.
    pub annotation_selector: String,
}

/// `spec.source.directory`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryOptions {
    /// Reads folders below too.
    pub recurse: bool,
    /// Glob of the files to read, relative to the source's path; empty reads all.
    pub include: String,
    /// Glob of the files to leave out; evaluated before `include`.
    pub exclude: String,
}

/// The build environment of an application: what `$ARGOCD_APP_NAME` and the like expand to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BuildEnvironment {
    /// Variables by name, without the `$`.
    pub variables: BTreeMap<String, String>,
}
