//! `fyr status`: everything on one screen.

use clap::Args;
use fyr_model::api::{Attention, Counts, FleetState, HealthStatus, Status, SyncStatus};
use jiff::Timestamp;

use crate::cluster;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::repo;
use crate::style::{Paint, clean, painted, push, short};
use crate::table::{Cell, Table};
use crate::time::{age, age_of};

/// Show how everything stands, on one screen
///
/// The exit code is 1 when anything needs attention. With -o name it prints what does.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  fyr status\n  fyr status -o json | jq .counts.sync")]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &StatusArguments) -> Result<Exit, Failure> {
    let status: Status = context.client.get("/api/v1/status").await?;
    let (now, colours) = (Timestamp::now(), context.colours());
    show(
        arguments.output.format,
        &status,
        |wide| text(&status, now, colours, wide),
        || status.attention.iter().map(name).collect(),
    )?;
    Ok(if status.attention.is_empty() { Exit::Done } else { Exit::No })
}

/// `application/web`, `fleet`.
fn name(attention: &Attention) -> String {
    match attention.name.as_str() {
        "" => attention.kind.clone(),
        name => format!("{}/{name}", attention.kind),
    }
}

fn text(status: &Status, now: Timestamp, colours: bool, wide: bool) -> String {
    let up = status.started_at.map(|since| format!(", up {}", age(now, since)));
    let mut text = format!(
        "{:<8}{} (fyrd {}{})\n",
        "name",
        clean(&status.name),
        clean(&status.version),
        up.unwrap_or_default()
    );
    push!(text, "{:<8}{}\n", "fleet", fleet(&status.fleet, now, colours));
    for problem in &status.fleet.problems {
        let paint = if problem.error { Paint::Bad } else { Paint::Warn };
        let subject = clean(&problem.subject);
        let line = if subject.is_empty() { String::new() } else { format!("{subject}: ") };
        let line = format!("{line}{}", clean(&problem.message));
        push!(text, "{:<8}{}\n", "", painted(&line, paint, colours));
    }
    push!(text, "{:<8}{}\n", "audit", audit(status, colours));
    push!(text, "{:<8}{}\n", "apps", applications(&status.counts));
    if status.counts.applications > 0 {
        text.push('\n');
        text.push_str(&matrix(&status.counts).text(colours));
    }
    if !status.clusters.is_empty() {
        text.push('\n');
        text.push_str(&cluster::table(&status.clusters, now, wide).text(colours));
    }
    if wide && !status.repositories.is_empty() {
        text.push('\n');
        text.push_str(&repo::table(&status.repositories, now, true).text(colours));
    }
    text.push('\n');
    text.push_str(&attention(&status.attention, now, colours));
    text
}

fn fleet(fleet: &FleetState, now: Timestamp, colours: bool) -> String {
    let path = if fleet.path.is_empty() { "." } else { &fleet.path };
    let place = clean(&format!("{} {path} @ {}", fleet.repo_url, fleet.target_revision));
    match &fleet.revision {
        Some(revision) => {
            let read = age_of(now, fleet.read_at);
            let read = if read.is_empty() { read } else { format!(", read {read} ago") };
            format!("{place}, at {}{read}", short(revision))
        }
        None => format!("{place}, {}", painted("never read", Paint::Bad, colours)),
    }
}

fn audit(status: &Status, colours: bool) -> String {
    let audit = &status.audit;
    let records = match audit.last_sequence {
        Some(sequence) => format!("{sequence} records"),
        None => "number of records unknown".to_owned(),
    };
    if audit.writable {
        format!("{records}, {}", painted("takes records", Paint::Good, colours))
    } else {
        let why =
            if audit.message.is_empty() { String::new() } else { format!(": {}", audit.message) };
        let line = format!("takes no records, so nothing is applied{why}");
        format!("{records}, {}", painted(&clean(&line), Paint::Bad, colours))
    }
}

fn applications(counts: &Counts) -> String {
    if counts.applications == 0 {
        return "none: the fleet repository defines no application".to_owned();
    }
    let of = |count: Option<&u64>| count.copied().unwrap_or_default();
    let mut text = format!(
        "{}, {} in sync, {} healthy",
        counts.applications,
        of(counts.sync.get(&SyncStatus::Synced)),
        of(counts.health.get(&HealthStatus::Healthy)),
    );
    if counts.paused > 0 {
        push!(text, ", {} paused", counts.paused);
    }
    text
}

