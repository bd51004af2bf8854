//! Overrides of Argo CD: of a source's options by files beside its manifests, and of a
//! kustomization by those options.
//!
//! What an override says is merged into what is there; nothing in the tree is changed.

pub(crate) mod image;
mod options;

use std::collections::BTreeMap;

use fyr_model::source_tree::join;
use fyr_model::{BuildEnvironment, KustomizeOptions, KustomizePatch, Tool};
use serde_json::{Map, Value};

use crate::kustomize::file::{Kustomization, LabelRule, Patch, ReplicaRule, Selector};
use crate::reader::Reader;
use crate::yaml::Dialect;
use crate::{RenderError, Warning};

/// How the name of every file of overrides begins.
pub(crate) const OVERRIDE_FILE_START: &str = ".argocd-source";

/// The files of overrides in the folder of a source, those that count more last. Without an
/// application they are looked for only to say that they have no effect.
pub fn override_files(application: Option<&str>) -> Vec<String> {
    let own = application.map(|name| format!("{OVERRIDE_FILE_START}-{name}.yaml"));
    [format!("{OVERRIDE_FILE_START}.yaml")].into_iter().chain(own).collect()
}

/// Tells of `.argocd-source.yaml` in a resolved `folder` that is rendered for no application.
pub(crate) fn unused(reader: &Reader<'_>, folder: &str) -> Result<Option<Warning>, RenderError> {
    for name in override_files(None) {
        let Some(path) = join(folder, &name) else { continue };
        if reader.is_file(&reader.resolve(&path)?) {
            let text = "it is for Applications and has no effect here, as in kustomize build";
            return Ok(Some(Warning { path, text: text.to_owned() }));
        }
    }
    Ok(None)
}

/// The options of a source after the files of overrides in its resolved `folder`: first
/// `.argocd-source.yaml`, then `.argocd-source-APPLICATION.yaml`, each a JSON merge patch of the
/// source.
pub(crate) fn effective_tool(
    reader: &mut Reader<'_>,
    folder: &str,
    application: &str,
    tool: &Tool,
) -> Result<Tool, RenderError> {
    if application.contains('/') {
        let why = format!("no Application is called {application:?}: a name has no slash");
        return Err(RenderError::Build { file: folder.to_owned(), why });
    }
    let mut source = options::source(tool);
    let mut last = None;
    for name in override_files(Some(application)) {
        let Some(path) = join(folder, &name) else { continue };
        let resolved = reader.resolve(&path)?;
        if !reader.is_file(&resolved) {
            continue;
        }
        merge(&mut source, patch(reader, &resolved, &path)?);
        last = Some(path);
    }
    match last {
        None => Ok(tool.clone()),
        Some(file) => options::read(source, &file),
    }
}

/// Reads a file of overrides; `path` is its name, for messages.
fn patch(
    reader: &mut Reader<'_>,
    resolved: &str,
    path: &str,
) -> Result<Map<String, Value>, RenderError> {
    let wrong = |why: &str| RenderError::Build { file: path.to_owned(), why: why.to_owned() };
    let bytes = reader.bytes(resolved, path)?;
    let mut documents = reader.documents(&bytes, Dialect::Kubernetes, path)?;
    let document = documents.pop();
    if !documents.is_empty() {
        return Err(wrong("it holds more than one document"));
    }
    match document.map(|document| document.value) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(wrong("overrides are a mapping: what spec.source of an Application is")),
    }
}

/// JSON merge patch, RFC 7396: mappings are merged, `null` removes, everything else replaces.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(&key)),
            Value::Object(patch) => {
                let inner = target.entry(key).or_insert(Value::Null);
                if let Value::Object(inner) = inner {
                    merge(inner, patch);
                } else {
                    let mut fresh = Map::new();
                    merge(&mut fresh, patch);
                    *inner = Value::Object(fresh);
                }
            }
            value => drop(target.insert(key, value)),
        }
    }
}

/// Changes a kustomization as the options of a source say; `file` is its path, for messages, and
/// `folder` the resolved folder it is in.
///
/// Argo CD does this with `kustomize edit`, whose rules these are.
pub(crate) fn apply(
    kustomization: &mut Kustomization,
    options: &KustomizeOptions,
    environment: &BuildEnvironment,
    reader: &Reader<'_>,
    folder: &str,
    file: &str,
) -> Result<(), RenderError> {
    if uses_variables(options) {
        reader.files().use_environment(environment);
    }
    let applying = Applying { options, environment, file };
    let set = |target: &mut String, value: &Option<String>| {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            target.clone_from(value);
        }
    };
    set(&mut kustomization.name_prefix, &options.name_prefix);
    set(&mut kustomization.name_suffix, &options.name_suffix);
    applying.images(kustomization)?;
    applying.replicas(kustomization)?;
    applying.labels(kustomization)?;
    applying.annotations(kustomization)?;
    set(&mut kustomization.namespace.namespace, &options.namespace);
    kustomization.patches.extend(options.patches.iter().map(to_patch));
    for component in &options.components {
        let known = kustomization.components.contains(component);
        let missing = options.ignore_missing_components && !exists(reader, folder, component)?;
        if !known && !missing {
            kustomization.components.push(component.clone());
        }
    }
    Ok(())
}

/// Whether there may be a variable in what is expanded.
fn uses_variables(options: &KustomizeOptions) -> bool {
    let labels = options.common_labels.values().chain(options.common_annotations.values());
    options.images.iter().chain(labels).any(|text| text.contains('$'))
}

/// Whether a component's folder is there.
fn exists(reader: &Reader<'_>, folder: &str, component: &str) -> Result<bool, RenderError> {
    let Some(path) = join(folder, component) else { return Ok(false) };
    Ok(reader.files().is_folder(&reader.resolve(&path)?))
}

