//! Namespaces, names, replicas and images.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{FieldSpec, fitting};
use super::file::{ImageRule, ReplicaRule};
use super::image_pattern::ImagePattern;
use super::resource::{Id, Resource};
use crate::RenderError;
use crate::reader::Reader;

/// A namespace for everything that lives in one.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceRule {
    pub(crate) namespace: String,
    /// Leaves objects alone that have a namespace.
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

/// Which subjects of role bindings get the namespace.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Subjects {
    /// Those named `default`.
    #[default]
    Default,
    /// All service accounts.
    All,
    None,
}

/// Puts everything that lives in a namespace into this one. `specs` are the fields beside the
/// object's own namespace and the subjects of role bindings.
pub(crate) fn namespace(
    resources: &mut [Resource],
    rule: &NamespaceRule,
    specs: &[FieldSpec],
    file: &str,
) -> Result<(), RenderError> {
    let namespace = rule.namespace.as_str();
    if namespace.is_empty() {
        return Ok(());
    }
    for resource in resources.iter_mut() {
        resource.remember();
        let id = resource.id();
        let keeps = |found: &str| rule.unset_only && !found.is_empty();
        if !id.is_cluster_scoped() && !keeps(&id.namespace) {
            resource.set_namespace(namespace);
        }
        if matches!(id.kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
            subjects(&mut resource.value, rule).map_err(|why| wrong(file, &id, &why))?;
        }
        // Other groups have kinds called Namespace, whose names are their own.
        let keeps_name = !id.group.is_empty() || id.version != "v1";
        let fits = |spec: &&FieldSpec| {
            spec.is_for(&id) && spec.path != OWN_NAMESPACE && (spec.path != OWN_NAME || !keeps_name)
        };
        for spec in specs.iter().filter(fits) {
            spec.visit_scalars(&mut resource.value, &mut |place| {
                if !keeps(place.as_str().unwrap_or_default()) {
                    *place = Value::from(namespace);
                }
            })
            .map_err(|why| wrong(file, &id, &why))?;
        }
    }
    unique(resources, file)
}

fn wrong(file: &str, id: &Id, why: &str) -> RenderError {
    RenderError::Build { file: file.to_owned(), why: format!("{id}: {why}") }
}

const OWN_NAMESPACE: &str = "metadata/namespace";
const OWN_NAME: &str = "metadata/name";

fn subjects(value: &mut Value, rule: &NamespaceRule) -> Result<(), String> {
    let subjects = match value.get_mut("subjects") {
        None | Some(Value::Null) => return Ok(()),
        Some(_) if rule.subjects == Subjects::None => return Ok(()),
        Some(Value::Array(subjects)) => subjects,
        Some(_) => return Err("subjects: a list is expected".to_owned()),
    };
    for subject in subjects.iter_mut().filter(|subject| !subject.is_null()) {
        let Value::Object(subject) = subject else {
            return Err("subjects: each one is a mapping".to_owned());
        };
        let text = |field: &str| match subject.get(field) {
            Some(Value::Array(_) | Value::Object(_)) => Err(format!("subjects: {field} is text")),
            value => Ok(value.and_then(Value::as_str).unwrap_or_default()),
        };
        let is_meant = match rule.subjects {
            // Of any kind: users and groups are taken for accounts here.
            Subjects::Default => text("name")? == "default",
            Subjects::All => text("kind")? == "ServiceAccount",
            Subjects::None => false,
        };
        if is_meant && (text("namespace")?.is_empty() || !rule.unset_only) {
            subject.insert("namespace".to_owned(), Value::from(rule.namespace.as_str()));
        }
    }
    Ok(())
}

