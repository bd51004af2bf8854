//! `fyr app pause`, `resume` and `terminate`.

use clap::Args;
use fyr_model::api::{PauseRequest, ResumeRequest};

use crate::client::application_path;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Leave an application alone: neither sync nor heal it
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr app pause web --reason \"incident 42: working by hand\"")]
pub(crate) struct PauseArguments {
    /// The application
    name: String,
    /// Why, for the audit log and for whoever wonders
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Follow Git again, after a pause or a rollback
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr app resume web")]
pub(crate) struct ResumeArguments {
    /// The application
    name: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// End the operation that runs on an application, after the step it is at
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr app terminate web")]
pub(crate) struct TerminateArguments {
    /// The application
    name: String,
}

pub(crate) async fn run(context: &Context, arguments: &PauseArguments) -> Result<Exit, Failure> {
    let request = PauseRequest { reason: arguments.reason.clone() };
    let path = application_path(&arguments.name, "pause");
    context.client.post::<()>(&path, &request).await?;
    context.tell_line(&format!("{0} is paused; `fyr app resume {0}` ends that", arguments.name));
    Ok(Exit::Done)
}

pub(crate) async fn run_resume(
    context: &Context,
    arguments: &ResumeArguments,
) -> Result<Exit, Failure> {
    let request = ResumeRequest { reason: arguments.reason.clone() };
    let path = application_path(&arguments.name, "resume");
    context.client.post::<()>(&path, &request).await?;
    context.tell_line(&format!("{} follows Git again", arguments.name));
    Ok(Exit::Done)
}

pub(crate) async fn run_terminate(
    context: &Context,
    arguments: &TerminateArguments,
) -> Result<Exit, Failure> {
    let path = application_path(&arguments.name, "terminate");
    context.client.post::<()>(&path, &serde_json::Map::new()).await?;
    context.tell_line(&format!("the operation on {} ends", arguments.name));
    Ok(Exit::Done)
}
