//! Health of objects and applications.
//!
//! The rules of the built-in kinds give Argo CD's verdicts (`gitops-engine/pkg/health`), except
//! where its rule is known to get stuck:
//!
//! - an `Ingress` without a load balancer's address is Healthy: many controllers never publish
//!   one, and Argo CD shows such applications as Progressing for ever;
//! - a `CronJob` with a running job is Healthy, so that an application does not change its health
//!   at every run;
//! - a `Namespace` has a rule: Progressing while it is being deleted.
//!
//! Custom resources follow the conditions they publish, see [`conditions`].

mod cluster;
mod conditions;
mod pod;
mod workload;

use std::fmt;

use fyr_model::{GroupKind, GroupVersionKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an object or an application does. Ordered from best to worst, as Argo CD orders them: an
/// application is as healthy as the worst of its objects.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum HealthStatus {
    /// It does what it should.
    Healthy,
    /// It was told to pause.
    Suspended,
    /// It is on its way and not there yet.
    Progressing,
    /// It does not exist.
    Missing,
    /// It cannot get there without help.
    Degraded,
    /// It cannot be known.
    Unknown,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A verdict with its reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Why, for people; empty when there is nothing to say.
    pub reason: String,
}

impl Health {
    /// A verdict with its reason.
    pub fn new(status: HealthStatus, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

/// Health of one object by the rules of its kind; `None` when there is nothing to judge it by.
///
/// `object` is the whole live object.
pub fn health_of(gvk: &GroupVersionKind, object: &Value) -> Option<Health> {
    let rule = rule(&gvk.group, &gvk.kind)?;
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Some(Health::new(HealthStatus::Progressing, "it is being deleted"));
    }
    match rule {
        Rule::Kind(judge) => Some(judge(object)),
        Rule::Conditions => conditions::custom_resource(object),
    }
}

/// Whether objects of this kind have to be watched whole, because their health is read from them.
///
/// All custom resources do: any of them may publish conditions.
pub fn has_health_rules(kind: &GroupKind) -> bool {
    rule(&kind.group, &kind.kind).is_some()
}

/// How objects of a kind are judged.
enum Rule {
    /// By a rule of its own.
    Kind(fn(&Value) -> Health),
    /// By the conditions they publish.
    Conditions,
}

/// API groups that are part of Kubernetes. Kinds of all other groups are custom resources; the
/// suffix does not tell (`gateway.networking.k8s.io` is one).
const BUILT_IN_GROUPS: [&str; 25] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "imagepolicy.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

fn rule(group: &str, kind: &str) -> Option<Rule> {
    Some(Rule::Kind(match (group, kind) {
        ("apps", "Deployment") => workload::deployment,
        ("apps", "StatefulSet") => workload::stateful_set,
        ("apps", "DaemonSet") => workload::daemon_set,
        ("apps", "ReplicaSet") => workload::replica_set,
        ("batch", "Job") => workload::job,
        ("batch", "CronJob") => workload::cron_job,
        ("", "Pod") => pod::pod,
        ("", "Service") => cluster::service,
        ("", "PersistentVolumeClaim") => cluster::volume_claim,
        ("", "Namespace") => cluster::namespace,
        ("networking.k8s.io" | "extensions", "Ingress") => cluster::ingress,
        ("autoscaling", "HorizontalPodAutoscaler") => cluster::autoscaler,
        ("apiregistration.k8s.io", "APIService") => cluster::api_service,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => cluster::definition,
        (group, _) if BUILT_IN_GROUPS.contains(&group) => return None,
        _ => return Some(Rule::Conditions),
    }))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn truth(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// `spec.replicas`, whose default is 1.
fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn healthy(reason: impl Into<String>) -> Health {
    Health::new(HealthStatus::Healthy, reason)
}

fn progressing(reason: impl Into<String>) -> Health {
    Health::new(HealthStatus::Progressing, reason)
}

fn degraded(reason: impl Into<String>) -> Health {
    Health::new(HealthStatus::Degraded, reason)
}

fn suspended(reason: impl Into<String>) -> Health {
    Health::new(HealthStatus::Suspended, reason)
}

/// Judges before a controller has seen the newest generation.
fn unobserved(object: &Value) -> Option<Health> {
    let behind =
        number(object, "/status/observedGeneration") < number(object, "/metadata/generation");
    behind.then(|| progressing("its controller has not seen the newest change yet"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_application_is_as_healthy_as_its_worst_object() {
        use HealthStatus::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};
        let mut all = [Unknown, Missing, Healthy, Degraded, Suspended, Progressing];
        all.sort();
        assert_eq!(all, [Healthy, Suspended, Progressing, Missing, Degraded, Unknown]);
    }

    #[test]
    fn kinds_without_rules_have_no_health_and_custom_resources_are_watched_whole() {
        let gvk = GroupVersionKind::from_api_version("v1", "ConfigMap");
        assert_eq!(health_of(&gvk, &json!({"data": {}})), None);
        assert!(!has_health_rules(&gvk.group_kind()));
        assert!(!has_health_rules(&GroupKind::new("rbac.authorization.k8s.io", "Role")));
        assert!(has_health_rules(&GroupKind::new("apps", "Deployment")));
        assert!(has_health_rules(&GroupKind::new("gateway.networking.k8s.io", "Gateway")));
    }

    #[test]
    fn an_object_on_its_way_out_is_progressing() {
        let gvk = GroupVersionKind::from_api_version("v1", "Service");
        let object = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(health_of(&gvk, &object).unwrap().status, HealthStatus::Progressing);
    }
}
