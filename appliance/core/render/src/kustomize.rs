//! Kustomize: a folder with a kustomization file to objects.
//!
//! A *kustomization* is a file that lists objects and says what to change in them. It may include
//! other kustomizations, each a folder of its own, and works on what those have come to: a *base*
//! is included by *overlays*, and knows nothing of them. A *component* is included as well, but
//! works on everything that the one which includes it has gathered so far.
//!
//! The fields of a file take effect in one order, whatever the order they are written in. First
//! everything below is done completely, then, for this kustomization ([`gather`]):
//!
//! 1. `resources` (and `bases`, their old name): the objects of files, and of folders that are
//!    kustomizations themselves.
//! 2. `configurations` and `crds` say which further fields the steps below look at
//!    ([`configuration`]); `openapi` says which lists a patch merges item by item ([`openapi`]).
//! 3. `configMapGenerator`, `secretGenerator`, then `generators`: objects made from files and
//!    literals. `generatorOptions` are the defaults of the first two.
//! 4. `components`, in their order.
//! 5. The transformations ([`transformer`]), each on all objects: `patchesStrategicMerge`,
//!    `patches`, `namespace`, `namePrefix`, `nameSuffix`, `labels`, `commonLabels`,
//!    `commonAnnotations`, `patchesJson6902`, `replicas`, `images`, `replacements`, and then
//!    `transformers` in their order ([`plugins`]).
//! 6. `validators`, which may look at everything and change nothing.
//! 7. `vars` are noted, with the objects that they are about ([`variables`]).
//!
//! Names change on the way, and an object is still found by those it had: each one remembers its
//! former identities ([`resource`]).
//!
//! In the end, and only once, for the kustomization at the top:
//!
//! 1. names of generated objects get the hash of their content ([`hash`]);
//! 2. fields that refer to an object by a name it had get its name of now ([`references`]);
//! 3. `$(NAME)` becomes what the variable says;
//! 4. objects that are for local use are dropped: `config.kubernetes.io/local-config`;
//! 5. the rest is sorted, by `sortOptions` or in the order in which it can be applied ([`order`]);
//! 6. `buildMetadata` is written down ([`origin`]).
//!
//! What would fetch or run something is an error that says what to do instead: remote resources,
//! programs and containers, Helm charts.

mod configuration;
mod crds;
pub(crate) mod decode;
mod field_table;
mod fields;
pub(crate) mod file;
mod gather;
mod generate;
mod hash;
mod image_pattern;
mod json_patch;
mod labels;
mod merge;
mod merge_keys;
mod openapi;
mod order;
mod origin;
mod patch;
mod pattern;
mod plugins;
mod reference_table;
mod references;
mod replacements;
mod resource;
pub(crate) mod scope;
mod selector;
mod transform;
mod transformer;
mod value_add;
mod variables;

use std::collections::BTreeSet;

use fyr_model::source_tree::join;
use fyr_model::{BuildEnvironment, KustomizeOptions, Object};
use serde_json::{Map, Value};

use self::file::FILE_NAMES;
use self::gather::{Build, Gathered};
use self::order::Order;
use self::origin::BuildMetadata;
use self::resource::Resource;
use crate::reader::Reader;
use crate::yaml::Blank;
use crate::{RenderError, overrides};

/// Keeps an object out of the result.
const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

/// What Argo CD's Application says about the kustomization at the top.
pub(crate) type Overrides<'a> = Option<(&'a KustomizeOptions, &'a BuildEnvironment)>;

/// The path of a folder's kustomization file, if it has one. Two are an error.
pub(crate) fn file_in(reader: &Reader<'_>, folder: &str) -> Result<Option<String>, RenderError> {
    let mut found: Option<String> = None;
    for name in FILE_NAMES {
        let Some(path) = join(folder, name) else { continue };
        let path = reader.resolve(&path)?;
        if !reader.is_file(&path) {
            continue;
        }
        if let Some(other) = found {
            let why = format!("the folder has another kustomization file beside it, {other}");
            return Err(RenderError::Build { file: path, why });
        }
        found = Some(path);
    }
    Ok(found)
}

