//! Health of what surrounds the workloads: network, storage, scaling, API extensions, namespaces.

use std::borrow::Cow;

use serde_json::Value;

use super::conditions::{self, Condition};
use super::{Health, HealthStatus, degraded, healthy, progressing, text};

/// A service of type `LoadBalancer` waits for its address; others have nothing to wait for.
pub(super) fn service(object: &Value) -> Health {
    let waits = text(object, "/spec/type") == "LoadBalancer" && !has_address(object);
    if waits { progressing("it has no load balancer yet") } else { healthy("") }
}

/// Healthy with or without an address; see the module above for why.
pub(super) fn ingress(object: &Value) -> Health {
    healthy(if has_address(object) { "" } else { "no address is published" })
}

fn has_address(object: &Value) -> bool {
    object
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|addresses| !addresses.is_empty())
}

/// Judges the phase of a claim.
pub(super) fn volume_claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => healthy(""),
        "Lost" => degraded("its volume is lost"),
        "Pending" | "" => progressing("it is not bound to a volume yet"),
        phase => Health::new(HealthStatus::Unknown, format!("its phase is {phase:?}")),
    }
}

/// A namespace that is going away takes its content with it.
pub(super) fn namespace(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Terminating" => progressing("it is being deleted"),
        _ => healthy(""),
    }
}

/// Judges the conditions of an autoscaler; `autoscaling/v1` keeps them in an annotation.
pub(super) fn autoscaler(object: &Value) -> Health {
    const V1: &str = "/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions";
    let conditions = match object.pointer("/status/conditions") {
        Some(conditions) => Cow::Borrowed(conditions),
        None => Cow::Owned(serde_json::from_str(text(object, V1)).unwrap_or_default()),
    };
    for kind in ["AbleToScale", "ScalingActive"] {
        // Scaling is off by intent while the workload has no replicas.
        let failed = conditions::of(&conditions, kind)
            .filter(|condition| condition.is_false() && condition.reason != "ScalingDisabled");
        if let Some(condition) = failed {
            return degraded(condition.message);
        }
    }
    match conditions::of(&conditions, "AbleToScale") {
        Some(condition) => healthy(condition.message),
        None => progressing("it has not been evaluated yet"),
    }
}

/// An aggregated API is there when it answers.
pub(super) fn api_service(object: &Value) -> Health {
    match conditions::find(object, "Available") {
        Some(condition) if condition.is_true() => healthy(""),
        Some(condition) => progressing(condition.message),
        None => progressing("it has not been tried yet"),
    }
}

/// A definition is there when its names are accepted and its kind is served.
pub(super) fn definition(object: &Value) -> Health {
    let find = |kind| conditions::find(object, kind);
    if let Some(condition) = find("NamesAccepted").filter(Condition::is_false) {
        return degraded(condition.message);
    }
    if let Some(condition) = find("NonStructuralSchema").filter(Condition::is_true) {
        return degraded(condition.message);
    }
    match find("Established") {
        Some(condition) if condition.is_true() => healthy(""),
        _ => progressing("its kind is not served yet"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::HealthStatus::{Degraded, Healthy, Progressing};

    fn conditions(entries: &[(&str, &str, &str)]) -> Value {
        let list: Vec<Value> = entries
            .iter()
            .map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason}))
            .collect();
        json!({"status": {"conditions": list}})
    }

    fn judge(rule: fn(&Value) -> Health, object: &Value) -> HealthStatus {
        rule(object).status
    }

    #[test]
    fn only_a_load_balancer_waits_for_an_address() {
        let mut object = json!({"spec": {"type": "LoadBalancer"}});
        assert_eq!(judge(service, &object), Progressing);
        object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
        assert_eq!(judge(service, &object), Healthy);
        assert_eq!(judge(service, &json!({"spec": {"type": "ClusterIP"}})), Healthy);
    }

    #[test]
    fn an_ingress_without_an_address_is_healthy_and_says_so() {
        assert_eq!(ingress(&json!({})), healthy("no address is published"));
    }

    #[test]
    fn claims_and_namespaces_follow_their_phase() {
        let phase = |phase: &str| json!({"status": {"phase": phase}});
        assert_eq!(judge(volume_claim, &phase("Bound")), Healthy);
        assert_eq!(judge(volume_claim, &phase("Pending")), Progressing);
        assert_eq!(judge(volume_claim, &phase("Lost")), Degraded);
        assert_eq!(judge(volume_claim, &phase("New")), HealthStatus::Unknown);
        assert_eq!(judge(namespace, &phase("Active")), Healthy);
        assert_eq!(judge(namespace, &phase("Terminating")), Progressing);
    }

    #[test]
    fn an_autoscaler_without_metrics_is_degraded_and_one_at_zero_is_not() {
        let able = ("AbleToScale", "True", "ReadyForNewScale");
        let active = |reason| conditions(&[able, ("ScalingActive", "False", reason)]);
        assert_eq!(judge(autoscaler, &active("FailedGetResourceMetric")), Degraded);
        assert_eq!(judge(autoscaler, &active("ScalingDisabled")), Healthy);
        assert_eq!(judge(autoscaler, &json!({})), Progressing);
        let text =
            conditions(&[("AbleToScale", "False", "FailedGetScale")])["status"]["conditions"]
                .to_string();
        let old = json!({"metadata": {"annotations": {
            "autoscaling.alpha.kubernetes.io/conditions": text,
        }}});
        assert_eq!(judge(autoscaler, &old), Degraded);
    }

    #[test]
    fn extensions_wait_until_they_are_served() {
        assert_eq!(judge(api_service, &conditions(&[("Available", "True", "")])), Healthy);
        assert_eq!(judge(api_service, &conditions(&[("Available", "False", "")])), Progressing);
        assert_eq!(judge(definition, &conditions(&[("Established", "True", "")])), Healthy);
        assert_eq!(judge(definition, &json!({})), Progressing);
        let refused = conditions(&[("NamesAccepted", "False", ""), ("Established", "True", "")]);
        assert_eq!(judge(definition, &refused), Degraded);
    }
}
