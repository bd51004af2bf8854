//! `fyr app get`.

use clap::Args;
use fyr_model::api::{
    ApplicationDetail, ApplicationSummary, ErrorCode, Event, Operation, OperationPhase,
    ResourceStatus,
};
use jiff::Timestamp;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Format, OutputArguments, json_line, show, write};
use crate::style::{Paint, clean, painted, push, short};
use crate::table::{Cell, Table};
use crate::time::{age, age_of, until};

/// Show everything about an application
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  fyr app get web\n  fyr app get web --watch -o json")]
pub(crate) struct GetArguments {
    /// The application
    name: String,
    /// Print it again whenever it changes, until Ctrl-C; one document a line with -o json
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &GetArguments) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    if !arguments.watch {
        let detail = context.client.application(&arguments.name).await?;
        print(context, &detail, format)?;
        return Ok(Exit::Done);
    }
    let mut events = context.client.events(Some(&arguments.name)).await?;
    let mut last = None;
    while let Some(event) = events.next().await {
        if event == Event::Heartbeat {
            continue;
        }
        let detail = context.client.application(&arguments.name).await?;
        if last.as_ref() == Some(&detail) {
            continue;
        }
        match format {
            Format::Json => write(&json_line(&detail)?)?,
            Format::Yaml => {
                write("---\n")?;
                print(context, &detail, format)?;
            }
            Format::Table | Format::Wide | Format::Name => print(context, &detail, format)?,
        }
        last = Some(detail);
    }
    Err(Failure::new(ErrorCode::DaemonUnreachable, "fyrd has ended the stream of events"))
}

fn print(context: &Context, detail: &ApplicationDetail, format: Format) -> Result<(), Failure> {
    let (now, colours) = (Timestamp::now(), context.colours());
    show(
        format,
        detail,
        |wide| text(detail, now, colours, wide),
        || vec![format!("application/{}", detail.summary.name)],
    )
}

