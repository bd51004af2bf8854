//! `fyr app`: applications.

mod diff;
mod follow;
mod get;
mod history;
mod list;
mod pause;
mod refresh;
mod resource;
mod sync;
mod tree;
mod wait;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Look at applications and act on them
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    List(list::ListArguments),
    Get(get::GetArguments),
    Diff(diff::DiffArguments),
    Sync(sync::SyncArguments),
    Refresh(refresh::RefreshArguments),
    History(history::HistoryArguments),
    Rollback(sync::RollbackArguments),
    Pause(pause::PauseArguments),
    Resume(pause::ResumeArguments),
    Terminate(pause::TerminateArguments),
    Wait(wait::WaitArguments),
    Tree(tree::TreeArguments),
}

pub(crate) async fn run(context: &Context, command: &AppCommand) -> Result<Exit, Failure> {
    match command {
        AppCommand::List(arguments) => list::run(context, arguments).await,
        AppCommand::Get(arguments) => get::run(context, arguments).await,
        AppCommand::Diff(arguments) => diff::run(context, arguments).await,
        AppCommand::Sync(arguments) => sync::run(context, arguments).await,
        AppCommand::Refresh(arguments) => refresh::run(context, arguments).await,
        AppCommand::History(arguments) => history::run(context, arguments).await,
        AppCommand::Rollback(arguments) => sync::run_rollback(context, arguments).await,
        AppCommand::Pause(arguments) => pause::run(context, arguments).await,
        AppCommand::Resume(arguments) => pause::run_resume(context, arguments).await,
        AppCommand::Terminate(arguments) => pause::run_terminate(context, arguments).await,
        AppCommand::Wait(arguments) => wait::run(context, arguments).await,
        AppCommand::Tree(arguments) => tree::run(context, arguments).await,
    }
}
