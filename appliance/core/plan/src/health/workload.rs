//! Health of the kinds that run pods.

use serde_json::Value;

use super::conditions::{self, Condition};
use super::{
    Health, degraded, healthy, number, progressing, replicas, suspended, text, truth, unobserved,
};

/// Judges a rollout: paused, observed, past its deadline, then the counts of its replicas.
pub(super) fn deployment(object: &Value) -> Health {
    if truth(object, "/spec/paused") {
        return suspended("it is paused");
    }
    if let Some(health) = unobserved(object) {
        return health;
    }
    let deadline = conditions::find(object, "Progressing")
        .filter(|condition| condition.reason == "ProgressDeadlineExceeded");
    if let Some(condition) = deadline {
        return degraded(condition.message);
    }
    let updated = number(object, "/status/updatedReplicas");
    let total = number(object, "/status/replicas");
    let available = number(object, "/status/availableReplicas");
    let desired = replicas(object);
    if updated < desired {
        progressing(format!("{updated} of {desired} replicas are updated"))
    } else if total > updated {
        progressing(format!("{} old replicas have not ended yet", total - updated))
    } else if available < updated {
        progressing(format!("{available} of {updated} updated replicas are available"))
    } else {
        healthy("")
    }
}

/// Judges the counts of replicas and the revision that is rolled out.
pub(super) fn stateful_set(object: &Value) -> Health {
    if let Some(health) = unobserved(object) {
        return health;
    }
    let desired = replicas(object);
    let ready = number(object, "/status/readyReplicas");
    if ready < desired {
        return progressing(format!("{ready} of {desired} replicas are ready"));
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return healthy("replicas are updated when they are deleted");
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let updated = number(object, "/status/updatedReplicas");
    if partition > 0 {
        let wanted = (desired - partition).max(0);
        return if updated < wanted {
            progressing(format!("{updated} of {wanted} replicas of the partition are updated"))
        } else {
            healthy("the partition is rolled out")
        };
    }
    if text(object, "/status/updateRevision") != text(object, "/status/currentRevision") {
        return progressing(format!("{updated} of {desired} replicas are updated"));
    }
    healthy("")
}

/// Judges how many nodes run the newest pod.
pub(super) fn daemon_set(object: &Value) -> Health {
    if let Some(health) = unobserved(object) {
        return health;
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return healthy("pods are updated when they are deleted");
    }
    let desired = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if updated < desired {
        progressing(format!("{updated} of {desired} pods are updated"))
    } else if available < desired {
        progressing(format!("{available} of {desired} pods are available"))
    } else {
        healthy("")
    }
}

/// Judges whether the replicas could be made and are available.
pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(health) = unobserved(object) {
        return health;
    }
    if let Some(condition) = conditions::find(object, "ReplicaFailure").filter(Condition::is_true) {
        return degraded(condition.message);
    }
    let available = number(object, "/status/availableReplicas");
    let desired = replicas(object);
    if available < desired {
        progressing(format!("{available} of {desired} replicas are available"))
    } else {
        healthy("")
    }
}

/// Judges how a job ended, or that it has not.
pub(super) fn job(object: &Value) -> Health {
    let holds = |kind| conditions::find(object, kind).filter(Condition::is_true);
    if let Some(failed) = holds("Failed") {
        degraded(failed.message)
    } else if holds("Complete").is_some() {
        healthy("")
    } else if holds("Suspended").is_some() {
        suspended("it is suspended")
    } else {
        progressing("it has not finished yet")
    }
}