fn to_patch(patch: &KustomizePatch) -> Patch {
    let flag = |name: &str| patch.options.get(name).copied().unwrap_or(false);
    let target = patch.target.as_ref().map(|target| Selector {
        group: target.group.clone(),
        version: target.version.clone(),
        kind: target.kind.clone(),
        name: target.name.clone(),
        namespace: target.namespace.clone(),
        labels: target.label_selector.clone(),
        annotations: target.annotation_selector.clone(),
    });
    Patch {
        path: patch.path.clone(),
        text: patch.patch.clone(),
        target,
        allow_name_change: flag("allowNameChange"),
        allow_kind_change: flag("allowKindChange"),
    }
}

/// What every override needs.
struct Applying<'a> {
    options: &'a KustomizeOptions,
    environment: &'a BuildEnvironment,
    file: &'a str,
}

impl Applying<'_> {
    fn wrong(&self, why: String) -> RenderError {
        RenderError::Build { file: self.file.to_owned(), why }
    }

    fn field(&self, field: String, why: String) -> RenderError {
        RenderError::Field { file: self.file.to_owned(), field, why }
    }

    fn images(&self, kustomization: &mut Kustomization) -> Result<(), RenderError> {
        if self.options.images.is_empty() {
            return Ok(());
        }
        let mut rules = BTreeMap::new();
        for (index, text) in self.options.images.iter().enumerate() {
            let rule = expand(text, self.environment).and_then(|text| image::rule(&text));
            let rule =
                rule.map_err(|why| self.field(format!("source.kustomize.images[{index}]"), why))?;
            rules.insert(rule.name.clone(), rule);
        }
        let mut all = BTreeMap::new();
        for existing in std::mem::take(&mut kustomization.images) {
            let rule = match rules.remove(&existing.name) {
                Some(rule) => image::keep_marked(rule, Some(&existing)),
                None => existing,
            };
            all.entry(rule.name.clone()).or_insert(rule);
        }
        for (name, rule) in rules {
            all.entry(name).or_insert_with(|| image::keep_marked(rule, None));
        }
        // By name, as kustomize's own editor leaves them.
        kustomization.images = all.into_values().collect();
        Ok(())
    }

    fn replicas(&self, kustomization: &mut Kustomization) -> Result<(), RenderError> {
        for (index, replicas) in self.options.replicas.iter().enumerate() {
            if replicas.count < 0 {
                let place = format!("source.kustomize.replicas[{index}].count");
                return Err(self.field(place, "it is less than 0".to_owned()));
            }
            let name = replicas.name.clone();
            kustomization.replicas.retain(|rule| rule.name != name);
            kustomization.replicas.push(ReplicaRule { name, count: replicas.count.into() });
        }
        Ok(())
    }

    fn labels(&self, kustomization: &mut Kustomization) -> Result<(), RenderError> {
        let options = self.options;
        if options.common_labels.is_empty() {
            return Ok(());
        }
        let labels = self.expanded("commonLabels", &options.common_labels)?;
        let target = if options.label_without_selector {
            let templates = options.label_include_templates;
            let fits = |rule: &LabelRule| !rule.selectors && rule.templates == templates;
            let rules = &mut kustomization.labels;
            let known = rules.iter().position(fits);
            let mut rule = match known {
                Some(index) => rules.remove(index),
                None => LabelRule { templates, ..LabelRule::default() },
            };
            self.add(&mut rule.pairs, labels, options.force_common_labels, "label")?;
            rules.insert(known.unwrap_or(rules.len()), rule);
            return Ok(());
        } else {
            &mut kustomization.common_labels
        };
        self.add(target, labels, options.force_common_labels, "label")
    }

    fn annotations(&self, kustomization: &mut Kustomization) -> Result<(), RenderError> {
        let options = self.options;
        let annotations = if options.common_annotations_envsubst {
            self.expanded("commonAnnotations", &options.common_annotations)?
        } else {
            options.common_annotations.clone()
        };
        let target = &mut kustomization.common_annotations;
        self.add(target, annotations, options.force_common_annotations, "annotation")
    }

    fn expanded(
        &self,
        field: &str,
        pairs: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, RenderError> {
        let pairs = pairs.iter().map(|(key, value)| {
            let place = || format!("source.kustomize.{field}.{key}");
            let value = expand(value, self.environment).map_err(|why| self.field(place(), why))?;
            Ok((key.clone(), value))
        });
        pairs.collect()
    }

    fn add(
        &self,
        target: &mut BTreeMap<String, String>,
        pairs: BTreeMap<String, String>,
        force: bool,
        what: &str,
    ) -> Result<(), RenderError> {
        for (key, value) in pairs {
            if target.contains_key(&key) && !force {
                let why = format!(
                    "the {what} {key} of the application is in the kustomization already, and \
                     replacing it is not forced"
                );
                return Err(self.wrong(why));
            }
            target.insert(key, value);
        }
        Ok(())
    }
}

/// Replaces `$NAME` and `${NAME}` by variables; `$$` is a `$`, and so is one before anything else.
///
/// A name that is no variable is an error, where Argo CD puts nothing: what it stands for is
/// certainly not nothing.
fn expand(text: &str, environment: &BuildEnvironment) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, after) = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        } else if let Some(inner) = after.strip_prefix('{') {
            inner.split_once('}').ok_or_else(|| format!("{text:?}: a }} is missing"))?
        } else {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let end = after.find(|letter| !is_name(letter)).unwrap_or(after.len());
            after.split_at(end)
        };
        rest = after;
        if name.is_empty() {
            out.push('$');
            continue;
        }
        let value = environment.variables.get(name);
        out.push_str(value.ok_or_else(|| format!("there is no variable {name:?} in a build"))?);
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests;
