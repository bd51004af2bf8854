//! Health of pods.

use serde_json::Value;

use super::conditions::{self, Condition};
use super::{Health, HealthStatus, degraded, healthy, number, progressing, text};

/// Judges a pod by its phase and its containers.
pub(super) fn pod(object: &Value) -> Health {
    let restarts = text(object, "/spec/restartPolicy") != "OnFailure"
        && text(object, "/spec/restartPolicy") != "Never";
    if restarts && let Some(reason) = containers(object).find_map(waits_in_vain) {
        return degraded(reason);
    }
    match text(object, "/status/phase") {
        "Pending" => progressing(pending_reason(object)),
        "Succeeded" => healthy(""),
        "Failed" => degraded(failure(object)),
        "Running" if !restarts => progressing("it has not finished yet"),
        "Running" => running(object),
        phase => Health::new(HealthStatus::Unknown, format!("its phase is {phase:?}")),
    }
}

fn running(object: &Value) -> Health {
    if conditions::find(object, "Ready").is_some_and(|ready| ready.is_true()) {
        return healthy("");
    }
    let crashed =
        containers(object).find_map(|container| ended(container, "/lastState/terminated"));
    match crashed {
        Some(reason) => degraded(reason),
        None => progressing("its containers are not ready yet"),
    }
}

/// Init containers first: they fail first.
fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| object.pointer(pointer)?.as_array())
        .flatten()
}

/// A container that waits for something that does not come by itself: `ErrImagePull`,
/// `CreateContainerConfigError`, `CrashLoopBackOff` and the like.
fn waits_in_vain(container: &Value) -> Option<String> {
    let reason = text(container, "/state/waiting/reason");
    let stuck =
        reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
    stuck.then(|| {
        let name = text(container, "/name");
        match text(container, "/state/waiting/message") {
            "" => format!("container {name}: {reason}"),
            message => format!("container {name}: {reason}: {message}"),
        }
    })
}

/// How a container ended, if not well.
fn ended(container: &Value, pointer: &str) -> Option<String> {
    let state = container.pointer(pointer).filter(|state| state.is_object())?;
    let name = text(container, "/name");
    let code = number(state, "/exitCode");
    match (text(state, "/message"), text(state, "/reason")) {
        ("", "OOMKilled") => Some(format!("container {name} ran out of memory")),
        ("", _) if code == 0 => None,
        ("", _) => Some(format!("container {name} ended with exit code {code}")),
        (message, _) => Some(format!("container {name}: {message}")),
    }
}

fn failure(object: &Value) -> String {
    match text(object, "/status/message") {
        "" => containers(object)
            .find_map(|container| ended(container, "/state/terminated"))
            .unwrap_or_else(|| text(object, "/status/reason").to_owned()),
        message => message.to_owned(),
    }
}

fn pending_reason(object: &Value) -> String {
    conditions::find(object, "PodScheduled")
        .filter(Condition::is_false)
        .map_or_else(String::new, |condition| condition.message.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::HealthStatus::{Degraded, Healthy, Progressing, Unknown};

    fn judge(policy: &str, status: &Value) -> Health {
        pod(&json!({"spec": {"restartPolicy": policy}, "status": status}))
    }

    #[test]
    fn phases_and_restart_policies_decide() {
        let cases = [
            ("Always", "Pending", Progressing),
            ("Always", "Running", Progressing),
            ("Never", "Running", Progressing),
            ("OnFailure", "Succeeded", Healthy),
            ("Never", "Failed", Degraded),
            ("Always", "", Unknown),
        ];
        for (policy, phase, expected) in cases {
            let health = judge(policy, &json!({"phase": phase}));
            assert_eq!(health.status, expected, "{policy} {phase}");
        }
        let ready =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(judge("Always", &ready).status, Healthy);
    }

    #[test]
    fn a_container_that_cannot_start_degrades_a_pod_that_restarts() {
        for reason in ["ErrImagePull", "CreateContainerConfigError", "CrashLoopBackOff"] {
            let status = json!({
                "phase": "Pending",
                "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": reason}}}],
            });
            let health = judge("Always", &status);
            assert_eq!(health, degraded(format!("container web: {reason}")));
            assert_eq!(judge("Never", &status).status, Progressing);
        }
        let creating = json!({
            "phase": "Pending",
            "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}],
        });
        assert_eq!(judge("Always", &creating).status, Progressing);
    }

    #[test]
    fn a_running_pod_that_crashed_before_is_degraded_until_it_is_ready() {
        let crashed = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        let mut status = json!({
            "phase": "Running",
            "containerStatuses": [{"name": "web", "lastState": crashed}],
        });
        let health = judge("Always", &status);
        assert_eq!(health, degraded("container web ended with exit code 3"));
        status["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(judge("Always", &status).status, Healthy);
    }

    #[test]
    fn a_pod_without_a_node_says_why() {
        let status = json!({
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}],
        });
        assert_eq!(judge("Always", &status), progressing("0/3 nodes"));
    }
}
