//! A local copy of one repository, and all that is done with it.
//!
//! Every operation is a call of a worker under a deadline; nothing here blocks the runtime, and this
//! process never opens a pack. Writers exclude each other by a lock in the folder, which a fetch takes
//! only once the Git host has said what it has: a host that does not answer keeps nobody from pinning
//! or reading. Readers wait for nobody but the consolidation of packs and [`Mirror::discard`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fyr_model::{
    CommitId, File, Hasher, Plaintext, Revision, SourceTree, SourceTreeError, TreeLimits,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::classify;
use crate::error::{FetchError, MirrorError, ReadError, Said, WorkerError};
use crate::process::{CallFolder, Called, OnEntry, Workers, private_folder};
use crate::refs::{MirrorRefs, RemoteRefs};
use crate::remote::{Credentials, Remote};
use crate::resolve::SHORT_ID_DIGITS_MIN;
use crate::wire::{
    Connection, Login, Operation, PATH_BYTES_MAX, ReadScope, Reply, Request, SharedSsh, SshFiles,
    TAG_FILE, TAG_LINK, TAG_SUBMODULE, TAG_TOO_LARGE, split_entry, split_file,
};

/// Packs beyond which [`Fetched::wants_maintenance`]. Reading is three times slower at a thousand;
/// consolidating costs a rewrite of everything.
pub const PACKS_MAX: u32 = 30;

/// Readers of one mirror at a time; more than there are workers.
const READERS_MAX: u32 = 64;

/// Longest name of a pin, in bytes; its reference's name is up to three times as long.
const PIN_BYTES_MAX: usize = 200;

/// A mirror. Cheap to clone; opened once for each folder.
#[derive(Clone, Debug)]
pub struct Mirror {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    workers: Workers,
    readers: Semaphore,
}

/// What a fetch found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetched {
    /// Branches and tags, as of now.
    pub refs: RemoteRefs,
    /// Whether they differ from those the caller knew, or, if it knew none, from the mirror's.
    pub changed: bool,
    /// Objects received.
    pub objects: u32,
    /// Packs the mirror consists of.
    pub packs: u32,
}

impl Fetched {
    /// Name of the branch that `HEAD` points to at the Git host.
    pub fn default_branch(&self) -> Option<&str> {
        self.refs.default_branch.as_deref()
    }

    /// Whether it is time for [`Mirror::maintain`].
    pub fn wants_maintenance(&self) -> bool {
        self.packs > PACKS_MAX
    }
}

/// What maintenance did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Maintained {
    /// Packs before.
    pub packs_before: u32,
    /// Packs after.
    pub packs_after: u32,
}

impl Mirror {
    /// Takes a folder as a mirror; it is made if it does not exist, and filled by the first fetch.
    pub async fn open_or_create(
        folder: impl Into<PathBuf>,
        workers: &Workers,
    ) -> Result<Self, MirrorError> {
        let folder = folder.into();
        let made = private_folder(&folder).await;
        made.map_err(|source| MirrorError::Folder { folder: folder.clone(), source })?;
        let readers = Semaphore::new(usize_of(READERS_MAX));
        let workers = workers.clone();
        Ok(Self { shared: Arc::new(Shared { folder, workers, readers }) })
    }

    /// The mirror's folder.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Lists what the Git host has, without fetching anything: the cheap poll.
    pub async fn list_refs(
        &self,
        remote: &Remote,
        deadline: Instant,
    ) -> Result<RemoteRefs, FetchError> {
        match self.ask(remote, deadline, Operation::ListRefs).await? {
            Reply::Refs(refs) => Ok(refs),
            _ => Err(nonsense(remote)),
        }
    }

    /// Brings the mirror to the state of the Git host, over one connection. Receives a pack only if
    /// there is something new; forgets what is gone there. All references change at once.
    pub async fn fetch(
        &self,
        remote: &Remote,
        deadline: Instant,
        known: Option<&RemoteRefs>,
    ) -> Result<Fetched, FetchError> {
        match self.ask(remote, deadline, Operation::Fetch).await? {
            Reply::Fetched { refs, changed, objects, packs } => {
                let changed = known.map_or(changed, |known| *known != refs);
                Ok(Fetched { refs, changed, objects, packs })
            }
            _ => Err(nonsense(remote)),
        }
    }

    /// The branches and tags of the last fetch, whoever made it. Asks no Git host.
    pub async fn refs(&self) -> Result<RemoteRefs, MirrorError> {
        self.kept().await.map(|refs| refs.remote)
    }

