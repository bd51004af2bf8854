//! Why a render fails.

use fyr_model::{Blame, ObjectError, ParseGlobError, SourceTreeError};

use crate::yaml::YamlError;

/// Why a folder cannot be rendered. Every path is relative to the root of the repository.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RenderError {
    /// The path of the source does not exist.
    #[error("{path:?} is not a folder of the repository")]
    NoFolder {
        /// The path as written.
        path: String,
    },
    /// A file or folder that another file names does not exist.
    #[error("{file}: {path:?} is neither a file nor a folder of the repository")]
    Missing {
        /// Who names it.
        file: String,
        /// What is missing.
        path: String,
    },
    /// A path leads out of the repository, or out of the folder it has to stay in.
    #[error("{file}: {path:?} is outside of {root:?}, where its files must be")]
    Outside {
        /// Who names it.
        file: String,
        /// The path as written.
        path: String,
        /// The folder.
        root: String,
    },
    /// Whoever asked for the render did not want to wait any longer.
    #[error("rendering was stopped, because it took too long")]
    Stopped,
    /// A file is too large to be held.
    #[error("{path} has {bytes} bytes, more than a file may have")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// A submodule, which is not followed.
    #[error("{path} is a submodule, and those are not followed")]
    Submodule {
        /// The submodule.
        path: String,
    },
    /// Symbolic links that lead nowhere.
    #[error("cannot follow the links of {path}")]
    Link {
        /// Where they begin.
        path: String,
        /// Why.
        #[source]
        source: SourceTreeError,
    },
    /// A file is not YAML.
    #[error("{path}:{}: it is not valid YAML", source.line)]
    Yaml {
        /// The file.
        path: String,
        /// Where and why.
        #[source]
        source: YamlError,
    },
    /// A document is no Kubernetes object.
    #[error("{path}:{line}: it is not a Kubernetes object")]
    Object {
        /// The file.
        path: String,
        /// Line of the document.
        line: usize,
        /// Why.
        #[source]
        source: ObjectError,
    },
    /// A pattern of the application's directory options.
    #[error("directory.{field} is not a pattern")]
    Glob {
        /// The option.
        field: &'static str,
        /// Why.
        #[source]
        source: ParseGlobError,
    },
    /// A field has a value that means nothing.
    #[error("{file}: {field}: {why}")]
    Field {
        /// The file it is in.
        file: String,
        /// The field, with its place.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// Something that is not supported: leaving it out would deploy something else than its
    /// author asked for.
    #[error("{file}: {field} is not supported")]
    Unsupported {
        /// The file it is in.
        file: String,
        /// The field or the value, with its place.
        field: String,
    },
    /// The inputs are well-formed and do not fit together.
    #[error("{file}: {why}")]
    Build {
        /// The kustomization file at work.
        file: String,
        /// What does not fit.
        why: String,
    },
    /// More than is read for one application.
    #[error("{path}: more than the limit of {limit} {what}")]
    Limit {
        /// Where the limit was met.
        path: String,
        /// The limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}

impl RenderError {
    /// Always the input's: a render asks nothing of the world, so trying the same again gives the
    /// same again.
    pub fn blame(&self) -> Blame {
        Blame::Input
    }
}
