//! One repository: polls it, keeps its mirror, and reads commits for all applications.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fyr_git::{Mirror, MirrorError, ReadError, ReadScope, Remote, RemoteRefs};
use fyr_model::{Chain, CommitId, Revision, SourceTree, TreeLimits};
use tokio::sync::{OnceCell, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// Longest fetch. A first clone of a large repository takes minutes over a slow line.
const FETCH_WITHIN: Duration = Duration::from_mins(10);
/// Longest call of a worker that asks no Git host.
const READ_WITHIN: Duration = Duration::from_mins(1);
/// Longest consolidation of packs.
const MAINTAIN_WITHIN: Duration = Duration::from_mins(10);
/// Commits whose files are kept in memory: the newest and the one before it, while applications
/// move from one to the other.
const SNAPSHOTS_MAX: usize = 2;
/// Refresh requests waiting for one fetch; more find the queue full and try again.
const REFRESHES_MAX: usize = 256;

/// What is known of the Git host.
#[derive(Clone, Debug, Default)]
pub(crate) struct RepositoryState {
    /// Branches and tags, from the last fetch or from the mirror on disk; none before either.
    pub(crate) refs: Option<Arc<RemoteRefs>>,
    /// When the Git host last answered.
    pub(crate) fetched_at: Option<SystemTime>,
    /// Why the last try failed, and since when tries fail.
    pub(crate) failure: Option<(String, SystemTime)>,
}

/// One commit with its files.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The commit.
    pub(crate) revision: Revision,
    /// Its files.
    pub(crate) tree: SourceTree,
}

/// The daemon does not take more refresh requests for this repository now.
#[derive(Debug, thiserror::Error)]
#[error("too many refreshes of {url} are waiting already")]
pub(crate) struct Busy {
    url: String,
}

/// A handle on the task of one repository. The task ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    mirror: Mirror,
    state: watch::Receiver<Arc<RepositoryState>>,
    refreshes: mpsc::Sender<oneshot::Sender<()>>,
    snapshots: Mutex<VecDeque<(CommitId, SnapshotCell)>>,
    pinned: Mutex<BTreeSet<CommitId>>,
}

/// A snapshot that is read once, by whoever asks first.
type SnapshotCell = Arc<OnceCell<Arc<Snapshot>>>;

/// What a repository's task needs.
pub(crate) struct RepositoryTask {
    url: String,
    mirror: Mirror,
    remote: Remote,
    poll: Duration,
    state: watch::Sender<Arc<RepositoryState>>,
    refreshes: mpsc::Receiver<oneshot::Sender<()>>,
}

impl Repository {
    /// A repository, and the task that keeps it; `url` is its canonical one.
    pub(crate) fn new(
        url: &str,
        mirror: Mirror,
        remote: Remote,
        poll: Duration,
    ) -> (Self, RepositoryTask) {
        let (state, receiver) = watch::channel(Arc::default());
        let (sender, refreshes) = mpsc::channel(REFRESHES_MAX);
        let shared = Shared {
            url: url.to_owned(),
            mirror: mirror.clone(),
            state: receiver,
            refreshes: sender,
            snapshots: Mutex::default(),
            pinned: Mutex::default(),
        };
        let task = RepositoryTask { url: url.to_owned(), mirror, remote, poll, state, refreshes };
        (Self { shared: Arc::new(shared) }, task)
    }

    /// Its canonical URL.
    pub(crate) fn url(&self) -> &str {
        &self.shared.url
    }

    /// What is known of the Git host now.
    pub(crate) fn state(&self) -> Arc<RepositoryState> {
        Arc::clone(&self.shared.state.borrow())
    }

