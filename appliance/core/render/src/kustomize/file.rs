//! The kustomization file.
//!
//! Fields that are not listed in [`Kustomization`] are errors: those that kustomize has, because
//! leaving them out would deploy something else; all others, because they are misspelt.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::configuration::specs;
use super::decode::Fields;
use super::fields::FieldSpec;
use super::openapi;
use super::order::Order;
use super::origin::BuildMetadata;
use super::replacements;
use super::transform::NamespaceRule;
use super::variables::Variable;
use crate::RenderError;

/// Names of a kustomization file; a folder has exactly one of them.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields that kustomize has and that are refused when they are set.
const REFUSED: [&str; 3] = ["helmChartInflationGenerator", "helmCharts", "helmGlobals"];

/// A kustomization, in the order its parts take effect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    pub(crate) component: bool,
    pub(crate) resources: Vec<String>,
    pub(crate) config_maps: Vec<Generator>,
    pub(crate) secrets: Vec<Generator>,
    pub(crate) components: Vec<String>,
    pub(crate) strategic_patches: Vec<String>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) namespace: NamespaceRule,
    pub(crate) name_prefix: String,
    pub(crate) name_suffix: String,
    pub(crate) labels: Vec<LabelRule>,
    pub(crate) common_labels: BTreeMap<String, String>,
    pub(crate) common_annotations: BTreeMap<String, String>,
    pub(crate) json_patches: Vec<Patch>,
    pub(crate) replicas: Vec<ReplicaRule>,
    pub(crate) images: Vec<ImageRule>,
    pub(crate) replacements: Vec<replacements::Entry>,
    pub(crate) configurations: Vec<String>,
    pub(crate) crds: Vec<String>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) generators: Vec<String>,
    pub(crate) transformers: Vec<String>,
    pub(crate) validators: Vec<String>,
    pub(crate) metadata: BuildMetadata,
    pub(crate) open_api: Option<SchemaChoice>,
    pub(crate) order: Option<Order>,
}

/// `openapi`: the schema that patches are merged by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SchemaChoice {
    BuiltIn,
    /// A document of the repository.
    File(String),
}

impl SchemaChoice {
    fn read(mut fields: Fields) -> Result<Option<Self>, RenderError> {
        let (version, path) = (fields.text("version")?, fields.text("path")?);
        let choice = match (version, path) {
            (None, None) => None,
            (None, Some(path)) => Some(Self::File(path)),
            (Some(version), None) if version == openapi::BUILT_IN => Some(Self::BuiltIn),
            (Some(_), None) => {
                let why = format!("only {} is built in", openapi::BUILT_IN);
                return Err(fields.error("version", why));
            }
            (Some(_), Some(_)) => {
                return Err(fields.error("version", "set either version or path"));
            }
        };
        fields.finish()?;
        Ok(choice)
    }
}

/// One entry of `configMapGenerator` or `secretGenerator`, `generatorOptions` merged into it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generator {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) behavior: Behavior,
    pub(crate) envs: Vec<String>,
    pub(crate) literals: Vec<String>,
    pub(crate) files: Vec<String>,
    pub(crate) secret_type: String,
    pub(crate) options: GeneratorOptions,
}

/// What a generator does about an object of its name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Behavior {
    #[default]
    Create,
    Merge,
    Replace,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorOptions {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) without_hash: bool,
    pub(crate) immutable: bool,
}

/// One entry of `labels`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelRule {
    pub(crate) pairs: BTreeMap<String, String>,
    pub(crate) selectors: bool,
    pub(crate) templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ReplicaRule {
    pub(crate) name: String,
    pub(crate) count: i64,
}

/// One entry of `images`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ImageRule {
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) new_tag: String,
    pub(crate) digest: String,
    pub(crate) tag_suffix: String,
}

/// One entry of `patches` or `patchesJson6902`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) path: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) target: Option<Selector>,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
}

/// Which objects a patch is for: regular expressions that match all of a part; empty matches all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) labels: String,
    pub(crate) annotations: String,
}

