//! The `git` command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Set for every `git` here: nothing of the user's configuration, no question on the terminal, and
/// one author, so that a commit does not depend on who runs the test.
pub(super) const ENVIRONMENT: [(&str, &str); 9] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_AUTHOR_NAME", "Fyr Test"),
    ("GIT_AUTHOR_EMAIL", "test@fyr.invalid"),
    ("GIT_COMMITTER_NAME", "Fyr Test"),
    ("GIT_COMMITTER_EMAIL", "test@fyr.invalid"),
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
];

/// Inherited variables that would point `git` at another repository, as inside a Git hook.
const INHERITED: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
];

/// A `git` command failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It cannot be started.
    #[error("cannot run git in {}", folder.display())]
    Run {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It said no.
    #[error("git {arguments} in {} ended ({status}): {output}", folder.display())]
    Failed {
        /// Its arguments.
        arguments: String,
        /// Where it ran.
        folder: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// A file of the clone cannot be written or removed.
    #[error("cannot change {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a `git` client needs to be let in by a server: environment variables. The default lets it
/// in nowhere but at `file:` URLs.
#[derive(Clone, Debug, Default)]
pub struct GitAccess {
    variables: Vec<(&'static str, String)>,
}

impl GitAccess {
    pub(super) fn new(variables: Vec<(&'static str, String)>) -> Self {
        Self { variables }
    }

    /// The variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// `git` in `folder`, with the environment that every test has.
pub(super) fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for name in INHERITED {
        command.env_remove(name);
    }
    command.current_dir(folder).envs(ENVIRONMENT).stdin(Stdio::null());
    command
}

/// Runs `git` in `folder` and returns what it printed, without the white space around it.
pub(super) fn run_git<S: AsRef<OsStr>>(
    folder: &Path,
    access: &GitAccess,
    arguments: &[S],
) -> Result<String, GitError> {
    let output = git(folder)
        .envs(access.variables())
        .args(arguments)
        .output()
        .map_err(|source| GitError::Run { folder: folder.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let arguments: Vec<_> = arguments.iter().map(|it| it.as_ref().to_string_lossy()).collect();
    Err(GitError::Failed {
        arguments: arguments.join(" "),
        folder: folder.to_owned(),
        status: output.status,
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
