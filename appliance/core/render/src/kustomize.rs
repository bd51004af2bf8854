//! Kustomize: a folder with a kustomization file to objects.
//!
//! One kustomization takes effect in this order, whatever the order of its fields:
//!
//! 1. `resources` and `bases`: files, and folders that are kustomizations themselves;
//! 2. `configMapGenerator`, `secretGenerator`;
//! 3. `components`, which work on everything gathered so far;
//! 4. `patchesStrategicMerge`, `patches`, `namespace`, `namePrefix`, `nameSuffix`, `labels`,
//!    `commonLabels`, `commonAnnotations`, `patchesJson6902`, `replicas`, `images`.
//!
//! Only in the end, and only once: names of generated objects get the hash of their content, what
//! refers to a changed name follows, objects for local use are dropped, and the rest is sorted.

pub(crate) mod decode;
mod fields;
pub(crate) mod file;
mod generate;
mod hash;
mod json_patch;
mod labels;
mod merge;
mod merge_keys;
mod order;
mod patch;
mod reference_table;
mod references;
mod resource;
mod scope;
mod selector;
mod transform;

use fyr_model::source_tree::join;
use fyr_model::{BuildEnvironment, KustomizeOptions, Object};
use serde_json::{Map, Value};

use self::file::{FILE_NAMES, Kustomization};
use self::order::Order;
use self::resource::Resource;
use crate::reader::Reader;
use crate::yaml::Dialect;
use crate::{RenderError, directory, overrides};

/// Kustomizations within kustomizations.
const DEPTH_MAX: usize = 64;
/// Kustomizations of one build, each counted as often as it is named: a few dozen that name each
/// other twice stand for billions. Twenty times what one application is made of.
const KUSTOMIZATIONS_MAX: usize = 2_000;
/// Objects of one build; Kubernetes itself is not used with more in one place.
const OBJECTS_MAX: usize = 20_000;
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
    let mut build = Build { reader, stack: Vec::new(), read: 0 };
    let (file, mut kustomization) = build.read(folder)?;
    if let Some((options, environment)) = given {
        overrides::apply(&mut kustomization, options, environment, build.reader, folder, &file)?;
    }
    let order = kustomization.order.clone().unwrap_or_default();
    let mut resources = Vec::new();
    build.gather(folder, &file, &kustomization, &mut resources)?;
    finish(resources, &order, &file)
}

/// What happens once, to everything.
fn finish(
    mut resources: Vec<Resource>,
    order: &Order,
    file: &str,
) -> Result<Vec<Object>, RenderError> {
    hash::append(&mut resources)
        .map_err(|why| RenderError::Build { file: file.to_owned(), why })?;
    references::fix(&mut resources, file)?;
    resources.retain(|resource| !is_local(resource));
    resources.iter_mut().for_each(drop_empty_annotations);
    order.sort(&mut resources);
    let objects = resources.into_iter().map(|resource| {
        Object::parse(resource.value).map_err(|error| RenderError::Build {
            file: file.to_owned(),
            why: format!("an object lost what it needs on the way: {error}"),
        })
    });
    objects.collect()
}

fn is_local(resource: &Resource) -> bool {
    let annotation = resource.value.pointer("/metadata/annotations");
    let mark = annotation.and_then(|annotations| annotations.get(LOCAL_CONFIG));
    mark.is_some_and(|mark| mark.as_str() != Some("false"))
}

