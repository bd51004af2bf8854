//! Argo CD's `Application`: what is deployed from where to where, and how willingly.
//!
//! [`Application::parse`] reads the manifest that Argo CD users already have. Three things can
//! happen to a field: it is read; it is reported as [`Unsupported`] because it has no effect, which
//! people are shown; or it is an error, because leaving it out would deploy something else than its
//! author asked for. Unknown fields are always reported, with their path.
//!
//! | field | here |
//! |---|---|
//! | `metadata.{name, namespace, labels, annotations, finalizers}` | read |
//! | other `metadata`, `status` | written by controllers: passed over |
//! | `operation` | reported: a sync is asked for with `fyr app sync` |
//! | `spec.project`, `destination`, `revisionHistoryLimit`, `info` | read |
//! | `spec.source`, `spec.sources` | read; `sources` wins when both are there |
//! | `spec.sourceHydrator` | error |
//! | `spec.ignoreDifferences` | error with `selfHeal` or `RespectIgnoreDifferences=true`, since Fyr would revert what it says to leave alone; otherwise reported, since it would only be a display |
//! | `source.{repoURL, path, targetRevision}` | read |
//! | `source.name` | passed over: only the command line of Argo CD uses it |
//! | `source.ref` | reported beside `path`; error alone: it serves Helm only |
//! | `source.{chart, helm, plugin, tagPrefix}` | error |
//! | `source.directory.{recurse, include, exclude}` | read |
//! | `source.directory.{jsonnet, disableExtensionFilter}` | error when set |
//! | `source.kustomize.*` | read, but for `version`, `kubeVersion`, `apiVersions`: reported |
//! | `syncPolicy.automated.*`, `retry.*`, `managedNamespaceMetadata.*` | read |
//! | `syncPolicy.syncOptions` | kept as written; names that are none are reported |
//! | finalizers of deletion hooks, and of others | reported |

mod source;
mod sync_policy;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::sync_policy::{Automated, NamespaceMetadata, Retry, SyncPolicy};
use crate::fields::{FieldError, Fields, Unsupported};
use crate::{BuildEnvironment, CommitId, Object, Source};

/// The namespace Argo CD keeps its objects in, and the one a missing namespace means.
pub const ARGO_NAMESPACE: &str = "argocd";

/// The API group of Argo CD's objects.
pub const ARGO_GROUP: &str = "argoproj.io";

/// The project of an application that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// What one application deploys, from where to where, and how willingly.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Name.
    pub name: String,
    /// Namespace; always [`ARGO_NAMESPACE`] for now.
    pub namespace: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Project, [`DEFAULT_PROJECT`] if none is named.
    pub project: String,
    /// Where the manifests come from: at least one. All are rendered; of two objects of one
    /// identity the one of the later source counts.
    pub sources: Vec<Source>,
    /// Where they go.
    pub destination: Destination,
    /// How willingly.
    pub sync_policy: SyncPolicy,
    /// How many past deployments are kept for a rollback.
    pub revision_history_limit: u32,
    /// Facts for people.
    pub info: Vec<Info>,
    /// What happens to the deployed objects when the Application goes: deleted in this order, or
    /// left alone with `None`.
    pub cascade: Option<Cascade>,
}

/// Where objects go.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// The cluster.
    pub cluster: ClusterReference,
    /// Namespace of namespaced objects that name none. Empty if none is given.
    pub namespace: String,
}

/// How an application names its cluster.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterReference {
    /// By the address of its API server, without a trailing `/`.
    Server(String),
    /// By its name.
    Name(String),
}

/// A fact for people, shown beside the application.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Info {
    /// What it is about.
    pub name: String,
    /// What it says; made a link only if it is `http://` or `https://`.
    pub value: String,
}

/// How the objects of a deleted application are deleted: Kubernetes' propagation policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cascade {
    /// Dependents first.
    Foreground,
    /// Dependents later, by the cluster's garbage collector.
    Background,
}

