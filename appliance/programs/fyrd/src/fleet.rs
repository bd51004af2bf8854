//! The fleet loop: from the fleet repository to applications, clusters and repositories.
//!
//! A fleet that cannot be read, does not render or names nothing changes nothing: what runs goes
//! on, and the reason is shown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use fyr_model::{
    ARGO_NAMESPACE, BuildEnvironment, Chain, CommitId, Fleet, Revision, Source, Tool,
    canonical_repo_url,
};
use fyr_render::{LoadRestrictor, RenderError, Rendered};
use tokio::sync::watch;
use tracing::{error, info};

use crate::application::source::{ResolveSourceError, resolve_one};
use crate::context::Context;
use crate::repositories::OpenRepositoryError;
use crate::repository::{Repository, Snapshot};
use crate::settings::SettingsError;

/// How often the local files of Secrets are looked at when nothing else happens.
const SECRETS_POLL: Duration = Duration::from_secs(10);

/// The fleet as it is in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetState {
    /// Everything it names.
    pub(crate) fleet: Arc<Fleet>,
    /// The commit it came from; none before the first.
    pub(crate) revision: Option<Revision>,
    /// When it took effect.
    pub(crate) loaded_at: Option<SystemTime>,
    /// Why a newer one is not in force.
    pub(crate) error: Option<String>,
    /// The commit of the newer one, where the error is about a commit.
    pub(crate) refused: Option<CommitId>,
}

impl FleetState {
    /// Whether a commit is in force, or refused with the error that is shown.
    pub(crate) fn has_settled(&self, commit: &CommitId) -> bool {
        let in_force = self.revision.as_ref().is_some_and(|known| known.commit == *commit);
        in_force && self.error.is_none() || self.refused.as_ref() == Some(commit)
    }
}

