//! Plans as people read them.

use fyr_model::api::{PlanPreview, PreviewAction};

use crate::style::{Paint, clean, painted, push, short};

/// Objects of each list that are shown; the number of the rest is told.
pub(crate) const SHOWN_MAX: usize = 200;

/// A plan: what it does, deletions first, and what it leaves out and why.
pub(crate) fn text(plan: &PlanPreview, colours: bool) -> String {
    let revision = plan.revision.as_deref().map(short).unwrap_or_default();
    let mut text = format!(
        "plan {} of {} for {}{}{revision}\n",
        short(&plan.digest),
        clean(&plan.application),
        clean(&plan.cluster),
        if revision.is_empty() { "" } else { " at " },
    );
    push!(text, "{}\n", counts(plan, colours));
    let mut steps: Vec<_> = plan.steps.iter().collect();
    // Stable: the order of the plan stays within each action.
    steps.sort_by_key(|step| step.action);
    for step in steps.iter().take(SHOWN_MAX) {
        let (sign, paint) = look(step.action);
        let line = format!("{sign} {} {}", step.action, step.key);
        let reason =
            if step.reason.is_empty() { String::new() } else { format!(": {}", step.reason) };
        push!(text, "  {}{}\n", painted(&clean(&line), paint, colours), clean(&reason));
    }
    text.push_str(&more(steps.len(), "steps"));
    for (key, reason) in plan.held.iter().take(SHOWN_MAX) {
        text.push_str(&clean(&format!("  · left alone {key}: {reason}")));
        text.push('\n');
    }
    text.push_str(&more(plan.held.len(), "objects that are left alone"));
    for blocker in &plan.blockers {
        push!(text, "  ! {}\n", painted(&clean(blocker), Paint::Warn, colours));
    }
    text
}

/// `1 delete · 2 create · 1 update`, or that there is nothing to do.
pub(crate) fn counts(plan: &PlanPreview, colours: bool) -> String {
    let actions = [
        PreviewAction::Delete,
        PreviewAction::Recreate,
        PreviewAction::Create,
        PreviewAction::Update,
    ];
    let parts: Vec<String> = actions
        .into_iter()
        .filter(|action| plan.count(*action) > 0)
        .map(|action| {
            let text = format!("{} {action}", plan.count(action));
            painted(&text, if action.is_dangerous() { Paint::Bad } else { Paint::Plain }, colours)
        })
        .collect();
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(" · ") }
}

fn look(action: PreviewAction) -> (char, Paint) {
    match action {
        PreviewAction::Delete => ('-', Paint::Bad),
        PreviewAction::Recreate => ('!', Paint::Bad),
        PreviewAction::Create => ('+', Paint::Good),
        PreviewAction::Update => ('~', Paint::Warn),
    }
}

fn more(count: usize, what: &str) -> String {
    match count.saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!("  … {more} more {what}; -o json shows all\n"),
    }
}

#[cfg(test)]
mod tests {
    use fyr_model::api::{PreviewStep, ResourceRef};

    use super::*;

    fn step(action: PreviewAction, kind: &str, name: &str, reason: &str) -> PreviewStep {
        let key = ResourceRef {
            kind: kind.into(),
            namespace: "shop".into(),
            name: name.into(),
            ..ResourceRef::default()
        };
        PreviewStep { action, key, reason: reason.into() }
    }

    #[test]
    fn deletions_stand_first_and_nothing_is_left_out() {
        let plan = PlanPreview {
            digest: "9f31aabbccdd".into(),
            application: "web".into(),
            cluster: "prod-eu".into(),
            revision: Some("4be1c02a0f6d4c9f".into()),
            steps: vec![
                step(PreviewAction::Update, "Deployment", "web", "its manifest has changed"),
                step(PreviewAction::Create, "Service", "web", ""),
                step(PreviewAction::Delete, "ConfigMap", "old", "it is no longer in Git"),
            ],
            held: vec![(
                ResourceRef { kind: "Widget".into(), name: "w".into(), ..ResourceRef::default() },
                "its kind is not served".into(),
            )],
            blockers: vec!["nothing is deleted: too many".into()],
        };
        assert_eq!(
            text(&plan, false),
            "plan 9f31aab of web for prod-eu at 4be1c02\n\
             1 delete · 1 create · 1 update\n  \
             - delete ConfigMap shop/old: it is no longer in Git\n  \
             + create Service shop/web\n  \
             ~ update Deployment shop/web: its manifest has changed\n  \
             · left alone Widget w: its kind is not served\n  \
             ! nothing is deleted: too many\n"
        );
    }

    #[test]
    fn a_long_plan_says_how_much_is_not_shown() {
        let steps =
            (0..201).map(|n| step(PreviewAction::Update, "A", &n.to_string(), "")).collect();
        let plan = PlanPreview { steps, ..PlanPreview::default() };
        assert!(text(&plan, false).ends_with("  … 1 more steps; -o json shows all\n"));
    }
}