/// Why a manifest is not an application that can be deployed: the text of `InvalidSpecError`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseApplicationError {
    /// Another kind of object.
    #[error("it is a {kind} of {api_version}, not an Application of {ARGO_GROUP}/v1alpha1")]
    NotAnApplication {
        /// Its API version.
        api_version: String,
        /// Its kind.
        kind: String,
    },
    /// A field has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A field is missing.
    #[error("{path} is required")]
    Missing {
        /// The field.
        path: String,
    },
    /// A field has the right type and a value that means nothing.
    #[error("{path}: {why}")]
    Value {
        /// The field.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A source lacks its repository or its path. Argo CD's words.
    #[error("{path}.repoURL and either {path}.path or {path}.chart are required")]
    SourceIncomplete {
        /// The source.
        path: String,
    },
    /// A source says two tools. Argo CD's words.
    #[error("multiple application sources defined: {tools}")]
    ToolsConflict {
        /// The tools.
        tools: String,
    },
    /// Two names for the cluster. Argo CD's words.
    #[error("application destination can't have both name and server defined: {name} {server}")]
    NameAndServer {
        /// `destination.name`.
        name: String,
        /// `destination.server`.
        server: String,
    },
    /// No name for the cluster.
    #[error("spec.destination.server or spec.destination.name is required")]
    NoDestination,
    /// Leaving the field out would deploy something else than its author asked for.
    #[error("{path} is not supported: {why}")]
    Unsupported {
        /// The field.
        path: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// More than one of this name: which one counts is anyone's guess.
    #[error("more than one Application is named {name}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Outside the one namespace.
    #[error(
        "Applications outside the namespace {ARGO_NAMESPACE} are not supported: this one is in \
         {namespace}"
    )]
    Namespace {
        /// Where it is.
        namespace: String,
    },
}

impl Application {
    /// Past deployments kept when the manifest says nothing; Argo CD's number.
    pub const REVISION_HISTORY_DEFAULT: u32 = 10;

    /// Most sources of one application: each is a repository to fetch and a tree to hold.
    pub const SOURCES_MAX: usize = 64;

    /// Reads a manifest. What has no effect is in the second part of the answer, in path order.
    pub fn parse(object: &Object) -> Result<(Self, Vec<Unsupported>), ParseApplicationError> {
        let gvk = object.gvk();
        if gvk.api_version() != "argoproj.io/v1alpha1" || gvk.kind != "Application" {
            let api_version = gvk.api_version();
            return Err(ParseApplicationError::NotAnApplication { api_version, kind: gvk.kind });
        }
        let mut unsupported = Vec::new();
        let mut root = Fields::of(object);
        root.skip(&["apiVersion", "kind", "status"]);
        if root.value("operation").is_some() {
            let why = "it has no effect; ask for a sync with `fyr app sync`";
            unsupported.push(Unsupported::new("operation", why));
        }
        let metadata = Metadata::read(root.mapping("metadata")?, object, &mut unsupported)?;
        let missing = || ParseApplicationError::Missing { path: "spec".to_owned() };
        let spec = root.mapping("spec")?.ok_or_else(missing)?;
        root.finish(&mut unsupported);
        let application = Self::read(metadata, spec, &mut unsupported)?;
        unsupported.sort();
        Ok((application, unsupported))
    }

