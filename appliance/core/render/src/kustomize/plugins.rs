//! `generators`, `transformers` and `validators`: objects that say what to do.
//!
//! An entry is such an object itself, or names a file or a folder with some; what a folder gives is
//! what its kustomization makes of them. Those built into kustomize are known here. All others are
//! programs or containers, and nothing is run while rendering.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::configuration::specs;
use super::decode::Fields;
use super::file::{Generator, GeneratorOptions, ImageRule, Patch, ReplicaRule};
use super::replacements;
use super::resource::Resource;
use super::transform::{NamespaceRule, Subjects};
use super::transformer::{Specs, Transformer};
use super::value_add::ValueAdd;
use crate::RenderError;

/// What a generator's configuration asks for.
#[derive(Debug)]
pub(super) enum Generated {
    ConfigMap(Generator),
    Secret(Generator),
    /// An object that is the same whatever the files say.
    Object(Value),
}

impl Generated {
    /// What kustomize calls its generator.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::ConfigMap(_) => "ConfigMapGenerator",
            Self::Secret(_) => "SecretGenerator",
            Self::Object(_) => "IAMPolicyGenerator",
        }
    }
}

/// A configuration being read.
struct Plugin {
    kind: String,
    /// `metadata` of it.
    name: String,
    namespace: String,
    fields: Fields,
}

impl Plugin {
    /// Takes what every configuration has; `file` is what names it, for messages.
    fn new(config: &Resource, file: &str) -> Result<Self, RenderError> {
        let id = config.id();
        let built_in = config.value.get("apiVersion").and_then(Value::as_str) == Some("builtin");
        let path = format!("{} {}", id.kind, id.name);
        if !built_in {
            let field = format!(
                "{path}: a generator or transformer that is not built into kustomize runs a program \
                 or a container, which"
            );
            return Err(RenderError::Unsupported { file: file.to_owned(), field });
        }
        let mut fields = Fields::of(config.value.clone(), file, &path)?.lenient();
        for name in ["apiVersion", "kind", "metadata"] {
            fields.take(name);
        }
        Ok(Self { kind: id.kind, name: id.name, namespace: id.namespace, fields })
    }

    fn unknown<T>(self, what: &str) -> Result<T, RenderError> {
        Err(self.fields.error("kind", format!("it is no {what} of kustomize")))
    }

    fn specs<'a>(&mut self) -> Result<Specs<'a>, RenderError> {
        specs(self.fields.list("fieldSpecs")?).map(Cow::Owned)
    }
}

/// Reads the configuration of a generator.
pub(super) fn generator(config: &Resource, file: &str) -> Result<Generated, RenderError> {
    let plugin = Plugin::new(config, file)?;
    match plugin.kind.as_str() {
        "ConfigMapGenerator" => plugin.data().map(Generated::ConfigMap),
        "SecretGenerator" => plugin.data().map(Generated::Secret),
        "IAMPolicyGenerator" => plugin.iam_policy().map(Generated::Object),
        "HelmChartInflationGenerator" => {
            Err(RenderError::Unsupported { file: file.to_owned(), field: plugin.kind })
        }
        _ => plugin.unknown("generator"),
    }
}

/// Reads the configuration of a transformer; `folder_name` is what values default to that are
/// named after the folder.
pub(super) fn transformer<'a>(
    config: &Resource,
    file: &str,
    folder_name: &str,
) -> Result<Vec<Transformer<'a>>, RenderError> {
    let mut plugin = Plugin::new(config, file)?;
    let made = match plugin.kind.as_str() {
        "AnnotationsTransformer" => {
            let pairs = plugin.fields.text_map("annotations")?;
            vec![Transformer::Annotations(Cow::Owned(pairs), plugin.specs()?)]
        }
        "LabelTransformer" => {
            let pairs = plugin.fields.text_map("labels")?;
            vec![Transformer::Labels(Cow::Owned(pairs), plugin.specs()?)]
        }
        "NamespaceTransformer" => {
            let rule = plugin.namespace_rule()?;
            vec![Transformer::Namespace(Cow::Owned(rule), plugin.specs()?)]
        }
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" => {
            let (prefix, suffix) = (plugin.fields.text("prefix")?, plugin.fields.text("suffix")?);
            let specs = plugin.specs()?;
            let prefix = prefix.map(|text| Transformer::Prefix(text.into(), specs.clone()));
            let suffix = suffix.map(|text| Transformer::Suffix(text.into(), specs));
            prefix.into_iter().chain(suffix).collect()
        }
        "ImageTagTransformer" => {
            let rule = plugin.fields.fields("imageTag")?.map(ImageRule::read).transpose()?;
            let rule = rule.unwrap_or_default();
            vec![Transformer::Images(Cow::Owned(vec![rule]), plugin.specs()?)]
        }
        "ReplicaCountTransformer" => {
            let rule = plugin.fields.fields("replica")?.map(ReplicaRule::read).transpose()?;
            let rule = rule.unwrap_or_default();
            vec![Transformer::Replicas(Cow::Owned(rule), plugin.specs()?)]
        }
        "PatchTransformer" => {
            let patch = Patch::take(&mut plugin.fields, "patch")?;
            vec![Transformer::Patch(Cow::Owned(patch))]
        }
        "PatchJson6902Transformer" => {
            let patch = Patch::take(&mut plugin.fields, "jsonOp")?;
            vec![Transformer::JsonPatch(Cow::Owned(patch))]
        }
        "PatchStrategicMergeTransformer" => {
            let mut entries = plugin.fields.texts("paths")?;
            entries.extend(plugin.fields.text("patches")?);
            vec![Transformer::StrategicMerge(Cow::Owned(entries))]
        }
        "ValueAddTransformer" => {
            vec![Transformer::ValueAdd(ValueAdd::read(&mut plugin.fields, folder_name)?)]
        }
        "HashTransformer" => vec![Transformer::Hash],
        _ => return plugin.unknown("transformer"),
    };
    plugin.fields.finish()?;
    Ok(made)
}

