//! Gathers the objects of a kustomization and of everything it includes, and lets each
//! kustomization work on what it has gathered.

use std::sync::Arc;

use fyr_model::source_tree::join;

use super::configuration::Configuration;
use super::file::{FILE_NAMES, Kustomization};
use super::resource::Resource;
use super::transform::Affix;
use super::variables::Variables;
use super::{annotations_to_text, crds, file_in, generate, labels, patch, replacements, transform};
use crate::reader::Reader;
use crate::yaml::Dialect;
use crate::{RenderError, directory};

/// Kustomizations within kustomizations.
const DEPTH_MAX: usize = 64;
/// Kustomizations of one build, each counted as often as it is named: a few dozen that name each
/// other twice stand for billions. Twenty times what one application is made of.
pub(super) const KUSTOMIZATIONS_MAX: usize = 2_000;
/// Objects of one build; Kubernetes itself is not used with more in one place.
const OBJECTS_MAX: usize = 20_000;

/// What a kustomization and everything it includes have come to.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) resources: Vec<Resource>,
    /// The fields that transformations change.
    pub(super) configuration: Arc<Configuration>,
    pub(super) variables: Variables,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            configuration: Configuration::defaults(),
            variables: Variables::default(),
        }
    }
}

impl Gathered {
    /// Takes over what an included kustomization has come to.
    fn include(&mut self, inner: Self, file: &str) -> Result<(), RenderError> {
        for resource in inner.resources {
            self.add(resource, file)?;
        }
        if !Arc::ptr_eq(&inner.configuration, &Configuration::defaults()) {
            self.configure(&inner.configuration, file)?;
        }
        self.variables.include(inner.variables).map_err(|why| wrong(file, why))
    }

    fn add(&mut self, resource: Resource, file: &str) -> Result<(), RenderError> {
        if self.resources.len() == OBJECTS_MAX {
            let what = "objects";
            return Err(RenderError::Limit { path: file.to_owned(), limit: OBJECTS_MAX, what });
        }
        self.resources.push(resource);
        Ok(())
    }

    fn configure(&mut self, added: &Configuration, file: &str) -> Result<(), RenderError> {
        Arc::make_mut(&mut self.configuration).add(added).map_err(|why| wrong(file, why))
    }
}

fn wrong(file: &str, why: String) -> RenderError {
    RenderError::Build { file: file.to_owned(), why }
}

/// A build at work.
pub(super) struct Build<'r, 't> {
    pub(super) reader: &'r mut Reader<'t>,
    /// The folders being built, the outermost first.
    stack: Vec<String>,
    /// Number of kustomizations read so far.
    read: usize,
}

impl<'r, 't> Build<'r, 't> {
    pub(super) fn new(reader: &'r mut Reader<'t>) -> Self {
        Self { reader, stack: Vec::new(), read: 0 }
    }

    /// Reads the kustomization of a folder; with its file's path.
    pub(super) fn read(&mut self, folder: &str) -> Result<(String, Kustomization), RenderError> {
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

    /// Adds what a kustomization gives to `gathered`, and lets it work on all of it.
    pub(super) fn gather(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
        gathered: &mut Gathered,
    ) -> Result<(), RenderError> {
        self.enter(folder, file)?;
        for path in &kustomization.resources {
            self.resource(folder, file, path, gathered)?;
        }
        self.configure(folder, file, kustomization, gathered)?;
        let resources = &mut gathered.resources;
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
            self.component(folder, file, path, gathered)?;
        }
        self.transform(folder, file, kustomization, gathered)?;
        gathered
            .variables
            .add(&kustomization.variables, &mut gathered.resources)
            .map_err(|why| wrong(file, why))?;
        self.stack.pop();
        Ok(())
    }

    /// Adds the fields that the kustomization configures.
    fn configure(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
        gathered: &mut Gathered,
    ) -> Result<(), RenderError> {
        for path in &kustomization.configurations {
            let value = self.value(folder, file, path)?;
            gathered.configure(&Configuration::read(value, path)?, file)?;
        }
        for path in &kustomization.crds {
            let value = self.value(folder, file, path)?;
            gathered.configure(&crds::configuration(&value), file)?;
        }
        Ok(())
    }

