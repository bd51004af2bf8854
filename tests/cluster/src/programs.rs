//! Finds the programs of a control plane.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

/// Names a folder that holds the programs, in place of building them.
const FOLDER_VARIABLE: &str = "FYR_TEST_PROGRAMS";
/// Builds the programs and prints their folder.
const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build");

/// The programs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The folder named by `FYR_TEST_PROGRAMS` lacks one of them.
    #[error("{FOLDER_VARIABLE} is {}, which has no {name}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file looked for.
        name: &'static str,
    },
    /// The build cannot be started.
    #[error("cannot run {BUILD}")]
    Run(#[source] std::io::Error),
    /// The build failed.
    #[error("{BUILD} ended ({status}); it said why on stderr")]
    Build {
        /// How it ended.
        status: ExitStatus,
    },
}

/// The folder with `control-plane`, `kwok` and `stages.yaml`.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Takes the folder that `FYR_TEST_PROGRAMS` names, or runs `tests/cluster/build`, which takes
    /// minutes the first time on a machine. Blocks; the answer is kept for the process.
    pub fn find() -> Result<Self, ProgramsError> {
        static FOUND: Mutex<Option<PathBuf>> = Mutex::new(None);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match found.as_ref() {
            Some(folder) => folder.clone(),
            None => found.insert(locate()?).clone(),
        };
        Ok(Self { folder })
    }

    /// etcd, API server, controller manager and scheduler in one program.
    pub(crate) fn control_plane(&self) -> PathBuf {
        self.folder.join("control-plane")
    }

    /// The stand-in for kubelets.
    pub(crate) fn kwok(&self) -> PathBuf {
        self.folder.join("kwok")
    }

    /// What kwok does with nodes and pods.
    pub(crate) fn stages(&self) -> PathBuf {
        self.folder.join("stages.yaml")
    }
}

fn locate() -> Result<PathBuf, ProgramsError> {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE) {
        let folder = PathBuf::from(folder);
        for name in ["control-plane", "kwok", "stages.yaml"] {
            if !folder.join(name).exists() {
                return Err(ProgramsError::Missing { folder, name });
            }
        }
        return Ok(folder);
    }
    // Its progress is for whoever waits for it.
    let mut command = Command::new(BUILD);
    let built = command.stderr(Stdio::inherit()).output().map_err(ProgramsError::Run)?;
    if !built.status.success() {
        return Err(ProgramsError::Build { status: built.status });
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&built.stdout).trim()))
}
