//! Namespaces, names, replicas and images.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::fields::FieldSpec;
use super::file::{ImageRule, ReplicaRule};
use super::resource::{Id, Resource, mapping};
use crate::RenderError;

/// Most bytes of a compiled image pattern: names are short.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

const REPLICAS: [FieldSpec<'static>; 4] = [
    FieldSpec { group: None, kind: "Deployment", path: "spec/replicas", create: true },
    FieldSpec {
        group: Some(""),
        kind: "ReplicationController",
        path: "spec/replicas",
        create: true,
    },
    FieldSpec { group: None, kind: "ReplicaSet", path: "spec/replicas", create: true },
    FieldSpec { group: None, kind: "StatefulSet", path: "spec/replicas", create: true },
];

/// Puts everything that lives in a namespace into this one.
pub(crate) fn namespace(
    resources: &mut [Resource],
    namespace: &str,
    file: &str,
) -> Result<(), RenderError> {
    if namespace.is_empty() {
        return Ok(());
    }
    for resource in resources.iter_mut() {
        resource.remember();
        let id = resource.id();
        if !id.is_cluster_scoped() {
            resource.set_namespace(namespace);
        }
        match (id.group.as_str(), id.kind.as_str()) {
            ("", "Namespace") => resource.set_name(namespace.to_owned()),
            ("apiregistration.k8s.io", "APIService") => {
                set_text(&mut resource.value, "spec/service/namespace", true, namespace);
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                let path = "spec/conversion/webhook/clientConfig/service/namespace";
                set_text(&mut resource.value, path, false, namespace);
            }
            (_, "RoleBinding" | "ClusterRoleBinding") => {
                default_subjects(&mut resource.value, namespace);
            }
            _ => {}
        }
    }
    unique(resources, file)
}

fn set_text(value: &mut Value, path: &str, create: bool, text: &str) {
    let spec = FieldSpec { group: None, kind: "", path, create };
    spec.visit(value, &mut |place| *place = Value::from(text));
}

/// The service account `default` of a binding is the one of the new namespace.
fn default_subjects(value: &mut Value, namespace: &str) {
    let Some(Value::Array(subjects)) = value.get_mut("subjects") else { return };
    for subject in subjects {
        let named_default = subject.get("name").and_then(Value::as_str) == Some("default");
        if named_default && subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount") {
            mapping(subject).insert("namespace".to_owned(), Value::from(namespace));
        }
    }
}

/// Whether every object is one of its own.
pub(crate) fn unique(resources: &[Resource], file: &str) -> Result<(), RenderError> {
    let mut seen = BTreeSet::new();
    for resource in resources {
        let id = resource.id();
        let text = format!("{} {}/{} {}", id.group, id.kind, id.effective_namespace(), id.name);
        if !seen.insert(text) {
            let why = format!("there are two objects {id}: a name can be given only once");
            return Err(RenderError::Build { file: file.to_owned(), why });
        }
    }
    Ok(())
}

/// Puts a prefix and a suffix around every name, but for kinds whose names mean something.
pub(crate) fn names(resources: &mut [Resource], prefix: &str, suffix: &str) {
    if prefix.is_empty() && suffix.is_empty() {
        return;
    }
    for resource in resources.iter_mut().filter(|resource| !keeps_name(&resource.original())) {
        resource.remember();
        let name = format!("{prefix}{}{suffix}", resource.name());
        resource.set_name(name);
        if !prefix.is_empty() {
            resource.prefixes.push(prefix.to_owned());
        }
        if !suffix.is_empty() {
            resource.suffixes.push(suffix.to_owned());
        }
    }
}

fn keeps_name(id: &Id) -> bool {
    matches!(
        (id.group.as_str(), id.kind.as_str()),
        ("", "Namespace")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apiregistration.k8s.io", "APIService")
    ) || id.kind == "CustomResourceDefinition"
}

/// Sets the replicas of the workloads of a name; none of that name is an error.
pub(crate) fn replicas(
    resources: &mut [Resource],
    rule: &ReplicaRule,
    file: &str,
) -> Result<(), RenderError> {
    let mut found = false;
    for resource in resources.iter_mut() {
        let id = resource.id();
        let named = id.name == rule.name || resource.past.iter().any(|id| id.name == rule.name);
        for spec in REPLICAS.iter().filter(|spec| named && spec.is_for(&id)) {
            spec.visit(&mut resource.value, &mut |place| *place = Value::from(rule.count));
            found = true;
        }
    }
    if found {
        return Ok(());
    }
    let why = format!("replicas: there is no workload {:?} that has replicas", rule.name);
    Err(RenderError::Build { file: file.to_owned(), why })
}

/// Changes the images of containers, wherever they are.
pub(crate) fn images(resources: &mut [Resource], rules: &[ImageRule]) {
    for rule in rules {
        let Some(pattern) = pattern(&rule.name) else { continue };
        let defined = |resource: &&mut Resource| resource.id().kind != "CustomResourceDefinition";
        for resource in resources.iter_mut().filter(defined) {
            containers(&mut resource.value, &mut |image| {
                if pattern.is_match(image) {
                    *image = renamed(image, rule);
                }
            });
        }
    }
}

/// The images a rule is for. Its name is a pattern in kustomize as well; one that is no pattern
/// matches nothing.
fn pattern(name: &str) -> Option<Regex> {
    let pattern = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
    RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES_MAX).build().ok()
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
    let after_slash = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[after_slash..].split_once(':') {
        Some((last, tag)) => (&rest[..after_slash + last.len()], tag),
        None => (rest, ""),
    };
    let name = if rule.new_name.is_empty() { name } else { &rule.new_name };
    let (mut tag, mut digest) = match (rule.new_tag.as_str(), rule.digest.as_str()) {
        ("", "") => (tag.to_owned(), digest.to_owned()),
        (new_tag, new_digest) => (new_tag.to_owned(), new_digest.to_owned()),
    };
    if !rule.tag_suffix.is_empty() {
        tag.push_str(&rule.tag_suffix);
        digest.clear();
    }
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

    #[test]
    fn a_rule_is_for_the_whole_name_only() {
        let pattern = pattern("nginx").unwrap();
        assert!(pattern.is_match("nginx") && pattern.is_match("nginx:1.2"));
        assert!(!pattern.is_match("my/nginx:1") && !pattern.is_match("nginx-x"));
    }
}
