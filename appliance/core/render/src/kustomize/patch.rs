//! Patches: which objects they are for, and which of the two kinds they are.

use serde_json::Value;

use super::file::{Patch, Selector};
use super::json_patch;
use super::merge::{Merged, remove_blanks, strategic as merge};
use super::merge_keys::Schemas;
use super::resource::{Id, Resource, mapping};
use super::selector::Matcher;
use super::transform::unique;
use super::{annotations_to_text, blanks_of, texts};
use crate::RenderError;
use crate::reader::Reader;
use crate::yaml::{Budget, Dialect, Document, Size};

/// Where a patch stands, and what it is merged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The resolved folder of the kustomization.
    pub(crate) folder: &'a str,
    /// The kustomization's file, for messages.
    pub(crate) file: &'a str,
    /// The schemas that objects are merged by.
    pub(crate) schemas: Schemas<'a>,
}

/// What a patch says.
enum Change {
    /// Objects with what is to change in them.
    Merge(Vec<Value>),
    /// Operations of RFC 6902.
    Operations {
        list: Value,
        /// Whether objects are still found by the name they had, should it change.
        remembered: bool,
    },
}

impl Change {
    fn size(&self) -> Size {
        match self {
            Self::Merge(documents) => Size::of_all(documents),
            Self::Operations { list, .. } => Size::of(list),
        }
    }
}

/// `patchesStrategicMerge`: each entry is a patch, or the path of a file with patches.
pub(crate) fn strategic(
    reader: &mut Reader<'_>,
    site: Site<'_>,
    entries: &[String],
    resources: &mut Vec<Resource>,
) -> Result<(), RenderError> {
    let Site { folder, file, .. } = site;
    let mut found = 0;
    for entry in entries {
        let inline = reader.documents(entry.as_bytes(), Dialect::KustomizePatch, file).ok();
        let inline = inline.unwrap_or_default();
        let is_patch = !inline.is_empty() && inline.iter().all(|one| one.value.is_object());
        let documents = if is_patch {
            inline
        } else {
            let (text, path) = text_of(reader, folder, file, entry)?;
            reader.documents(&text, Dialect::KustomizePatch, &path)?
        };
        for mut document in documents.into_iter().filter(|one| says_something(&one.value)) {
            found += 1;
            as_object(&mut document, &["labels", "annotations"]);
            to_its_object(resources, &document.value, &Patch::default(), site)?;
        }
    }
    if found == 0 {
        let why = "patchesStrategicMerge: the patches are empty".to_owned();
        return Err(RenderError::Build { file: file.to_owned(), why });
    }
    Ok(())
}

/// One entry of `patches`. A file with nothing in it changes nothing.
pub(crate) fn one(
    reader: &mut Reader<'_>,
    site: Site<'_>,
    patch: &Patch,
    resources: &mut Vec<Resource>,
) -> Result<(), RenderError> {
    let Some(change) = read(reader, site, patch)? else { return Ok(()) };
    match (&patch.target, &change) {
        (Some(target), _) => to_selected(reader, resources, &change, patch, target, site),
        (None, Change::Merge(documents)) => documents
            .iter()
            .try_for_each(|document| to_its_object(resources, document, patch, site)),
        (None, Change::Operations { .. }) => {
            let why = "patches: a JSON patch does not say which object it is for; give it a target";
            Err(RenderError::Build { file: site.file.to_owned(), why: why.to_owned() })
        }
    }
}

/// One entry of `patchesJson6902`.
pub(crate) fn json(
    reader: &mut Reader<'_>,
    site: Site<'_>,
    patch: &Patch,
    resources: &mut Vec<Resource>,
) -> Result<(), RenderError> {
    let (text, place) = source(reader, site, patch)?;
    let list = reader.document(&text, Dialect::Kustomization, &place)?;
    if !json_patch::is_patch(&list) || !says_something(&list) {
        let why = "a list of operations is expected, of RFC 6902".to_owned();
        return Err(RenderError::Build { file: place, why });
    }
    let Some(target) = patch.target.as_ref().filter(|target| !target.name.is_empty()) else {
        let why = "patchesJson6902: an entry needs a target with a name".to_owned();
        return Err(RenderError::Build { file: site.file.to_owned(), why });
    };
    let change = Change::Operations { list, remembered: false };
    to_selected(reader, resources, &change, patch, target, site)
}

fn text_of(
    reader: &Reader<'_>,
    folder: &str,
    file: &str,
    path: &str,
) -> Result<(Vec<u8>, String), RenderError> {
    let place = reader.file_below(folder, path, file)?;
    Ok((reader.bytes(&place, file)?.to_vec(), place))
}

/// The text of a patch, and the file it stands in.
fn source(
    reader: &Reader<'_>,
    Site { folder, file, .. }: Site<'_>,
    patch: &Patch,
) -> Result<(Vec<u8>, String), RenderError> {
    match (&patch.text, &patch.path) {
        (Some(text), _) => Ok((text.clone().into_bytes(), file.to_owned())),
        (None, named) => text_of(reader, folder, file, named.as_deref().unwrap_or_default()),
    }
}

