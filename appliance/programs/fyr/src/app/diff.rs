//! `fyr app diff`.

use clap::Args;
use fyr_model::api::DiffResponse;

use crate::client::{application_path, query};
use crate::compare;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::OutputArguments;

/// Show what a sync would change on the cluster
///
/// The exit code is 0 when nothing differs, 1 when something does, 2 when that cannot be said.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  fyr app diff web\n  fyr app diff web --revision v1.2.3")]
pub(crate) struct DiffArguments {
    /// The application
    name: String,
    /// Compare this branch, tag or commit instead of what the application follows
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &DiffArguments) -> Result<Exit, Failure> {
    let query = query([("revision", arguments.revision.as_deref())]);
    let path = application_path(&arguments.name, "diff") + &query;
    let mut progress = context.progress(arguments.output.format);
    let ask = context.client.get::<DiffResponse>(&path);
    let diff = progress.during("comparing with the cluster", ask).await?;
    progress.end();
    compare::print(context, &diff, ["live", "desired"], arguments.output.format)
}