/// The entries of a `ReplacementTransformer`, which may name files; `None` for anything else.
pub(super) fn replacements(
    config: &Resource,
    file: &str,
) -> Result<Option<Vec<replacements::Entry>>, RenderError> {
    if config.id().kind != "ReplacementTransformer" {
        return Ok(None);
    }
    let mut plugin = Plugin::new(config, file)?;
    let entries = plugin.fields.list("replacements")?.into_iter().map(replacements::Entry::read);
    let entries = entries.collect::<Result<_, _>>()?;
    plugin.fields.finish()?;
    Ok(Some(entries))
}

impl Plugin {
    /// A config map or a secret: what `configMapGenerator` takes, named by `metadata` if it does
    /// not say otherwise.
    fn data(mut self) -> Result<Generator, RenderError> {
        let name = self.fields.text("name")?.unwrap_or(self.name);
        let namespace = self.fields.text("namespace")?.unwrap_or(self.namespace);
        let generator =
            Generator::take(&mut self.fields, &GeneratorOptions::default(), name, namespace)?;
        self.fields.finish()?;
        Ok(generator)
    }

    fn namespace_rule(&mut self) -> Result<NamespaceRule, RenderError> {
        let subjects = self.fields.text_or_empty("setRoleBindingSubjects")?;
        let subjects = match subjects.as_str() {
            "" | "defaultOnly" => Subjects::Default,
            "allServiceAccounts" => Subjects::All,
            "none" => Subjects::None,
            _ => {
                let why = "it is defaultOnly, allServiceAccounts or none";
                return Err(self.fields.error("setRoleBindingSubjects", why));
            }
        };
        let unset_only = self.fields.flag("unsetOnly")?;
        Ok(NamespaceRule { namespace: self.namespace.clone(), unset_only, subjects })
    }

    /// The service account that stands for one of a cloud.
    fn iam_policy(mut self) -> Result<Value, RenderError> {
        if self.fields.text_or_empty("cloud")? != "gke" {
            return Err(self.fields.error("cloud", "only gke is known to kustomize"));
        }
        let mut part = |name: &str, fields: [&str; 2]| -> Result<[String; 2], RenderError> {
            let Some(mut inner) = self.fields.fields(name)? else {
                return Err(self.fields.error(name, "it is required"));
            };
            let [first, second] = fields;
            let found = [inner.text_or_empty(first)?, inner.text_or_empty(second)?];
            inner.finish()?;
            Ok(found)
        };
        let [namespace, name] = part("kubernetesService", ["namespace", "name"])?;
        let [account, project] = part("serviceAccount", ["name", "projectId"])?;
        self.fields.finish()?;
        let account = format!("{account}@{project}.iam.gserviceaccount.com");
        let annotations = json!({"iam.gke.io/gcp-service-account": account});
        let metadata = match namespace.as_str() {
            "" => json!({"annotations": annotations, "name": name}),
            _ => json!({"annotations": annotations, "name": name, "namespace": namespace}),
        };
        Ok(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(kind: &str, more: &Value) -> Resource {
        let mut value = json!({"apiVersion": "builtin", "kind": kind, "metadata": {"name": "x"}});
        for (name, field) in more.as_object().cloned().unwrap_or_default() {
            value[name] = field;
        }
        Resource::of(value)
    }

    #[test]
    fn a_program_is_refused_by_name() {
        let mut foreign = config("Anything", &json!({}));
        foreign.value["apiVersion"] = json!("example.com/v1");
        let error = transformer(&foreign, "k", "").unwrap_err().to_string();
        assert!(error.contains("Anything x") && error.contains("program"), "{error}");
    }

    #[test]
    fn unknown_kinds_are_errors_and_unknown_fields_are_ignored() {
        assert!(transformer(&config("SortOrderTransformer", &json!({})), "k", "").is_err());
        let more = json!({"prefix": "a", "owner": "b", "fieldSpecs": [{"path": "c", "name": "d"}]});
        assert!(transformer(&config("PrefixTransformer", &more), "k", "").is_ok());
        assert!(generator(&config("PrefixTransformer", &json!({})), "k").is_err());
    }

    #[test]
    fn a_generator_is_named_by_its_metadata_unless_it_says_otherwise() {
        let named = |more| match generator(&config("ConfigMapGenerator", &more), "k").unwrap() {
            Generated::ConfigMap(generator) => generator.name,
            other => panic!("{other:?}"),
        };
        assert_eq!(named(json!({"literals": ["a=b"]})), "x");
        assert_eq!(named(json!({"name": "y"})), "y");
    }
}
