//! Labels and annotations, and the selectors that have to follow labels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::FieldSpec;
use super::file::LabelRule;
use super::resource::{Resource, mapping};

const fn spec(
    group: Option<&'static str>,
    kind: &'static str,
    path: &'static str,
    create: bool,
) -> FieldSpec<'static> {
    FieldSpec { group, kind, path, create }
}

/// Labels of every object itself.
const OWN_LABELS: [FieldSpec<'static>; 1] = [spec(None, "", "metadata/labels", true)];

/// Labels of what workloads make.
const TEMPLATE_LABELS: [FieldSpec<'static>; 9] = [
    spec(Some(""), "ReplicationController", "spec/template/metadata/labels", true),
    spec(None, "Deployment", "spec/template/metadata/labels", true),
    spec(None, "ReplicaSet", "spec/template/metadata/labels", true),
    spec(None, "DaemonSet", "spec/template/metadata/labels", true),
    spec(Some("apps"), "StatefulSet", "spec/template/metadata/labels", true),
    spec(Some("apps"), "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true),
    spec(Some("batch"), "Job", "spec/template/metadata/labels", true),
    spec(Some("batch"), "CronJob", "spec/jobTemplate/metadata/labels", true),
    spec(Some("batch"), "CronJob", "spec/jobTemplate/spec/template/metadata/labels", true),
];

/// Selectors by label.
const SELECTORS: [FieldSpec<'static>; 12] = [
    spec(Some(""), "Service", "spec/selector", true),
    spec(Some(""), "ReplicationController", "spec/selector", true),
    spec(None, "Deployment", "spec/selector/matchLabels", true),
    spec(None, "ReplicaSet", "spec/selector/matchLabels", true),
    spec(None, "DaemonSet", "spec/selector/matchLabels", true),
    spec(Some("apps"), "StatefulSet", "spec/selector/matchLabels", true),
    spec(Some("batch"), "Job", "spec/selector/matchLabels", false),
    spec(Some("batch"), "CronJob", "spec/jobTemplate/spec/selector/matchLabels", false),
    spec(Some("policy"), "PodDisruptionBudget", "spec/selector/matchLabels", false),
    spec(Some("networking.k8s.io"), "NetworkPolicy", "spec/podSelector/matchLabels", false),
    spec(
        Some("networking.k8s.io"),
        "NetworkPolicy",
        "spec/ingress/from/podSelector/matchLabels",
        false,
    ),
    spec(
        Some("networking.k8s.io"),
        "NetworkPolicy",
        "spec/egress/to/podSelector/matchLabels",
        false,
    ),
];

/// Selectors within the pods of these workloads.
const SCHEDULED: [&str; 2] = ["Deployment", "StatefulSet"];

/// Where pods select other pods by label.
const SCHEDULING: [&str; 5] = [
    "spec/template/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels",
];

/// Annotations of objects, and of what workloads make.
const ANNOTATIONS: [FieldSpec<'static>; 9] = [
    spec(None, "", "metadata/annotations", true),
    spec(Some(""), "ReplicationController", "spec/template/metadata/annotations", true),
    spec(None, "Deployment", "spec/template/metadata/annotations", true),
    spec(None, "ReplicaSet", "spec/template/metadata/annotations", true),
    spec(None, "DaemonSet", "spec/template/metadata/annotations", true),
    spec(None, "StatefulSet", "spec/template/metadata/annotations", true),
    spec(Some("batch"), "Job", "spec/template/metadata/annotations", true),
    spec(Some("batch"), "CronJob", "spec/jobTemplate/metadata/annotations", true),
    spec(Some("batch"), "CronJob", "spec/jobTemplate/spec/template/metadata/annotations", true),
];

/// One entry of `labels`.
pub(crate) fn labels(resources: &mut [Resource], rule: &LabelRule) {
    if rule.selectors {
        common_labels(resources, &rule.pairs);
    } else {
        set(resources, &OWN_LABELS, &rule.pairs);
        if rule.templates {
            set(resources, &TEMPLATE_LABELS, &rule.pairs);
        }
    }
    for field in &rule.fields {
        let group = Some(field.group.as_str()).filter(|group| !group.is_empty());
        let spec = FieldSpec { group, kind: &field.kind, path: &field.path, create: field.create };
        let versioned = |resource: &Resource| {
            field.version.is_empty() || resource.id().version == field.version
        };
        set_where(resources, &[spec], &rule.pairs, versioned);
    }
}

/// `commonLabels`: labels and the selectors that find objects by them.
pub(crate) fn common_labels(resources: &mut [Resource], pairs: &BTreeMap<String, String>) {
    set(resources, &OWN_LABELS, pairs);
    set(resources, &TEMPLATE_LABELS, pairs);
    set(resources, &SELECTORS, pairs);
    for kind in SCHEDULED {
        for path in SCHEDULING {
            set(resources, &[FieldSpec { group: None, kind, path, create: false }], pairs);
        }
    }
}

/// `commonAnnotations`.
pub(crate) fn common_annotations(resources: &mut [Resource], pairs: &BTreeMap<String, String>) {
    set(resources, &ANNOTATIONS, pairs);
}

fn set(resources: &mut [Resource], specs: &[FieldSpec<'_>], pairs: &BTreeMap<String, String>) {
    set_where(resources, specs, pairs, |_| true);
}

fn set_where(
    resources: &mut [Resource],
    specs: &[FieldSpec<'_>],
    pairs: &BTreeMap<String, String>,
    concerned: impl Fn(&Resource) -> bool,
) {
    if pairs.is_empty() {
        return;
    }
    for resource in resources.iter_mut().filter(|resource| concerned(resource)) {
        let id = resource.id();
        for spec in specs.iter().filter(|spec| spec.is_for(&id)) {
            spec.visit(&mut resource.value, &mut |place| {
                let map = mapping(place);
                for (key, value) in pairs {
                    map.insert(key.clone(), Value::from(value.as_str()));
                }
            });
        }
    }
}
