//! Labels and annotations, and the selectors that have to follow labels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::configuration::{Configuration, add_specs};
use super::fields::{FieldSpec, fitting};
use super::file::LabelRule;
use super::resource::Resource;

/// The fields that one entry of `labels` is for.
pub(crate) fn specs(
    rule: &LabelRule,
    configuration: &Configuration,
) -> Result<Vec<FieldSpec>, String> {
    let mut specs = rule.fields.clone();
    let own = [FieldSpec::of_all("metadata/labels", true)];
    let mut lists = Vec::new();
    if rule.selectors {
        lists.push(configuration.common_labels.as_slice());
    } else {
        if rule.templates {
            lists.push(&configuration.template_labels);
        }
        lists.push(&own);
        lists.push(&configuration.labels);
    }
    for list in lists {
        add_specs(&mut specs, list)?;
    }
    Ok(specs)
}

/// Sets all of `pairs` in every mapping that the fields lead to.
pub(crate) fn set(
    resources: &mut [Resource],
    specs: &[FieldSpec],
    pairs: &BTreeMap<String, String>,
) -> Result<(), String> {
    if pairs.is_empty() {
        return Ok(());
    }
    for resource in resources {
        for spec in fitting(specs, resource) {
            spec.visit_mappings(&mut resource.value, &mut |map| {
                for (key, value) in pairs {
                    map.insert(key.clone(), Value::from(value.as_str()));
                }
            })
            .map_err(|why| format!("{}: {why}", resource.id()))?;
        }
    }
    Ok(())
}