/// Sync status × health; states that no application has are left out.
fn matrix(counts: &Counts) -> Table {
    let columns: Vec<HealthStatus> = counts.health.keys().copied().collect();
    let headings = columns.iter().map(|health| match health {
        HealthStatus::Healthy => "HEALTHY",
        HealthStatus::Suspended => "SUSPENDED",
        HealthStatus::Progressing => "PROGRESSING",
        HealthStatus::Missing => "MISSING",
        HealthStatus::Degraded => "DEGRADED",
        HealthStatus::Unknown => "UNKNOWN",
    });
    let mut table = Table::new(std::iter::once("APPLICATIONS").chain(headings));
    for (sync, by_health) in &counts.sync_and_health {
        let cells = columns.iter().map(|health| match by_health.get(health) {
            Some(count) => Cell::plain(count.to_string()),
            None => Cell::plain("0"),
        });
        let head = Cell::new(sync.to_string(), Paint::of_sync(*sync));
        table.row(std::iter::once(head).chain(cells));
    }
    table
}

fn attention(attention: &[Attention], now: Timestamp, colours: bool) -> String {
    if attention.is_empty() {
        return format!("{}\n", painted("Nothing needs attention.", Paint::Good, colours));
    }
    let head = format!("Needs attention: {}", attention.len());
    let mut text = format!("{}\n", painted(&head, Paint::Bad, colours));
    for one in attention {
        let since = age_of(now, one.since);
        let since = if since.is_empty() { since } else { format!(" (for {since})") };
        push!(text, "  {}: {}{since}\n", clean(&name(one)), clean(&one.message));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fyr_model::api::{AuditState, ClusterSummary, FleetProblemView};

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn status() -> Status {
        let row = |pairs: &[(HealthStatus, u64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
        Status {
            name: "harbour".into(),
            version: "0.1.0".into(),
            started_at: at(1_000_000 - 600),
            fleet: FleetState {
                repo_url: "git@git.example.org:platform/fleet.git".into(),
                path: "applications".into(),
                target_revision: "HEAD".into(),
                revision: Some("4be1c02a0f6d".into()),
                read_at: at(999_988),
                problems: vec![FleetProblemView {
                    subject: "Application argocd/old".into(),
                    error: true,
                    message: "spec.destination is missing".into(),
                }],
            },
            counts: Counts {
                applications: 12,
                sync: row_of_sync(&[(SyncStatus::Synced, 11), (SyncStatus::OutOfSync, 1)]),
                health: row(&[(HealthStatus::Healthy, 11), (HealthStatus::Degraded, 1)]),
                sync_and_health: BTreeMap::from([
                    (SyncStatus::Synced, row(&[(HealthStatus::Healthy, 11)])),
                    (SyncStatus::OutOfSync, row(&[(HealthStatus::Degraded, 1)])),
                ]),
                paused: 1,
            },
            clusters: vec![ClusterSummary {
                name: "prod-eu".into(),
                server: "https://10.0.0.1:6443".into(),
                reachable: true,
                version: "v1.37.0".into(),
                last_contact: at(999_998),
                applications: 12,
                ..ClusterSummary::default()
            }],
            audit: AuditState { writable: true, last_sequence: Some(1204), message: String::new() },
            attention: vec![Attention {
                kind: "application".into(),
                name: "web".into(),
                message: "Degraded: Deployment shop/web".into(),
                since: at(999_700),
            }],
            ..Status::default()
        }
    }

    fn row_of_sync(pairs: &[(SyncStatus, u64)]) -> BTreeMap<SyncStatus, u64> {
        pairs.iter().copied().collect()
    }

    #[test]
    fn everything_is_on_one_screen() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(
            text(&status(), now, false, false),
            "\
name    harbour (fyrd 0.1.0, up 10m)
fleet   git@git.example.org:platform/fleet.git applications @ HEAD, at 4be1c02, read 12s ago
        Application argocd/old: spec.destination is missing
audit   1204 records, takes records
apps    12, 11 in sync, 11 healthy, 1 paused

APPLICATIONS  HEALTHY  DEGRADED
Synced        11       0
OutOfSync     0        1

CLUSTER  STATE      VERSION  APPS  CONTACT  SERVER
prod-eu  reachable  v1.37.0  12    2s       https://10.0.0.1:6443

Needs attention: 1
  application/web: Degraded: Deployment shop/web (for 5m)
"
        );
    }

    #[test]
    fn an_audit_log_that_takes_nothing_says_what_follows() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let status = Status {
            audit: AuditState { message: "disk full".into(), ..AuditState::default() },
            ..Status::default()
        };
        let text = text(&status, now, false, false);
        assert!(text.contains("takes no records, so nothing is applied: disk full"), "{text}");
        assert!(text.contains("never read"), "{text}");
        assert!(text.ends_with("Nothing needs attention.\n"), "{text}");
    }
}
