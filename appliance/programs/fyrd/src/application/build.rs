//! From resolved sources to what the cluster should hold.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fyr_cluster::Cluster;
use fyr_git::ReadError;
use fyr_model::{
    AppProject, Application, Blame, ClusterEntry, CommitId, Digest, GroupKind, Object, ObjectKey,
    Revision, Source,
};
use fyr_plan::{Desired, DesiredContext, Scope};
use fyr_render::{Facts, LoadRestrictor, RenderError};

use super::source::ResolvedSource;
use crate::context::Context;
use crate::parsed::Parsed;
use crate::repository::Snapshot;

/// Everything that what is built depends on. Equal keys build alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BuildKey {
    application: Application,
    project: AppProject,
    cluster: Digest,
    commits: Vec<CommitId>,
}

impl BuildKey {
    /// The key of an application at the commits its sources mean now.
    pub(crate) fn new(
        application: &Application,
        project: &AppProject,
        cluster: &ClusterEntry,
        sources: &[ResolvedSource],
    ) -> Self {
        Self {
            application: application.clone(),
            project: project.clone(),
            cluster: cluster.digest,
            commits: sources.iter().map(|source| source.commit.clone()).collect(),
        }
    }

    /// The application.
    pub(crate) fn application(&self) -> &Application {
        &self.application
    }

    /// The commits, one a source.
    pub(crate) fn commits(&self) -> &[CommitId] {
        &self.commits
    }
}

/// What an application wants at one set of commits.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// What it was built from.
    pub(crate) key: BuildKey,
    /// The objects.
    pub(crate) desired: Arc<Desired>,
    /// The commits in full, one a source.
    pub(crate) revisions: Vec<Revision>,
    /// What resolving the revisions noticed.
    resolve_warnings: Vec<String>,
    /// What the renderer noticed.
    render_warnings: Vec<String>,
    /// What rendering looked at, one a source.
    facts: Arc<[Facts]>,
}

/// Why there is nothing to bring a cluster in line with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The files cannot be read.
    #[error("cannot read commit {commit} of {url}")]
    Read {
        /// The repository.
        url: String,
        /// The commit.
        commit: CommitId,
        /// Why.
        source: Box<ReadError>,
    },
    /// The files do not render.
    #[error("cannot render {path} at {commit}")]
    Render {
        /// The folder.
        path: String,
        /// The commit, short.
        commit: String,
        /// Why.
        source: Box<RenderError>,
    },
    /// The renderer has a fault.
    #[error("rendering ended unexpectedly: this is a fault of Fyr, please report it")]
    Panicked,
}

impl BuildError {
    /// Whether trying again without a change can help.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Read { source, .. } => source.blame(),
            Self::Render { source, .. } => source.blame(),
            Self::Panicked => Blame::Input,
        }
    }
}

impl Built {
    /// What the author of the application should know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        [self.resolve_warnings.as_slice(), &self.render_warnings].concat()
    }

    /// The same at other commits, if nothing is different in them that rendering looked at: most
    /// commits to a repository are about other applications.
    fn carried_over(
        &self,
        key: &BuildKey,
        inputs: &[(Source, Arc<Snapshot>)],
        resolve_warnings: &[String],
    ) -> Option<Self> {
        let same = self.facts.len() == inputs.len()
            && self.key.application == key.application
            && self.key.project == key.project
            && self.key.cluster == key.cluster
            && self.facts.iter().zip(inputs).all(|(facts, (source, snapshot))| {
                let commit = &snapshot.revision.commit;
                let environment = key.application.build_environment(source, commit);
                facts.hold(&snapshot.tree, &environment)
            });
        same.then(|| Self {
            key: key.clone(),
            revisions: inputs.iter().map(|(_, snapshot)| snapshot.revision.clone()).collect(),
            resolve_warnings: resolve_warnings.to_vec(),
            ..self.clone()
        })
    }
}

/// Reads, renders and prepares. `cluster` says where objects of a kind live; `before` is what was
/// built last, where it would have to be rendered for another commit only.
pub(crate) async fn build(
    context: &Context,
    key: BuildKey,
    sources: &[ResolvedSource],
    cluster: Cluster,
    entry: ClusterEntry,
    before: Option<&Built>,
) -> Result<Built, BuildError> {
    let mut inputs = Vec::with_capacity(sources.len());
    for source in sources {
        let snapshot =
            source.repository.snapshot(&source.commit).await.map_err(|error| BuildError::Read {
                url: source.source.repo_url.clone(),
                commit: source.commit.clone(),
                source: Box::new(error),
            })?;
        inputs.push((source.source.clone(), snapshot));
    }
    let resolve_warnings: Vec<String> =
        sources.iter().filter_map(|source| source.warning.clone()).collect();
    let carried_over =
        before.and_then(|before| before.carried_over(&key, &inputs, &resolve_warnings));
    if let Some(built) = carried_over {
        return Ok(built);
    }
    let revisions = inputs.iter().map(|(_, snapshot)| snapshot.revision.clone()).collect();
    let parsed = Arc::clone(&context.parsed);
    context
        .render(move |stop| {
            let mut objects = Vec::new();
            let mut facts = Vec::with_capacity(inputs.len());
            let mut render_warnings = Vec::new();
            for (source, snapshot) in &inputs {
                let mut rendered = render(key.application(), source, snapshot, &parsed, stop)?;
                objects.append(&mut rendered.objects);
                facts.push(rendered.facts);
                render_warnings.extend(rendered.warnings.iter().map(ToString::to_string));
            }
            let desired = Arc::new(prepare(&key, objects, &cluster, &entry));
            let facts = facts.into();
            Ok(Built { key, desired, revisions, resolve_warnings, render_warnings, facts })
        })
        .await
        .unwrap_or(Err(BuildError::Panicked))
}

fn render(
    application: &Application,
    source: &Source,
    snapshot: &Snapshot,
    parsed: &Parsed,
    stop: &AtomicBool,
) -> Result<fyr_render::Rendered, BuildError> {
    let commit = &snapshot.revision.commit;
    fyr_render::render(&fyr_render::Request {
        tree: &snapshot.tree,
        path: &source.path,
        tool: &source.tool,
        environment: &application.build_environment(source, commit),
        application: Some(&application.name),
        load_restrictor: LoadRestrictor::RootOnly,
        parsed: Some(parsed),
        stop: Some(stop),
    })
    .map_err(|error| BuildError::Render {
        path: source.path.clone(),
        commit: commit.short().to_owned(),
        source: Box::new(error),
    })
}

/// Says where each object lives, tracks it, and holds back what the project does not permit.
fn prepare(
    key: &BuildKey,
    objects: Vec<Object>,
    cluster: &Cluster,
    entry: &ClusterEntry,
) -> Desired {
    let scopes = |kind: &GroupKind| {
        cluster.scope(kind).map(|scope| match scope {
            fyr_cluster::Scope::Namespaced => Scope::Namespaced,
            fyr_cluster::Scope::Cluster => Scope::Cluster,
        })
    };
    let permits = |object: &ObjectKey, scope: Scope| {
        key.project.permits_deployment(entry, object, scope == Scope::Namespaced)
    };
    Desired::prepare(
        objects,
        &DesiredContext {
            application: &key.application.name,
            destination_namespace: &key.application.destination.namespace,
            scopes: &scopes,
            permits: &permits,
        },
    )
}
