//! The files of one revision, read from Git objects and held in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How much of a repository is read for rendering. Repository content is untrusted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TreeLimits {
    /// Number of files.
    pub files_max: u32,
    /// Bytes of one file that is kept; a larger one is kept as [`File::TooLarge`].
    pub file_bytes_max: u64,
    /// Bytes of all kept files together.
    pub bytes_max: u64,
    /// Folders within folders.
    pub depth_max: u32,
}

impl TreeLimits {
    /// Bytes of one file that is read, unless somebody asks for less. Kubernetes refuses objects
    /// over 1.5 MiB, but the file that installs a whole operator holds many: the largest in
    /// common use have 6 MB.
    pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
}

impl Default for TreeLimits {
    /// Room for a monorepo of manifests. With 64 MiB of files a node with 1 GiB of memory can hold
    /// two trees while it renders.
    fn default() -> Self {
        Self {
            files_max: 50_000,
            file_bytes_max: Self::FILE_BYTES_MAX,
            bytes_max: 64 * 1024 * 1024,
            depth_max: 64,
        }
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum File {
    /// A regular file and its content.
    Bytes(Arc<[u8]>),
    /// A symbolic link that stays in the repository: its target as written in Git.
    Link(String),
    /// A symbolic link that leaves the repository: an error only for who needs it.
    LinkOutside(String),
    /// A file over [`TreeLimits::file_bytes_max`]: an error only for who needs it.
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// A submodule, which Fyr does not follow: an error only for who needs it.
    Submodule,
}

/// Git's id of a file's content: 20 or 32 bytes, zeros after the shorter.
///
/// It is what the reader of the repository says. Whoever trusts one tree's id in another tree has
/// to compare the content.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// The id of these bytes; `None` unless there are 20 or 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut id = [0; 32];
        match bytes.len() {
            20 | 32 => id.get_mut(..bytes.len())?.copy_from_slice(bytes),
            _ => return None,
        }
        Some(Self(id))
    }
}

/// A path that cannot be in a source tree.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SourceTreeError {
    /// Absolute, empty, or with `.`, `..`, `.git` or empty components.
    #[error("{path:?} is not a clean path relative to the repository's root")]
    BadPath {
        /// The path.
        path: String,
    },
    /// The link points outside the repository.
    #[error("{path} is a symbolic link to {target:?}, which leaves the repository")]
    LinkLeaves {
        /// Where the link is.
        path: String,
        /// What it points to.
        target: String,
    },
    /// Links that lead to each other.
    #[error("{path} passes through more than {max} symbolic links")]
    LinkLoop {
        /// Where resolution began.
        path: String,
        /// The limit.
        max: usize,
    },
}

/// The files of one revision: immutable, bounded, no link followed out of it.
///
/// Paths are relative to the root of the repository, with `/` between components, without `.` and
/// `..`. Folders exist only through the files in them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceTree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Entry {
    file: File,
    id: Option<BlobId>,
}

impl SourceTree {
    /// Links followed one after the other; Linux stops at 40 as well.
    pub const LINKS_MAX: usize = 40;

    /// Adds a file, replacing one of the same path. A link that leaves the repository is kept as
    /// what it is.
    pub fn insert(&mut self, path: &str, file: File) -> Result<(), SourceTreeError> {
        self.insert_entry(path, file, None)
    }

    /// Adds a file with content.
    pub fn insert_bytes(
        &mut self,
        path: &str,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<(), SourceTreeError> {
        self.insert_entry(path, File::Bytes(bytes.into()), None)
    }

    /// Adds a file with content whose id is known.
    pub fn insert_blob(
        &mut self,
        path: &str,
        bytes: impl Into<Arc<[u8]>>,
        id: BlobId,
    ) -> Result<(), SourceTreeError> {
        self.insert_entry(path, File::Bytes(bytes.into()), Some(id))
    }

    fn insert_entry(
        &mut self,
        path: &str,
        file: File,
        id: Option<BlobId>,
    ) -> Result<(), SourceTreeError> {
        let path = clean(path)?;
        let file = match file {
            File::Link(target) | File::LinkOutside(target) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let leaves = target.starts_with('/') || join(folder, &target).is_none();
                if leaves { File::LinkOutside(target) } else { File::Link(target) }
            }
            file => file,
        };
        self.entries.insert(path, Entry { file, id });
        Ok(())
    }