/// Why a fleet is not put in force.
#[derive(Debug, thiserror::Error)]
enum LoadFleetError {
    #[error("the fleet repository cannot be used")]
    Open(#[from] OpenRepositoryError),
    #[error("cannot read the files of the bootstrap document")]
    Settings(#[from] SettingsError),
    #[error("the fleet's revision is not known")]
    Resolve(#[source] ResolveSourceError),
    #[error("cannot read the fleet repository")]
    Read(#[from] fyr_git::ReadError),
    #[error("the fleet does not render")]
    Render(#[from] RenderError),
    #[error("rendering the fleet ended unexpectedly")]
    Panicked,
    #[error(
        "the fleet at {commit} names no application, and {running} run: it is taken for a mistake \
         and they go on; remove all but one first if it is meant"
    )]
    Empty { commit: String, running: usize },
}

/// Runs until the daemon stops.
pub(crate) async fn run(context: Arc<Context>, state: watch::Sender<Arc<FleetState>>) {
    let repository = loop {
        match open(&context).await {
            Ok(repository) => break repository,
            Err(error) => {
                report(&state, &error, None);
                tokio::time::sleep(SECRETS_POLL).await;
            }
        }
    };
    let mut news = repository.watch();
    loop {
        news.mark_unchanged();
        match commit_to_load(&context, &repository).await {
            Ok(commit) => match load(&context, &repository, &commit).await {
                Ok((fleet, revision)) => put_in_force(&context, &state, fleet, revision),
                Err(error) => report(&state, &error, Some(commit)),
            },
            Err(error) if error.is_waiting() => {}
            Err(error) => report(&state, &LoadFleetError::Resolve(error), None),
        }
        tokio::select! {
            // Cancel-safe per the docs of `changed()`.
            changed = news.changed() => if changed.is_err() { return },
            // Cancel-safe: a timer.
            () = tokio::time::sleep(SECRETS_POLL) => {}
        }
    }
}

async fn open(context: &Context) -> Result<Repository, LoadFleetError> {
    let access = context.settings.fleet_access()?;
    let url = &context.settings.appliance.fleet.repo_url;
    Ok(context.repositories.open(url, &access).await?)
}

/// The fleet repository as a source, rendered like any other.
fn source(context: &Context) -> Source {
    let given = &context.settings.appliance.fleet;
    Source {
        repo_url: given.repo_url.clone(),
        path: given.path.clone(),
        target_revision: given.target_revision.clone(),
        tool: Tool::Detect,
    }
}

async fn commit_to_load(
    context: &Context,
    repository: &Repository,
) -> Result<CommitId, ResolveSourceError> {
    resolve_one(&source(context), repository).await.map(|(commit, _)| commit)
}

async fn load(
    context: &Context,
    repository: &Repository,
    commit: &CommitId,
) -> Result<(Fleet, Revision), LoadFleetError> {
    let snapshot = repository.snapshot(commit).await?;
    let secrets = context.settings.secrets()?;
    let (revision, source) = (snapshot.revision.clone(), source(context));
    let rendered = context
        .render(move |stop| render(&snapshot, &source, stop))
        .await
        .ok_or(LoadFleetError::Panicked)??;
    let fleet = Fleet::assemble(rendered.objects, secrets);
    let running = context.fleet().fleet.applications.len().max(context.not_begun().len());
    if fleet.applications.is_empty() && running > 1 {
        let commit = revision.commit.short().to_owned();
        return Err(LoadFleetError::Empty { commit, running });
    }
    Ok((fleet, revision))
}

fn render(
    snapshot: &Snapshot,
    source: &Source,
    stop: &AtomicBool,
) -> Result<Rendered, RenderError> {
    fyr_render::render(&fyr_render::Request {
        tree: &snapshot.tree,
        path: &source.path,
        tool: &source.tool,
        environment: &BuildEnvironment::default(),
        application: Some(ARGO_NAMESPACE),
        load_restrictor: LoadRestrictor::RootOnly,
        parsed: None,
        stop: Some(stop),
    })
}

/// Publishes a fleet, unless it is the one in force, and brings clusters, repositories and
/// application tasks in line with it.
fn put_in_force(
    context: &Arc<Context>,
    state: &watch::Sender<Arc<FleetState>>,
    fleet: Fleet,
    revision: Revision,
) {
    let before = Arc::clone(&state.borrow());
    if *before.fleet == fleet && before.revision.as_ref() == Some(&revision) {
        if before.error.is_some() {
            state.send_replace(Arc::new(FleetState {
                error: None,
                refused: None,
                ..before.as_ref().clone()
            }));
        }
        return;
    }
    info!(
        commit = revision.commit.as_str(),
        applications = fleet.applications.len(),
        clusters = fleet.clusters.len(),
        problems = fleet.problems.len(),
        "fleet in force"
    );
    let fleet = Arc::new(fleet);
    context.clusters.follow(&fleet.clusters);
    state.send_replace(Arc::new(FleetState {
        fleet: Arc::clone(&fleet),
        revision: Some(revision),
        loaded_at: Some(SystemTime::now()),
        error: None,
        refused: None,
    }));
    let used = fleet.applications.values().filter_map(|known| known.parsed.as_ref().ok());
    let mut urls: BTreeSet<String> = used
        .flat_map(|application| &application.sources)
        .map(|source| canonical_repo_url(&source.repo_url))
        .collect();
    urls.insert(canonical_repo_url(&context.settings.appliance.fleet.repo_url));
    context.repositories.keep_only(&urls);
    // Those that left the fleet while the daemon was down have to find out as well.
    for name in fleet.applications.keys().chain(&context.not_begun()) {
        context.ensure_application(name);
    }
    // Those that left the fleet find out by themselves, and end.
    context.registry.wake_all();
}

fn report(
    state: &watch::Sender<Arc<FleetState>>,
    error: &LoadFleetError,
    refused: Option<CommitId>,
) {
    let message = Chain(error).to_string();
    let before = Arc::clone(&state.borrow());
    if before.error.as_ref() == Some(&message) && before.refused == refused {
        return;
    }
    error!(error = message, "the fleet is not put in force");
    let error = Some(message);
    state.send_replace(Arc::new(FleetState { error, refused, ..before.as_ref().clone() }));
}
