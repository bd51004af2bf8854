//! Reads a folder of this machine as the renderer wants it: as a tree of files with a root.
//!
//! A kustomization may refer to folders beside and above its own. What its file mentions is read,
//! and what that mentions, and so on; nothing else, so that a large folder around it costs nothing.
//! Of a folder without a kustomization its own files are read.
//!
//! The root is that of the Git repository around the folder, which is never left; without one it
//! is the lowest folder above everything that is read.

mod reading;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fyr_model::{SourceTree, SourceTreeError, TreeLimits};

use self::reading::Reading;

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// It is not there, or is no folder.
    #[error("{} is not a folder", path.display())]
    NotAFolder { path: PathBuf },
    /// Something in it cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It holds too many files.
    #[error("there are more than {max} files below {}", path.display())]
    TooManyFiles { path: PathBuf, max: u32 },
    /// It holds too much.
    #[error("there are more than {max} bytes below {}", path.display())]
    TooManyBytes { path: PathBuf, max: u64 },
    /// Its folders are nested too deeply.
    #[error("folders are nested more than {max} deep at {}", path.display())]
    TooDeep { path: PathBuf, max: u32 },
    /// A name is not text.
    #[error("{} is not a name of text", path.display())]
    Name { path: PathBuf },
    /// A path that cannot be in a source tree.
    #[error("{} cannot be used", path.display())]
    Path { path: PathBuf, source: SourceTreeError },
}

/// A folder as a tree.
#[derive(Debug)]
pub(crate) struct SourceFolder {
    /// The files.
    pub(crate) tree: SourceTree,
    /// The folder in it.
    pub(crate) path: String,
}

/// What of a folder is wanted beside what its kustomization refers to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent<'a> {
    /// Everything below it.
    pub(crate) deep: bool,
    /// What Argo CD adds to the source of this Application.
    pub(crate) application: Option<&'a str>,
}

/// Reads a folder and what it refers to.
pub(crate) fn read(
    folder: &Path,
    extent: Extent<'_>,
    limits: TreeLimits,
) -> Result<SourceFolder, FolderError> {
    let not_a_folder = || FolderError::NotAFolder { path: folder.to_owned() };
    let start = fs::canonicalize(folder).map_err(|_| not_a_folder())?;
    if !start.is_dir() {
        return Err(not_a_folder());
    }
    let repository = start.ancestors().find(|above| above.join(".git").exists());
    let mut reading = Reading::new(limits, repository.map(Path::to_owned));
    reading.start(&start, extent)?;
    reading.into_folder(&start)
}
