//! `fyr app list`.

use clap::Args;
use fyr_model::api::{ApplicationFilter, ApplicationSummary, ErrorCode, Event, Status};
use jiff::Timestamp;

use crate::client::query;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Format, OutputArguments, json_line, show, write, yaml};
use crate::style::{Paint, clean, short};
use crate::table::{Cell, Table};
use crate::time::age_of;

/// List applications
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr app list --cluster prod-eu --health Degraded\n  \
    fyr app list --sync OutOfSync -o name | cut -d/ -f2- | xargs -n1 fyr app diff\n  \
    fyr app list --watch -o json")]
pub(crate) struct ListArguments {
    /// Only those on this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only those of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Only those with this sync status
    #[arg(long, value_name = "STATUS", value_parser = ["Synced", "OutOfSync", "Unknown"],
          ignore_case = true)]
    sync: Option<String>,
    /// Only those with this health
    #[arg(long, value_name = "STATUS", ignore_case = true,
          value_parser = ["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"])]
    health: Option<String>,
    /// Only those whose name contains this
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Print those that change, until Ctrl-C; one document a line with -o json
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArguments,
}

impl ListArguments {
    fn query(&self) -> String {
        query([
            ("cluster", self.cluster.as_deref()),
            ("project", self.project.as_deref()),
            ("sync", self.sync.as_deref()),
            ("health", self.health.as_deref()),
            ("name", self.name.as_deref()),
        ])
    }

    /// The same conditions, for what is not asked of the daemon.
    fn filter(&self) -> ApplicationFilter {
        fn read<T: serde::de::DeserializeOwned>(text: Option<&String>) -> Option<T> {
            serde_json::from_value(serde_json::Value::String(text?.clone())).ok()
        }
        ApplicationFilter {
            cluster: self.cluster.clone(),
            project: self.project.clone(),
            sync: read(self.sync.as_ref()),
            health: read(self.health.as_ref()),
            name: self.name.clone(),
        }
    }
}

pub(crate) async fn run(context: &Context, arguments: &ListArguments) -> Result<Exit, Failure> {
    let query = arguments.query();
    let path = format!("/api/v1/applications{query}");
    if arguments.watch {
        return watch(context, arguments, &path).await;
    }
    let applications: Vec<ApplicationSummary> = context.client.get(&path).await?;
    let format = arguments.output.format;
    if applications.is_empty() && format.is_for_people() {
        tell_empty(context, !query.is_empty()).await?;
        return Ok(Exit::Done);
    }
    print(context, &applications, format)?;
    Ok(Exit::Done)
}

/// Prints applications in the form that was asked for.
pub(crate) fn print(
    context: &Context,
    applications: &[ApplicationSummary],
    format: Format,
) -> Result<(), Failure> {
    let (now, colours) = (Timestamp::now(), context.colours());
    show(
        format,
        &applications,
        |wide| table(applications, now, wide).text(colours),
        || applications.iter().map(|one| format!("application/{}", one.name)).collect(),
    )
}

async fn tell_empty(context: &Context, filtered: bool) -> Result<(), Failure> {
    if filtered {
        context.tell_line("no applications match; `fyr app list` shows all");
        return Ok(());
    }
    let status: Status = context.client.get("/api/v1/status").await?;
    let fleet = &status.fleet;
    context.tell_line(&match &fleet.revision {
        Some(revision) => format!(
            "no applications: the fleet repository {} defines none in {} at {}",
            clean(&fleet.repo_url),
            if fleet.path.is_empty() { "its root".to_owned() } else { clean(&fleet.path) },
            short(revision)
        ),
        None => format!(
            "no applications: the fleet repository {} was never read; `fyr status` says why",
            clean(&fleet.repo_url)
        ),
    });
    Ok(())
}

