//! What every part of Fyr talks about: objects, revisions, applications, clusters, secrets as
//! types. Pure data: no clock, no I/O.

mod digest;
mod error;
mod object;
mod revision;
mod secret;
mod source;
pub mod source_tree;

pub use digest::{Digest, Hasher, ParseDigestError};
pub use error::{Blame, Chain};
pub use object::{GroupKind, GroupVersionKind, Object, ObjectError, ObjectKey};
pub use revision::{CommitId, ParseCommitIdError, Revision};
pub use secret::Plaintext;
pub use source::{
    BuildEnvironment, DirectoryOptions, KustomizeOptions, KustomizePatch, KustomizeReplicas,
    KustomizeSelector, Source, Tool,
};
pub use source_tree::{File, SourceTree, SourceTreeError, TreeLimits};
