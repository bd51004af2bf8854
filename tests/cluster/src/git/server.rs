//! What the Git servers have in common: a folder of bare repositories.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::command::{GitAccess, GitError, run_git};
use crate::authority::CertificateError;
use crate::folder::{Folder, FolderError};
use crate::port::PortError;
use crate::process::ProcessError;

/// A Git server could not be started, or a repository not made.
#[derive(Debug, thiserror::Error)]
pub enum GitServerError {
    /// Its folder cannot be used.
    #[error("no folder for the Git server")]
    Folder(#[from] FolderError),
    /// No port.
    #[error("no port for the Git server")]
    Port(#[from] PortError),
    /// No certificate.
    #[error("no certificate for the Git server")]
    Certificate(#[from] CertificateError),
    /// Its own certificate does not work.
    #[error("the Git server cannot use its certificate")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The program cannot be started.
    #[error("the Git server did not start")]
    Process(#[from] ProcessError),
    /// A tool that prepares it cannot be run.
    #[error("cannot run {program}")]
    Tool {
        /// The tool.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A tool that prepares it failed.
    #[error("{program} ended ({status}): {output}")]
    ToolFailed {
        /// The tool.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// It cannot listen.
    #[error("the Git server cannot listen on {address}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It ended at once.
    #[error("the Git server ended ({status}); its log ends with:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It does not accept connections.
    #[error(
        "the Git server does not accept connections after {waited:?}; its log ends with:\n{log}"
    )]
    NotReady {
        /// How long it was given.
        waited: Duration,
        /// The end of its log.
        log: String,
    },
    /// A repository cannot be made.
    #[error("no repository on the Git server")]
    Git(#[from] GitError),
}

/// The bare repositories of a server.
#[derive(Debug)]
pub(super) struct Repositories {
    path: PathBuf,
}

impl Repositories {
    /// Takes up those in `folder`, if there are any.
    pub(super) fn open(folder: &Folder) -> Result<Self, FolderError> {
        Ok(Self { path: folder.make("repositories")? })
    }

    /// The folder they are in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the repository `name`.
    pub(super) fn repository(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the repository `name` with the default branch `main`; leaves one that exists.
    pub(super) fn create(&self, name: &str) -> Result<(), GitError> {
        let access = GitAccess::default();
        run_git(
            &self.path,
            &access,
            &["init", "--quiet", "--bare", "--initial-branch=main", name],
        )?;
        // Off by default; who may push is decided by who may connect.
        let path = self.repository(name);
        run_git(&path, &access, &["config", "http.receivepack", "true"]).map(drop)
    }
}
