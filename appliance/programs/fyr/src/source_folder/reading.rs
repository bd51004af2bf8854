//! Goes from one file to the next, and reads what is found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fyr_model::{File, SourceTree, TreeLimits};
use fyr_render::{KUSTOMIZATION_FILES, mentions, override_files};

use super::{Extent, FolderError, SourceFolder};

/// Something that is mentioned.
struct Mentioned {
    path: PathBuf,
    /// The folder of the kustomization that it is a plug-in of, if it is one.
    plugin_of: Option<PathBuf>,
}

/// What is on the disk at a path.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Folder,
    Link,
    File,
    Nothing,
}

/// A folder being read.
pub(super) struct Reading {
    limits: TreeLimits,
    repository: Option<PathBuf>,
    files: BTreeMap<PathBuf, File>,
    bytes: u64,
    /// What was looked at, so that it is looked at once.
    kinds: HashMap<PathBuf, Kind>,
    /// Files whose mentions were followed: from which folder, and as plug-ins of which.
    followed: BTreeSet<(PathBuf, PathBuf, Option<PathBuf>)>,
    queue: Vec<Mentioned>,
}

impl Reading {
    /// Nothing is read yet.
    pub(super) fn new(limits: TreeLimits, repository: Option<PathBuf>) -> Self {
        Self {
            limits,
            repository,
            files: BTreeMap::new(),
            bytes: 0,
            kinds: HashMap::new(),
            followed: BTreeSet::new(),
            queue: Vec::new(),
        }
    }

    /// Reads a folder, and everything that is mentioned there.
    pub(super) fn start(&mut self, start: &Path, extent: Extent<'_>) -> Result<(), FolderError> {
        let is_kustomization =
            KUSTOMIZATION_FILES.iter().any(|name| start.join(name).symlink_metadata().is_ok());
        if extent.deep || !is_kustomization {
            self.listing(start, extent.deep, 0)?;
        }
        if is_kustomization {
            self.follow(start, None)?;
        }
        // Overrides may name files as a kustomization does.
        for name in override_files(extent.application) {
            self.mentions_of(&start.join(name), start, None)?;
        }
        while let Some(mentioned) = self.queue.pop() {
            self.visit(&mentioned)?;
        }
        Ok(())
    }

    /// Reads what is mentioned, if it is there.
    fn visit(&mut self, mentioned: &Mentioned) -> Result<(), FolderError> {
        let Some(path) = self.reach(&mentioned.path)? else { return Ok(()) };
        let plugin_of = mentioned.plugin_of.as_deref();
        match (self.kind(&path), plugin_of) {
            (Kind::Folder, _) => self.follow(&path, plugin_of),
            (_, Some(kustomization)) => self.mentions_of(&path, kustomization, plugin_of).map(drop),
            (_, None) => self.file(&path).map(drop),
        }
    }