impl Kustomization {
    /// Reads the file; `file` is its path, for messages.
    pub(crate) fn read(value: Value, file: &str) -> Result<Self, RenderError> {
        if value.as_object().is_none_or(says_nothing) {
            let why = "the kustomization is empty".to_owned();
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
        let mut fields = Fields::of(value, file, "")?;
        let component = component(&mut fields)?;
        fields.take("metadata");
        for name in REFUSED {
            fields.refuse(name)?;
        }
        let options = generator_options(fields.fields("generatorOptions")?)?;
        let generators = |list: Vec<Fields>| -> Result<Vec<Generator>, RenderError> {
            list.into_iter().map(|entry| Generator::read(entry, &options)).collect()
        };
        let mut resources = fields.texts("resources")?;
        resources.extend(fields.texts("bases")?);
        let mut images = each(fields.list("images")?, ImageRule::read)?;
        // What the field was called once.
        images.extend(each(fields.list("imageTags")?, ImageRule::read)?);
        let kustomization = Self {
            component,
            resources,
            config_maps: generators(fields.list("configMapGenerator")?)?,
            secrets: generators(fields.list("secretGenerator")?)?,
            components: fields.texts("components")?,
            strategic_patches: fields.texts("patchesStrategicMerge")?,
            patches: each(fields.list("patches")?, Patch::read)?,
            namespace: NamespaceRule {
                namespace: fields.text_or_empty("namespace")?,
                ..NamespaceRule::default()
            },
            name_prefix: fields.text_or_empty("namePrefix")?,
            name_suffix: fields.text_or_empty("nameSuffix")?,
            labels: each(fields.list("labels")?, LabelRule::read)?,
            common_labels: fields.text_map("commonLabels")?,
            common_annotations: fields.text_map("commonAnnotations")?,
            json_patches: each(fields.list("patchesJson6902")?, Patch::read)?,
            replicas: each(fields.list("replicas")?, ReplicaRule::read)?,
            images,
            replacements: each(fields.list("replacements")?, replacements::Entry::read)?,
            configurations: fields.texts("configurations")?,
            crds: fields.texts("crds")?,
            variables: each(fields.list("vars")?, Variable::read)?,
            generators: fields.texts("generators")?,
            transformers: fields.texts("transformers")?,
            validators: fields.texts("validators")?,
            metadata: build_metadata(&mut fields)?,
            open_api: fields.fields("openapi")?.map(SchemaChoice::read).transpose()?.flatten(),
            order: fields.fields("sortOptions")?.map(Order::read).transpose()?,
        };
        fields.finish()?;
        Ok(kustomization)
    }
}

/// Whether no field is set but those that say what kind of file it is.
pub(crate) fn says_nothing(fields: &Map<String, Value>) -> bool {
    fields.iter().all(|(name, value)| {
        let is_head = ["kind", "apiVersion"].iter().any(|head| name.eq_ignore_ascii_case(head));
        is_head || value.is_null() || value.as_str() == Some("")
    })
}

fn each<T>(
    list: Vec<Fields>,
    read: fn(Fields) -> Result<T, RenderError>,
) -> Result<Vec<T>, RenderError> {
    list.into_iter().map(read).collect()
}

fn build_metadata(fields: &mut Fields) -> Result<BuildMetadata, RenderError> {
    let mut metadata = BuildMetadata::default();
    for option in fields.texts("buildMetadata")? {
        match option.as_str() {
            "originAnnotations" => metadata.origins = true,
            "transformerAnnotations" => metadata.transformations = true,
            "managedByLabel" => metadata.managed_by = true,
            other => {
                let why = format!("there is no {other:?} to ask for");
                return Err(fields.error("buildMetadata", why));
            }
        }
    }
    Ok(metadata)
}

/// Whether the file says that it is a component.
fn component(fields: &mut Fields) -> Result<bool, RenderError> {
    let kind = fields.text_or_empty("kind")?;
    let api_version = fields.text_or_empty("apiVersion")?;
    let expected = match kind.as_str() {
        "" | "Kustomization" => "kustomize.config.k8s.io/v1beta1",
        "Component" => "kustomize.config.k8s.io/v1alpha1",
        _ => return Err(fields.error("kind", "it has to be Kustomization or Component")),
    };
    // The version of the other kind is taken for either, as kustomize does for kustomizations.
    if !api_version.is_empty() && api_version != expected {
        return Err(fields.error("apiVersion", format!("it has to be {expected}")));
    }
    Ok(kind == "Component")
}

fn generator_options(fields: Option<Fields>) -> Result<GeneratorOptions, RenderError> {
    let Some(mut fields) = fields else { return Ok(GeneratorOptions::default()) };
    let options = GeneratorOptions {
        labels: fields.text_map("labels")?,
        annotations: fields.text_map("annotations")?,
        without_hash: fields.flag("disableNameSuffixHash")?,
        immutable: fields.flag("immutable")?,
    };
    fields.finish()?;
    Ok(options)
}

impl Generator {
    fn read(mut fields: Fields, common: &GeneratorOptions) -> Result<Self, RenderError> {
        let name = fields.text_or_empty("name")?;
        let namespace = fields.text_or_empty("namespace")?;
        let generator = Self::take(&mut fields, common, name, namespace)?;
        fields.finish()?;
        Ok(generator)
    }

