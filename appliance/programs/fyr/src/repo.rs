//! `fyr repo`: the Git repositories in use.

use clap::{Args, Subcommand};
use fyr_model::api::RepositorySummary;
use jiff::Timestamp;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::style::Paint;
use crate::table::{Cell, Table};
use crate::time::{age_of, until};

/// Look at the Git repositories in use
#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    List(ListArguments),
}

/// List the Git repositories in use and when they were last fetched
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr repo list -o wide")]
pub(crate) struct ListArguments {
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, command: &RepoCommand) -> Result<Exit, Failure> {
    let RepoCommand::List(arguments) = command;
    let format = arguments.output.format;
    let repositories: Vec<RepositorySummary> = context.client.get("/api/v1/repositories").await?;
    if repositories.is_empty() && format.is_for_people() {
        context.tell_line("no repositories: nothing in the fleet uses any");
        return Ok(Exit::Done);
    }
    let (now, colours) = (Timestamp::now(), context.colours());
    show(
        format,
        &repositories,
        |wide| table(&repositories, now, wide).text(colours),
        || repositories.iter().map(|one| format!("repository/{}", one.url)).collect(),
    )?;
    Ok(Exit::Done)
}

/// One row a repository.
pub(crate) fn table(repositories: &[RepositorySummary], now: Timestamp, wide: bool) -> Table {
    let headings = ["URL", "STATE", "FETCHED", "NEXT", "APPS", "SIZE", "MESSAGE"];
    let mut table = Table::new(headings.into_iter().take(if wide { 7 } else { 5 }));
    for one in repositories {
        let state = match (one.message.is_empty(), one.fetched_at) {
            (true, Some(_)) => Cell::new("ok", Paint::Good),
            (true, None) => Cell::new("new", Paint::Dim),
            (false, _) => Cell::new("failing", Paint::Bad),
        };
        table.row([
            Cell::plain(&one.url),
            state,
            Cell::plain(age_of(now, one.fetched_at)),
            Cell::plain(one.next_at.map(|next| until(now, next)).unwrap_or_default()),
            Cell::plain(one.applications.to_string()),
            Cell::plain(size(one.bytes)),
            Cell::plain(&one.message),
        ]);
    }
    table
}

/// Bytes as people read them: `0 B`, `512 KiB`, `1.5 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1_572_864, "1.5 MiB"),
            (3 << 30, "3 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_failing_repository_says_why_in_the_wide_form() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let repositories = [
            RepositorySummary {
                url: "git@git.example.org:org/infra.git".into(),
                fetched_at: Timestamp::from_second(999_988).ok(),
                next_at: Timestamp::from_second(1_000_018).ok(),
                bytes: 2048,
                applications: 3,
                ..RepositorySummary::default()
            },
            RepositorySummary {
                url: "https://git.example.org/x.git".into(),
                message: "the host key has changed".into(),
                ..RepositorySummary::default()
            },
        ];
        assert_eq!(
            table(&repositories, now, true).text(false),
            "\
URL                                STATE    FETCHED  NEXT  APPS  SIZE   MESSAGE
git@git.example.org:org/infra.git  ok       12s      18s   3     2 KiB  -
https://git.example.org/x.git      failing  -        -     0     0 B    the host key has changed
"
        );
    }
}
