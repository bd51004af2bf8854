//! A working clone.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::command::{GitAccess, GitError, run_git};

/// A clone in a temporary folder, with one fixed author.
///
/// Its calls block: they run `git`. The servers of this crate run on threads of their own, so they
/// answer even when the caller is their test's only thread.
#[derive(Debug)]
pub struct Repository {
    folder: TempDir,
    access: GitAccess,
}

impl Repository {
    /// Makes an empty repository, on branch `main`, that will push to `url`.
    pub fn create(url: &str, access: GitAccess) -> Result<Self, GitError> {
        let repository = Self { folder: temporary_folder()?, access };
        repository.git(["init", "--quiet", "--initial-branch=main"])?;
        repository.git(["remote", "add", "origin", url])?;
        Ok(repository)
    }

    /// Clones `url`.
    pub fn clone_from(url: &str, access: GitAccess) -> Result<Self, GitError> {
        let repository = Self { folder: temporary_folder()?, access };
        repository.git(["clone", "--quiet", url, "."])?;
        Ok(repository)
    }

    /// The folder of the clone.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<(), GitError> {
        self.place(path, |file| fs::write(file, content.as_ref()))
    }

    /// Makes a symbolic link at `path` to `target`, which need not be there.
    pub fn link(&self, path: &str, target: &str) -> Result<(), GitError> {
        self.place(path, |file| symlink(target, file))
    }

    /// Copies all that is in `folder` to `path` (empty for the top).
    pub fn copy_from(&self, folder: &Path, path: &str) -> Result<(), GitError> {
        let file_error = |source| GitError::File { path: folder.to_owned(), source };
        for entry in fs::read_dir(folder).map_err(file_error)? {
            let entry = entry.map_err(file_error)?;
            let name = entry.file_name();
            let inner = Path::new(path).join(&name);
            let inner = inner.to_string_lossy();
            if entry.file_type().map_err(file_error)?.is_dir() {
                self.copy_from(&entry.path(), &inner)?;
            } else {
                self.place(&inner, |file| fs::copy(entry.path(), file).map(drop))?;
            }
        }
        Ok(())
    }

    /// Removes a file, or a folder with all in it.
    pub fn remove(&self, path: &str) -> Result<(), GitError> {
        let path = self.path().join(path);
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(|source| GitError::File { path, source })
    }

    /// Commits all changes, or an empty commit if there are none, and returns its full id.
    pub fn commit(&self, message: &str) -> Result<String, GitError> {
        self.git(["add", "--all"])?;
        self.git(["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.head()
    }

    /// The full id of the commit that is checked out.
    pub fn head(&self) -> Result<String, GitError> {
        self.git(["rev-parse", "HEAD"])
    }

    /// Makes branch `name` at the commit that is checked out, or moves it there, and checks it out.
    pub fn branch(&self, name: &str) -> Result<(), GitError> {
        self.git(["checkout", "--quiet", "-B", name]).map(drop)
    }

    /// Checks out a branch, a tag or a commit, throwing changes away.
    pub fn checkout(&self, revision: &str) -> Result<(), GitError> {
        self.git(["checkout", "--quiet", "--force", revision]).map(drop)
    }

    /// Makes the lightweight tag `name` at the commit that is checked out, or moves it there.
    pub fn tag(&self, name: &str) -> Result<(), GitError> {
        self.git(["tag", "--force", name]).map(drop)
    }

    /// Makes the server's branches and tags those of this clone: moved ones are forced, missing
    /// ones deleted.
    pub fn push(&self) -> Result<(), GitError> {
        let branches = "refs/heads/*:refs/heads/*";
        let tags = "refs/tags/*:refs/tags/*";
        self.git(["push", "--quiet", "--force", "--prune", "origin", branches, tags]).map(drop)
    }

    /// Writes one file, commits and pushes: the commit's full id.
    pub fn publish(
        &self,
        path: &str,
        content: impl AsRef<[u8]>,
        message: &str,
    ) -> Result<String, GitError> {
        self.write(path, content)?;
        let commit = self.commit(message)?;
        self.push()?;
        Ok(commit)
    }

    /// Runs any `git` command in the clone and returns what it printed.
    pub fn git<const COUNT: usize>(&self, arguments: [&str; COUNT]) -> Result<String, GitError> {
        run_git(self.path(), &self.access, &arguments)
    }

    fn place(
        &self,
        path: &str,
        make: impl FnOnce(&PathBuf) -> io::Result<()>,
    ) -> Result<(), GitError> {
        let path = self.path().join(path);
        let folder = path.parent().map_or_else(|| self.path().to_owned(), Path::to_owned);
        fs::create_dir_all(folder)
            .and_then(|()| make(&path))
            .map_err(|source| GitError::File { path, source })
    }
}

fn temporary_folder() -> Result<TempDir, GitError> {
    tempfile::Builder::new()
        .prefix("fyr-test-clone-")
        .tempdir()
        .map_err(|source| GitError::File { path: std::env::temp_dir(), source })
}
