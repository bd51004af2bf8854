//! Reads a folder of this machine as the renderer wants it: as a tree of files with a root.
//!
//! A kustomization may refer to folders beside and above its own. Everything below the folder is
//! read, and what its kustomizations refer to outside of it, and so on; nothing else, so that a
//! large repository around it costs nothing. The root is that of the Git repository around the
//! folder, which is never left; without one it is the lowest folder above everything that is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fyr_model::{File, SourceTree, SourceTreeError, TreeLimits};
use serde_json::Value;

/// The names a kustomization file may have, in kustomize's order.
const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

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

/// Reads a folder and what it refers to.
pub(crate) fn read(folder: &Path, limits: TreeLimits) -> Result<SourceFolder, FolderError> {
    let not_a_folder = || FolderError::NotAFolder { path: folder.to_owned() };
    let start = fs::canonicalize(folder).map_err(|_| not_a_folder())?;
    if !start.is_dir() {
        return Err(not_a_folder());
    }
    let repository = start.ancestors().find(|above| above.join(".git").exists());
    let mut reading = Reading {
        limits,
        repository: repository.map(Path::to_owned),
        files: BTreeMap::new(),
        bytes: 0,
        seen: BTreeSet::new(),
        queue: vec![start.clone()],
    };
    while let Some(path) = reading.queue.pop() {
        reading.visit(&path)?;
    }
    reading.into_tree(&start)
}

struct Reading {
    limits: TreeLimits,
    repository: Option<PathBuf>,
    files: BTreeMap<PathBuf, File>,
    bytes: u64,
    /// Folders that were read whole.
    seen: BTreeSet<PathBuf>,
    /// Folders and files that are still to be read.
    queue: Vec<PathBuf>,
}

impl Reading {
    /// Reads a file, or a folder with everything below it.
    fn visit(&mut self, path: &Path) -> Result<(), FolderError> {
        if self.repository.as_ref().is_some_and(|root| !path.starts_with(root))
            || path.ancestors().any(|above| self.seen.contains(above))
        {
            return Ok(());
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, 0),
            Ok(metadata) => self.file(path, &metadata),
            // Whoever refers to it gets the renderer's own error.
            Err(_) => Ok(()),
        }
    }

    fn folder(&mut self, folder: &Path, depth: u32) -> Result<(), FolderError> {
        if depth > self.limits.depth_max {
            let (path, max) = (folder.to_owned(), self.limits.depth_max);
            return Err(FolderError::TooDeep { path, max });
        }
        if !self.seen.insert(folder.to_owned()) {
            return Ok(());
        }
        let read = |source| FolderError::Read { path: folder.to_owned(), source };
        for entry in fs::read_dir(folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            if entry.file_name() == ".git" {
                continue;
            }
            let path = entry.path();
            let metadata = fs::symlink_metadata(&path)
                .map_err(|source| FolderError::Read { path: path.clone(), source })?;
            if metadata.is_dir() {
                self.folder(&path, depth + 1)?;
            } else {
                self.file(&path, &metadata)?;
            }
        }
        self.follow_kustomization(folder);
        Ok(())
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata) -> Result<(), FolderError> {
        let read = |source| FolderError::Read { path: path.to_owned(), source };
        let file = if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(read)?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            self.queue.push(normal(&folder.join(&target)));
            File::Link(text(&target)?)
        } else if !metadata.is_file() {
            // Sockets and the like are no manifests.
            return Ok(());
        } else if metadata.len() > self.limits.file_bytes_max {
            File::TooLarge { bytes: metadata.len() }
        } else {
            let bytes = fs::read(path).map_err(read)?;
            self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            File::Bytes(Arc::from(bytes))
        };
        let folder = || path.parent().unwrap_or(path).to_owned();
        if self.bytes > self.limits.bytes_max {
            return Err(FolderError::TooManyBytes { path: folder(), max: self.limits.bytes_max });
        }
        self.files.insert(path.to_owned(), file);
        if u64::try_from(self.files.len()).unwrap_or(u64::MAX) > u64::from(self.limits.files_max) {
            return Err(FolderError::TooManyFiles { path: folder(), max: self.limits.files_max });
        }
        Ok(())
    }

    /// Queues what the kustomization of a folder refers to. Any text in it that is the path of
    /// something outside of what is read counts: reading too much does no harm.
    fn follow_kustomization(&mut self, folder: &Path) {
        let found = KUSTOMIZATION_NAMES.iter().find_map(|name| self.files.get(&folder.join(name)));
        let Some(File::Bytes(bytes)) = found else { return };
        // What is wrong with it, the renderer says better.
        let Ok(value) = serde_saphyr::from_slice::<Value>(bytes) else { return };
        let mut references = Vec::new();
        collect(&value, &mut references);
        // Generators write `key=path`.
        let paths = references.iter().flat_map(|text| {
            std::iter::once(*text).chain(text.split_once('=').map(|(_, path)| path))
        });
        let outside = paths.map(Path::new).filter(|path| {
            path.is_relative() && path.components().any(|part| part == Component::ParentDir)
        });
        self.queue.extend(outside.map(|path| normal(&folder.join(path))));
    }

    fn into_tree(self, start: &Path) -> Result<SourceFolder, FolderError> {
        let root = match &self.repository {
            Some(root) => root.clone(),
            None => self.lowest_above(start),
        };
        let mut folder = SourceFolder {
            tree: SourceTree::default(),
            path: text(start.strip_prefix(&root).unwrap_or(Path::new("")))?,
        };
        for (path, file) in self.files {
            let Ok(relative) = path.strip_prefix(&root) else { continue };
            folder
                .tree
                .insert(&text(relative)?, file)
                .map_err(|source| FolderError::Path { path, source })?;
        }
        Ok(folder)
    }

    /// The lowest folder above everything that was read.
    fn lowest_above(&self, start: &Path) -> PathBuf {
        let mut root = start.to_owned();
        for path in self.files.keys() {
            while !path.starts_with(&root) {
                root.pop();
            }
        }
        root
    }
}