    /// The pinned commits, by the name of their pin.
    pub async fn pins(&self) -> Result<BTreeMap<String, CommitId>, MirrorError> {
        self.kept().await.map(|refs| refs.pins)
    }

    /// Keeps `commit` and all it leads to in the mirror, under a name of the caller's, until
    /// [`Mirror::unpin`] or another commit takes the name. Maintenance does not remove it, whatever
    /// happens to branches and tags.
    pub async fn pin(
        &self,
        commit: &CommitId,
        name: &str,
        deadline: Instant,
    ) -> Result<(), MirrorError> {
        let name = name.to_owned();
        if name.is_empty() || name.len() > PIN_BYTES_MAX {
            return Err(MirrorError::BadPin { name });
        }
        self.write(Operation::Pin { name, commit: commit.clone() }, deadline).await.map(drop)
    }

    /// Takes a pin away; one that is not there is fine.
    pub async fn unpin(&self, name: &str, deadline: Instant) -> Result<(), MirrorError> {
        self.write(Operation::Unpin { name: name.to_owned() }, deadline).await.map(drop)
    }

    /// Makes one pack of all once there are more than [`PACKS_MAX`], without what neither branch,
    /// tag nor pin leads to. Waits until nobody reads.
    pub async fn maintain(&self, deadline: Instant) -> Result<Maintained, MirrorError> {
        let _alone = self.wait(READERS_MAX, deadline).await?;
        match self.write(Operation::Maintain { packs_max: PACKS_MAX }, deadline).await? {
            Reply::Maintained { packs_before, packs_after } => {
                Ok(Maintained { packs_before, packs_after })
            }
            _ => Err(self.worker_error(WorkerError::Nonsense)),
        }
    }

    /// Empties the mirror, pins included, for a damaged one or one of a replaced repository.
    pub async fn discard(&self, deadline: Instant) -> Result<(), MirrorError> {
        let _alone = self.wait(READERS_MAX, deadline).await?;
        self.write(Operation::Discard, deadline).await.map(drop)
    }

    /// Reads the files of a commit into memory. Every object is checked against its id.
    pub async fn read(
        &self,
        commit: &CommitId,
        limits: TreeLimits,
        scope: &ReadScope,
        deadline: Instant,
    ) -> Result<SourceTree, ReadError> {
        let mut tree = SourceTree::default();
        let mut refused: Option<SourceTreeError> = None;
        let mut bytes_left = limits.bytes_max;
        let mut take = |tag: u8, payload: &[u8]| {
            let Some((path, content)) = split_entry(payload) else { return false };
            let Some(inserted) = insert(&mut tree, path, tag, content) else { return false };
            // The worker goes on; of several files that are refused the first is reported.
            refused = refused.take().or(inserted.err());
            // The worker keeps the limits; this is for one that something took over.
            let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
            let left = bytes_left.saturating_add(ENTRY_BYTES_EXTRA).checked_sub(length);
            bytes_left = left.map_or(0, |left| left.min(bytes_left));
            left.is_some() && usize_of(limits.files_max) >= tree.len()
        };
        let operation = Operation::Read { commit: commit.clone(), limits, scope: scope.clone() };
        let entry_bytes_max = limits.file_bytes_max.saturating_add(ENTRY_BYTES_EXTRA);
        let reply =
            self.look(operation, commit.as_str(), deadline, entry_bytes_max, &mut take).await?;
        match (reply, refused) {
            (_, Some(source)) => Err(ReadError::Tree { commit: commit.clone(), source }),
            (Reply::Done, None) => Ok(tree),
            _ => Err(self.read_nonsense()),
        }
    }

    /// Says what a commit is. The id of a tag object gives the commit it points to.
    pub async fn commit_info(
        &self,
        commit: &CommitId,
        deadline: Instant,
    ) -> Result<Revision, ReadError> {
        let operation = Operation::CommitInfo { commit: commit.clone() };
        match self.look(operation, commit.as_str(), deadline, 0, &mut |_, _| false).await? {
            Reply::Revision(revision) => Ok(revision),
            _ => Err(self.read_nonsense()),
        }
    }

