//! A plain directory of manifests, as Argo CD reads one.
//!
//! | file | here |
//! |---|---|
//! | `.yaml`, `.yml` | all its documents; `List`s become their items |
//! | `.json` | exactly one object |
//! | `.jsonnet` | an error: it would have to be run |
//! | with `+argocd:skip-file-rendering` | left out |
//! | YAML that is no manifest, such as values of a chart | left out, with a warning |
//!
//! YAML is taken for a manifest, and an error if it is a bad one, when its bytes contain all of
//! `apiVersion:`, `kind:` and `metadata:`.

use std::sync::Arc;

use fyr_model::{DirectoryOptions, File, Glob, Object};
use serde_json::Value;

use crate::overrides::OVERRIDE_FILE_START;
use crate::reader::Reader;
use crate::yaml::{Blank, Dialect, Document, Size};
use crate::{RenderError, Warning};

/// Bytes of all manifests of one directory together: Argo CD's default. Held as values they take
/// many times that.
const DIRECTORY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// In a file anywhere: leave it out.
const SKIP_MARK: &[u8] = b"+argocd:skip-file-rendering";

/// Reads the directory `folder`, a resolved path.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    folder: &str,
    options: &DirectoryOptions,
) -> Result<(Vec<Object>, Vec<Warning>), RenderError> {
    let mut objects = Vec::new();
    let mut warnings = Vec::new();
    let mut bytes_read = 0;
    for path in chosen(reader, folder, options)? {
        if path.ends_with(".jsonnet") {
            let field = "jsonnet".to_owned();
            return Err(RenderError::Unsupported { file: path, field });
        }
        let target = reader.resolve(&path)?;
        if matches!(reader.files().get(&path), Some(File::Link(_)))
            && reader.files().is_folder(&target)
        {
            continue;
        }
        let bytes = reader.bytes(&target, &path)?;
        if contains(&bytes, SKIP_MARK) {
            continue;
        }
        bytes_read += bytes.len();
        if bytes_read > DIRECTORY_BYTES_MAX {
            let path = folder.to_owned();
            let what = "bytes of manifests in one directory";
            return Err(RenderError::Limit { path, limit: DIRECTORY_BYTES_MAX, what });
        }
        let read = if is_json(&path) {
            json(reader, &bytes, &path)
        } else {
            file_manifests(reader, &bytes, Dialect::Kubernetes, &target)
        };
        match read {
            Ok(found) => objects.extend(found.into_iter().map(|manifest| manifest.object)),
            Err(error) if is_manifest(&path, &bytes) || is_over_limit(&error) => return Err(error),
            Err(error) => {
                let text = format!("left out, it is no manifest: {}", fyr_model::Chain(&error));
                warnings.push(Warning { path, text });
            }
        }
    }
    Ok((objects, warnings))
}

/// The paths of the files to read, in path order.
fn chosen(
    reader: &Reader<'_>,
    folder: &str,
    options: &DirectoryOptions,
) -> Result<Vec<String>, RenderError> {
    let glob = |pattern: &str, field| match pattern {
        "" => Ok(None),
        // `*` crosses `/`, as it does in Argo CD.
        pattern => Glob::parse(pattern, None)
            .map(Some)
            .map_err(|source| RenderError::Glob { field, source }),
    };
    let include = glob(&options.include, "include")?;
    let exclude = glob(&options.exclude, "exclude")?;
    let below = if folder.is_empty() { 0 } else { folder.len() + 1 };
    let wanted = |path: &str| {
        let relative = path.get(below..).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        // Case counts: Argo CD reads no `.YAML` either.
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        matches!(extension, "yaml" | "yml" | "json" | "jsonnet")
            && !name.starts_with(OVERRIDE_FILE_START)
            && !exclude.as_ref().is_some_and(|exclude| exclude.matches(relative))
            && include.as_ref().is_none_or(|include| include.matches(relative))
    };
    let paths = reader.files().list(folder, options.recurse).into_iter();
    Ok(paths.filter(|path| wanted(path)).map(str::to_owned).collect())
}

/// Case counts: Argo CD reads no `.JSON` either.
fn is_json(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "json")
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn is_manifest(path: &str, bytes: &[u8]) -> bool {
    let marks: [&[u8]; 3] = [b"apiVersion:", b"kind:", b"metadata:"];
    is_json(path) || marks.iter().all(|mark| contains(bytes, mark))
}

/// What is over a limit may well be a manifest, and leaving it out would prune what it made.
fn is_over_limit(error: &RenderError) -> bool {
    matches!(error, RenderError::Yaml { source, .. } if source.is_limit())
}

/// One object of a file.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) object: Object,
    /// Its fields without a value.
    pub(crate) blanks: Vec<Blank>,
}

fn json(reader: &mut Reader<'_>, bytes: &[u8], path: &str) -> Result<Vec<Manifest>, RenderError> {
    let field =
        |why: String| RenderError::Field { file: path.to_owned(), field: "JSON".to_owned(), why };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(text).map_err(|error| field(error.to_string()))?;
    if reader.budget.take(Size::of(&value)).is_none() {
        return Err(field("the manifests are larger than the limit".to_owned()));
    }
    flatten(vec![Document { line: 1, value, blanks: Vec::new() }], Dialect::Kubernetes, path)
}

/// The objects of the YAML file at the resolved `path`, whose content is `bytes`; `List`s as their
/// items.
pub(crate) fn file_manifests(
    reader: &mut Reader<'_>,
    bytes: &Arc<[u8]>,
    dialect: Dialect,
    path: &str,
) -> Result<Vec<Manifest>, RenderError> {
    flatten(reader.file_documents(path, bytes, dialect)?, dialect, path)
}

/// The objects of a YAML text, `List`s as their items.
pub(crate) fn manifests(
    reader: &mut Reader<'_>,
    bytes: &[u8],
    dialect: Dialect,
    path: &str,
) -> Result<Vec<Manifest>, RenderError> {
    flatten(reader.documents(bytes, dialect, path)?, dialect, path)
}

fn flatten(
    documents: Vec<Document>,
    dialect: Dialect,
    path: &str,
) -> Result<Vec<Manifest>, RenderError> {
    // Kustomize passes on what has no version.
    let check = |object: Object| match dialect {
        Dialect::Kubernetes => object.has_version().map(|()| object),
        _ => Ok(object),
    };
    let mut manifests = Vec::new();
    for Document { line, value, blanks } in documents {
        let is_list = is_list(&value);
        for (index, value) in items(value).into_iter().enumerate() {
            let object = Object::parse(value)
                .and_then(check)
                .map_err(|source| RenderError::Object { path: path.to_owned(), line, source })?;
            let blanks = if is_list { of_item(&blanks, index) } else { blanks.clone() };
            manifests.push(Manifest { object, blanks });
        }
    }
    Ok(manifests)
}

/// The blanks of one item of a list, as seen from that item.
fn of_item(blanks: &[Blank], index: usize) -> Vec<Blank> {
    let index = index.to_string();
    let inside = blanks.iter().filter_map(|blank| match &blank[..] {
        [items, at, rest @ ..] if items == "items" && *at == index => Some(rest.to_vec()),
        _ => None,
    });
    inside.collect()
}

fn is_list(value: &Value) -> bool {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("List") && matches!(value.get("items"), Some(Value::Array(_) | Value::Null))
}

/// The items of a `List`, or the value itself. `items: null` is an empty list.
pub(crate) fn items(mut value: Value) -> Vec<Value> {
    if !is_list(&value) {
        return vec![value];
    }
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
