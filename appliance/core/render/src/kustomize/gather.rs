//! Gathers the objects of a kustomization and of everything it includes, and lets each
//! kustomization work on what it has gathered.

use std::rc::Rc;
use std::sync::Arc;

use fyr_model::source_tree::join;

use super::configuration::Configuration;
use super::file::{Behavior, FILE_NAMES, Kustomization, SchemaChoice};
use super::merge_keys::Schemas;
use super::openapi::OpenApi;
use super::origin::{self, BuildMetadata, Maker, Origin};
use super::patch::Site;
use super::plugins::{self, Generated};
use super::resource::Resource;
use super::transformer::Transformer;
use super::variables::Variables;
use super::{annotations_to_text, crds, file_in, generate, replacements, transform};
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
    /// What is written down on the way.
    metadata: BuildMetadata,
    /// The schema that counts for the whole build, once one was chosen.
    schema: Option<Chosen>,
    /// Whether any object was read.
    has_objects: bool,
}

/// A schema that a kustomization chose.
#[derive(Clone, Debug)]
enum Chosen {
    BuiltIn,
    Own(Rc<OpenApi>),
}

fn schemas(chosen: Option<&Chosen>) -> Schemas<'_> {
    match chosen {
        Some(Chosen::Own(api)) => Schemas::Own(api),
        Some(Chosen::BuiltIn) | None => Schemas::BuiltIn,
    }
}

impl<'r, 't> Build<'r, 't> {
    pub(super) fn new(reader: &'r mut Reader<'t>) -> Self {
        let metadata = BuildMetadata::default();
        Self { reader, stack: Vec::new(), read: 0, metadata, schema: None, has_objects: false }
    }

    /// Writes down on the way what the kustomization at the top asks for.
    pub(super) fn write_down(&mut self, metadata: BuildMetadata) {
        self.metadata = metadata;
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
        let value = self.reader.document(&bytes, Dialect::Kustomization, &file)?;
        let kustomization = Kustomization::read(value, &file)?;
        if let (None, Some(choice)) = (&self.schema, &kustomization.open_api) {
            self.schema = Some(match choice {
                SchemaChoice::BuiltIn => Chosen::BuiltIn,
                SchemaChoice::File(path) => {
                    let document = self.value(folder, &file, path)?;
                    Chosen::Own(Rc::new(OpenApi::new(document, self.has_objects)))
                }
            });
        }
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
        transform::unique(&gathered.resources, file)?;
        self.generate(folder, file, kustomization, &mut gathered.resources)?;
        for path in &kustomization.components {
            self.component(folder, file, path, gathered)?;
        }
        self.transform(folder, file, kustomization, gathered)?;
        self.validate(folder, file, kustomization, &gathered.resources)?;
        gathered
            .variables
            .add(&kustomization.variables, &mut gathered.resources)
            .map_err(|why| wrong(file, why))?;
        self.stack.pop();
        Ok(())
    }

    /// Adds what is generated.
    fn generate(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
        resources: &mut Vec<Resource>,
    ) -> Result<(), RenderError> {
        let config_maps = kustomization.config_maps.iter().cloned().map(Generated::ConfigMap);
        let secrets = kustomization.secrets.iter().cloned().map(Generated::Secret);
        let mut all: Vec<(Generated, Maker)> = config_maps
            .chain(secrets)
            .map(|generated| {
                let maker = self.maker(file, generated.kind(), None);
                (generated, maker)
            })
            .collect();
        for config in self.configs(folder, file, &kustomization.generators)? {
            let generated = plugins::generator(&config, file)?;
            let maker = self.maker(file, generated.kind(), Some(&config));
            all.push((generated, maker));
        }
        for (generated, maker) in all {
            let (mut made, behavior) = match generated {
                Generated::ConfigMap(generator) => (
                    generate::config_map(self.reader, folder, file, &generator)?,
                    generator.behavior,
                ),
                Generated::Secret(generator) => {
                    (generate::secret(self.reader, folder, file, &generator)?, generator.behavior)
                }
                Generated::Object(value) => (Resource::of(value), Behavior::Create),
            };
            made.origin = self.metadata.origins.then_some(Origin::Made(maker));
            generate::absorb(resources, made, behavior, file)?;
        }
        Ok(())
    }

