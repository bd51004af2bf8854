//! A folder to YAML, as `kustomize build` prints it.

use fyr_model::{Object, SourceTree};

use crate::reader::Reader;
use crate::yaml::emit;
use crate::{LoadRestrictor, RenderError, kustomize, locate};

/// Builds the kustomization of a folder of `tree` and prints its objects as [`to_yaml`] does.
pub fn build(tree: &SourceTree, path: &str) -> Result<String, RenderError> {
    let mut reader = Reader::new(tree, LoadRestrictor::RootOnly);
    let folder = reader.folder(path)?;
    let objects = kustomize::render(&mut reader, &folder, None)
        .map_err(|error| locate::with_line(error, reader.files()))?;
    Ok(to_yaml(&objects))
}

/// What [`to_yaml`] gives, a document at a time: all of them may be more than one wants to hold.
pub fn yaml_documents<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
) -> impl Iterator<Item = String> {
    emit::each(objects.into_iter().map(Object::value))
}

/// Prints objects as `kustomize build` prints them, byte for byte: documents of YAML with `---`
/// between them, keys sorted.
pub fn to_yaml<'a>(objects: impl IntoIterator<Item = &'a Object>) -> String {
    emit::documents(objects.into_iter().map(Object::value))
}