    /// The entry at exactly this path, links not followed.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.entries.get(path).map(|entry| &entry.file)
    }

    /// The id of the content of the file at exactly this path, if the reader told it.
    pub fn id(&self, path: &str) -> Option<BlobId> {
        self.entries.get(path)?.id
    }

    /// Follows every link on the way to `path`; the answer need not exist.
    pub fn resolve(&self, path: &str) -> Result<String, SourceTreeError> {
        self.resolve_seen(path, &mut |_| {})
    }

    /// As [`SourceTree::resolve`]; calls `seen` with every path that is looked at.
    pub fn resolve_seen(
        &self,
        path: &str,
        seen: &mut dyn FnMut(&str),
    ) -> Result<String, SourceTreeError> {
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done = String::new();
        let mut links = 0;
        while let Some(component) = rest.pop() {
            let bad = || SourceTreeError::BadPath { path: path.to_owned() };
            let next = join(&done, &component).ok_or_else(bad)?;
            seen(&next);
            let target = match self.get(&next) {
                Some(File::Link(target)) => target,
                Some(File::LinkOutside(target)) => {
                    let target = target.clone();
                    return Err(SourceTreeError::LinkLeaves { path: next, target });
                }
                _ => {
                    done = next;
                    continue;
                }
            };
            links += 1;
            if links > Self::LINKS_MAX {
                let path = path.to_owned();
                return Err(SourceTreeError::LinkLoop { path, max: Self::LINKS_MAX });
            }
            rest.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(done)
    }

    /// Whether a folder of this path holds anything. The root (`""`) always exists.
    pub fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.under(path).next().is_some()
    }

    /// Everything below a folder, in path order; `""` is the root.
    pub fn under<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a File)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.entries
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), &entry.file))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of content held.
    pub fn bytes(&self) -> u64 {
        let sizes = self.entries.values().map(|entry| match &entry.file {
            File::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            File::Link(_) | File::LinkOutside(_) | File::TooLarge { .. } | File::Submodule => 0,
        });
        sizes.sum()
    }
}

/// Joins `relative` to `folder`, resolving `.` and `..`; `None` if that leaves the root.
pub fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn clean(path: &str) -> Result<String, SourceTreeError> {
    let bad = |part: &str| matches!(part, "" | "." | ".." | ".git") || part.contains('\0');
    if path.split('/').any(bad) {
        return Err(SourceTreeError::BadPath { path: path.to_owned() });
    }
    Ok(path.to_owned())
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "a file of {} bytes", bytes.len()),
            Self::Link(target) | Self::LinkOutside(target) => write!(f, "a link to {target}"),
            Self::TooLarge { bytes } => write!(f, "a file of {bytes} bytes, over the limit"),
            Self::Submodule => f.write_str("a submodule"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_not_clean_are_refused() {
        let mut tree = SourceTree::default();
        for path in ["", "/etc/passwd", "a//b", "a/../b", "./a", "a/.git/config"] {
            assert!(tree.insert_bytes(path, *b"").is_err(), "{path}");
        }
        assert!(tree.is_empty());
    }

    #[test]
    fn a_link_that_leaves_the_repository_is_an_error_only_for_who_follows_it() {
        let mut tree = SourceTree::default();
        tree.insert_bytes("a/file", *b"").unwrap();
        for target in ["/etc/passwd", "../../x", "../b/../../x"] {
            tree.insert("a/link", File::Link(target.to_owned())).unwrap();
            for path in ["a/link", "a/link/below"] {
                let error = tree.resolve(path).unwrap_err();
                assert!(matches!(error, SourceTreeError::LinkLeaves { .. }), "{target}");
            }
        }
        assert_eq!(tree.resolve("a/file").unwrap(), "a/file");
        tree.insert("a/link", File::Link("../b".to_owned())).unwrap();
        assert_eq!(tree.resolve("a/link").unwrap(), "b");
    }

    #[test]
    fn an_id_has_the_length_of_a_digest_of_git() {
        assert!(BlobId::new(&[1; 20]).is_some() && BlobId::new(&[1; 32]).is_some());
        assert!(BlobId::new(&[1; 21]).is_none() && BlobId::new(&[]).is_none());
    }

    #[test]
    fn links_of_folders_and_files_are_followed_and_loops_end() {
        let mut tree = SourceTree::default();
        tree.insert_bytes("base/a.yaml", *b"a").unwrap();
        tree.insert("env/base", File::Link("../base".to_owned())).unwrap();
        tree.insert("x", File::Link("y".to_owned())).unwrap();
        tree.insert("y", File::Link("x".to_owned())).unwrap();
        assert_eq!(tree.resolve("env/base/a.yaml").unwrap(), "base/a.yaml");
        assert!(matches!(tree.resolve("x"), Err(SourceTreeError::LinkLoop { .. })));
    }

    #[test]
    fn a_folder_is_not_confused_with_a_name_that_begins_alike() {
        let mut tree = SourceTree::default();
        tree.insert_bytes("a/1", *b"").unwrap();
        tree.insert_bytes("a-b/2", *b"").unwrap();
        assert_eq!(tree.under("a").map(|(path, _)| path).collect::<Vec<_>>(), ["a/1"]);
        assert!(!tree.is_folder("a/1"));
    }
}
