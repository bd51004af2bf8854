//! From what an application names to the files of a commit.

use fyr_git::{ReadError, ResolveError, Target, resolve};
use fyr_model::{Application, Blame, CommitId, Fleet, Source};

use crate::repositories::{OpenRepositoryError, Repositories};
use crate::repository::Repository;

/// One source of an application, resolved.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedSource {
    /// What the application says.
    pub(crate) source: Source,
    /// Where it comes from.
    pub(crate) repository: Repository,
    /// The commit it means now.
    pub(crate) commit: CommitId,
    /// What its author should know.
    pub(crate) warning: Option<String>,
}

/// Why an application's commits are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveSourceError {
    /// The repository cannot be used as configured.
    #[error("the source's repository cannot be used")]
    Open(#[from] OpenRepositoryError),
    /// Nothing was fetched yet, now or before.
    #[error("waiting for the first fetch of {url}")]
    NotFetched {
        /// The repository.
        url: String,
    },
    /// Nothing was ever fetched, and the last try failed.
    #[error("{url} was never fetched: {reason}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What the last try said.
        reason: String,
    },
    /// The revision means nothing in the repository.
    #[error("cannot resolve {revision:?} in {url}")]
    Resolve {
        /// The repository.
        url: String,
        /// The revision as written.
        revision: String,
        /// Why.
        source: ResolveError,
    },
    /// A short id could not be looked up.
    #[error("cannot look up {revision:?} in {url}")]
    Lookup {
        /// The repository.
        url: String,
        /// The short id.
        revision: String,
        /// Why.
        source: ReadError,
    },
}

impl ResolveSourceError {
    /// Whether it is a state on the way and no error yet.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self, Self::NotFetched { .. })
    }

    /// Whether trying again without a change can help.
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Open(_) => Blame::Input,
            Self::NotFetched { .. } | Self::Unreachable { .. } => Blame::Outside,
            Self::Resolve { source, .. } => source.blame(),
            Self::Lookup { source, .. } => source.blame(),
        }
    }
}

/// Resolves every source of an application. `pins` takes the place of what its sources say, one
/// commit a source; a list of another length belongs to other sources and is not used.
pub(crate) async fn resolve_sources(
    application: &Application,
    fleet: &Fleet,
    repositories: &Repositories,
    pins: Option<&[CommitId]>,
) -> Result<Vec<ResolvedSource>, ResolveSourceError> {
    let pins = pins.filter(|pins| pins.len() == application.sources.len());
    let mut resolved = Vec::with_capacity(application.sources.len());
    for (index, source) in application.sources.iter().enumerate() {
        let access = fleet.repository(&source.repo_url, &application.project);
        let repository = repositories.open(&source.repo_url, &access).await?;
        let (commit, warning) = match pins.and_then(|pins| pins.get(index)) {
            Some(pin) => (pin.clone(), None),
            None => resolve_one(source, &repository).await?,
        };
        let source = source.clone();
        resolved.push(ResolvedSource { source, repository, commit, warning });
    }
    Ok(resolved)
}

/// What one revision means now.
pub(crate) async fn resolve_one(
    source: &Source,
    repository: &Repository,
) -> Result<(CommitId, Option<String>), ResolveSourceError> {
    let url = || source.repo_url.clone();
    let state = repository.state();
    let Some(refs) = &state.refs else {
        return Err(match &state.failure {
            Some((reason, _)) => {
                ResolveSourceError::Unreachable { url: url(), reason: reason.clone() }
            }
            None => ResolveSourceError::NotFetched { url: url() },
        });
    };
    let revision = &source.target_revision;
    let found = resolve(revision, refs).map_err(|source| ResolveSourceError::Resolve {
        url: url(),
        revision: revision.clone(),
        source,
    })?;
    let commit = match found.target {
        Target::Commit(commit) => commit,
        Target::ShortId(prefix) => repository.find(&prefix).await.map_err(|source| {
            ResolveSourceError::Lookup { url: url(), revision: revision.clone(), source }
        })?,
    };
    Ok((commit, found.warning))
}