    /// Follows the kustomization of a folder. One without a kustomization is an error of whoever
    /// mentions it; one of its files is read, so that it is known for a folder.
    fn follow(&mut self, folder: &Path, plugin_of: Option<&Path>) -> Result<(), FolderError> {
        let mut found = false;
        for name in KUSTOMIZATION_FILES {
            found |= self.mentions_of(&folder.join(name), folder, plugin_of)?;
        }
        if !found
            && let Ok(entries) = fs::read_dir(folder)
            && let Some(path) = entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| path.is_file())
                .min()
        {
            self.file(&path)?;
        }
        Ok(())
    }

    /// Reads a file, and queues what it mentions from a folder; whether the file is there.
    fn mentions_of(
        &mut self,
        path: &Path,
        folder: &Path,
        plugin_of: Option<&Path>,
    ) -> Result<bool, FolderError> {
        let Some(path) = self.reach(path)? else { return Ok(false) };
        if !self.file(&path)? {
            return Ok(false);
        }
        let plugin_of = plugin_of.map(Path::to_owned);
        if self.followed.insert((path.clone(), folder.to_owned(), plugin_of.clone()))
            && let Some(File::Bytes(bytes)) = self.files.get(&path)
        {
            for mention in mentions(bytes) {
                if Path::new(&mention.path).is_absolute() {
                    continue;
                }
                let path = normal(&folder.join(&mention.path));
                if mention.plugin {
                    let plugin_of = Some(folder.to_owned());
                    self.queue.push(Mentioned { path: path.clone(), plugin_of });
                }
                if !mention.plugin || plugin_of.is_some() {
                    self.queue.push(Mentioned { path, plugin_of: plugin_of.clone() });
                }
            }
        }
        Ok(true)
    }

    /// Where a path leads, the links on the way followed and read; `None` if that is nowhere, or
    /// outside of the repository.
    fn reach(&mut self, path: &Path) -> Result<Option<PathBuf>, FolderError> {
        let mut path = path.to_owned();
        for _ in 0..=SourceTree::LINKS_MAX {
            if self.repository.as_ref().is_some_and(|root| !path.starts_with(root)) {
                return Ok(None);
            }
            let mut above: Vec<&Path> = path.ancestors().collect();
            above.reverse();
            let Some(link) = above.into_iter().find(|part| self.kind(part) == Kind::Link) else {
                return Ok((self.kind(&path) != Kind::Nothing).then_some(path));
            };
            let target = self.link(link)?;
            let rest = path.strip_prefix(link).unwrap_or(Path::new(""));
            path = normal(&link.parent().unwrap_or(link).join(target).join(rest));
        }
        // The renderer says that the links have no end.
        Ok(None)
    }

    /// What is at a path; what cannot be looked at is not there.
    fn kind(&mut self, path: &Path) -> Kind {
        if let Some(kind) = self.kinds.get(path) {
            return *kind;
        }
        let kind = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => Kind::Folder,
            Ok(metadata) if metadata.is_symlink() => Kind::Link,
            Ok(metadata) if metadata.is_file() => Kind::File,
            Ok(_) | Err(_) => Kind::Nothing,
        };
        self.kinds.insert(path.to_owned(), kind);
        kind
    }

    /// Reads the files of a folder, and with `deep` those of the folders in it.
    fn listing(&mut self, folder: &Path, deep: bool, depth: u32) -> Result<(), FolderError> {
        if depth > self.limits.depth_max {
            let (path, max) = (folder.to_owned(), self.limits.depth_max);
            return Err(FolderError::TooDeep { path, max });
        }
        let read = |source| FolderError::Read { path: folder.to_owned(), source };
        for entry in fs::read_dir(folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            let path = entry.path();
            match self.kind(&path) {
                Kind::Folder if deep && entry.file_name() != ".git" => {
                    self.listing(&path, deep, depth + 1)?;
                }
                Kind::Link => {
                    self.link(&path)?;
                    self.queue.push(Mentioned { path, plugin_of: None });
                }
                Kind::File => drop(self.file(&path)?),
                Kind::Folder | Kind::Nothing => {}
            }
        }
        Ok(())
    }

    /// Reads a link, and gives what it points to.
    fn link(&mut self, path: &Path) -> Result<PathBuf, FolderError> {
        let read = |source| FolderError::Read { path: path.to_owned(), source };
        let target = fs::read_link(path).map_err(read)?;
        self.insert(path, File::Link(text(&target)?))?;
        Ok(target)
    }

    /// Reads a file; whether it is one. Sockets and the like are none.
    fn file(&mut self, path: &Path) -> Result<bool, FolderError> {
        if self.files.contains_key(path) {
            return Ok(true);
        }
        if self.kind(path) != Kind::File {
            return Ok(false);
        }
        let file = self.content(path)?;
        self.insert(path, file)?;
        Ok(true)
    }

    fn content(&mut self, path: &Path) -> Result<File, FolderError> {
        let read = |source| FolderError::Read { path: path.to_owned(), source };
        let mut file = fs::File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        if length > self.limits.file_bytes_max {
            return Ok(File::TooLarge { bytes: length });
        }
        self.bytes += length;
        // Read at once: a file that is written to meanwhile is an error.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact(&mut bytes).map_err(read)?;
        if self.bytes > self.limits.bytes_max {
            let path = path.parent().unwrap_or(path).to_owned();
            return Err(FolderError::TooManyBytes { path, max: self.limits.bytes_max });
        }
        Ok(File::Bytes(Arc::from(bytes)))
    }

    fn insert(&mut self, path: &Path, file: File) -> Result<(), FolderError> {
        self.files.insert(path.to_owned(), file);
        if u64::try_from(self.files.len()).unwrap_or(u64::MAX) > u64::from(self.limits.files_max) {
            let path = path.parent().unwrap_or(path).to_owned();
            return Err(FolderError::TooManyFiles { path, max: self.limits.files_max });
        }
        Ok(())
    }

    /// The files that were read, as a tree.
    pub(super) fn into_folder(self, start: &Path) -> Result<SourceFolder, FolderError> {
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
            let file = match file {
                File::Link(target) => File::Link(below(&root, relative, target)?),
                file => file,
            };
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

/// The target of the link at `path` below the root: one that is written from the root of this
/// machine's disk, as the same place seen from the link.
fn below(root: &Path, path: &Path, target: String) -> Result<String, FolderError> {
    let Ok(place) = Path::new(&target).strip_prefix(root) else { return Ok(target) };
    let up = "../".repeat(path.components().count().saturating_sub(1));
    Ok(format!("{up}{}", text(place)?))
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
