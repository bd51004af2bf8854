//! What can go wrong with a mirror, in words that say what to do.

use std::path::PathBuf;
use std::time::Duration;

use fyr_model::{Blame, CommitId, SourceTreeError};

use crate::address::Address;

/// What the other side, or a library on the way to it, said.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Said(pub String);

/// A worker that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The daemon's own executable could not be started.
    #[error("cannot start a Git worker from {}", program.display())]
    Start {
        /// The executable.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The files or pipes between daemon and worker.
    #[error("cannot talk to a Git worker")]
    Talk(#[source] std::io::Error),
    /// It was killed at the deadline.
    #[error("the deadline passed after {} ms; the Git worker was killed", after.as_millis())]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// The kernel ended it.
    #[error("the Git worker was ended by the kernel: {meaning}")]
    Killed {
        /// What the signal means here.
        meaning: &'static str,
        /// Its last words.
        source: Said,
    },
    /// It ended by itself without an answer.
    #[error("the Git worker ended without an answer")]
    Crashed(#[source] Said),
    /// It answered something else than was asked for.
    #[error("the Git worker gave an answer that makes no sense")]
    Nonsense,
}

impl WorkerError {
    /// Always the world's: no commit makes a worker end like this twice, except by its size.
    pub fn blame(&self) -> Blame {
        Blame::Outside
    }
}

/// A mirror's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The folder could not be made or read.
    #[error("cannot use {} as a mirror", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its content is damaged.
    #[error(
        "the mirror in {} is damaged; discarding it makes the next fetch start afresh",
        folder.display()
    )]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What was found.
        source: Said,
    },
    /// A pin without a name, or with too long a one.
    #[error("a pin's name has 1 to 200 bytes, {name:?} has {}", name.len())]
    BadPin {
        /// The name.
        name: String,
    },
    /// The commit to pin is not there.
    #[error("commit {commit} is not in the mirror")]
    NoSuchCommit {
        /// The commit.
        commit: String,
    },
    /// The worker.
    #[error("the mirror in {} could not be worked on", folder.display())]
    Worker {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: WorkerError,
    },
}

/// References or objects that could not be had from a Git host.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host does not take our credentials.
    #[error(
        "{address} refused our credentials; check the key or token in its repository Secret, and \
         that it may read this repository"
    )]
    AuthenticationRefused {
        /// The repository.
        address: Address,
        /// What the host said.
        source: Said,
    },
    /// The host has another key than the known ones.
    #[error(
        "the host key of {address} is not the known one: its key was changed, or somebody is in \
         between; compare it with what the host publishes before changing the known hosts"
    )]
    HostKeyChanged {
        /// The repository.
        address: Address,
        /// What ssh said.
        source: Said,
    },
    /// No key is known for the host.
    #[error(
        "no host key is known for {address}; add the output of ssh-keyscan, once compared with \
         what the host publishes, to the known hosts of the repository"
    )]
    HostKeyUnknown {
        /// The repository.
        address: Address,
        /// What ssh said.
        source: Said,
    },
    /// The host's certificate does not convince us.
    #[error(
        "{address} has a certificate that is not trusted here; if it is from an own authority, add \
         that authority's certificate to the repository"
    )]
    Tls {
        /// The repository.
        address: Address,
        /// What TLS said.
        source: Said,
    },
    /// There is no such repository, or we may not know of it.
    #[error(
        "{address} does not exist, or our credentials may not see it; check the address, then the \
         permissions of the key or token"
    )]
    NotFound {
        /// The repository.
        address: Address,
        /// What the host said.
        source: Said,
    },
    /// No connection.
    #[error("{address} cannot be reached; it is tried again")]
    Unreachable {
        /// The repository.
        address: Address,
        /// What was said.
        source: Said,
    },
    /// The host did not answer in time.
    #[error("{address} did not answer within {} ms; it is tried again", after.as_millis())]
    TimedOut {
        /// The repository.
        address: Address,
        /// How long it was waited for.
        after: Duration,
    },
    /// More than a limit allows.
    #[error("{address} is over the limit of {max} {what}")]
    OverLimit {
        /// The repository.
        address: Address,
        /// What is limited.
        what: String,
        /// The limit.
        max: u64,
    },
    /// The repository was replaced by one with ids of another kind.
    #[error("{address} has object ids of another kind than its mirror; discard the mirror")]
    OtherHash {
        /// The repository.
        address: Address,
        /// Both kinds.
        source: Said,
    },
    /// Anything else that went wrong on the way.
    #[error("fetching from {address} failed; it is tried again")]
    Transport {
        /// The repository.
        address: Address,
        /// What was said.
        source: Said,
    },
    /// The mirror.
    #[error("cannot store what {address} has")]
    Mirror {
        /// The repository.
        address: Address,
        /// Why.
        source: Box<MirrorError>,
    },
    /// The worker.
    #[error("fetching from {address} was cut short")]
    Worker {
        /// The repository.
        address: Address,
        /// Why.
        source: WorkerError,
    },
}

