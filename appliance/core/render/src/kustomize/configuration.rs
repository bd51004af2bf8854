//! What each transformation looks at: the tables, with what `configurations` add to them.
//!
//! A kustomization works with its own additions and with those of everything it includes; what is
//! done once in the end is done with all of them.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::decode::Fields;
use super::field_table as tables;
use super::fields::{FieldSpec, table};
use super::reference_table::{self, Target};
use crate::RenderError;

/// The fields that transformations change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Configuration {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    /// `commonLabels`, and `labels` with `includeSelectors`.
    pub(crate) common_labels: Vec<FieldSpec>,
    /// `labels` beside the object's own.
    pub(crate) labels: Vec<FieldSpec>,
    /// `labels` with `includeTemplates`.
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) annotations: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
    /// Where `$(NAME)` is replaced.
    pub(crate) variables: Vec<FieldSpec>,
    /// Which fields refer to which kinds by name.
    pub(crate) references: Vec<Target>,
}

static DEFAULTS: LazyLock<Arc<Configuration>> = LazyLock::new(|| Arc::new(defaults()));

fn defaults() -> Configuration {
    let mut common_labels = table(tables::SELECTORS);
    for kind in tables::SCHEDULED {
        let rows = tables::SCHEDULING.map(|path| ("apps", "", kind, path, false));
        common_labels.extend(table(&rows));
    }
    common_labels.extend(table(tables::TEMPLATE_LABELS));
    Configuration {
        name_prefix: table(tables::NAMES),
        name_suffix: table(tables::NAMES),
        namespace: table(tables::NAMESPACE),
        common_labels,
        labels: Vec::new(),
        template_labels: table(tables::TEMPLATE_LABELS),
        annotations: table(tables::ANNOTATIONS),
        images: table(tables::IMAGES),
        replicas: table(tables::REPLICAS),
        variables: variables(),
        references: reference_table::targets(),
    }
}

fn variables() -> Vec<FieldSpec> {
    let mut specs = table(tables::VARIABLES);
    let mut add = |kind: &'static str, path: Cow<'static, str>| {
        specs.push(FieldSpec::new(["", "", kind].map(Cow::Borrowed), path, false));
    };
    for (kind, pod, server) in tables::VARIABLE_PODS {
        add(kind, Cow::Borrowed(server));
        for list in ["containers", "initContainers"] {
            for field in tables::VARIABLE_CONTAINER_FIELDS {
                add(kind, Cow::Owned(format!("{pod}/{list}/{field}")));
            }
        }
    }
    specs
}

impl Configuration {
    /// The tables alone.
    pub(crate) fn defaults() -> Arc<Self> {
        Arc::clone(&DEFAULTS)
    }

    /// Reads a file of `configurations`, which adds to the tables.
    pub(crate) fn read(value: Value, file: &str) -> Result<Self, RenderError> {
        let mut fields = Fields::of(value, file, "")?;
        let configuration = Self {
            name_prefix: specs(fields.list("namePrefix")?)?,
            name_suffix: specs(fields.list("nameSuffix")?)?,
            namespace: specs(fields.list("namespace")?)?,
            common_labels: specs(fields.list("commonLabels")?)?,
            labels: specs(fields.list("labels")?)?,
            template_labels: specs(fields.list("templateLabels")?)?,
            annotations: specs(fields.list("commonAnnotations")?)?,
            images: specs(fields.list("images")?)?,
            replicas: specs(fields.list("replicas")?)?,
            variables: specs(fields.list("varReference")?)?,
            references: fields
                .list("nameReference")?
                .into_iter()
                .map(target)
                .collect::<Result<_, _>>()?,
        };
        fields.finish()?;
        Ok(configuration)
    }

    /// Adds what another one has; an error names a field that both have and only one may create.
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), String> {
        let lists = [
            (&mut self.name_prefix, &other.name_prefix),
            (&mut self.name_suffix, &other.name_suffix),
            (&mut self.namespace, &other.namespace),
            (&mut self.common_labels, &other.common_labels),
            (&mut self.labels, &other.labels),
            (&mut self.template_labels, &other.template_labels),
            (&mut self.annotations, &other.annotations),
            (&mut self.images, &other.images),
            (&mut self.replicas, &other.replicas),
            (&mut self.variables, &other.variables),
        ];
        for (known, added) in lists {
            narrow(known, added)?;
        }
        for target in &other.references {
            match self.references.iter_mut().find(|known| known.is_same_kind(target)) {
                Some(known) => narrow(&mut known.fields, &target.fields)?,
                None => self.references.push(target.clone()),
            }
        }
        Ok(())
    }
}