/// Makes text of annotations that are something else. The reader of YAML keeps the text as it is
/// written, but it does not know where the items of a list are objects.
fn annotations_to_text(resource: &mut Resource) {
    let annotations = resource.value.pointer_mut("/metadata/annotations");
    for value in annotations.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        *value = match &*value {
            Value::String(_) => continue,
            Value::Array(_) | Value::Object(_) => Value::from(""),
            other => Value::from(other.to_string()),
        };
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

struct Build<'r, 't> {
    reader: &'r mut Reader<'t>,
    /// The folders being built, the outermost first.
    stack: Vec<String>,
    /// Number of kustomizations read so far.
    read: usize,
}

impl Build<'_, '_> {
    /// Reads the kustomization of a folder; with its file's path.
    fn read(&mut self, folder: &str) -> Result<(String, Kustomization), RenderError> {
        let missing = || RenderError::Missing {
            file: folder.to_owned(),
            path: FILE_NAMES.first().copied().unwrap_or_default().to_owned(),
        };
        let file = file_in(self.reader, folder)?.ok_or_else(missing)?;
        self.read += 1;
        if self.read > KUSTOMIZATIONS_MAX {
            let what = "kustomizations in one build";
            return Err(RenderError::Limit { path: file, limit: KUSTOMIZATIONS_MAX, what });
        }
        let bytes = self.reader.bytes(&file, folder)?;
        let value = self.reader.document(&bytes, Dialect::Kustomize, &file)?;
        let kustomization = Kustomization::read(value, &file)?;
        Ok((file, kustomization))
    }

    /// Adds what a kustomization gives to `resources`, and lets it work on all of them.
    fn gather(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
        resources: &mut Vec<Resource>,
    ) -> Result<(), RenderError> {
        self.enter(folder, file)?;
        for path in &kustomization.resources {
            self.resource(folder, file, path, resources)?;
        }
        transform::unique(resources, file)?;
        for generator in &kustomization.config_maps {
            let made = generate::config_map(self.reader, folder, file, generator)?;
            generate::absorb(resources, made, generator.behavior, file)?;
        }
        for generator in &kustomization.secrets {
            let made = generate::secret(self.reader, folder, file, generator)?;
            generate::absorb(resources, made, generator.behavior, file)?;
        }
        for path in &kustomization.components {
            self.component(folder, file, path, resources)?;
        }
        self.transform(folder, file, kustomization, resources)?;
        self.stack.pop();
        Ok(())
    }

    fn enter(&mut self, folder: &str, file: &str) -> Result<(), RenderError> {
        if self.stack.iter().any(|outer| outer == folder) {
            let why = format!("the kustomizations form a cycle: {}", self.stack.join(" → "));
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        if self.stack.len() == DEPTH_MAX {
            let what = "kustomizations within each other";
            return Err(RenderError::Limit { path: file.to_owned(), limit: DEPTH_MAX, what });
        }
        self.stack.push(folder.to_owned());
        Ok(())
    }

    /// One entry of `resources`: a file, or a folder with a kustomization.
    fn resource(
        &mut self,
        folder: &str,
        file: &str,
        path: &str,
        resources: &mut Vec<Resource>,
    ) -> Result<(), RenderError> {
        let place = self.place(folder, file, path)?;
        if self.reader.is_file(&place) {
            let place = self.reader.file_below(folder, path, file)?;
            let bytes = self.reader.bytes(&place, file)?;
            for object in directory::manifests(self.reader, &bytes, Dialect::Kustomize, &place)? {
                let mut resource = Resource::new(object);
                annotations_to_text(&mut resource);
                add(resources, resource, file)?;
            }
            return Ok(());
        }
        let (inner_file, inner) = self.folder(file, path, &place)?;
        if inner.component {
            let why = format!("{path:?} is a component: list it under components");
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        let mut gathered = Vec::new();
        self.gather(&place, &inner_file, &inner, &mut gathered)?;
        for resource in gathered {
            add(resources, resource, file)?;
        }
        Ok(())
    }

    /// One entry of `components`: it works on everything gathered so far.
    fn component(
        &mut self,
        folder: &str,
        file: &str,
        path: &str,
        resources: &mut Vec<Resource>,
    ) -> Result<(), RenderError> {
        let place = self.place(folder, file, path)?;
        let (inner_file, inner) = self.folder(file, path, &place)?;
        if !inner.component {
            let why = format!("{path:?} is no component: list it under resources");
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        self.gather(&place, &inner_file, &inner, resources)
    }

    /// Where a path that a kustomization names leads to, links followed.
    fn place(&self, folder: &str, file: &str, path: &str) -> Result<String, RenderError> {
        if is_remote(path) {
            let why = format!(
                "{path:?} is elsewhere, and nothing is fetched while rendering: copy it into the \
                 repository and name its folder"
            );
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        let outside = || RenderError::Outside {
            file: file.to_owned(),
            path: path.to_owned(),
            root: ".".to_owned(),
        };
        if path.starts_with('/') {
            return Err(outside());
        }
        self.reader.resolve(&join(folder, path).ok_or_else(outside)?)
    }

    fn folder(
        &mut self,
        file: &str,
        path: &str,
        place: &str,
    ) -> Result<(String, Kustomization), RenderError> {
        if !self.reader.files().is_folder(place) {
            let (file, path) = (file.to_owned(), path.to_owned());
            return Err(RenderError::Missing { file, path });
        }
        self.read(place)
    }

    /// What a kustomization does with everything gathered.
    fn transform(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
        resources: &mut Vec<Resource>,
    ) -> Result<(), RenderError> {
        if !kustomization.replacements.is_empty() {
            let field = "replacements".to_owned();
            return Err(RenderError::Unsupported { file: file.to_owned(), field });
        }
        patch::strategic(self.reader, folder, file, &kustomization.strategic_patches, resources)?;
        patch::all(self.reader, folder, file, &kustomization.patches, resources)?;
        transform::namespace(resources, &kustomization.namespace, file)?;
        transform::names(resources, &kustomization.name_prefix, &kustomization.name_suffix);
        for rule in &kustomization.labels {
            labels::labels(resources, rule);
        }
        labels::common_labels(resources, &kustomization.common_labels);
        labels::common_annotations(resources, &kustomization.common_annotations);
        patch::all(self.reader, folder, file, &kustomization.json_patches, resources)?;
        for rule in &kustomization.replicas {
            transform::replicas(resources, rule, file)?;
        }
        transform::images(resources, &kustomization.images);
        Ok(())
    }
}

/// Adds an object.
fn add(resources: &mut Vec<Resource>, resource: Resource, file: &str) -> Result<(), RenderError> {
    if resources.len() == OBJECTS_MAX {
        let what = "objects";
        return Err(RenderError::Limit { path: file.to_owned(), limit: OBJECTS_MAX, what });
    }
    resources.push(resource);
    Ok(())
}

/// Whether kustomize would fetch it: a URL, an address of scp's form or a known host's path.
fn is_remote(path: &str) -> bool {
    path.contains("://")
        || path.starts_with("git@")
        || path.starts_with("github.com/")
        || path.contains("?ref=")
}

#[cfg(test)]
mod tests;
