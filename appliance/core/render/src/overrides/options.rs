//! The options of a source as JSON, and back: strictly, because what would be passed over would
//! deploy something else than its author asked for.

use std::collections::BTreeMap;

use fyr_model::{
    DirectoryOptions, KustomizeOptions, KustomizePatch, KustomizeReplicas, KustomizeSelector, Tool,
};
use serde_json::{Map, Value};

use crate::RenderError;
use crate::kustomize::decode::Fields;

/// What overrides may say and Argo CD takes from the Application alone: when the files are read,
/// these have chosen the folder already.
const PROTECTED: [&str; 7] =
    ["repoURL", "path", "targetRevision", "chart", "ref", "name", "tagPrefix"];

/// Fields of `kustomize` that choose a program or tell it about the cluster: they change nothing
/// here.
const WITHOUT_EFFECT: [&str; 3] = ["version", "kubeVersion", "apiVersions"];

/// A source that has this tool, as far as overrides can change it.
pub(super) fn source(tool: &Tool) -> Map<String, Value> {
    let (name, options) = match tool {
        Tool::Detect => return Map::new(),
        Tool::Kustomize(options) => ("kustomize", serde_json::to_value(options)),
        Tool::Directory(options) => ("directory", serde_json::to_value(options)),
    };
    // Text, numbers and flags are JSON.
    let options = options.unwrap_or_default();
    [(name.to_owned(), options)].into_iter().collect()
}

/// Reads the tool of a source; `file` is who changed it last.
pub(super) fn read(source: Map<String, Value>, file: &str) -> Result<Tool, RenderError> {
    let mut source = Fields::of(Value::Object(source), file, "")?;
    for name in PROTECTED {
        source.take(name);
    }
    source.refuse("helm")?;
    source.refuse("plugin")?;
    let (kustomize, directory) = (source.fields("kustomize")?, source.fields("directory")?);
    let both = source.error("directory", "kustomize is set as well, and a source has one tool");
    source.finish()?;
    match (kustomize, directory) {
        (Some(_), Some(_)) => Err(both),
        (Some(fields), None) => Ok(Tool::Kustomize(kustomize_options(fields)?)),
        (None, Some(fields)) => Ok(Tool::Directory(directory_options(fields)?)),
        (None, None) => Ok(Tool::Detect),
    }
}

fn directory_options(mut fields: Fields) -> Result<DirectoryOptions, RenderError> {
    fields.refuse("jsonnet")?;
    fields.refuse("disableExtensionFilter")?;
    let options = DirectoryOptions {
        recurse: fields.flag("recurse")?,
        include: fields.text_or_empty("include")?,
        exclude: fields.text_or_empty("exclude")?,
    };
    fields.finish()?;
    Ok(options)
}

fn kustomize_options(mut fields: Fields) -> Result<KustomizeOptions, RenderError> {
    for name in WITHOUT_EFFECT {
        fields.take(name);
    }
    let options = KustomizeOptions {
        name_prefix: fields.text("namePrefix")?,
        name_suffix: fields.text("nameSuffix")?,
        images: fields.texts("images")?,
        replicas: each(fields.list("replicas")?, replicas)?,
        common_labels: fields.text_map("commonLabels")?,
        force_common_labels: fields.flag("forceCommonLabels")?,
        label_without_selector: fields.flag("labelWithoutSelector")?,
        label_include_templates: fields.flag("labelIncludeTemplates")?,
        common_annotations: fields.text_map("commonAnnotations")?,
        force_common_annotations: fields.flag("forceCommonAnnotations")?,
        common_annotations_envsubst: fields.flag("commonAnnotationsEnvsubst")?,
        namespace: fields.text("namespace")?,
        patches: each(fields.list("patches")?, patch)?,
        components: fields.texts("components")?,
        ignore_missing_components: fields.flag("ignoreMissingComponents")?,
    };
    if options.label_include_templates && !options.label_without_selector {
        return Err(fields.error("labelIncludeTemplates", "it needs labelWithoutSelector"));
    }
    fields.finish()?;
    Ok(options)
}

fn each<T>(
    list: Vec<Fields>,
    read: fn(Fields) -> Result<T, RenderError>,
) -> Result<Vec<T>, RenderError> {
    list.into_iter().map(read).collect()
}

fn replicas(mut fields: Fields) -> Result<KustomizeReplicas, RenderError> {
    let name = fields.text_or_empty("name")?;
    let number = match fields.take("count") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
        None => None,
    };
    let count = number.and_then(|number| i32::try_from(number).ok());
    let Some(count) = count.filter(|count| *count >= 0) else {
        return Err(fields.error("count", "a whole number from 0 to 2147483647 is expected"));
    };
    if name.is_empty() {
        return Err(fields.error("name", "it is required"));
    }
    fields.finish()?;
    Ok(KustomizeReplicas { name, count })
}

fn patch(mut fields: Fields) -> Result<KustomizePatch, RenderError> {
    let mut options = BTreeMap::new();
    if let Some(mut flags) = fields.fields("options")? {
        for name in ["allowNameChange", "allowKindChange"] {
            if flags.flag(name)? {
                options.insert(name.to_owned(), true);
            }
        }
        flags.finish()?;
    }
    let patch = KustomizePatch {
        path: fields.text("path")?,
        patch: fields.text("patch")?,
        target: fields.fields("target")?.map(selector).transpose()?,
        options,
    };
    if patch.path.is_some() == patch.patch.is_some() {
        return Err(fields.error("patch", "exactly one of patch and path has to be set"));
    }
    fields.finish()?;
    Ok(patch)
}

fn selector(mut fields: Fields) -> Result<KustomizeSelector, RenderError> {
    let selector = KustomizeSelector {
        group: fields.text_or_empty("group")?,
        version: fields.text_or_empty("version")?,
        kind: fields.text_or_empty("kind")?,
        name: fields.text_or_empty("name")?,
        namespace: fields.text_or_empty("namespace")?,
        label_selector: fields.text_or_empty("labelSelector")?,
        annotation_selector: fields.text_or_empty("annotationSelector")?,
    };
    fields.finish()?;
    Ok(selector)
}