/// Builds the kustomization of a folder.
pub(crate) fn render(
    reader: &mut Reader<'_>,
    folder: &str,
    given: Overrides<'_>,
) -> Result<Vec<Object>, RenderError> {
    let mut build = Build::new(reader);
    let (file, mut kustomization) = build.read(folder)?;
    if let Some((options, environment)) = given {
        overrides::apply(&mut kustomization, options, environment, build.reader, folder, &file)?;
    }
    let order = kustomization.order.clone().unwrap_or_default();
    build.write_down(kustomization.metadata);
    let mut gathered = Gathered::default();
    build.gather(folder, &file, &kustomization, &mut gathered)?;
    finish(build.reader, gathered, &order, kustomization.metadata, &file)
}

/// What happens once, to everything.
fn finish(
    reader: &Reader<'_>,
    gathered: Gathered,
    order: &Order,
    metadata: BuildMetadata,
    file: &str,
) -> Result<Vec<Object>, RenderError> {
    let Gathered { mut resources, configuration, variables } = gathered;
    hash::append(&mut resources)
        .map_err(|why| RenderError::Build { file: file.to_owned(), why })?;
    references::fix(reader, &mut resources, &configuration.references, file)?;
    variables
        .resolve(&mut resources, &configuration.variables)
        .map_err(|why| RenderError::Build { file: file.to_owned(), why })?;
    resources.retain(|resource| !is_local(resource));
    transform::unique(&resources, file)?;
    resources.iter_mut().for_each(drop_empty_annotations);
    resources.iter_mut().for_each(annotations_to_text);
    order.sort(&mut resources);
    origin::write(&mut resources, metadata);
    let objects = resources.into_iter().map(|resource| {
        Object::parse(resource.value).map_err(|error| RenderError::Build {
            file: file.to_owned(),
            why: format!("an object lost what it needs on the way: {error}"),
        })
    });
    objects.collect()
}

fn is_local(resource: &Resource) -> bool {
    let mark = resource.annotations().and_then(|annotations| annotations.get(LOCAL_CONFIG));
    mark.is_some_and(|mark| mark.as_str() != Some("false"))
}

/// Makes text of annotations that are something else. The reader of YAML keeps the text as it is
/// written, but it does not know where the items of a list are objects.
fn annotations_to_text(resource: &mut Resource) {
    let Resource { value, blanks, .. } = resource;
    let annotations = value
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations")?.as_object_mut());
    if let Some(annotations) = annotations.filter(|map| !map.values().all(Value::is_string)) {
        texts(annotations, &blanks_of(blanks, "annotations"));
    }
}

/// The entries of a field of `metadata` that were read without a value.
fn blanks_of<'b>(blanks: &'b [Blank], field: &str) -> BTreeSet<&'b str> {
    let keys = blanks.iter().filter_map(|blank| match &blank[..] {
        [top, of, key] if top == "metadata" && of == field => Some(key.as_str()),
        _ => None,
    });
    keys.collect()
}

/// Makes every value a text: `null` too, unless it is nothing at all.
fn texts(map: &mut Map<String, Value>, blanks: &BTreeSet<&str>) {
    for (key, value) in map {
        *value = Value::from(match &*value {
            Value::String(_) => continue,
            Value::Array(_) | Value::Object(_) => String::new(),
            Value::Null if blanks.contains(key.as_str()) => String::new(),
            value => value.to_string(),
        });
    }
}

/// Kustomize keeps notes of its own in annotations, and where none is left the field goes.
fn drop_empty_annotations(resource: &mut Resource) {
    let Some(Value::Object(metadata)) = resource.value.get_mut("metadata") else { return };
    let is_empty = |annotations: &Value| match annotations {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if metadata.get("annotations").is_some_and(is_empty) {
        metadata.remove("annotations");
    }
}

#[cfg(test)]
mod tests;