/// Judges the last run. Times are RFC 3339 in UTC, which sort as text.
pub(super) fn cron_job(object: &Value) -> Health {
    if truth(object, "/spec/suspend") {
        return suspended("it is suspended");
    }
    let active = object.pointer("/status/active").and_then(Value::as_array);
    if active.is_some_and(|jobs| !jobs.is_empty()) {
        return healthy("a job is running");
    }
    let scheduled = text(object, "/status/lastScheduleTime");
    if scheduled > text(object, "/status/lastSuccessfulTime") {
        degraded(format!("the run of {scheduled} did not succeed"))
    } else {
        healthy("")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::HealthStatus::{self, Degraded, Healthy, Progressing, Suspended};

    type Rule = fn(&Value) -> Health;

    fn judge(rule: Rule, spec: &Value, status: &Value) -> HealthStatus {
        let object = json!({"metadata": {"generation": 2}, "spec": spec, "status": status});
        rule(&object).status
    }

    fn counts(updated: i64, total: i64, available: i64) -> Value {
        json!({
            "observedGeneration": 2, "updatedReplicas": updated, "replicas": total,
            "availableReplicas": available,
        })
    }

    #[test]
    fn a_deployment_is_healthy_only_when_every_replica_is_new_and_available() {
        let spec = json!({"replicas": 3});
        for (status, expected) in [
            (counts(3, 3, 3), Healthy),
            (counts(2, 3, 3), Progressing),
            (counts(3, 4, 3), Progressing),
            (counts(3, 3, 2), Progressing),
        ] {
            assert_eq!(judge(deployment, &spec, &status), expected, "{status}");
        }
        assert_eq!(judge(deployment, &json!({"replicas": 0}), &counts(0, 0, 0)), Healthy);
    }

    #[test]
    fn a_controller_that_is_behind_makes_every_workload_progressing() {
        for rule in [deployment, stateful_set, daemon_set, replica_set] {
            let status = json!({"observedGeneration": 1, "availableReplicas": 1});
            assert_eq!(judge(rule, &json!({}), &status), Progressing);
        }
    }

    #[test]
    fn a_paused_deployment_is_suspended_and_one_past_its_deadline_degraded() {
        assert_eq!(judge(deployment, &json!({"paused": true}), &json!({})), Suspended);
        let mut status = counts(0, 1, 0);
        status["conditions"] = json!([
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
        ]);
        assert_eq!(judge(deployment, &json!({}), &status), Degraded);
    }

    #[test]
    fn a_stateful_set_waits_for_ready_replicas_and_the_new_revision() {
        let status = |ready: i64, current: &str| {
            json!({
                "observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": 1,
                "currentRevision": current, "updateRevision": "b",
            })
        };
        let spec = json!({"replicas": 2, "updateStrategy": {"type": "RollingUpdate"}});
        assert_eq!(judge(stateful_set, &spec, &status(1, "b")), Progressing);
        assert_eq!(judge(stateful_set, &spec, &status(2, "a")), Progressing);
        assert_eq!(judge(stateful_set, &spec, &status(2, "b")), Healthy);
        let on_delete = json!({"replicas": 2, "updateStrategy": {"type": "OnDelete"}});
        assert_eq!(judge(stateful_set, &on_delete, &status(2, "a")), Healthy);
        for (partition, expected) in [(1, Healthy), (0, Progressing)] {
            let spec = json!({
                "replicas": 2,
                "updateStrategy": {"rollingUpdate": {"partition": partition}},
            });
            assert_eq!(judge(stateful_set, &spec, &status(2, "a")), expected, "{partition}");
        }
    }

    #[test]
    fn a_daemon_set_waits_for_every_node() {
        let status = |updated: i64, available: i64| {
            json!({
                "observedGeneration": 2, "desiredNumberScheduled": 3,
                "updatedNumberScheduled": updated, "numberAvailable": available,
            })
        };
        assert_eq!(judge(daemon_set, &json!({}), &status(3, 3)), Healthy);
        assert_eq!(judge(daemon_set, &json!({}), &status(2, 3)), Progressing);
        assert_eq!(judge(daemon_set, &json!({}), &status(3, 2)), Progressing);
    }

    #[test]
    fn a_replica_set_that_cannot_make_pods_is_degraded() {
        let mut status = counts(0, 0, 0);
        assert_eq!(judge(replica_set, &json!({"replicas": 1}), &status), Progressing);
        status["conditions"] = json!([{"type": "ReplicaFailure", "status": "True"}]);
        assert_eq!(judge(replica_set, &json!({"replicas": 1}), &status), Degraded);
    }

    #[test]
    fn a_job_is_what_its_condition_says() {
        let status = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
        assert_eq!(judge(job, &json!({}), &status("Failed")), Degraded);
        assert_eq!(judge(job, &json!({}), &status("Complete")), Healthy);
        assert_eq!(judge(job, &json!({}), &status("Suspended")), Suspended);
        assert_eq!(judge(job, &json!({}), &json!({})), Progressing);
    }

    #[test]
    fn a_cron_job_is_degraded_while_its_last_run_failed() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
        let run = |scheduled: &str, succeeded: &str| json!({"lastScheduleTime": scheduled, "lastSuccessfulTime": succeeded});
        assert_eq!(judge(cron_job, &json!({}), &json!({})), Healthy);
        assert_eq!(judge(cron_job, &json!({}), &run(early, late)), Healthy);
        assert_eq!(judge(cron_job, &json!({}), &run(late, early)), Degraded);
        let mut running = run(late, early);
        running["active"] = json!([{"name": "x"}]);
        assert_eq!(judge(cron_job, &json!({}), &running), Healthy);
        assert_eq!(judge(cron_job, &json!({"suspend": true}), &run(late, early)), Suspended);
    }
}
