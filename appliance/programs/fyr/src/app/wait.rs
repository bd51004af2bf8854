//! `fyr app wait`: driven by events, not by asking again and again.

use std::time::Duration;

use clap::Args;
use fyr_model::api::{
    ApplicationDetail, ErrorCode, HealthStatus, OperationPhase, Problem, SyncStatus,
};
use tokio::time::Instant;

use super::{follow, list};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::time;

/// Wait until an application is in sync, healthy, at rest
///
/// Without a choice all three are waited for. The exit code is 1 as soon as it cannot get there
/// without help: it is in sync and degraded, or its operation failed for good.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr app wait web --sync --health --timeout 5m\n  \
    fyr app wait web --revision \"$CI_COMMIT_SHA\" --health")]
pub(crate) struct WaitArguments {
    /// The application
    name: String,
    /// Until the cluster holds what Git has
    #[arg(long)]
    sync: bool,
    /// Until it is healthy
    #[arg(long)]
    health: bool,
    /// Until no operation runs
    #[arg(long)]
    operation: bool,
    /// Until it is in sync with this commit; at least 7 characters of its id
    #[arg(long, value_name = "SHA", value_parser = parse_revision)]
    revision: Option<String>,
    /// Longest wait, such as 30s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = time::parse)]
    timeout: Duration,
    #[command(flatten)]
    output: OutputArguments,
}

/// Fewer characters could be another commit's.
const REVISION_CHARS_MIN: usize = 7;