/// Adds fields that are not known yet, and to no more kinds than they are known for: of a field that
/// is configured for one kind and in the tables for all, only the one kind is left. (Kustomize adds
/// its lists in the order of kinds, each entry only if none before it is one of the same.)
fn narrow(known: &mut Vec<FieldSpec>, added: &[FieldSpec]) -> Result<(), String> {
    for spec in added {
        add_specs(known, std::slice::from_ref(spec))?;
        let wider = |other: &FieldSpec| other != spec && spec.covers(other);
        if let Some(other) = known.iter().find(|other| wider(other) && other.create != spec.create)
        {
            return Err(conflict(other));
        }
        known.retain(|other| !wider(other));
    }
    Ok(())
}

/// Adds fields that are not known yet.
pub(crate) fn add_specs(known: &mut Vec<FieldSpec>, added: &[FieldSpec]) -> Result<(), String> {
    for spec in added {
        match known.iter().find(|known| known.covers(spec)) {
            None => known.push(spec.clone()),
            Some(same) if same.create == spec.create => {}
            Some(same) => return Err(conflict(same)),
        }
    }
    Ok(())
}

fn conflict(spec: &FieldSpec) -> String {
    let FieldSpec { path, kind, .. } = spec;
    format!(
        "the field {path} of kind {kind:?} is configured twice, once to be created and once not"
    )
}

/// Reads fields as users write them.
pub(crate) fn specs(list: Vec<Fields>) -> Result<Vec<FieldSpec>, RenderError> {
    list.into_iter().map(spec).collect()
}

fn spec(mut fields: Fields) -> Result<FieldSpec, RenderError> {
    let kind = kind(&mut fields)?;
    let path = fields.text_or_empty("path")?;
    let create = fields.flag("create")?;
    fields.finish()?;
    Ok(FieldSpec::new(kind, Cow::Owned(path), create))
}

fn target(mut fields: Fields) -> Result<Target, RenderError> {
    let [group, version, kind] = kind(&mut fields)?;
    let target = Target { group, version, kind, fields: specs(fields.list("fieldSpecs")?)? };
    fields.finish()?;
    Ok(target)
}

fn kind(fields: &mut Fields) -> Result<[Cow<'static, str>; 3], RenderError> {
    let mut part = |name| fields.text_or_empty(name).map(Cow::Owned);
    Ok([part("group")?, part("version")?, part("kind")?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tables_have_as_many_fields_as_kustomize_has() {
        let defaults = Configuration::defaults();
        assert_eq!(defaults.common_labels.len(), 32);
        assert_eq!(defaults.variables.len(), 72);
        let references: usize = defaults.references.iter().map(|target| target.fields.len()).sum();
        assert_eq!((defaults.references.len(), references), (16, 167));
    }

    #[test]
    fn what_is_configured_is_added_once() {
        let read = |value| Configuration::read(value, "config.yaml").unwrap();
        let added = read(json!({
            "images": [{"kind": "App", "path": "spec/image"}],
            "nameReference": [{"kind": "Secret", "version": "v1", "fieldSpecs": [
                {"kind": "App", "path": "spec/secret"},
            ]}],
        }));
        let mut all = defaults();
        let before = all.images.len();
        all.add(&added).unwrap();
        all.add(&added).unwrap();
        assert_eq!(all.images.len(), before + 1);
        assert_eq!(all.references.len(), 16);
        let other =
            read(json!({"images": [{"kind": "App", "path": "spec/image", "create": true}]}));
        assert!(all.add(&other).unwrap_err().contains("spec/image"));
    }

    #[test]
    fn a_field_configured_for_one_kind_is_not_that_of_all_kinds_any_more() {
        let added = Configuration::read(
            json!({"namePrefix": [{"kind": "App", "path": "metadata/name"}]}),
            "config.yaml",
        );
        let mut all = defaults();
        all.add(&added.unwrap()).unwrap();
        let kinds = |specs: &[FieldSpec]| -> Vec<String> {
            specs.iter().map(|spec| spec.kind.to_string()).collect()
        };
        assert_eq!(kinds(&all.name_prefix), ["App"]);
        all.add(&defaults()).unwrap();
        assert_eq!(kinds(&all.name_prefix), ["App"]);
    }

    #[test]
    fn a_misspelt_section_is_an_error() {
        let error = Configuration::read(json!({"image": []}), "config.yaml").unwrap_err();
        assert!(error.to_string().contains("image"), "{error}");
    }
}
