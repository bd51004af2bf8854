//! `status.conditions`, and the rule for custom resources that is built on them.
//!
//! The conditions are those of kstatus (`Reconciling`, `Stalled`, `Ready`) and the most common
//! others. A resource that publishes none of them has no health: it is left out of the
//! application's instead of counting as Healthy.

use serde_json::Value;

use super::{Health, degraded, healthy, number, progressing, text};

/// One condition of an object.
pub(super) struct Condition<'a> {
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'a str,
    /// Why, as one word.
    pub(super) reason: &'a str,
    /// Why, for people; the reason when there is no message.
    pub(super) message: &'a str,
    observed_generation: Option<i64>,
}

impl Condition<'_> {
    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(super) fn is_false(&self) -> bool {
        self.status == "False"
    }
}

/// The condition of this type in `status.conditions`.
pub(super) fn find<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    of(object.pointer("/status/conditions")?, kind)
}

/// The condition of this type in a list of conditions.
pub(super) fn of<'a>(conditions: &'a Value, kind: &str) -> Option<Condition<'a>> {
    let condition = conditions.as_array()?.iter().find(|entry| text(entry, "/type") == kind)?;
    let reason = text(condition, "/reason");
    let message = text(condition, "/message");
    Some(Condition {
        status: text(condition, "/status"),
        reason,
        message: if message.is_empty() { reason } else { message },
        observed_generation: condition.get("observedGeneration").and_then(Value::as_i64),
    })
}

/// Judges a custom resource by the conditions it publishes.
pub(super) fn custom_resource(object: &Value) -> Option<Health> {
    let generation = number(object, "/metadata/generation");
    let stale = |observed: Option<i64>| observed.is_some_and(|observed| observed < generation);
    let waiting = || progressing("its controller has not seen the newest change yet");
    if stale(object.pointer("/status/observedGeneration").and_then(Value::as_i64)) {
        return Some(waiting());
    }
    for kind in ["Stalled", "Degraded"] {
        if let Some(condition) = find(object, kind).filter(Condition::is_true) {
            return Some(degraded(condition.message));
        }
    }
    // Crossplane and sealed-secrets: the manifest could not be carried out.
    if let Some(condition) = find(object, "Synced").filter(Condition::is_false) {
        return Some(degraded(condition.message));
    }
    if let Some(condition) = find(object, "Reconciling").filter(Condition::is_true) {
        return Some(progressing(condition.message));
    }
    for kind in ["Ready", "Available"] {
        if let Some(condition) = find(object, kind) {
            return Some(match condition.status {
                _ if stale(condition.observed_generation) => waiting(),
                "True" => healthy(""),
                // Not ready says nothing of why: only Stalled means that help is needed.
                _ => progressing(condition.message),
            });
        }
    }
    find(object, "Synced").filter(Condition::is_true).map(|_| healthy(""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::HealthStatus::{self, Degraded, Healthy, Progressing};

    fn judge(status: &Value) -> Option<HealthStatus> {
        let object = json!({"metadata": {"generation": 2}, "status": status});
        custom_resource(&object).map(|health| health.status)
    }

    fn with(conditions: &[(&str, &str)]) -> Value {
        let list: Vec<Value> = conditions
            .iter()
            .map(|(kind, status)| json!({"type": kind, "status": status, "reason": "Because"}))
            .collect();
        json!({"observedGeneration": 2, "conditions": list})
    }

    #[test]
    fn conditions_decide_in_the_order_of_their_weight() {
        let cases: [(&[(&str, &str)], _); 10] = [
            (&[], None),
            (&[("Unheard", "True")], None),
            (&[("Ready", "True")], Some(Healthy)),
            (&[("Ready", "False")], Some(Progressing)),
            (&[("Ready", "Unknown")], Some(Progressing)),
            (&[("Available", "True")], Some(Healthy)),
            (&[("Ready", "True"), ("Reconciling", "True")], Some(Progressing)),
            (&[("Ready", "False"), ("Stalled", "True")], Some(Degraded)),
            (&[("Ready", "True"), ("Synced", "False")], Some(Degraded)),
            (&[("Synced", "True"), ("Stalled", "False")], Some(Healthy)),
        ];
        for (conditions, expected) in cases {
            assert_eq!(judge(&with(conditions)), expected, "{conditions:?}");
        }
    }

    #[test]
    fn what_was_observed_of_an_older_generation_does_not_count() {
        let mut status = with(&[("Ready", "True")]);
        status["observedGeneration"] = json!(1);
        assert_eq!(judge(&status), Some(Progressing));
        status = with(&[("Ready", "True")]);
        status["conditions"][0]["observedGeneration"] = json!(1);
        assert_eq!(judge(&status), Some(Progressing));
    }

    #[test]
    fn a_verdict_carries_the_message_of_its_condition() {
        let object = json!({"status": with(&[("Stalled", "True")])});
        assert_eq!(custom_resource(&object).unwrap().reason, "Because");
    }
}
