//! One thing that a kustomization does with all objects it has gathered.
//!
//! Fields of a kustomization and entries of its `transformers` come down to the same things; they
//! differ in which fields of objects they look at.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::configuration::Configuration;
use super::fields::FieldSpec;
use super::file::{ImageRule, Kustomization, Patch, ReplicaRule};
use super::patch::Site;
use super::replacements::Replacement;
use super::resource::Resource;
use super::transform::{self, Affix, NamespaceRule};
use super::value_add::ValueAdd;
use super::{hash, labels, patch, replacements};
use crate::RenderError;
use crate::reader::Reader;

/// The fields that a transformer looks at.
pub(super) type Specs<'a> = Cow<'a, [FieldSpec]>;

/// Something that is done with all objects.
#[derive(Debug)]
pub(super) enum Transformer<'a> {
    StrategicMerge(Cow<'a, [String]>),
    Patch(Cow<'a, Patch>),
    JsonPatch(Cow<'a, Patch>),
    Namespace(Cow<'a, NamespaceRule>, Specs<'a>),
    Prefix(Cow<'a, str>, Specs<'a>),
    Suffix(Cow<'a, str>, Specs<'a>),
    Labels(Cow<'a, BTreeMap<String, String>>, Specs<'a>),
    Annotations(Cow<'a, BTreeMap<String, String>>, Specs<'a>),
    Replicas(Cow<'a, ReplicaRule>, Specs<'a>),
    Images(Cow<'a, [ImageRule]>, Specs<'a>),
    Replacements(Vec<Replacement>),
    ValueAdd(ValueAdd),
    Hash,
}

impl<'a> Transformer<'a> {
    /// What the fields of a kustomization do, in kustomize's order; an error is about its labels.
    pub(super) fn of(
        kustomization: &'a Kustomization,
        configuration: &'a Configuration,
        replacements: Vec<Replacement>,
    ) -> Result<Vec<Self>, String> {
        let Kustomization { namespace, name_prefix, name_suffix, .. } = kustomization;
        let mut all = Vec::new();
        if !kustomization.strategic_patches.is_empty() {
            all.push(Self::StrategicMerge(Cow::Borrowed(&kustomization.strategic_patches)));
        }
        let patches = kustomization.patches.iter();
        all.extend(patches.map(|patch| Self::Patch(Cow::Borrowed(patch))));
        if !namespace.namespace.is_empty() {
            let specs = Cow::Borrowed(configuration.namespace.as_slice());
            all.push(Self::Namespace(Cow::Borrowed(namespace), specs));
        }
        if !name_prefix.is_empty() {
            let specs = Cow::Borrowed(configuration.name_prefix.as_slice());
            all.push(Self::Prefix(Cow::Borrowed(name_prefix), specs));
        }
        if !name_suffix.is_empty() {
            let specs = Cow::Borrowed(configuration.name_suffix.as_slice());
            all.push(Self::Suffix(Cow::Borrowed(name_suffix), specs));
        }
        for rule in &kustomization.labels {
            let specs = labels::specs(rule, configuration)?;
            all.push(Self::Labels(Cow::Borrowed(&rule.pairs), Cow::Owned(specs)));
        }
        let common = &kustomization.common_labels;
        // With `labels`, kustomize lists this one too, though it has nothing to do.
        if !common.is_empty() || !kustomization.labels.is_empty() {
            let specs = Cow::Borrowed(configuration.common_labels.as_slice());
            all.push(Self::Labels(Cow::Borrowed(common), specs));
        }
        let annotations = &kustomization.common_annotations;
        if !annotations.is_empty() {
            let specs = Cow::Borrowed(configuration.annotations.as_slice());
            all.push(Self::Annotations(Cow::Borrowed(annotations), specs));
        }
        let patches = kustomization.json_patches.iter();
        all.extend(patches.map(|patch| Self::JsonPatch(Cow::Borrowed(patch))));
        all.extend(kustomization.replicas.iter().map(|rule| {
            Self::Replicas(Cow::Borrowed(rule), Cow::Borrowed(&configuration.replicas))
        }));
        if !kustomization.images.is_empty() {
            let specs = Cow::Borrowed(configuration.images.as_slice());
            all.push(Self::Images(Cow::Borrowed(&kustomization.images), specs));
        }
        if !replacements.is_empty() {
            all.push(Self::Replacements(replacements));
        }
        Ok(all)
    }

    /// What kustomize calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::StrategicMerge(_) => "PatchStrategicMergeTransformer",
            Self::Patch(_) => "PatchTransformer",
            Self::JsonPatch(_) => "PatchJson6902Transformer",
            Self::Namespace(..) => "NamespaceTransformer",
            Self::Prefix(..) => "PrefixTransformer",
            Self::Suffix(..) => "SuffixTransformer",
            Self::Labels(..) => "LabelTransformer",
            Self::Annotations(..) => "AnnotationsTransformer",
            Self::Replicas(..) => "ReplicaCountTransformer",
            Self::Images(..) => "ImageTagTransformer",
            Self::Replacements(_) => "ReplacementTransformer",
            Self::ValueAdd(_) => "ValueAddTransformer",
            Self::Hash => "HashTransformer",
        }
    }

    /// How many transformers of kustomize it stands for.
    pub(super) fn count(&self) -> usize {
        if let Self::Images(rules, _) = self { rules.len() } else { 1 }
    }

    /// Does it.
    pub(super) fn run(
        &self,
        reader: &mut Reader<'_>,
        site: Site<'_>,
        resources: &mut Vec<Resource>,
    ) -> Result<(), RenderError> {
        reader.go_on()?;
        let file = site.file;
        let wrong = |why: String| RenderError::Build { file: file.to_owned(), why };
        match self {
            Self::StrategicMerge(entries) => {
                patch::strategic(reader, site, entries, resources)?;
            }
            Self::Patch(patch) => patch::one(reader, site, patch, resources)?,
            Self::JsonPatch(patch) => patch::json(reader, site, patch, resources)?,
            Self::Namespace(rule, specs) => transform::namespace(resources, rule, specs, file)?,
            Self::Prefix(prefix, specs) => {
                transform::names(resources, Affix::Prefix(prefix), specs).map_err(wrong)?;
            }
            Self::Suffix(suffix, specs) => {
                transform::names(resources, Affix::Suffix(suffix), specs).map_err(wrong)?;
            }
            Self::Labels(pairs, specs) | Self::Annotations(pairs, specs) => {
                labels::set(resources, specs, pairs).map_err(wrong)?;
            }
            Self::Replicas(rule, specs) => transform::replicas(resources, rule, specs, file)?,
            Self::Images(rules, specs) => {
                transform::images(reader, resources, rules, specs, file)?;
            }
            Self::Replacements(rules) => {
                for rule in rules {
                    reader.go_on()?;
                    replacements::apply(rule, resources, file)?;
                }
            }
            Self::ValueAdd(rule) => rule.apply(resources).map_err(wrong)?,
            Self::Hash => hash::append(resources).map_err(wrong)?,
        }
        Ok(())
    }
}