    /// The objects that configure generators or transformers: entries that are objects themselves,
    /// and what the files and folders give that other entries name.
    fn configs(
        &mut self,
        folder: &str,
        file: &str,
        entries: &[String],
    ) -> Result<Vec<Resource>, RenderError> {
        let mut gathered = Gathered::default();
        for entry in entries {
            let inline =
                directory::manifests(self.reader, entry.as_bytes(), Dialect::Kustomize, file);
            match inline {
                Ok(manifests) if !manifests.is_empty() => {
                    for manifest in manifests {
                        let mut resource = Resource::new(manifest);
                        resource.origin = Some(Origin::File(self.relative(file)));
                        gathered.add(resource, file)?;
                    }
                }
                Err(error) if entry.contains('\n') => return Err(error),
                _ => self.resource(folder, file, entry, &mut gathered)?,
            }
        }
        Ok(gathered.resources)
    }

    /// What is written down of a generator or transformer, which `config` configures if it is one
    /// of its own.
    fn maker(&self, file: &str, kind: &str, config: Option<&Resource>) -> Maker {
        let id = config.map(Resource::id);
        let file = match config.and_then(|config| config.origin.as_ref()) {
            Some(Origin::File(file)) => file.clone(),
            Some(Origin::Made(maker)) => maker.file.clone(),
            None => self.relative(file),
        };
        let (name, namespace) = id.map(|id| (id.name, id.namespace)).unwrap_or_default();
        Maker { file, kind: kind.to_owned(), name, namespace }
    }

    /// A path as seen from the folder at the top.
    fn relative(&self, path: &str) -> String {
        let top = self.stack.first().map_or("", String::as_str);
        origin::relative(top, path)
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
            self.has_objects = true;
            // What was done names the file of a transformer's own configuration.
            let is_wanted = self.metadata.origins || self.metadata.transformations;
            let origin = is_wanted.then(|| Origin::File(self.relative(&place)));
            let dialect = Dialect::Kustomize;
            for manifest in directory::file_manifests(self.reader, &bytes, dialect, &place)? {
                let mut resource = Resource::new(manifest);
                resource.origin.clone_from(&origin);
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
        self.gather(&place, &inner_file, &inner, gathered)?;
        transform::unique(&gathered.resources, &inner_file)
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
        let replacements = self.replacements(folder, file, &kustomization.replacements)?;
        let Gathered { resources, configuration, .. } = gathered;
        let own = Transformer::of(kustomization, configuration, replacements);
        let schema = self.schema.clone();
        let site = Site { folder, file, schemas: schemas(schema.as_ref()) };
        for transformer in own.map_err(|why| wrong(file, why))? {
            transformer.run(self.reader, site, resources)?;
            for _ in 0..transformer.count() {
                self.note(resources, || self.maker(file, transformer.kind(), None));
            }
        }
        for config in self.configs(folder, file, &kustomization.transformers)? {
            for transformer in self.plugin(folder, file, &config)? {
                transformer.run(self.reader, site, resources)?;
            }
            // One that does several things is still one.
            self.note(resources, || self.maker(file, config.kind(), Some(&config)));
        }
        Ok(())
    }

    /// Runs the validators, which may change nothing.
    fn validate(
        &mut self,
        folder: &str,
        file: &str,
        kustomization: &Kustomization,
        resources: &[Resource],
    ) -> Result<(), RenderError> {
        let schema = self.schema.clone();
        let site = Site { folder, file, schemas: schemas(schema.as_ref()) };
        for config in self.configs(folder, file, &kustomization.validators)? {
            for transformer in self.plugin(folder, file, &config)? {
                let mut copy = resources.to_vec();
                transformer.run(self.reader, site, &mut copy)?;
                let same = copy.len() == resources.len()
                    && copy.iter().zip(resources).all(|(one, other)| one.value == other.value);
                if !same {
                    let why = format!("the validator {} changes objects", config.id());
                    return Err(wrong(file, why));
                }
            }
        }
        Ok(())
    }

    /// What an object of `transformers` or `validators` asks for.
    fn plugin(
        &mut self,
        folder: &str,
        file: &str,
        config: &Resource,
    ) -> Result<Vec<Transformer<'static>>, RenderError> {
        if let Some(entries) = plugins::replacements(config, file)? {
            let rules = self.replacements(folder, file, &entries)?;
            return Ok(vec![Transformer::Replacements(rules)]);
        }
        let name = folder.rsplit('/').next().unwrap_or_default();
        plugins::transformer(config, file, name)
    }

    /// Writes down what was done with all objects, if that is asked for.
    fn note(&self, resources: &mut [Resource], maker: impl Fn() -> Maker) {
        if self.metadata.transformations {
            for resource in resources {
                resource.transformations.push(maker());
            }
        }
    }

    /// The replacements of entries, those in files read.
    fn replacements(
        &mut self,
        folder: &str,
        file: &str,
        entries: &[replacements::Entry],
    ) -> Result<Vec<replacements::Replacement>, RenderError> {
        let mut rules = Vec::new();
        for entry in entries {
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
