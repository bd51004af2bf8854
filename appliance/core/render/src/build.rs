//! A folder to YAML, as `kustomize build` prints it.

use fyr_model::{Object, SourceTree};

use crate::reader::Reader;
use crate::yaml::emit;
use crate::{RenderError, kustomize};

/// Builds the kustomization of a folder of `tree` and prints its objects as documents of YAML.
///
/// The values are kustomize's, and so is the order of objects and keys. Quotes and line breaks are
/// not: text is never folded, and it is quoted where a reader of YAML 1.1 or 1.2 would need it.
pub fn build(tree: &SourceTree, path: &str) -> Result<String, RenderError> {
    let mut reader = Reader::new(tree);
    let folder = reader.folder(path)?;
    let objects = kustomize::render(&mut reader, &folder, None)?;
    Ok(emit::documents(objects.iter().map(Object::value)))
}
