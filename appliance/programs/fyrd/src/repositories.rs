//! All repositories in use: one task and one mirror each, however many applications share it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fyr_git::{Mirror, MirrorError, RemoteError, Workers};
use fyr_model::{Appliance, Digest, RepositoryAccess};

use crate::registry::Registry;
use crate::remote::remote;
use crate::repository::Repository;

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenRepositoryError {
    /// The bootstrap document does not allow it.
    #[error(
        "{url} is on this machine's disk, which spec.allowFileRepositories of the bootstrap \
         document does not allow"
    )]
    FileNotAllowed {
        /// The URL.
        url: String,
    },
    /// URL and credentials do not make a remote.
    #[error("the repository {url} cannot be used")]
    Remote {
        /// The URL as written.
        url: String,
        /// Why.
        source: RemoteError,
    },
    /// The mirror's folder.
    #[error("no mirror of {url}")]
    Mirror {
        /// The URL as written.
        url: String,
        /// Why.
        source: MirrorError,
    },
}

/// All repositories in use.
#[derive(Debug)]
pub(crate) struct Repositories {
    workers: Workers,
    folder: PathBuf,
    poll: Duration,
    appliance: Arc<Appliance>,
    registry: Arc<Registry>,
    open: Mutex<BTreeMap<String, Open>>,
}

#[derive(Debug)]
struct Open {
    /// Of address and credentials: another one means another remote.
    digest: Digest,
    repository: Repository,
}

impl Repositories {
    /// Mirrors go below `folder`.
    pub(crate) fn new(
        workers: Workers,
        folder: PathBuf,
        appliance: Arc<Appliance>,
        registry: Arc<Registry>,
    ) -> Self {
        let poll = appliance.poll_interval;
        Self { workers, folder, poll, appliance, registry, open: Mutex::default() }
    }

    /// The repository at `url`, as written in a manifest; its task is started if it does not run.
    pub(crate) async fn open(
        &self,
        url: &str,
        access: &RepositoryAccess,
    ) -> Result<Repository, OpenRepositoryError> {
        if let Some(repository) = self.running(access) {
            return Ok(repository);
        }
        let rewritten = self.appliance.rewrite(url);
        if !self.appliance.permits_url(&rewritten) {
            return Err(OpenRepositoryError::FileNotAllowed { url: url.to_owned() });
        }
        let remote = remote(&rewritten, access, self.appliance.allow_file_repositories)
            .map_err(|source| OpenRepositoryError::Remote { url: url.to_owned(), source })?;
        let folder = self.folder.join(Digest::of(access.canonical_url.as_bytes()).short());
        let mirror = Mirror::open_or_create(folder, &self.workers)
            .await
            .map_err(|source| OpenRepositoryError::Mirror { url: url.to_owned(), source })?;
        // Somebody else may have opened it meanwhile.
        let mut open = self.lock();
        if let Some(known) = open.get(&access.canonical_url)
            && known.digest == access.digest
        {
            return Ok(known.repository.clone());
        }
        let (repository, task) = Repository::new(&access.canonical_url, mirror, remote, self.poll);
        let (registry, canonical) = (Arc::clone(&self.registry), access.canonical_url.clone());
        tokio::spawn(task.run(move || registry.wake_repository(&canonical)));
        let entry = Open { digest: access.digest, repository: repository.clone() };
        // An entry with other credentials is replaced; its task ends with its last user.
        open.insert(access.canonical_url.clone(), entry);
        Ok(repository)
    }

    /// The repositories in use, in the order of their canonical URLs.
    pub(crate) fn all(&self) -> Vec<Repository> {
        self.lock().values().map(|open| open.repository.clone()).collect()
    }

    /// Lets go of repositories that nothing names any more.
    pub(crate) fn keep_only(&self, canonical_urls: &BTreeSet<String>) {
        self.lock().retain(|url, _| canonical_urls.contains(url));
    }

    fn running(&self, access: &RepositoryAccess) -> Option<Repository> {
        let open = self.lock();
        let known = open.get(&access.canonical_url)?;
        (known.digest == access.digest).then(|| known.repository.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