    /// Finds the one commit whose id begins with `prefix`, 7 hexadecimal digits or more.
    pub async fn find_by_prefix(
        &self,
        prefix: &str,
        deadline: Instant,
    ) -> Result<CommitId, ReadError> {
        let is_digits = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digits || !(SHORT_ID_DIGITS_MIN..=64).contains(&prefix.len()) {
            return Err(ReadError::BadPrefix { prefix: prefix.to_owned() });
        }
        let operation = Operation::FindByPrefix { prefix: prefix.to_ascii_lowercase() };
        match self.look(operation, prefix, deadline, 0, &mut |_, _| false).await? {
            Reply::Commit(commit) => Ok(commit),
            _ => Err(self.read_nonsense()),
        }
    }

    /// Asks a Git host by way of a worker.
    async fn ask(
        &self,
        remote: &Remote,
        deadline: Instant,
        operation: fn(Connection) -> Operation,
    ) -> Result<Reply, FetchError> {
        let address = || remote.address.clone();
        let worker = |source| match source {
            WorkerError::TimedOut { after } => FetchError::TimedOut { address: address(), after },
            source => FetchError::Worker { address: address(), source },
        };
        let files = self.call_files(remote).await.map_err(worker)?;
        let (connection, secrets) = connection(remote, files.ssh);
        let socket = connection.ssh.as_ref().and_then(|ssh| ssh.shared.as_ref());
        let socket = socket.map(|shared| shared.socket.clone());
        let request = self.request(operation(connection), secrets.len());
        let call = self.workers().call(&request, &secrets, deadline, 0, &mut |_, _| false).await;
        let folder = self.folder();
        let reply = call.map_err(worker).and_then(|Called { result, stderr }| {
            result.map_err(|failure| classify::fetch_error(&address(), folder, failure, &stderr))
        });
        if let (Err(error), Some(socket)) = (&reply, socket)
            && error.is_of_the_connection()
        {
            // Perhaps the shared connection is what is broken: the next fetch makes a new one.
            let _ = tokio::fs::remove_file(socket).await;
        }
        reply
    }

    /// Writes the files that ssh needs. They are gone when the answer is dropped.
    async fn call_files(&self, remote: &Remote) -> Result<CallFiles, WorkerError> {
        let Credentials::SshKey(key) = &remote.options.credentials else {
            return Ok(CallFiles { ssh: None, _folder: None });
        };
        let known_hosts = remote.options.known_hosts.as_deref().unwrap_or_default();
        let folder = self.workers().call_folder();
        let identity = folder.write("identity", key_file(key).as_bytes()).await?;
        let known = folder.write("known_hosts", lines(known_hosts).as_bytes()).await?;
        let config = self.workers().config();
        let shared = if config.ssh_idle < Duration::from_secs(1) {
            None
        } else {
            let socket = self.workers().socket(&connection_name(remote, key, known_hosts));
            if let Some(folder) = socket.parent() {
                private_folder(folder).await.map_err(WorkerError::Talk)?;
            }
            Some(SharedSsh { socket, idle_seconds: config.ssh_idle.as_secs() })
        };
        let ssh = SshFiles {
            program: config.ssh_program.clone(),
            folder: folder.path().to_owned(),
            identity,
            known_hosts: known,
            shared,
        };
        Ok(CallFiles { ssh: Some(ssh), _folder: Some(folder) })
    }

    fn workers(&self) -> &Workers {
        &self.shared.workers
    }

    fn request(&self, operation: Operation, secrets: usize) -> Request {
        Request {
            mirror: self.shared.folder.clone(),
            limits: self.workers().config().limits,
            operation,
            // There are at most two.
            secrets: u8::try_from(secrets).unwrap_or(u8::MAX),
        }
    }

    async fn kept(&self) -> Result<MirrorRefs, MirrorError> {
        let folder = self.shared.folder.clone();
        let read = tokio::task::spawn_blocking(move || crate::worker::read_refs(&folder)).await;
        let crashed = |_| self.worker_error(WorkerError::Crashed(Said(String::new())));
        read.map_err(crashed)?.map_err(|failure| classify::mirror_error(self.folder(), failure))
    }

    async fn write(&self, operation: Operation, deadline: Instant) -> Result<Reply, MirrorError> {
        let request = self.request(operation, 0);
        let call = self.workers().call(&request, &[], deadline, 0, &mut |_, _| false).await;
        let Called { result, .. } = call.map_err(|error| self.worker_error(error))?;
        result.map_err(|failure| classify::mirror_error(self.folder(), failure))
    }