fn text(detail: &ApplicationDetail, now: Timestamp, colours: bool, wide: bool) -> String {
    let mut text = String::new();
    for (name, value) in facts(detail, now, colours) {
        push!(text, "{name:<10}{value}\n");
    }
    for condition in &detail.conditions {
        let paint = if condition.error { Paint::Bad } else { Paint::Warn };
        let kind = painted(&clean(&condition.r#type), paint, colours);
        push!(text, "{kind}: {}\n", clean(&condition.message));
    }
    for warning in &detail.warnings {
        let kind = painted("warning", Paint::Warn, colours);
        push!(text, "{kind}: {}\n", clean(warning));
    }
    if detail.resources.is_empty() {
        text.push_str("\nno objects\n");
    } else {
        text.push('\n');
        text.push_str(&resources(&detail.resources, wide).text(colours));
    }
    text
}

fn facts(detail: &ApplicationDetail, now: Timestamp, colours: bool) -> Vec<(&'static str, String)> {
    let one = &detail.summary;
    let mut facts = vec![
        ("name", clean(&one.name)),
        ("project", clean(&one.project)),
        ("cluster", clean(one.cluster.as_deref().unwrap_or("none that is known"))),
    ];
    if !one.namespace.is_empty() {
        facts.push(("namespace", clean(&one.namespace)));
    }
    for source in &detail.sources {
        let path = if source.path.is_empty() { "." } else { &source.path };
        let line = format!("{} {path} @ {}", source.repo_url, source.target_revision);
        facts.push(("source", clean(&line)));
        facts.extend(source.warnings.iter().map(|warning| ("", clean(warning))));
    }
    facts.push(("mode", mode(detail)));
    facts.push(("sync", sync(one, colours)));
    let health =
        painted(&one.health.status.to_string(), Paint::of_health(one.health.status), colours);
    facts.push(("health", with_reason(health, &one.health.reason)));
    facts.push(("operation", operation(&one.operation, now, colours)));
    if let Some(pause) = &one.paused {
        let line = format!("by {}, {} ago: {}", pause.by, age(now, pause.since), pause.reason);
        facts.push(("paused", painted(&clean(&line), Paint::Warn, colours)));
    }
    if let Some(pin) = &detail.pin {
        let revisions: Vec<String> = pin.revisions.iter().map(|one| short(one)).collect();
        facts.push(("pinned", format!("at {} (history {})", revisions.join(", "), pin.history_id)));
    }
    if let Some(contact) = detail.last_contact {
        facts.push(("contact", format!("{} ago", age(now, contact))));
    }
    if let Some(fetched) = detail.fetched_at {
        facts.push(("fetched", format!("{} ago", age(now, fetched))));
    }
    facts
}

fn mode(detail: &ApplicationDetail) -> String {
    let Some(policy) = &detail.sync_policy else { return "manual".to_owned() };
    let mut text = "auto".to_owned();
    for (on, word) in [
        (policy.prune, "prune"),
        (policy.self_heal, "self-heal"),
        (policy.allow_empty, "allow-empty"),
    ] {
        if on {
            text.push_str(", ");
            text.push_str(word);
        }
    }
    text
}

fn sync(one: &ApplicationSummary, colours: bool) -> String {
    let mut text = painted(&one.sync.status.to_string(), Paint::of_sync(one.sync.status), colours);
    if let Some(revision) = &one.sync.revision {
        push!(text, " at {}", short(revision));
        if !one.sync.subject.is_empty() {
            push!(text, " “{}”", clean(&one.sync.subject));
        }
    }
    with_reason(text, &one.sync.reason)
}

fn operation(operation: &Operation, now: Timestamp, colours: bool) -> String {
    let mut text = painted(&operation.phase.to_string(), Paint::of_phase(operation.phase), colours);
    if operation.phase == OperationPhase::Applying {
        push!(text, " {}/{}", operation.applied, operation.total);
    }
    if let Some(actor) = &operation.actor {
        push!(text, " by {}", clean(actor));
    }
    let at = age_of(now, operation.finished_at.or(operation.started_at));
    if !at.is_empty() {
        push!(text, ", {at} ago");
    }
    if let Some(retry) = operation.retry_at {
        push!(text, ", again in {}", until(now, retry));
    }
    with_reason(text, &operation.message)
}

fn with_reason(text: String, reason: &str) -> String {
    if reason.is_empty() { text } else { format!("{text}: {}", clean(reason)) }
}

fn resources(resources: &[ResourceStatus], wide: bool) -> Table {
    let headings =
        ["KIND", "NAMESPACE", "NAME", "SYNC", "HEALTH", "MESSAGE", "WAVE", "GROUP", "VERSION"];
    let mut table = Table::new(headings.into_iter().take(if wide { 9 } else { 6 }));
    let mut sorted: Vec<_> = resources.iter().collect();
    sorted.sort_by_key(|one| one.urgency());
    for one in sorted {
        let health = one.health.as_ref();
        let reason = health.map(|health| health.reason.as_str()).unwrap_or_default();
        let message = if one.message.is_empty() { reason } else { &one.message };
        table.row([
            Cell::plain(&one.kind),
            Cell::plain(&one.namespace),
            Cell::plain(&one.name),
            Cell::new(one.status.to_string(), Paint::of_sync(one.status)),
            health.map_or_else(Cell::default, |health| {
                Cell::new(health.status.to_string(), Paint::of_health(health.status))
            }),
            Cell::plain(message),
            Cell::plain(one.wave.to_string()),
            Cell::plain(&one.group),
            Cell::plain(&one.version),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use fyr_model::api::{
        AutomatedView, Condition, HealthState, HealthStatus, PauseView, PinView, SourceView,
        SyncState, SyncStatus,
    };

    use super::*;

    fn detail() -> ApplicationDetail {
        let resource = |name: &str, status, health| ResourceStatus {
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: name.into(),
            status,
            health: Some(HealthState { status: health, reason: "1 of 2 pods".into() }),
            ..ResourceStatus::default()
        };
        ApplicationDetail {
            summary: ApplicationSummary {
                name: "web".into(),
                project: "default".into(),
                cluster: Some("prod-eu".into()),
                namespace: "shop".into(),
                sync: SyncState {
                    status: SyncStatus::OutOfSync,
                    revision: Some("4be1c02a0f6d".into()),
                    subject: "Raise limits".into(),
                    reason: "1 object differs".into(),
                    ..SyncState::default()
                },
                health: HealthState { status: HealthStatus::Degraded, reason: "web".into() },
                operation: Operation {
                    phase: OperationPhase::Applying,
                    applied: 3,
                    total: 12,
                    actor: Some("anna".into()),
                    started_at: Timestamp::from_second(999_990).ok(),
                    ..Operation::default()
                },
                paused: Some(PauseView {
                    by: "anna".into(),
                    reason: "incident".into(),
                    since: Timestamp::from_second(999_700).unwrap(),
                }),
                ..ApplicationSummary::default()
            },
            sources: vec![SourceView {
                repo_url: "git@git.example.org:org/infra.git".into(),
                path: "overlays/production".into(),
                target_revision: "HEAD".into(),
                ..SourceView::default()
            }],
            sync_policy: Some(AutomatedView { prune: true, self_heal: true, allow_empty: false }),
            pin: Some(PinView { revisions: vec!["4be1c02a0f6d".into()], history_id: 7 }),
            resources: vec![
                resource("api", SyncStatus::Synced, HealthStatus::Healthy),
                resource("web", SyncStatus::OutOfSync, HealthStatus::Degraded),
            ],
            conditions: vec![Condition {
                r#type: "SyncError".into(),
                error: true,
                message: "1 of 12 objects".into(),
            }],
            warnings: vec!["spec.ignoreDifferences has no effect".into()],
            ..ApplicationDetail::default()
        }
    }

    #[test]
    fn everything_is_on_one_screen_problems_first() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(
            text(&detail(), now, false, false),
            "\
name      web
project   default
cluster   prod-eu
namespace shop
source    git@git.example.org:org/infra.git overlays/production @ HEAD
mode      auto, prune, self-heal
sync      OutOfSync at 4be1c02 “Raise limits”: 1 object differs
health    Degraded: web
operation applying 3/12 by anna, 10s ago
paused    by anna, 5m ago: incident
pinned    at 4be1c02 (history 7)
SyncError: 1 of 12 objects
warning: spec.ignoreDifferences has no effect

KIND        NAMESPACE  NAME  SYNC       HEALTH    MESSAGE
Deployment  shop       web   OutOfSync  Degraded  1 of 2 pods
Deployment  shop       api   Synced     Healthy   1 of 2 pods
"
        );
    }
}