    /// What a file that a kustomization names says.
    fn value(
        &mut self,
        folder: &str,
        file: &str,
        path: &str,
    ) -> Result<serde_json::Value, RenderError> {
        let place = self.reader.file_below(folder, path, file)?;
        let bytes = self.reader.bytes(&place, file)?;
        self.reader.document(&bytes, Dialect::Kustomize, &place)
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
        gathered: &mut Gathered,
    ) -> Result<(), RenderError> {
        let place = self.place(folder, file, path)?;
        if self.reader.is_file(&place) {
            let place = self.reader.file_below(folder, path, file)?;
            let bytes = self.reader.bytes(&place, file)?;
            for object in directory::manifests(self.reader, &bytes, Dialect::Kustomize, &place)? {
                let mut resource = Resource::new(object);
                annotations_to_text(&mut resource);
                gathered.add(resource, file)?;
            }
            return Ok(());
        }
        let (inner_file, inner) = self.folder(file, path, &place)?;
        if inner.component {
            let why = format!("{path:?} is a component: list it under components");
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        let mut included = Gathered::default();
        self.gather(&place, &inner_file, &inner, &mut included)?;
        gathered.include(included, file)
    }

    /// One entry of `components`: it works on everything gathered so far.
    fn component(
        &mut self,
        folder: &str,
        file: &str,
        path: &str,
        gathered: &mut Gathered,
    ) -> Result<(), RenderError> {
        let place = self.place(folder, file, path)?;
        let (inner_file, inner) = self.folder(file, path, &place)?;
        if !inner.component {
            let why = format!("{path:?} is no component: list it under resources");
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        self.gather(&place, &inner_file, &inner, gathered)
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
        gathered: &mut Gathered,
    ) -> Result<(), RenderError> {
        let Gathered { resources, configuration, .. } = gathered;
        patch::strategic(self.reader, folder, file, &kustomization.strategic_patches, resources)?;
        patch::all(self.reader, folder, file, &kustomization.patches, resources)?;
        transform::namespace(resources, &kustomization.namespace, &configuration.namespace, file)?;
        let (prefix, suffix) = (&kustomization.name_prefix, &kustomization.name_suffix);
        transform::names(resources, Affix::Prefix(prefix), &configuration.name_prefix);
        transform::names(resources, Affix::Suffix(suffix), &configuration.name_suffix);
        for rule in &kustomization.labels {
            labels::labels(resources, rule, configuration, file)?;
        }
        labels::set(resources, &configuration.common_labels, &kustomization.common_labels);
        labels::set(resources, &configuration.annotations, &kustomization.common_annotations);
        patch::all(self.reader, folder, file, &kustomization.json_patches, resources)?;
        for rule in &kustomization.replicas {
            transform::replicas(resources, rule, &configuration.replicas, file)?;
        }
        transform::images(resources, &kustomization.images, &configuration.images);
        for rules in self.replacements(folder, file, kustomization)? {
            replacements::apply(&rules, resources, file)?;
        }
        Ok(())
    }

    /// The replacements of a kustomization, those in files read.
    fn replacements(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
    ) -> Result<Vec<replacements::Replacement>, RenderError> {
        let mut rules = Vec::new();
        for entry in &kustomization.replacements {
            match entry {
                replacements::Entry::Inline(rule) => rules.push(rule.as_ref().clone()),
                replacements::Entry::File(path) => {
                    let value = self.value(folder, file, path)?;
                    rules.extend(replacements::read_file(value, path)?);
                }
            }
        }
        Ok(rules)
    }
}

/// Whether kustomize would fetch it: a URL, an address of scp's form or a known host's path.
fn is_remote(path: &str) -> bool {
    path.contains("://")
        || path.starts_with("git@")
        || path.starts_with("github.com/")
        || path.contains("?ref=")
}