impl FetchError {
    /// Whether [`crate::Mirror::discard`] and another fetch mend it.
    pub fn is_damaged_mirror(&self) -> bool {
        match self {
            Self::OtherHash { .. } => true,
            Self::Mirror { source, .. } => matches!(**source, MirrorError::Damaged { .. }),
            _ => false,
        }
    }

    /// Whether another connection may fare better.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Transport { .. }
                | Self::Worker { .. }
        )
    }

    /// Whether trying again without a change is pointless.
    pub fn blame(&self) -> Blame {
        match self {
            Self::AuthenticationRefused { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyUnknown { .. }
            | Self::Tls { .. }
            | Self::NotFound { .. }
            | Self::OverLimit { .. }
            | Self::OtherHash { .. } => Blame::Input,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Transport { .. }
            | Self::Mirror { .. }
            | Self::Worker { .. } => Blame::Outside,
        }
    }
}

/// A commit that could not be read from a mirror.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither a branch nor a tag leads to it, or it does not exist.
    #[error(
        "commit {commit} is not in the mirror: it does not exist, or no branch or tag of the \
         repository leads to it"
    )]
    NoSuchCommit {
        /// The commit, or the beginning of its id.
        commit: String,
    },
    /// The id is of something else.
    #[error("{id} is a {kind} and not a commit")]
    NotACommit {
        /// The id.
        id: String,
        /// What it is.
        kind: String,
    },
    /// More than one commit begins like this.
    #[error("{prefix} is the beginning of several commits: {}", candidates.join(", "))]
    Ambiguous {
        /// The beginning.
        prefix: String,
        /// Some of the commits.
        candidates: Vec<String>,
    },
    /// The text is not the beginning of an id.
    #[error("{prefix:?} is not the beginning of a commit id: 7 or more hexadecimal digits")]
    BadPrefix {
        /// The text.
        prefix: String,
    },
    /// The tree breaks a limit.
    #[error("commit {commit} is over the limit of {max} {what}")]
    OverLimit {
        /// The commit.
        commit: CommitId,
        /// What is limited.
        what: String,
        /// The limit.
        max: u64,
    },
    /// A file with a name that no file may have.
    #[error("commit {commit} holds {path:?}, which is not a name of a file")]
    BadName {
        /// The commit.
        commit: CommitId,
        /// The path.
        path: String,
        /// What is wrong with it.
        source: Said,
    },
    /// A file that a source tree does not take, above all a link that leaves the repository.
    #[error("commit {commit} cannot be used")]
    Tree {
        /// The commit.
        commit: CommitId,
        /// Why.
        source: SourceTreeError,
    },
    /// An object is not what its id says: the mirror was tampered with, or its disk is failing.
    #[error("object {id} in {} is not what its id says; check the disk", folder.display())]
    Corrupt {
        /// The object.
        id: String,
        /// The mirror.
        folder: PathBuf,
        /// What it is instead.
        source: Said,
    },
    /// The mirror.
    #[error("cannot read from a mirror")]
    Mirror(#[source] Box<MirrorError>),
    /// The worker.
    #[error("reading from the mirror in {} was cut short", folder.display())]
    Worker {
        /// The mirror.
        folder: PathBuf,
        /// Why.
        source: WorkerError,
    },
}

impl ReadError {
    /// Whether trying again without a new commit is pointless.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NoSuchCommit { .. }
            | Self::NotACommit { .. }
            | Self::Ambiguous { .. }
            | Self::BadPrefix { .. }
            | Self::OverLimit { .. }
            | Self::BadName { .. }
            | Self::Tree { .. } => Blame::Input,
            Self::Corrupt { .. } | Self::Mirror(_) | Self::Worker { .. } => Blame::Outside,
        }
    }
}
