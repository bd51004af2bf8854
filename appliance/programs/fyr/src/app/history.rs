//! `fyr app history`.

use clap::Args;
use fyr_model::api::{HistoryEntry, HistoryResult};
use jiff::Timestamp;

use crate::client::application_path;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::style::{Paint, short};
use crate::table::{Cell, Table};
use crate::time::{age_of, took};

/// List the syncs of an application, newest first
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr app history web")]
pub(crate) struct HistoryArguments {
    /// The application
    name: String,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &HistoryArguments) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    let path = application_path(&arguments.name, "history");
    let entries: Vec<HistoryEntry> = context.client.get(&path).await?;
    if entries.is_empty() && format.is_for_people() {
        context.tell_line(&format!("no history: {} was never synced", arguments.name));
        return Ok(Exit::Done);
    }
    let (now, colours) = (Timestamp::now(), context.colours());
    show(
        format,
        &entries,
        |wide| table(&entries, now, wide).text(colours),
        || entries.iter().map(|entry| format!("history/{}", entry.id)).collect(),
    )?;
    Ok(Exit::Done)
}

fn table(entries: &[HistoryEntry], now: Timestamp, wide: bool) -> Table {
    let headings =
        ["ID", "REVISION", "RESULT", "AGE", "TOOK", "ACTOR", "REASON", "PLAN", "MESSAGE"];
    let mut table = Table::new(headings.into_iter().take(if wide { 9 } else { 7 }));
    for entry in entries {
        let paint = match entry.result {
            HistoryResult::Running => Paint::Warn,
            HistoryResult::Succeeded => Paint::Good,
            HistoryResult::Failed => Paint::Bad,
        };
        table.row([
            Cell::plain(entry.id.to_string()),
            Cell::plain(short(&entry.revision)),
            Cell::new(entry.result.to_string(), paint),
            Cell::plain(age_of(now, entry.started_at)),
            Cell::plain(duration(entry)),
            Cell::plain(entry.actor.as_deref().unwrap_or("automation")),
            Cell::plain(&entry.reason),
            Cell::plain(entry.plan.as_deref().map(short).unwrap_or_default()),
            Cell::plain(&entry.message),
        ]);
    }
    table
}

fn duration(entry: &HistoryEntry) -> String {
    let (Some(start), Some(end)) = (entry.started_at, entry.finished_at) else {
        return String::new();
    };
    end.duration_since(start).try_into().map(took).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_what_was_applied_by_whom_and_how_it_ended() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let entries = [HistoryEntry {
            id: 7,
            revision: "4be1c02a0f6d".into(),
            reason: "a new commit".into(),
            started_at: Timestamp::from_second(999_000).ok(),
            finished_at: Timestamp::from_millisecond(999_002_300).ok(),
            ..HistoryEntry::default()
        }];
        assert_eq!(
            table(&entries, now, false).text(false),
            "\
ID  REVISION  RESULT     AGE  TOOK  ACTOR       REASON
7   4be1c02   succeeded  16m  2.3s  automation  a new commit
"
        );
    }
}