    /// Reads by way of a worker. `asked` is the commit, or the beginning of its id.
    async fn look(
        &self,
        operation: Operation,
        asked: &str,
        deadline: Instant,
        entry_bytes_max: u64,
        on_entry: OnEntry<'_>,
    ) -> Result<Reply, ReadError> {
        let folder = || self.shared.folder.clone();
        let worker = |source| ReadError::Worker { folder: folder(), source };
        let reader = self.wait(1, deadline).await;
        let _reader = reader.map_err(|error| ReadError::Mirror(Box::new(error)))?;
        let request = self.request(operation, 0);
        let call = self.workers().call(&request, &[], deadline, entry_bytes_max, on_entry).await;
        let Called { result, .. } = call.map_err(worker)?;
        result.map_err(|failure| classify::read_error(self.folder(), asked, failure))
    }

    /// Waits for a place among the readers, or for all of them.
    async fn wait(
        &self,
        permits: u32,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, MirrorError> {
        let begun = Instant::now();
        let permit = timeout_at(deadline, self.shared.readers.acquire_many(permits)).await;
        let late = |_| self.worker_error(WorkerError::TimedOut { after: begun.elapsed() });
        // The semaphore is never closed.
        permit.map_err(late)?.map_err(|_| self.worker_error(WorkerError::Nonsense))
    }

    fn worker_error(&self, source: WorkerError) -> MirrorError {
        MirrorError::Worker { folder: self.shared.folder.clone(), source }
    }

    fn read_nonsense(&self) -> ReadError {
        ReadError::Worker { folder: self.shared.folder.clone(), source: WorkerError::Nonsense }
    }
}

/// Bytes of an entry frame beside the file's content: the path with its length, the id with its.
const ENTRY_BYTES_EXTRA: u64 = 2 + 4096 + 1 + 32;
const _: () = assert!(PATH_BYTES_MAX == 4096, "the line above has the same number");

struct CallFiles {
    ssh: Option<SshFiles>,
    _folder: Option<CallFolder>,
}

/// Adds what an entry frame holds; `None` if it makes no sense.
fn insert(
    tree: &mut SourceTree,
    path: &str,
    tag: u8,
    content: &[u8],
) -> Option<Result<(), SourceTreeError>> {
    let file = match tag {
        TAG_FILE => {
            let (id, bytes) = split_file(content)?;
            return Some(tree.insert_blob(path, bytes, id));
        }
        TAG_LINK => File::Link(String::from_utf8(content.to_vec()).ok()?),
        TAG_TOO_LARGE => File::TooLarge { bytes: u64::from_be_bytes(content.try_into().ok()?) },
        TAG_SUBMODULE => File::Submodule,
        _ => return None,
    };
    Some(tree.insert(path, file))
}

/// What a worker is told about a connection, and the secrets that go with it.
fn connection(remote: &Remote, ssh: Option<SshFiles>) -> (Connection, Vec<&Plaintext>) {
    let options = &remote.options;
    let (login, secret) = match &options.credentials {
        Credentials::Basic { password, .. } => {
            let user = remote.basic_user().unwrap_or_default().to_owned();
            (Login::Basic { user }, Some(password))
        }
        Credentials::Bearer(token) => (Login::Bearer, Some(token)),
        Credentials::None | Credentials::SshKey(_) => (Login::Nobody, None),
    };
    let connection = Connection {
        address: remote.address.clone(),
        login,
        ca_pem: options.ca_pem.clone(),
        insecure: options.insecure,
        proxy: options.proxy.is_some(),
        ssh,
    };
    (connection, secret.into_iter().chain(&options.proxy).collect())
}

/// A private key as ssh takes it: Unix line ends, one at the end as well.
fn key_file(key: &Plaintext) -> Zeroizing<String> {
    lines(key.expose_text().unwrap_or_default())
}

fn lines(text: &str) -> Zeroizing<String> {
    // With room for the last line's end, so that no copy is left behind.
    let mut out = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.trim_end().lines() {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Names the shared connection of a remote. Other credentials have another connection, so that a
/// key that was taken away opens nothing any more.
fn connection_name(remote: &Remote, key: &Plaintext, known_hosts: &str) -> String {
    let mut hasher = Hasher::default();
    hasher.field(remote.address.to_string().as_bytes());
    hasher.field(key.expose());
    hasher.field(known_hosts.as_bytes());
    hasher.finish().short()
}

fn nonsense(remote: &Remote) -> FetchError {
    FetchError::Worker { address: remote.address.clone(), source: WorkerError::Nonsense }
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