/// Whether a document is not empty. Kustomize leaves out those that are.
fn says_something(document: &Value) -> bool {
    match document {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

fn names_an_object(patch: &Value) -> bool {
    let Id { kind, name, .. } = Id::of(patch);
    !kind.is_empty() && !name.is_empty()
}

fn read(
    reader: &mut Reader<'_>,
    site: Site<'_>,
    patch: &Patch,
) -> Result<Option<Change>, RenderError> {
    let (text, place) = source(reader, site, patch)?;
    let mut values = Vec::new();
    for mut document in reader.documents(&text, Dialect::KustomizePatch, &place)? {
        if says_something(&document.value) {
            if patch.target.is_some() {
                as_object(&mut document, &["labels", "annotations"]);
            } else if patch.allow_name_change || patch.allow_kind_change {
                // Kustomize notes the options in the patch's annotations.
                as_object(&mut document, &["annotations"]);
            }
            values.push(document.value);
        }
    }
    match &values[..] {
        [] => Ok(None),
        [one] if json_patch::is_patch(one) => {
            let list = reader.document(&text, Dialect::Kustomization, &place)?;
            Ok(Some(Change::Operations { list, remembered: true }))
        }
        all if all.iter().all(names_an_object) => Ok(Some(Change::Merge(values))),
        _ => {
            let why = "a patch is an object with what changes, with kind and metadata.name even if \
                       it has a target, or a list of operations";
            Err(RenderError::Build { file: place, why: why.to_owned() })
        }
    }
}

/// How kustomize reads a patch that has a target, and those of `patchesStrategicMerge`: as an
/// object. `null` for all labels or annotations, or none in them, says nothing there, and each one
/// is a text: `null` takes none away but is the text, and one without a value is empty.
fn as_object(Document { value, blanks, .. }: &mut Document, fields: &[&str]) {
    let Some(Value::Object(metadata)) = value.get_mut("metadata") else { return };
    for field in fields {
        match metadata.get_mut(*field) {
            Some(Value::Null) => drop(metadata.remove(*field)),
            Some(Value::Object(given)) if given.is_empty() => drop(metadata.remove(*field)),
            Some(Value::Object(given)) if !given.contains_key("$patch") => {
                texts(given, &blanks_of(blanks, field));
            }
            _ => {}
        }
    }
}

/// Applies a patch to everything its target selects.
fn to_selected(
    reader: &mut Reader<'_>,
    resources: &mut Vec<Resource>,
    change: &Change,
    patch: &Patch,
    target: &Selector,
    site: Site<'_>,
) -> Result<(), RenderError> {
    let wrong = |why: String| RenderError::Build { file: site.file.to_owned(), why };
    let matcher = Matcher::new(target).map_err(wrong)?;
    let weight = change.size();
    let mut deleted = Vec::new();
    for (index, resource) in resources.iter_mut().enumerate() {
        reader.go_on()?;
        if !matcher.matches(resource) {
            continue;
        }
        reader.budget.take_patched(weight).ok_or_else(|| RenderError::Limit {
            path: site.file.to_owned(),
            limit: Budget::PATCHED_NODES_MAX,
            what: "values of patches, as often as they are applied",
        })?;
        match change {
            Change::Operations { list, remembered } => {
                let id = resource.id();
                if *remembered {
                    resource.remember();
                }
                json_patch::apply(&mut resource.value, list)
                    .map_err(|why| wrong(format!("the patch of {id} fails: {why}")))?;
                // The object came back from JSON, where a field without a value says `null`.
                resource.blanks.clear();
                annotations_to_text(resource);
            }
            Change::Merge(documents) => {
                let [document] = &documents[..] else {
                    return Err(wrong("a patch with a target is one document".to_owned()));
                };
                if apply(resource, document, patch, site)? == Merged::Deleted {
                    deleted.push(index);
                }
            }
        }
    }
    // Kustomize looks at this after every merge. Where the merge renames and deletes nothing, what
    // an earlier patch left can as well be found in the end.
    let is_merge = matches!(change, Change::Merge(_));
    if is_merge && (patch.allow_name_change || patch.allow_kind_change || !deleted.is_empty()) {
        unique(resources, site.file)?;
    }
    for index in deleted.into_iter().rev() {
        resources.remove(index);
    }
    Ok(())
}

/// Applies a patch to the one object it names.
fn to_its_object(
    resources: &mut Vec<Resource>,
    document: &Value,
    patch: &Patch,
    site: Site<'_>,
) -> Result<(), RenderError> {
    let id = Id::of(document);
    let wrong = |why: String| RenderError::Build { file: site.file.to_owned(), why };
    if !names_an_object(document) {
        return Err(wrong("a patch without a target names its object: kind and name".to_owned()));
    }
    let found: Vec<usize> = resources
        .iter()
        .enumerate()
        .filter(|(_, resource)| resource.was(&id))
        .map(|(index, _)| index)
        .collect();
    let [index] = found[..] else {
        let count = found.len();
        return Err(wrong(format!("a patch is for {id}, and {count} objects are that")));
    };
    if let Some(resource) = resources.get_mut(index)
        && apply(resource, document, patch, site)? == Merged::Deleted
    {
        resources.remove(index);
    }
    Ok(())
}

/// Merges, and gives the object its identity back unless the patch may change it.
fn apply(
    resource: &mut Resource,
    document: &Value,
    patch: &Patch,
    site: Site<'_>,
) -> Result<Merged, RenderError> {
    let Site { schemas, file, .. } = site;
    let before = resource.id();
    let api_version = resource.value.get("apiVersion").cloned();
    if patch.allow_name_change || patch.allow_kind_change {
        resource.remember();
    }
    remove_blanks(resource, schemas);
    let merged = merge(&mut resource.value, document, &before, schemas).map_err(|clash| {
        let why = format!("a patch does not fit {before}: {clash}");
        RenderError::Build { file: file.to_owned(), why }
    })?;
    if merged == Merged::Deleted {
        return Ok(Merged::Deleted);
    }
    if !patch.allow_name_change {
        resource.set_name(before.name);
    }
    resource.set_namespace(&before.namespace);
    if !patch.allow_kind_change {
        let map = mapping(&mut resource.value);
        map.insert("kind".to_owned(), Value::from(before.kind));
        if let Some(api_version) = api_version {
            map.insert("apiVersion".to_owned(), api_version);
        }
    }
    Ok(Merged::Kept)
}
