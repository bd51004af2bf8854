//! What the audit log says of plans and outcomes beyond their fixed fields.

use std::collections::BTreeMap;

use fyr_audit::{Recorded, StepSummary};
use fyr_plan::{Action, Outcome, Plan, Step, StepResult};
use serde_json::{Value, json};

/// The steps of a plan, never the content of objects.
pub(super) fn steps_of(plan: &Plan) -> Value {
    let summaries: Vec<StepSummary> = plan.steps().map(summary_of).collect();
    fyr_audit::steps(&summaries).unwrap_or_default()
}

fn summary_of(step: &Step) -> StepSummary {
    let (action, reason, rendered) = match &step.action {
        Action::Apply { reason, rendered, .. } => {
            ("apply", Some(format!("{reason:?}").to_lowercase()), Some(*rendered))
        }
        Action::CreateNamespace { .. } => ("create-namespace", None, None),
        Action::Prune { .. } => ("prune", None, None),
    };
    StepSummary { key: step.key.clone(), action, reason, rendered }
}

/// Which intent an outcome belongs to, counts, and every failure.
pub(super) fn results_of(outcome: &Outcome, recorded: &Recorded<Plan>) -> Value {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for step in &outcome.steps {
        let word = match &step.result {
            StepResult::Applied { .. } => "applied",
            StepResult::NamespaceReady => "namespace-ready",
            StepResult::Pruned => "pruned",
            StepResult::AlreadyGone => "already-gone",
            StepResult::Failed(_) => "failed",
            StepResult::NotTried => "not-tried",
        };
        *counts.entry(word).or_default() += 1;
    }
    let failures: Vec<Value> = outcome
        .failures()
        .map(|(key, error)| json!({"key": key, "class": error.class, "message": error.message}))
        .collect();
    json!({
        "intent": recorded.receipt().sequence,
        "results": counts,
        "failures": fyr_audit::listing(&failures).unwrap_or_default(),
    })
}
