//! What files were read as, kept from one render to the next.
//!
//! A large application of which one file changes reads that file, and takes the rest from here.

use std::fmt;
use std::sync::Arc;

use fyr_model::BlobId;

use crate::yaml::{Dialect, Document, Size};

/// Where files that were read are kept: whoever renders decides how many.
pub trait ParsedFiles: fmt::Debug + Send + Sync {
    /// What was kept under a key.
    fn find(&self, key: &ParsedKey) -> Option<Arc<ParsedFile>>;

    /// Keeps a file, or does not.
    fn keep(&self, key: ParsedKey, file: Arc<ParsedFile>);
}

/// Git's id of a file's content, and how it was read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ParsedKey {
    id: BlobId,
    dialect: Dialect,
}

impl ParsedKey {
    pub(crate) fn new(id: BlobId, dialect: Dialect) -> Self {
        Self { id, dialect }
    }
}

/// A file that was read.
pub struct ParsedFile {
    /// Compared before it is used: the id is what the reader of the repository says.
    content: Arc<[u8]>,
    documents: Vec<Document>,
    size: Size,
}

impl ParsedFile {
    pub(crate) fn new(content: Arc<[u8]>, documents: Vec<Document>) -> Self {
        let mut size = Size::default();
        for document in &documents {
            size.add(Size::of(&document.value));
        }
        Self { content, documents, size }
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        self.size.weight() + self.content.len()
    }

    /// The documents, if they are what this content says.
    pub(crate) fn documents(&self, content: &[u8]) -> Option<&[Document]> {
        (*self.content == *content).then_some(&self.documents)
    }

    /// What the documents take from the budget of a render.
    pub(crate) fn size(&self) -> Size {
        self.size
    }
}

/// Without the content: it may be a Secret's.
impl fmt::Debug for ParsedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedFile")
            .field("documents", &self.documents.len())
            .finish_non_exhaustive()
    }
}