    fn read(
        metadata: Metadata,
        mut spec: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseApplicationError> {
        if spec.value("sourceHydrator").is_some() {
            let why = "Fyr writes to no repository; point spec.source at the hydrated branch";
            let path = "spec.sourceHydrator".to_owned();
            return Err(ParseApplicationError::Unsupported { path, why });
        }
        let sources = source::read(&mut spec, unsupported)?;
        let missing = ParseApplicationError::NoDestination;
        let destination =
            Destination::read(spec.mapping("destination")?.ok_or(missing)?, unsupported)?;
        let sync_policy = match spec.mapping("syncPolicy")? {
            Some(policy) => SyncPolicy::read(policy, unsupported)?,
            None => SyncPolicy::default(),
        };
        ignore_differences(&mut spec, &sync_policy, unsupported)?;
        let project = spec.text("project")?.unwrap_or(DEFAULT_PROJECT).to_owned();
        let revision_history_limit = match spec.integer("revisionHistoryLimit")? {
            None => Self::REVISION_HISTORY_DEFAULT,
            Some(limit) => u32::try_from(limit).map_err(|_| ParseApplicationError::Value {
                path: "spec.revisionHistoryLimit".to_owned(),
                why: format!("{limit} is not a number of deployments"),
            })?,
        };
        let info = info(&mut spec, unsupported)?;
        spec.finish(unsupported);
        let Metadata { name, namespace, labels, annotations, cascade } = metadata;
        Ok(Self {
            name,
            namespace,
            labels,
            annotations,
            project,
            sources,
            destination,
            sync_policy,
            revision_history_limit,
            info,
            cascade,
        })
    }

    /// Whether the annotation `argocd.argoproj.io/skip-reconcile` tells Fyr to leave it alone.
    pub fn skip_reconcile(&self) -> bool {
        self.annotations
            .get("argocd.argoproj.io/skip-reconcile")
            .is_some_and(|value| value == "true")
    }

    /// What `$ARGOCD_APP_NAME` and the like expand to while `source` is rendered at `commit`.
    ///
    /// `KUBE_VERSION` and `KUBE_API_VERSIONS` are left out: a render does not ask a cluster.
    pub fn build_environment(&self, source: &Source, commit: &CommitId) -> BuildEnvironment {
        let revision = commit.as_str();
        let variables = [
            ("ARGOCD_APP_NAME", self.name.as_str()),
            ("ARGOCD_APP_NAMESPACE", &self.destination.namespace),
            ("ARGOCD_APP_PROJECT_NAME", &self.project),
            ("ARGOCD_APP_REVISION", revision),
            ("ARGOCD_APP_REVISION_SHORT", &revision[..7]),
            ("ARGOCD_APP_REVISION_SHORT_8", &revision[..8]),
            ("ARGOCD_APP_SOURCE_PATH", &source.path),
            ("ARGOCD_APP_SOURCE_REPO_URL", &source.repo_url),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", &source.target_revision),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        BuildEnvironment { variables: variables.into_iter().map(owned).collect() }
    }
}

/// `metadata`, with what the finalizers mean.
struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    cascade: Option<Cascade>,
}

impl Metadata {
    fn read(
        fields: Option<Fields<'_>>,
        object: &Object,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseApplicationError> {
        let missing = || ParseApplicationError::Missing { path: "metadata".to_owned() };
        let mut fields = fields.ok_or_else(missing)?;
        fields.skip(&["name", "namespace"]);
        // Written by an API server; exported manifests carry them.
        fields.skip(&["creationTimestamp", "generation", "managedFields", "ownerReferences"]);
        fields.skip(&["resourceVersion", "selfLink", "uid"]);
        fields.skip(&["deletionTimestamp", "deletionGracePeriodSeconds"]);
        let namespace = object.namespace().unwrap_or(ARGO_NAMESPACE).to_owned();
        if namespace != ARGO_NAMESPACE {
            return Err(ParseApplicationError::Namespace { namespace });
        }
        let metadata = Self {
            name: object.name().to_owned(),
            namespace,
            labels: fields.text_map("labels")?,
            annotations: fields.text_map("annotations")?,
            cascade: cascade(&fields.texts("finalizers")?, unsupported),
        };
        fields.finish(unsupported);
        Ok(metadata)
    }
}

/// What finalizers say about deletion; those of others have nobody here to act on them.
fn cascade(finalizers: &[String], unsupported: &mut Vec<Unsupported>) -> Option<Cascade> {
    let mut cascade = None;
    for (index, finalizer) in finalizers.iter().enumerate() {
        let why = match finalizer.as_str() {
            "resources-finalizer.argocd.argoproj.io"
            | "resources-finalizer.argocd.argoproj.io/foreground" => {
                cascade = Some(Cascade::Foreground);
                continue;
            }
            "resources-finalizer.argocd.argoproj.io/background" => {
                cascade = cascade.or(Some(Cascade::Background));
                continue;
            }
            hook if hook.starts_with("pre-delete-finalizer.argocd.argoproj.io")
                || hook.starts_with("post-delete-finalizer.argocd.argoproj.io") =>
            {
                "hooks of deletion do not run"
            }
            _ => "no controller here acts on this finalizer",
        };
        unsupported.push(Unsupported::new(format!("metadata.finalizers[{index}]"), why));
    }
    cascade
}

impl Destination {
    fn read(
        mut fields: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseApplicationError> {
        let server = fields.text("server")?.map(|server| server.trim_end_matches('/').to_owned());
        let name = fields.text("name")?.map(str::to_owned);
        let namespace = fields.text("namespace")?.unwrap_or_default().to_owned();
        fields.finish(unsupported);
        let cluster = match (server, name) {
            (Some(server), Some(name)) => {
                return Err(ParseApplicationError::NameAndServer { name, server });
            }
            (Some(server), None) => ClusterReference::Server(server),
            (None, Some(name)) => ClusterReference::Name(name),
            (None, None) => return Err(ParseApplicationError::NoDestination),
        };
        Ok(Self { cluster, namespace })
    }
}

fn ignore_differences(
    spec: &mut Fields<'_>,
    policy: &SyncPolicy,
    unsupported: &mut Vec<Unsupported>,
) -> Result<(), ParseApplicationError> {
    let path = "spec.ignoreDifferences".to_owned();
    if spec.list("ignoreDifferences")?.is_empty() {
        return Ok(());
    }
    let heals = policy.automated.is_some_and(|automated| automated.self_heal);
    if heals || policy.has_option("RespectIgnoreDifferences=true") {
        let why = "Fyr would revert the fields it names; leave them out of the manifests, or turn \
                   selfHeal and RespectIgnoreDifferences off";
        return Err(ParseApplicationError::Unsupported { path, why });
    }
    unsupported.push(Unsupported::new(path, "differences in these fields are shown like others"));
    Ok(())
}

fn info(
    spec: &mut Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Vec<Info>, FieldError> {
    let mut all = Vec::new();
    for mut entry in spec.mappings("info")? {
        let name = entry.text("name")?.unwrap_or_default().to_owned();
        let value = entry.text("value")?.unwrap_or_default().to_owned();
        entry.finish(unsupported);
        all.push(Info { name, value });
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
