//! `fyr app refresh`.

use clap::Args;
use fyr_model::api::RefreshAnswer;
use serde::Serialize;

use crate::client::application_path;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::style::short;
use crate::table::{Cell, Table};

/// Look at Git now instead of at the next poll
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  fyr app refresh web api\n  fyr app refresh --fleet")]
pub(crate) struct RefreshArguments {
    /// The applications
    #[arg(required_unless_present = "fleet", value_name = "NAME")]
    names: Vec<String>,
    /// Look at the fleet repository, which says what applications there are
    #[arg(long)]
    fleet: bool,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Serialize)]
struct Refreshed {
    /// `null` for the fleet repository.
    application: Option<String>,
    #[serde(flatten)]
    answer: RefreshAnswer,
}

pub(crate) async fn run(context: &Context, arguments: &RefreshArguments) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    let mut progress = context.progress(format);
    let mut refreshed = Vec::new();
    if arguments.fleet {
        let path = "/api/v1/fleet/refresh";
        let request = serde_json::Map::new();
        let ask = context.client.post(path, &request);
        let answer = progress.during("looking at the fleet repository", ask).await?;
        refreshed.push(Refreshed { application: None, answer });
    }
    for name in &arguments.names {
        let path = application_path(name, "refresh");
        let request = serde_json::Map::new();
        let ask = context.client.post(&path, &request);
        let answer = progress.during(&format!("looking at the sources of {name}"), ask).await?;
        refreshed.push(Refreshed { application: Some(name.clone()), answer });
    }
    progress.end();
    let colours = context.colours();
    show(format, &refreshed, |_| table(&refreshed).text(colours), || names(&refreshed))?;
    Ok(Exit::Done)
}

fn names(refreshed: &[Refreshed]) -> Vec<String> {
    let name = |one: &Refreshed| match &one.application {
        Some(name) => format!("application/{name}"),
        None => "fleet".to_owned(),
    };
    refreshed.iter().map(name).collect()
}

fn table(refreshed: &[Refreshed]) -> Table {
    let mut table = Table::new(["NAME", "REVISION", "RESULT"]);
    for one in refreshed {
        let result = match (one.answer.finished, one.answer.changed) {
            (false, _) => "goes on",
            (true, true) => "new",
            (true, false) => "unchanged",
        };
        let revisions: Vec<String> = one.answer.revisions.iter().map(|one| short(one)).collect();
        table.row([
            Cell::plain(one.application.as_deref().unwrap_or("(fleet)")),
            Cell::plain(revisions.join(", ")),
            Cell::plain(result),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_is_not_called_unchanged() {
        let answer = |finished, changed| RefreshAnswer {
            finished,
            changed,
            revisions: vec!["4be1c02a0f".into()],
        };
        let refreshed = [
            Refreshed { application: None, answer: answer(true, true) },
            Refreshed { application: Some("web".into()), answer: answer(false, false) },
        ];
        assert_eq!(
            table(&refreshed).text(false),
            "NAME     REVISION  RESULT\n(fleet)  4be1c02   new\nweb      4be1c02   goes on\n"
        );
    }
}