/// All texts in a value.
fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        Value::Object(map) => map.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A path without `.` and `..`, by its text: what a link in it points to does not matter, because
/// the tree resolves links by itself.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn text(path: &Path) -> Result<String, FolderError> {
    path.to_str().map(str::to_owned).ok_or_else(|| FolderError::Name { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn sample() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(
            root,
            "repo/base/kustomization.yaml",
            "{resources: [a.yaml], configMapGenerator: [{files: [x=./../shared/x.yaml]}]}",
        );
        write(root, "repo/base/a.yaml", "a: 1");
        write(root, "repo/shared/x.yaml", "x: 1");
        write(root, "repo/unrelated/big.bin", "big");
        write(root, "repo/overlays/prod/kustomization.yaml", "resources: [../../base]");
        write(root, "secret", "s");
        folder
    }

    fn paths(folder: &SourceFolder) -> Vec<&str> {
        folder.tree.under("").map(|(path, _)| path).collect()
    }

    #[test]
    fn what_is_referred_to_is_read_and_nothing_else() {
        let folder = sample();
        let read = read(&folder.path().join("repo/overlays/prod"), TreeLimits::default()).unwrap();
        assert_eq!(
            paths(&read),
            [
                "base/a.yaml",
                "base/kustomization.yaml",
                "overlays/prod/kustomization.yaml",
                "shared/x.yaml"
            ]
        );
        assert_eq!(read.path, "overlays/prod");
    }

    #[test]
    fn the_root_is_that_of_the_repository_and_it_is_not_left() {
        let folder = sample();
        let root = folder.path();
        write(root, "repo/.git/HEAD", "");
        write(root, "repo/overlays/prod/kustomization.yaml", "resources: [../../../secret]");
        let read = read(&root.join("repo/overlays/prod"), TreeLimits::default()).unwrap();
        assert_eq!(paths(&read), ["overlays/prod/kustomization.yaml"]);
    }

    #[test]
    fn a_link_is_read_with_its_target_and_is_an_error_only_for_who_follows_it_out() {
        let folder = sample();
        let root = folder.path().join("repo");
        write(&root, ".git/HEAD", "");
        let dir = root.join("overlays/prod");
        std::os::unix::fs::symlink("../../shared", dir.join("shared")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.join("etc")).unwrap();
        let read = read(&dir, TreeLimits::default()).unwrap();
        assert!(paths(&read).contains(&"shared/x.yaml"), "{:?}", paths(&read));
        assert_eq!(read.tree.resolve("overlays/prod/shared/x.yaml").unwrap(), "shared/x.yaml");
        assert!(read.tree.resolve("overlays/prod/etc").is_err());
    }

    #[test]
    fn limits_end_the_reading() {
        let folder = sample();
        let few = TreeLimits { files_max: 2, ..TreeLimits::default() };
        let error = read(folder.path(), few).unwrap_err();
        assert!(matches!(error, FolderError::TooManyFiles { .. }), "{error}");
        let small = TreeLimits { bytes_max: 20, ..TreeLimits::default() };
        let error = read(folder.path(), small).unwrap_err();
        assert!(matches!(error, FolderError::TooManyBytes { .. }), "{error}");
        let flat = TreeLimits { depth_max: 1, ..TreeLimits::default() };
        let error = read(folder.path(), flat).unwrap_err();
        assert!(matches!(error, FolderError::TooDeep { .. }), "{error}");
        let file = read(&folder.path().join("secret"), TreeLimits::default()).unwrap_err();
        assert!(matches!(file, FolderError::NotAFolder { .. }), "{file}");
    }
}
