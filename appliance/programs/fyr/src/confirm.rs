//! Nothing that exists is deleted before a person has seen the plan and said so.
//!
//! On a terminal the person types the name of the cluster. Without one the command needs the
//! digest of the plan that was looked at: `--plan DIGEST --yes`. Nothing switches this off.

use std::io::BufRead;

use clap::Args;
use fyr_model::api::{ErrorCode, PlanPreview, PreviewAction};

use crate::context::Context;
use crate::exit::Failure;
use crate::plan;

/// Characters of a digest that `--plan` needs at least: fewer could be another plan's by accident.
const DIGEST_CHARS_MIN: usize = 12;

/// How a plan is confirmed without a terminal.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfirmArguments {
    /// Digest of the plan that was looked at, as --dry-run prints it; at least 12 characters
    #[arg(long, value_name = "DIGEST")]
    pub(crate) plan: Option<String>,
    /// Do not ask. Deletions need --plan as well
    #[arg(long)]
    pub(crate) yes: bool,
}

impl ConfirmArguments {
    /// Whether this plan is the one that was looked at before.
    fn seen(&self, plan: &PlanPreview) -> Result<bool, Failure> {
        let Some(digest) = &self.plan else { return Ok(false) };
        let digest = digest.to_ascii_lowercase();
        if digest.len() < DIGEST_CHARS_MIN {
            let message = format!("--plan needs at least {DIGEST_CHARS_MIN} characters");
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        if plan.digest.starts_with(&digest) {
            return Ok(true);
        }
        let message =
            format!("the plan of {} has changed since it was looked at", plan.application);
        let hint = format!("look at the plan above; its digest is {}", plan.digest);
        Err(Failure::new(ErrorCode::StalePlan, message).with_hint(hint))
    }
}

/// Shows a plan, and returns once it is confirmed. With `always`, plans that delete nothing have
/// to be confirmed too: `--yes` is enough for them.
pub(crate) async fn confirm(
    context: &Context,
    arguments: &ConfirmArguments,
    preview: &PlanPreview,
    always: bool,
) -> Result<(), Failure> {
    context.tell(&plan::text(preview, context.colours_on_stderr()));
    let seen = arguments.seen(preview)?;
    let dangerous = preview.is_dangerous();
    if arguments.yes && (seen || !dangerous) || !dangerous && !always {
        return Ok(());
    }
    if !context.can_ask {
        return Err(needed(preview, dangerous));
    }
    ask(context, preview).await
}

fn needed(preview: &PlanPreview, dangerous: bool) -> Failure {
    let digest = &preview.digest;
    let (message, hint) = if dangerous {
        let message = format!(
            "{} objects of {} would be deleted, and nobody is there to confirm it",
            deletions(preview),
            preview.application
        );
        (message, format!("look at the plan, then repeat with --plan {digest} --yes"))
    } else {
        let message = format!("nobody is there to confirm the plan of {}", preview.application);
        (message, "repeat with --yes".to_owned())
    };
    Failure::new(ErrorCode::ConfirmationNeeded, message).with_hint(hint)
}

fn deletions(preview: &PlanPreview) -> usize {
    preview.count(PreviewAction::Delete) + preview.count(PreviewAction::Recreate)
}

async fn ask(context: &Context, preview: &PlanPreview) -> Result<(), Failure> {
    let cluster = preview.cluster.clone();
    let question = match deletions(preview) {
        0 => format!("Type the cluster's name, {cluster}, to go on: "),
        count => format!("This deletes {count} objects. Type the cluster's name, {cluster}: "),
    };
    context.tell(&question);
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    match answer.await {
        Ok(Ok(line)) if line.trim() == cluster => Ok(()),
        Ok(Ok(_)) => {
            Err(Failure::new(ErrorCode::ConfirmationNeeded, "not confirmed; nothing was changed"))
        }
        Ok(Err(error)) => Err(Failure::of(ErrorCode::File, &error)),
        Err(error) => Err(Failure::of(ErrorCode::Internal, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(plan: Option<&str>) -> ConfirmArguments {
        ConfirmArguments { plan: plan.map(str::to_owned), yes: true }
    }

    #[test]
    fn only_the_digest_of_this_plan_counts_as_seen() {
        let plan = PlanPreview { digest: "0123456789abcdef".into(), ..PlanPreview::default() };
        assert!(!arguments(None).seen(&plan).unwrap());
        assert!(arguments(Some("0123456789AB")).seen(&plan).unwrap());
        let short = arguments(Some("0123")).seen(&plan).unwrap_err();
        assert_eq!(short.code(), Some(ErrorCode::InvalidRequest));
        let other = arguments(Some("ffffffffffff")).seen(&plan).unwrap_err();
        assert_eq!(other.code(), Some(ErrorCode::StalePlan));
    }
}
