//! `spec.source` and `spec.sources`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Application, ParseApplicationError};
use crate::fields::{FieldError, Fields, Unsupported, is_empty, wrong};
use crate::{
    DirectoryOptions, KustomizeOptions, KustomizePatch, KustomizeReplicas, KustomizeSelector,
    Source, Tool,
};

/// Reads the sources that count: all of `sources`, or `source` when that is empty.
pub(super) fn read(
    spec: &mut Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Vec<Source>, ParseApplicationError> {
    let several = spec.mappings("sources")?;
    let single = spec.mapping("source")?;
    if several.is_empty() {
        let incomplete =
            || ParseApplicationError::SourceIncomplete { path: "spec.source".to_owned() };
        return Ok(vec![source(single.ok_or_else(incomplete)?, unsupported)?]);
    }
    if single.is_some() {
        let why = "spec.sources is set, so spec.source has no effect";
        unsupported.push(Unsupported::new("spec.source", why));
    }
    if several.len() > Application::SOURCES_MAX {
        let path = "spec.sources".to_owned();
        let why = format!("more than {} sources", Application::SOURCES_MAX);
        return Err(ParseApplicationError::Value { path, why });
    }
    several.into_iter().map(|fields| source(fields, unsupported)).collect()
}

fn source(
    mut fields: Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Source, ParseApplicationError> {
    // Selects a source on Argo CD's command line.
    fields.skip(&["name"]);
    let repo_url = fields.text("repoURL")?.unwrap_or_default().to_owned();
    let path = fields.text("path")?.unwrap_or_default().to_owned();
    refuse_tools(&mut fields)?;
    if let Some(reference) = fields.text("ref")? {
        if path.is_empty() {
            let why = "a source that others refer to serves value files of Helm only";
            return Err(ParseApplicationError::Unsupported { path: fields.path_of("ref"), why });
        }
        let why = format!("nothing can refer to ${reference}: value files of Helm would");
        unsupported.push(Unsupported::new(fields.path_of("ref"), why));
    }
    if repo_url.is_empty() || path.is_empty() {
        return Err(ParseApplicationError::SourceIncomplete { path: fields.path().to_owned() });
    }
    check_path(&fields, &path)?;
    let target_revision = fields.text("targetRevision")?.unwrap_or_default().to_owned();
    let kustomize = fields.mapping("kustomize")?;
    let directory = fields.mapping("directory")?;
    let tool = match (kustomize, directory) {
        (Some(_), Some(_)) => {
            let tools = "Kustomize,Directory".to_owned();
            return Err(ParseApplicationError::ToolsConflict { tools });
        }
        (Some(options), None) => Tool::Kustomize(kustomize_options(options, unsupported)?),
        (None, Some(options)) => Tool::Directory(directory_options(options, unsupported)?),
        (None, None) => Tool::Detect,
    };
    fields.finish(unsupported);
    Ok(Source { repo_url, path, target_revision, tool })
}

/// A path is relative to the repository's root and stays below it.
fn check_path(fields: &Fields<'_>, path: &str) -> Result<(), ParseApplicationError> {
    let why = if path.starts_with('/') {
        "the path must be relative to the repository's root"
    } else if crate::source_tree::join("", path).is_none() {
        "the path leaves the repository"
    } else {
        return Ok(());
    };
    Err(ParseApplicationError::Value { path: fields.path_of("path"), why: why.to_owned() })
}

/// Errors of tools that Fyr does not have: without them something else would be deployed.
fn refuse_tools(fields: &mut Fields<'_>) -> Result<(), ParseApplicationError> {
    let refused: [(&str, &str); 4] = [
        ("chart", "charts of Helm are not rendered"),
        ("helm", "charts of Helm are not rendered; commit the output of `helm template`"),
        ("plugin", "plugins would run programs of the repository on the appliance"),
        ("tagPrefix", "the tags it selects would be others; write the tag into targetRevision"),
    ];
    for (name, why) in refused {
        // An empty `chart` or `tagPrefix` says nothing; `helm: {}` chooses Helm.
        let chosen = fields.value(name).is_some_and(|value| value.is_object() || !is_empty(value));
        if chosen {
            return Err(ParseApplicationError::Unsupported { path: fields.path_of(name), why });
        }
    }
    Ok(())
}

fn directory_options(
    mut fields: Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<DirectoryOptions, ParseApplicationError> {
    if fields.value("jsonnet").is_some_and(|value| !is_empty(value)) {
        let why = "Jsonnet is not evaluated";
        return Err(ParseApplicationError::Unsupported { path: fields.path_of("jsonnet"), why });
    }
    if fields.flag("disableExtensionFilter")? == Some(true) {
        let path = fields.path_of("disableExtensionFilter");
        let why = "only .yaml, .yml and .json files are read, so objects would be missing";
        return Err(ParseApplicationError::Unsupported { path, why });
    }
    let options = DirectoryOptions {
        recurse: fields.flag("recurse")?.unwrap_or(false),
        include: fields.text("include")?.unwrap_or_default().to_owned(),
        exclude: fields.text("exclude")?.unwrap_or_default().to_owned(),
    };
    fields.finish(unsupported);
    Ok(options)
}

fn kustomize_options(
    mut fields: Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<KustomizeOptions, ParseApplicationError> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let why = "Fyr renders with its own kustomize, which has no versions to choose from";
    fields.without_effect("version", why, unsupported);
    let why = "only Helm charts inside a kustomization would see it";
    fields.without_effect("kubeVersion", why, unsupported);
    fields.without_effect("apiVersions", why, unsupported);
    let options = KustomizeOptions {
        name_prefix: owned(fields.text("namePrefix")?),
        name_suffix: owned(fields.text("nameSuffix")?),
        images: fields.texts("images")?,
        replicas: replicas(&mut fields, unsupported)?,
        common_labels: fields.text_map("commonLabels")?,
        force_common_labels: fields.flag("forceCommonLabels")?.unwrap_or(false),
        label_without_selector: fields.flag("labelWithoutSelector")?.unwrap_or(false),
        label_include_templates: fields.flag("labelIncludeTemplates")?.unwrap_or(false),
        common_annotations: fields.text_map("commonAnnotations")?,
        force_common_annotations: fields.flag("forceCommonAnnotations")?.unwrap_or(false),
        common_annotations_envsubst: fields.flag("commonAnnotationsEnvsubst")?.unwrap_or(false),
        namespace: owned(fields.text("namespace")?),
        patches: patches(&mut fields, unsupported)?,
        components: fields.texts("components")?,
        ignore_missing_components: fields.flag("ignoreMissingComponents")?.unwrap_or(false),
    };
    if options.label_include_templates && !options.label_without_selector {
        let path = fields.path_of("labelIncludeTemplates");
        let why = "it needs labelWithoutSelector".to_owned();
        return Err(ParseApplicationError::Value { path, why });
    }
    fields.finish(unsupported);
    Ok(options)
}

fn replicas(
    fields: &mut Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Vec<KustomizeReplicas>, ParseApplicationError> {
    let mut all = Vec::new();
    for mut entry in fields.mappings("replicas")? {
        let missing =
            |entry: &Fields<'_>, name| ParseApplicationError::Missing { path: entry.path_of(name) };
        let name = entry.text("name")?.map(str::to_owned);
        let name = name.ok_or_else(|| missing(&entry, "name"))?;
        let count = entry.value("count").ok_or_else(|| missing(&entry, "count"))?;
        let path = entry.path_of("count");
        let number = match count {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => return Err(wrong(path, "an integer", count).into()),
        };
        let count = number.and_then(|number| i32::try_from(number).ok());
        let Some(count) = count.filter(|count| *count >= 0) else {
            let why = "it must be an integer from 0 to 2147483647".to_owned();
            return Err(ParseApplicationError::Value { path, why });
        };
        entry.finish(unsupported);
        all.push(KustomizeReplicas { name, count });
    }
    Ok(all)
}

fn patches(
    fields: &mut Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Vec<KustomizePatch>, ParseApplicationError> {
    let mut all = Vec::new();
    for mut entry in fields.mappings("patches")? {
        let file = entry.text("path")?.map(str::to_owned);
        let inline = entry.text("patch")?.map(str::to_owned);
        if file.is_some() == inline.is_some() {
            let why = "exactly one of path and patch is needed".to_owned();
            return Err(ParseApplicationError::Value { path: entry.path().to_owned(), why });
        }
        let target =
            entry.mapping("target")?.map(|fields| selector(fields, unsupported)).transpose()?;
        let mut options = BTreeMap::new();
        if let Some(mut fields) = entry.mapping("options")? {
            for name in ["allowNameChange", "allowKindChange"] {
                if let Some(flag) = fields.flag(name)? {
                    options.insert(name.to_owned(), flag);
                }
            }
            fields.finish(unsupported);
        }
        entry.finish(unsupported);
        all.push(KustomizePatch { path: file, patch: inline, target, options });
    }
    Ok(all)
}

fn selector(
    mut fields: Fields<'_>,
    unsupported: &mut Vec<Unsupported>,
) -> Result<KustomizeSelector, FieldError> {
    let mut text = |name| fields.text(name).map(|text| text.unwrap_or_default().to_owned());
    let selector = KustomizeSelector {
        group: text("group")?,
        version: text("version")?,
        kind: text("kind")?,
        name: text("name")?,
        namespace: text("namespace")?,
        label_selector: text("labelSelector")?,
        annotation_selector: text("annotationSelector")?,
    };
    fields.finish(unsupported);
    Ok(selector)
}
