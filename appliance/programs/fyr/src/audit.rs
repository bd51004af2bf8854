//! `fyr audit`: what was done, by whom and why.

use std::time::Duration;

use clap::{Args, Subcommand};
use fyr_model::api::{AuditPage, AuditQuery, AuditRecordView};
use tokio::time::sleep;

use crate::client::query;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Format, OutputArguments, json_line, show, write, yaml};
use crate::style::{Paint, clean, painted, short};
use crate::table::{Cell, Table};

/// Read the audit log
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    List(ListArguments),
    Tail(TailArguments),
}

/// List the newest records of the audit log, oldest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  fyr audit list --limit 8\n  fyr audit list --app web -o json")]
pub(crate) struct ListArguments {
    /// Only records about this application
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only records after this number, from the oldest
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Most records; 500 at once
    #[arg(long, value_name = "COUNT", default_value_t = AuditQuery::LIMIT_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    output: OutputArguments,
}

/// Follow the audit log, until Ctrl-C
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  fyr audit tail\n  fyr audit tail --app web -o json | jq .reason"
)]
pub(crate) struct TailArguments {
    /// Only records about this application
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Records from before that are shown first
    #[arg(long, value_name = "COUNT", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(0..=500))]
    limit: u32,
    #[command(flatten)]
    output: OutputArguments,
}

/// The log is looked at this often while nothing else says that it grew: records that concern no
/// application, such as the start of a daemon, make no event.
const TAIL_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn run(context: &Context, command: &AuditCommand) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List(arguments) => list(context, arguments).await,
        AuditCommand::Tail(arguments) => tail(context, arguments).await,
    }
}

async fn list(context: &Context, arguments: &ListArguments) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    let page = page(context, arguments.app.as_deref(), arguments.after, arguments.limit).await?;
    if page.records.is_empty() && format.is_for_people() {
        context.tell_line("no records");
        return Ok(Exit::Done);
    }
    let colours = context.colours();
    show(
        format,
        &page.records,
        |wide| table(&page.records, wide).text(colours),
        || page.records.iter().map(|record| format!("record/{}", record.sequence)).collect(),
    )?;
    Ok(Exit::Done)
}

async fn tail(context: &Context, arguments: &TailArguments) -> Result<Exit, Failure> {
    let app = arguments.app.as_deref();
    // At least one, to learn where to go on from.
    let first = page(context, app, None, arguments.limit.max(1)).await?;
    let skipped = if arguments.limit == 0 { first.records.len() } else { 0 };
    for record in &first.records[skipped..] {
        write(&line(record, arguments.output.format, context.colours())?)?;
    }
    // Not where the log ends: a record may have come in since these were read.
    let mut after = first.records.last().map_or(0, |record| record.sequence);
    let mut events = context.client.events(app).await.ok();
    loop {
        let page = page(context, app, Some(after), AuditQuery::LIMIT_MAX).await?;
        for record in &page.records {
            write(&line(record, arguments.output.format, context.colours())?)?;
            after = after.max(record.sequence);
        }
        if !page.records.is_empty() {
            // There may be more than one answer holds.
            continue;
        }
        let Some(stream) = &mut events else {
            sleep(TAIL_INTERVAL).await;
            continue;
        };
        tokio::select! {
            // Cancel-safe: a line is taken whole out of the buffer, or not at all.
            event = stream.next() => {
                if event.is_none() {
                    events = None;
                }
            }
            // Cancel-safe: a timer.
            () = sleep(TAIL_INTERVAL) => {}
        }
    }
}

async fn page(
    context: &Context,
    app: Option<&str>,
    after: Option<u64>,
    limit: u32,
) -> Result<AuditPage, Failure> {
    let (after, limit) = (after.map(|after| after.to_string()), limit.to_string());
    let query = query([("application", app), ("after", after.as_deref()), ("limit", Some(&limit))]);
    context.client.get(&format!("/api/v1/audit{query}")).await
}

/// One record as a line, or as a document.
fn line(record: &AuditRecordView, format: Format, colours: bool) -> Result<String, Failure> {
    Ok(match format {
        Format::Json => json_line(record)?,
        Format::Yaml => format!("---\n{}", yaml(record)?),
        Format::Name => format!("record/{}\n", record.sequence),
        Format::Table | Format::Wide => {
            let kind = painted(&clean(&record.kind), paint(&record.kind), colours);
            let (actor, target, reason) = (&record.actor, target(record), &record.reason);
            let rest = clean(&format!("{actor}  {target}  {}", revision(record)));
            let rest = rest.trim_end();
            format!("{}  {}  {kind}  {rest}  {}\n", record.sequence, time(record), clean(reason))
        }
    })
}

fn table(records: &[AuditRecordView], wide: bool) -> Table {
    let headings = ["#", "TIME", "KIND", "ACTOR", "TARGET", "REVISION", "REASON", "PLAN", "HASH"];
    let mut table = Table::new(headings.into_iter().take(if wide { 9 } else { 7 }));
    for record in records {
        table.row([
            Cell::plain(record.sequence.to_string()),
            Cell::plain(time(record)),
            Cell::new(&record.kind, paint(&record.kind)),
            Cell::plain(&record.actor),
            Cell::plain(target(record)),
            Cell::plain(revision(record)),
            Cell::plain(&record.reason),
            Cell::plain(short(&record.subject)),
            Cell::plain(&record.hash),
        ]);
    }
    table
}

/// To the second: the order is that of the numbers.
fn time(record: &AuditRecordView) -> String {
    record.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn revision(record: &AuditRecordView) -> String {
    record.revision.as_deref().map(short).unwrap_or_default()
}

/// `web@prod`, or what there is of it.
fn target(record: &AuditRecordView) -> String {
    match (&record.application, &record.cluster) {
        (Some(application), Some(cluster)) => format!("{application}@{cluster}"),
        (Some(application), None) => application.clone(),
        (None, Some(cluster)) => format!("@{cluster}"),
        (None, None) => String::new(),
    }
}

fn paint(kind: &str) -> Paint {
    match kind {
        "denied" => Paint::Bad,
        "operation" => Paint::Warn,
        "outcome" => Paint::Good,
        _ => Paint::Plain,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn record() -> AuditRecordView {
        AuditRecordView {
            sequence: 12,
            at: Timestamp::from_second(1_700_000_000).unwrap(),
            kind: "intent".into(),
            actor: "automation".into(),
            application: Some("web".into()),
            cluster: Some("prod".into()),
            revision: Some("4be1c02a0f6d".into()),
            reason: "a new commit".into(),
            subject: "9f31aabb".into(),
            hash: "00ff".into(),
            ..AuditRecordView::default()
        }
    }

    #[test]
    fn a_record_says_who_did_what_to_what_and_why() {
        assert_eq!(
            table(&[record()], false).text(false),
            "\
#   TIME                  KIND    ACTOR       TARGET    REVISION  REASON
12  2023-11-14T22:13:20Z  intent  automation  web@prod  4be1c02   a new commit
"
        );
        assert_eq!(
            line(&record(), Format::Table, false).unwrap(),
            "12  2023-11-14T22:13:20Z  intent  automation  web@prod  4be1c02  a new commit\n"
        );
    }
}