fn parse_revision(text: &str) -> Result<String, String> {
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() < REVISION_CHARS_MIN || !hexadecimal {
        return Err("a commit id is needed: at least 7 hexadecimal digits".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// What is waited for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Goal {
    sync: bool,
    health: bool,
    operation: bool,
    revision: Option<String>,
}

/// How an application stands towards a goal.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Progress {
    Reached,
    /// Not yet, and why.
    Waiting(String),
    /// It will not get there without help, and why.
    Hopeless(String),
}

impl Goal {
    fn of(arguments: &WaitArguments) -> Self {
        let WaitArguments { sync, health, operation, revision, .. } = arguments;
        let none = !sync && !health && !operation && revision.is_none();
        Self {
            sync: *sync || none,
            health: *health || none,
            operation: *operation || none,
            revision: revision.clone(),
        }
    }

    fn look(&self, detail: &ApplicationDetail) -> Progress {
        let one = &detail.summary;
        let reason = |word: String, reason: &str| match reason {
            "" => word,
            reason => format!("{word} ({reason})"),
        };
        let running = !one.operation.phase.is_at_rest();
        let failed =
            one.operation.phase == OperationPhase::Failed && one.operation.retry_at.is_none();
        if self.operation && failed {
            return Progress::Hopeless(reason("operation failed".into(), &one.operation.message));
        }
        let mut missing = Vec::new();
        if self.operation && running {
            missing.push(format!("operation {}", one.operation.phase));
        }
        if (self.sync || self.revision.is_some()) && one.sync.status != SyncStatus::Synced {
            missing.push(reason(one.sync.status.to_string(), &one.sync.reason));
        }
        if let Some(wanted) = &self.revision {
            let revision = one.sync.revision.as_deref().unwrap_or_default();
            if !revision.starts_with(wanted) {
                missing.push(match revision {
                    "" => "at no commit".to_owned(),
                    revision => format!("at {}", crate::style::short(revision)),
                });
            }
        }
        if self.health && one.health.status != HealthStatus::Healthy {
            let text = reason(one.health.status.to_string(), &one.health.reason);
            let settled = missing.is_empty() && !running && one.sync.status == SyncStatus::Synced;
            if settled && one.health.status == HealthStatus::Degraded {
                return Progress::Hopeless(text);
            }
            missing.push(text);
        }
        if missing.is_empty() { Progress::Reached } else { Progress::Waiting(missing.join(", ")) }
    }
}

pub(crate) async fn run(context: &Context, arguments: &WaitArguments) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let goal = Goal::of(arguments);
    let deadline = Instant::now() + arguments.timeout;
    let mut progress = context.progress(arguments.output.format);
    let mut last = "nothing is known of it yet".to_owned();
    let look = async || {
        let detail = match context.client.application(name).await {
            Ok(detail) => detail,
            // The daemon has just started: what it does not know yet may well be there.
            Err(failure) if failure.code() == Some(ErrorCode::NotReady) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        Ok(match goal.look(&detail) {
            Progress::Reached => Some((detail, None)),
            Progress::Hopeless(why) => Some((detail, Some(why))),
            Progress::Waiting(why) => {
                progress.step(&format!("{name}: {why}"));
                last = why;
                None
            }
        })
    };
    let ended = follow::until(context, name, deadline, look).await?;
    progress.end();
    let Some((detail, hopeless)) = ended else {
        let timeout = time::took(arguments.timeout);
        let message = format!("{name} is not there within {timeout}");
        let problem = Problem::new(ErrorCode::WaitedTooLong, message);
        return Err(Problem { causes: vec![last], ..problem }
            .with_hint(format!("`fyr app get {name}` shows more"))
            .into());
    };
    let format = arguments.output.format;
    if format.is_for_people() {
        list::print(context, std::slice::from_ref(&detail.summary), format)?;
    } else {
        show(format, &detail, |_| String::new(), || vec![format!("application/{name}")])?;
    }
    if let Some(why) = hopeless {
        context.tell_line(&format!("{name} needs help: {}", crate::style::clean(&why)));
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn detail(sync: SyncStatus, health: HealthStatus, phase: OperationPhase) -> ApplicationDetail {
        let mut detail = ApplicationDetail::default();
        detail.summary.sync.status = sync;
        detail.summary.sync.revision = Some("4be1c02a0f6d".into());
        detail.summary.health.status = health;
        detail.summary.operation.phase = phase;
        detail
    }

    fn all() -> Goal {
        Goal { sync: true, health: true, operation: true, revision: None }
    }

    #[test]
    fn everything_that_is_asked_for_has_to_be_there_at_once() {
        use HealthStatus::{Healthy, Progressing};
        use OperationPhase::{Applying, Succeeded};
        let good = detail(SyncStatus::Synced, Healthy, Succeeded);
        assert_eq!(all().look(&good), Progress::Reached);
        let cases = [
            detail(SyncStatus::OutOfSync, Healthy, Succeeded),
            detail(SyncStatus::Synced, Progressing, Succeeded),
            detail(SyncStatus::Synced, Healthy, Applying),
        ];
        for case in cases {
            assert!(matches!(all().look(&case), Progress::Waiting(_)), "{case:?}");
        }
    }

    #[test]
    fn degraded_is_the_answer_no_only_once_everything_is_applied() {
        use HealthStatus::Degraded;
        let health = Goal { health: true, ..Goal::default() };
        let settled = detail(SyncStatus::Synced, Degraded, OperationPhase::Succeeded);
        assert!(matches!(health.look(&settled), Progress::Hopeless(_)));
        // A commit that mends it may be on its way.
        let on_its_way = detail(SyncStatus::OutOfSync, Degraded, OperationPhase::Applying);
        assert!(matches!(health.look(&on_its_way), Progress::Waiting(_)));
    }

    #[test]
    fn a_failed_operation_is_hopeless_unless_it_is_tried_again() {
        let mut failed =
            detail(SyncStatus::OutOfSync, HealthStatus::Healthy, OperationPhase::Failed);
        assert!(matches!(all().look(&failed), Progress::Hopeless(_)));
        failed.summary.operation.retry_at = Timestamp::from_second(1).ok();
        assert!(matches!(all().look(&failed), Progress::Waiting(_)));
    }

    #[test]
    fn a_revision_is_reached_when_the_cluster_holds_it() {
        use HealthStatus::Healthy;
        use OperationPhase::Succeeded;
        let goal = Goal { revision: Some("4be1c02".into()), ..Goal::default() };
        assert_eq!(goal.look(&detail(SyncStatus::Synced, Healthy, Succeeded)), Progress::Reached);
        let not_applied = detail(SyncStatus::OutOfSync, Healthy, Succeeded);
        assert!(matches!(goal.look(&not_applied), Progress::Waiting(_)));
        let other = Goal { revision: Some("ffffffff".into()), ..Goal::default() };
        let found = other.look(&detail(SyncStatus::Synced, Healthy, Succeeded));
        assert_eq!(found, Progress::Waiting("at 4be1c02".into()));
    }

    #[test]
    fn a_revision_has_to_be_a_commit_id() {
        assert_eq!(parse_revision("4BE1C02"), Ok("4be1c02".into()));
        assert!(parse_revision("main").is_err());
        assert!(parse_revision("4be1c").is_err());
    }
}