/// Whether every object is one of its own.
pub(crate) fn unique(resources: &[Resource], file: &str) -> Result<(), RenderError> {
    let mut seen = BTreeSet::new();
    for resource in resources {
        if !seen.insert(resource.identity()) {
            let id = resource.id();
            let why = format!("there are two objects {id}: a name can be given only once");
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
    }
    Ok(())
}

/// What is put before or behind a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Affix<'a> {
    Prefix(&'a str),
    Suffix(&'a str),
}

impl Affix<'_> {
    fn around(self, text: &str) -> String {
        match self {
            Self::Prefix(prefix) => format!("{prefix}{text}"),
            Self::Suffix(suffix) => format!("{text}{suffix}"),
        }
    }
}

/// Puts a prefix or a suffix to every name, but for kinds whose names mean something.
pub(crate) fn names(
    resources: &mut [Resource],
    affix: Affix<'_>,
    specs: &[FieldSpec],
) -> Result<(), String> {
    let (Affix::Prefix(text) | Affix::Suffix(text)) = affix;
    if text.is_empty() {
        return Ok(());
    }
    for resource in resources.iter_mut() {
        let original = resource.original();
        if keeps_name(&original) {
            continue;
        }
        for spec in specs.iter().filter(|spec| spec.is_for(&original)) {
            if spec.path == "metadata/name" {
                resource.remember();
                match affix {
                    Affix::Prefix(prefix) => resource.prefixes.push(prefix.to_owned()),
                    Affix::Suffix(suffix) => resource.suffixes.push(suffix.to_owned()),
                }
            }
            spec.visit_scalars(&mut resource.value, &mut |place| {
                *place = Value::from(match &*place {
                    Value::String(name) => affix.around(name),
                    other => affix.around(&other.to_string()),
                });
            })
            .map_err(|why| format!("{original}: {why}"))?;
        }
    }
    Ok(())
}

fn keeps_name(id: &Id) -> bool {
    matches!(id.kind.as_str(), "Namespace" | "CustomResourceDefinition")
        || id.group == "apiregistration.k8s.io" && id.kind == "APIService"
}

/// Sets the replicas of the workloads of a name; none of that name is an error.
pub(crate) fn replicas(
    resources: &mut [Resource],
    rule: &ReplicaRule,
    specs: &[FieldSpec],
    file: &str,
) -> Result<(), RenderError> {
    let mut found = false;
    for resource in resources.iter_mut() {
        let id = resource.id();
        let ids: Vec<&Id> = resource.past.iter().chain([&id]).collect();
        let fits = |spec: &&FieldSpec| ids.iter().any(|id| id.name == rule.name && spec.is_for(id));
        for spec in specs.iter().filter(fits) {
            spec.visit_scalars(&mut resource.value, &mut |place| *place = Value::from(rule.count))
                .map_err(|why| wrong(file, &id, &why))?;
            found = true;
        }
    }
    if found {
        return Ok(());
    }
    let why = format!("replicas: there is no workload {:?} that has replicas", rule.name);
    Err(RenderError::Build { file: file.to_owned(), why })
}

/// Changes images as the rules say, one after the other: those of containers, wherever they are,
/// and then in the fields of `specs`: what is added to a tag is added twice where both lead to the
/// same place, as kustomize adds it.
pub(crate) fn images(
    reader: &Reader<'_>,
    resources: &mut [Resource],
    rules: &[ImageRule],
    specs: &[FieldSpec],
    file: &str,
) -> Result<(), RenderError> {
    let wrong = |why: String| RenderError::Build { file: file.to_owned(), why };
    let mut ready = Vec::new();
    for rule in rules {
        let pattern = ImagePattern::new(&rule.name).map_err(wrong)?;
        ready.extend(pattern.map(|pattern| (pattern, rule)));
    }
    for resource in resources.iter_mut() {
        reader.go_on()?;
        if resource.kind() == "CustomResourceDefinition" {
            continue;
        }
        let specs = fitting(specs, resource);
        // Most rules are for other objects: only what is there is held against each.
        let value = &mut resource.value;
        let mut found = found_images(value, &specs).map_err(wrong)?;
        for (pattern, rule) in &ready {
            if found.iter().any(|image| pattern.is_match(image)) {
                each_image(value, &specs, &mut |image| {
                    if pattern.is_match(image) {
                        *image = renamed(image, rule);
                    }
                })
                .and_then(|()| found_images(value, &specs))
                .map(|images| found = images)
                .map_err(wrong)?;
            }
        }
    }
    Ok(())
}

fn found_images(value: &mut Value, specs: &[&FieldSpec]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    each_image(value, specs, &mut |image| found.push(image.clone()))?;
    Ok(found)
}

fn each_image(
    value: &mut Value,
    specs: &[&FieldSpec],
    change: &mut dyn FnMut(&mut String),
) -> Result<(), String> {
    containers(value, change);
    specs.iter().try_for_each(|spec| {
        spec.visit_found_scalars(value, &mut |place| {
            if let Value::String(image) = place {
                change(image);
            }
        })
    })
}

/// Goes through every list called `containers` or `initContainers`.
fn containers(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if key == "containers" || key == "initContainers" {
                    own_images(inner, change);
                }
                containers(inner, change);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| containers(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn own_images(list: &mut Value, change: &mut dyn FnMut(&mut String)) {
    for container in list.as_array_mut().into_iter().flatten() {
        if let Some(Value::String(image)) = container.get_mut("image") {
            change(image);
        }
    }
}

fn renamed(image: &str, rule: &ImageRule) -> String {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, digest),
        None => (image, ""),
    };
    // A colon before the last slash belongs to the registry's port.
    let last = rest.rsplit('/').next().unwrap_or_default();
    let (name, tag) = match last.split_once(':') {
        Some((_, tag)) => {
            let name = rest.strip_suffix(tag).and_then(|rest| rest.strip_suffix(':'));
            (name.unwrap_or(rest), tag)
        }
        None => (rest, ""),
    };
    let name = if rule.new_name.is_empty() { name } else { &rule.new_name };
    let (tag, digest) = match (rule.new_tag.as_str(), rule.digest.as_str()) {
        ("", "") if rule.tag_suffix.is_empty() => (tag.to_owned(), digest.to_owned()),
        ("", "") => (format!("{tag}{}", rule.tag_suffix), String::new()),
        (new_tag, new_digest) => (new_tag.to_owned(), new_digest.to_owned()),
    };
    let tag = if tag.is_empty() { tag } else { format!(":{tag}") };
    let digest = if digest.is_empty() { digest } else { format!("@{digest}") };
    format!("{name}{tag}{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(image: &str, new_name: &str, new_tag: &str, digest: &str) -> String {
        let rule = ImageRule {
            new_name: new_name.to_owned(),
            new_tag: new_tag.to_owned(),
            digest: digest.to_owned(),
            ..ImageRule::default()
        };
        renamed(image, &rule)
    }

    #[test]
    fn a_new_tag_takes_the_place_of_a_digest_and_the_other_way_round() {
        assert_eq!(rename("a:1", "", "2", ""), "a:2");
        assert_eq!(rename("a@sha256:1", "", "2", ""), "a:2");
        assert_eq!(rename("a:1", "", "", "sha256:2"), "a@sha256:2");
        assert_eq!(rename("a:1", "b", "", ""), "b:1");
    }

    #[test]
    fn the_port_of_a_registry_is_not_a_tag() {
        assert_eq!(rename("host:5000/a", "", "2", ""), "host:5000/a:2");
    }
}