    /// Tells of every change of the state.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<RepositoryState>> {
        self.shared.state.clone()
    }

    /// Has the task look at the Git host now; returns when a look that began after this call has
    /// ended, whether it succeeded or not.
    pub(crate) async fn refresh(&self) -> Result<(), Busy> {
        let (done, waiting) = oneshot::channel();
        self.shared.refreshes.try_send(done).map_err(|_| Busy { url: self.shared.url.clone() })?;
        // A dropped sender means that the daemon is stopping.
        let _ = waiting.await;
        Ok(())
    }

    /// The files of a commit: read once, however many ask at once.
    pub(crate) async fn snapshot(&self, commit: &CommitId) -> Result<Arc<Snapshot>, ReadError> {
        let cell = self.snapshot_cell(commit);
        let snapshot = cell
            .get_or_try_init(|| async {
                let deadline = Instant::now() + READ_WITHIN;
                let (scope, limits) = (ReadScope::everything(), TreeLimits::default());
                let tree = self.shared.mirror.read(commit, limits, &scope, deadline);
                let revision = self.shared.mirror.commit_info(commit, deadline);
                let (tree, revision) = tokio::try_join!(tree, revision)?;
                Ok(Arc::new(Snapshot { revision, tree }))
            })
            .await?;
        Ok(Arc::clone(snapshot))
    }

    /// Finds the one commit that a short id means.
    pub(crate) async fn find(&self, prefix: &str) -> Result<CommitId, ReadError> {
        self.shared.mirror.find_by_prefix(prefix, Instant::now() + READ_WITHIN).await
    }

    /// Keeps an applied commit in the mirror, so that a rollback finds it whatever the Git host
    /// does to its branches.
    pub(crate) async fn pin(&self, commit: &CommitId) -> Result<(), MirrorError> {
        let pinned = || self.shared.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if pinned().contains(commit) {
            return Ok(());
        }
        self.shared.mirror.pin(commit, commit.as_str(), Instant::now() + READ_WITHIN).await?;
        pinned().insert(commit.clone());
        Ok(())
    }

    fn snapshot_cell(&self, commit: &CommitId) -> SnapshotCell {
        let mut snapshots = self.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = snapshots.iter().find(|(known, _)| known == commit) {
            return Arc::clone(cell);
        }
        if snapshots.len() == SNAPSHOTS_MAX {
            snapshots.pop_front();
        }
        let cell = Arc::default();
        snapshots.push_back((commit.clone(), Arc::clone(&cell)));
        cell
    }
}

impl RepositoryTask {
    /// Runs until every handle is gone. `changed` is called when branches or tags moved, or when
    /// the Git host stopped or began to answer.
    pub(crate) async fn run(mut self, changed: impl Fn()) {
        self.begin_with_what_is_on_disk().await;
        changed();
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            let moved = self.fetch().await;
            if moved {
                changed();
            }
            for done in waiting.drain(..) {
                // Whoever asked may have gone away.
                let _ = done.send(());
            }
            let next_poll = Instant::now() + self.jittered();
            tokio::select! {
                // Cancel-safe: a request is either received or still in the channel.
                request = self.refreshes.recv() => match request {
                    Some(done) => waiting.push(done),
                    None => return,
                },
                // Cancel-safe: a timer.
                () = sleep_until(next_poll) => {}
            }
            // All that asked by now are answered by the one fetch that begins after them.
            while let Ok(done) = self.refreshes.try_recv() {
                waiting.push(done);
            }
        }
    }

    /// The Git host may be down; what was fetched before serves until it is back.
    async fn begin_with_what_is_on_disk(&self) {
        match self.mirror.refs().await {
            Ok(refs) if !refs.is_empty() => {
                let refs = Some(Arc::new(refs));
                self.state.send_replace(Arc::new(RepositoryState { refs, ..Default::default() }));
            }
            Ok(_) => {}
            Err(error) => warn!(url = self.url, error = %Chain(&error), "the mirror is unreadable"),
        }
    }

    /// Looks at the Git host once; whether the state changed in a way that matters to anybody.
    async fn fetch(&self) -> bool {
        let before = Arc::clone(&self.state.borrow());
        let deadline = Instant::now() + FETCH_WITHIN;
        let fetched = self.mirror.fetch(&self.remote, deadline, before.refs.as_deref()).await;
        let now = SystemTime::now();
        let (state, moved) = match &fetched {
            Ok(fetched) => {
                let refs = match &before.refs {
                    Some(refs) if !fetched.changed => Arc::clone(refs),
                    _ => Arc::new(fetched.refs.clone()),
                };
                let moved = fetched.changed || before.refs.is_none() || before.failure.is_some();
                (RepositoryState { refs: Some(refs), fetched_at: Some(now), failure: None }, moved)
            }
            Err(error) => {
                let message = Chain(error).to_string();
                warn!(url = self.url, error = message, "the Git host cannot be reached");
                let since = before.failure.as_ref().map_or(now, |(_, since)| *since);
                let moved = before.failure.as_ref().is_none_or(|(known, _)| *known != message);
                let failure = Some((message, since));
                (RepositoryState { failure, ..before.as_ref().clone() }, moved)
            }
        };
        self.state.send_replace(Arc::new(state));
        if fetched.is_ok_and(|fetched| fetched.wants_maintenance()) {
            self.maintain().await;
        }
        moved
    }

    async fn maintain(&self) {
        match self.mirror.maintain(Instant::now() + MAINTAIN_WITHIN).await {
            Ok(done) => info!(
                url = self.url,
                before = done.packs_before,
                after = done.packs_after,
                "packs consolidated"
            ),
            Err(error) => warn!(url = self.url, error = %Chain(&error), "packs not consolidated"),
        }
    }

    /// The poll interval, spread by up to a tenth so that many repositories at one Git host are not
    /// asked in the same moment for ever.
    fn jittered(&self) -> Duration {
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        self.poll + self.poll / 10 * (nanos % 1000) / 1000
    }
}
