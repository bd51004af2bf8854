//! Reads files of a source tree, links followed, and counts what is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fyr_model::source_tree::join;
use fyr_model::{File, SourceTree};
use serde_json::Value;

use crate::RenderError;
use crate::facts::{Facts, Files};
use crate::parsed::{ParsedFile, ParsedFiles, ParsedKey};
use crate::yaml::{self, Budget, Dialect, Document};

/// Where the files may be that a kustomization names, beside the folders of other kustomizations.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LoadRestrictor {
    /// In its own folder or below it: kustomize's `LoadRestrictionsRootOnly`, and what Argo CD
    /// renders with.
    #[default]
    RootOnly,
    /// Anywhere in the tree: kustomize's `LoadRestrictionsNone`.
    None,
}

/// A source tree with the budget of one render.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    files: Files<'t>,
    restrictor: LoadRestrictor,
    parsed: Option<&'t dyn ParsedFiles>,
    stop: Option<&'t AtomicBool>,
    pub(crate) budget: Budget,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(tree: &'t SourceTree, restrictor: LoadRestrictor) -> Self {
        let (files, budget) = (Files::new(tree), Budget::default());
        Self { files, restrictor, parsed: None, stop: None, budget }
    }

    /// Takes files from `parsed` and keeps others there.
    pub(crate) fn with_parsed(mut self, parsed: Option<&'t dyn ParsedFiles>) -> Self {
        self.parsed = parsed;
        self
    }

    /// Ends with an error once `stop` is true.
    pub(crate) fn with_stop(mut self, stop: Option<&'t AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// Whether whoever asked for the render still waits for it. Asked wherever the work of a moment
    /// begins.
    pub(crate) fn go_on(&self) -> Result<(), RenderError> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(RenderError::Stopped),
            _ => Ok(()),
        }
    }

    pub(crate) fn files(&self) -> &Files<'t> {
        &self.files
    }

    /// What was looked at.
    pub(crate) fn into_facts(self) -> Facts {
        self.files.into_facts()
    }

    /// The path behind all links of a clean `path`.
    pub(crate) fn resolve(&self, path: &str) -> Result<String, RenderError> {
        self.files
            .resolve(path)
            .map_err(|source| RenderError::Link { path: path.to_owned(), source })
    }

    /// The folder that `path` names, which may be written as people do: `./a/`, `.` or empty.
    pub(crate) fn folder(&self, path: &str) -> Result<String, RenderError> {
        let missing = || RenderError::NoFolder { path: path.to_owned() };
        let clean = join("", path).ok_or_else(missing)?;
        let folder = self.resolve(&clean)?;
        if self.files.is_folder(&folder) { Ok(folder) } else { Err(missing()) }
    }

    /// Where the file that `path` names in `file` of the resolved `folder` is, links followed: as
    /// kustomize has it, in that folder or below it, unless files may be anywhere in the tree.
    pub(crate) fn file_below(
        &self,
        folder: &str,
        path: &str,
        file: &str,
    ) -> Result<String, RenderError> {
        let outside = || RenderError::Outside {
            file: file.to_owned(),
            path: path.to_owned(),
            root: if folder.is_empty() { "." } else { folder }.to_owned(),
        };
        if path.starts_with('/') {
            return Err(outside());
        }
        let place = self.resolve(&join(folder, path).ok_or_else(outside)?)?;
        if self.restrictor == LoadRestrictor::None {
            return Ok(place);
        }
        let rest = if folder.is_empty() { Some("/") } else { place.strip_prefix(folder) };
        if rest.is_some_and(|rest| rest.starts_with('/')) { Ok(place) } else { Err(outside()) }
    }

    /// Whether there is something to read at the resolved path.
    pub(crate) fn is_file(&self, path: &str) -> bool {
        self.files.get(path).is_some_and(|file| !matches!(file, File::Submodule))
    }

    /// The content of the file at the resolved `path`; `file` is who names it.
    pub(crate) fn bytes(&self, path: &str, file: &str) -> Result<Arc<[u8]>, RenderError> {
        let path = path.to_owned();
        match self.files.get(&path) {
            Some(File::Bytes(bytes)) => Ok(Arc::clone(bytes)),
            Some(File::TooLarge { bytes }) => Err(RenderError::TooLarge { path, bytes: *bytes }),
            Some(File::Submodule) => Err(RenderError::Submodule { path }),
            Some(File::Link(_) | File::LinkOutside(_)) | None => {
                Err(RenderError::Missing { file: file.to_owned(), path })
            }
        }
    }

    /// The documents of the YAML file at the resolved `path`, whose content is `bytes`.
    pub(crate) fn file_documents(
        &mut self,
        path: &str,
        bytes: &Arc<[u8]>,
        dialect: Dialect,
    ) -> Result<Vec<Document>, RenderError> {
        let (Some(parsed), Some(id)) = (self.parsed, self.files.id(path)) else {
            return self.documents(bytes, dialect, path);
        };
        let key = ParsedKey::new(id, dialect);
        if let Some(file) = parsed.find(&key)
            && let Some(documents) = file.documents(bytes)
            && self.budget.take(file.size()).is_some()
        {
            return Ok(documents.to_vec());
        }
        let documents = self.documents(bytes, dialect, path)?;
        parsed.keep(key, Arc::new(ParsedFile::new(Arc::clone(bytes), documents.clone())));
        Ok(documents)
    }

    /// The documents of a YAML text that comes from `path`.
    pub(crate) fn documents(
        &mut self,
        bytes: &[u8],
        dialect: Dialect,
        path: &str,
    ) -> Result<Vec<Document>, RenderError> {
        self.go_on()?;
        yaml::parse(bytes, dialect, &mut self.budget)
            .map_err(|source| RenderError::Yaml { path: path.to_owned(), source })
    }

    /// The one document of a YAML text that comes from `path`; `null` if it is empty.
    pub(crate) fn document(
        &mut self,
        bytes: &[u8],
        dialect: Dialect,
        path: &str,
    ) -> Result<Value, RenderError> {
        self.go_on()?;
        yaml::parse_one(bytes, dialect, &mut self.budget)
            .map_err(|source| RenderError::Yaml { path: path.to_owned(), source })
    }
}