async fn watch(context: &Context, arguments: &ListArguments, path: &str) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    let filter = arguments.filter();
    let mut events = context.client.events(None).await?;
    while let Some(event) = events.next().await {
        match event {
            Event::Resync => {
                let all: Vec<ApplicationSummary> = context.client.get(path).await?;
                emit(context, &all, format)?;
            }
            Event::Application { name } => match context.client.application(&name).await {
                Ok(detail) if filter.matches(&detail.summary) => {
                    emit(context, &[detail.summary], format)?;
                }
                Ok(_) => {}
                // It has gone; what is gone is not listed.
                Err(failure) if failure.code() == Some(ErrorCode::NoSuchApplication) => {}
                Err(failure) => return Err(failure),
            },
            Event::Heartbeat => {}
        }
    }
    Err(Failure::new(ErrorCode::DaemonUnreachable, "fyrd has ended the stream of events"))
}

fn emit(context: &Context, all: &[ApplicationSummary], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => all.iter().try_for_each(|one| write(&json_line(one)?)),
        Format::Yaml => all.iter().try_for_each(|one| write(&format!("---\n{}", yaml(one)?))),
        Format::Table | Format::Wide | Format::Name => print(context, all, format),
    }
}

/// One row an application.
fn table(applications: &[ApplicationSummary], now: Timestamp, wide: bool) -> Table {
    let headings = [
        "NAME",
        "CLUSTER",
        "SYNC",
        "HEALTH",
        "REVISION",
        "MODE",
        "CHANGED",
        "PROJECT",
        "NAMESPACE",
        "TARGET",
        "OPERATION",
        "REASON",
    ];
    let mut table = Table::new(headings.into_iter().take(if wide { 12 } else { 7 }));
    for one in applications {
        let mode = match (&one.paused, one.automated) {
            (Some(_), _) => Cell::new("paused", Paint::Warn),
            (None, true) => Cell::plain("auto"),
            (None, false) => Cell::plain("manual"),
        };
        let reasons = [&one.sync.reason, &one.health.reason, &one.operation.message];
        let reason = reasons.into_iter().find(|reason| !reason.is_empty());
        table.row([
            Cell::plain(&one.name),
            Cell::plain(one.cluster.as_deref().unwrap_or_default()),
            Cell::new(one.sync.status.to_string(), Paint::of_sync(one.sync.status)),
            Cell::new(one.health.status.to_string(), Paint::of_health(one.health.status)),
            Cell::plain(one.sync.revision.as_deref().map(short).unwrap_or_default()),
            mode,
            Cell::plain(age_of(now, one.changed_at)),
            Cell::plain(&one.project),
            Cell::plain(&one.namespace),
            Cell::plain(&one.target_revision),
            Cell::new(one.operation.phase.to_string(), Paint::of_phase(one.operation.phase)),
            Cell::plain(reason.map(String::as_str).unwrap_or_default()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use fyr_model::api::{HealthState, HealthStatus, SyncState, SyncStatus};

    use super::*;

    fn application() -> ApplicationSummary {
        ApplicationSummary {
            name: "web".into(),
            project: "default".into(),
            cluster: Some("prod-eu".into()),
            namespace: "shop".into(),
            target_revision: "HEAD".into(),
            sync: SyncState {
                status: SyncStatus::OutOfSync,
                revision: Some("4be1c02a0f6d4c9f".into()),
                reason: "2 objects differ".into(),
                ..SyncState::default()
            },
            health: HealthState { status: HealthStatus::Degraded, reason: String::new() },
            automated: true,
            changed_at: Timestamp::from_second(999_940).ok(),
            ..ApplicationSummary::default()
        }
    }

    #[test]
    fn the_table_shows_state_and_the_wide_one_also_why() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(
            table(&[application()], now, false).text(false),
            "\
NAME  CLUSTER  SYNC       HEALTH    REVISION  MODE  CHANGED
web   prod-eu  OutOfSync  Degraded  4be1c02   auto  60s
"
        );
        assert_eq!(
            table(&[application()], now, true).text(false),
            "\
NAME  CLUSTER  SYNC       HEALTH    REVISION  MODE  CHANGED  PROJECT  NAMESPACE  TARGET  OPERATION  REASON
web   prod-eu  OutOfSync  Degraded  4be1c02   auto  60s      default  shop       HEAD    idle       2 objects differ
"
        );
    }
}