    /// Takes everything but the name and the namespace.
    pub(crate) fn take(
        fields: &mut Fields,
        common: &GeneratorOptions,
        name: String,
        namespace: String,
    ) -> Result<Self, RenderError> {
        if name.is_empty() {
            return Err(fields.error("name", "it is required"));
        }
        let mut options = generator_options(fields.fields("options")?)?;
        let under = |local: &mut BTreeMap<String, String>, common: &BTreeMap<String, String>| {
            for (key, value) in common {
                local.entry(key.clone()).or_insert_with(|| value.clone());
            }
        };
        under(&mut options.labels, &common.labels);
        under(&mut options.annotations, &common.annotations);
        options.without_hash |= common.without_hash;
        options.immutable |= common.immutable;
        let mut envs = fields.texts("envs")?;
        envs.extend(fields.text("env")?);
        let behavior = match fields.text_or_empty("behavior")?.as_str() {
            "" | "create" => Behavior::Create,
            "merge" => Behavior::Merge,
            "replace" => Behavior::Replace,
            _ => return Err(fields.error("behavior", "it is create, merge or replace")),
        };
        Ok(Self {
            name,
            namespace,
            behavior,
            envs,
            literals: fields.texts("literals")?,
            files: fields.texts("files")?,
            secret_type: fields.text_or_empty("type")?,
            options,
        })
    }
}

impl LabelRule {
    fn read(mut fields: Fields) -> Result<Self, RenderError> {
        fields.refuse("includeVolumeClaimTemplates")?;
        let rule = Self {
            pairs: fields.text_map("pairs")?,
            selectors: fields.flag("includeSelectors")?,
            templates: fields.flag("includeTemplates")?,
            fields: specs(fields.list("fields")?)?,
        };
        fields.finish()?;
        Ok(rule)
    }
}

impl ReplicaRule {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let name = fields.text_or_empty("name")?;
        let count = fields.integer("count")?.unwrap_or_default();
        fields.finish()?;
        Ok(Self { name, count })
    }
}

impl ImageRule {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let rule = Self {
            name: fields.text_or_empty("name")?,
            new_name: fields.text_or_empty("newName")?,
            new_tag: fields.text_or_empty("newTag")?,
            digest: fields.text_or_empty("digest")?,
            tag_suffix: fields.text_or_empty("tagSuffix")?,
        };
        fields.finish()?;
        Ok(rule)
    }
}

impl Patch {
    fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let patch = Self::take(&mut fields, "patch")?;
        fields.finish()?;
        Ok(patch)
    }

    /// Takes a patch whose text is in the field `text`.
    pub(crate) fn take(fields: &mut Fields, text: &str) -> Result<Self, RenderError> {
        let target = fields.fields("target")?.map(Selector::read).transpose()?;
        let given = fields.text(text)?.map(|text| text.trim().to_owned());
        let mut patch = Self {
            path: fields.text("path")?.filter(|path| !path.is_empty()),
            text: given.filter(|text| !text.is_empty()),
            target,
            ..Self::default()
        };
        if let Some(mut options) = fields.fields("options")? {
            patch.allow_name_change = options.flag("allowNameChange")?;
            patch.allow_kind_change = options.flag("allowKindChange")?;
            options.finish()?;
        }
        if patch.path.is_some() == patch.text.is_some() {
            let why = format!("exactly one of {text} and path has to be set");
            return Err(fields.error(text, why));
        }
        Ok(patch)
    }
}

impl Selector {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let selector = Self {
            group: fields.text_or_empty("group")?,
            version: fields.text_or_empty("version")?,
            kind: fields.text_or_empty("kind")?,
            name: fields.text_or_empty("name")?,
            namespace: fields.text_or_empty("namespace")?,
            labels: fields.text_or_empty("labelSelector")?,
            annotations: fields.text_or_empty("annotationSelector")?,
        };
        fields.finish()?;
        Ok(selector)
    }
}
