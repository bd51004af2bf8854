//! The command line: asks the daemon over its Unix socket; renders and compares folders without
//! it.
//!
//! Standard output carries data and nothing else; everything for people goes to standard error.
//! Exit codes are those of [`exit::Exit`], the same for every command.

mod app;
mod audit;
mod build;
mod cli;
mod client;
mod cluster;
mod compare;
mod completion;
mod confirm;
mod context;
mod edit;
mod exit;
mod explain;
mod mirrored;
mod output;
mod plan;
mod progress;
mod render;
mod repo;
mod source_folder;
mod status;
mod style;
mod table;
mod time;
mod unified;
mod up;
mod version;
mod whole_file;

use std::process::ExitCode;

use clap::Parser;
use fyr_model::api::{ErrorCode, Problem};
use tokio::signal::ctrl_c;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::{Exit, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If nobody reads the message there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = Context::new(&cli);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(until_interrupted(&context, &cli.command));
            // A question may still wait for an answer on standard input; nobody will read it.
            runtime.shutdown_background();
            result
        }
        Err(error) => {
            let problem =
                Problem::new(ErrorCode::Internal, "cannot start").with_hint(error.to_string());
            Err(Failure::from(problem))
        }
    };
    let exit = result.unwrap_or_else(|failure| {
        context.tell(&failure.text(context.colours_on_stderr()));
        failure.exit()
    });
    exit.into()
}

/// Runs a command until it ends or Ctrl-C is pressed.
async fn until_interrupted(context: &Context, command: &Command) -> Result<Exit, Failure> {
    if let Command::Up(arguments) = command {
        // It ends its children in order when it is interrupted.
        return match up::run(arguments).await {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(Failure::of(ErrorCode::Daemons, &error)),
        };
    }
    tokio::select! {
        // The first to end decides; what the daemon has begun goes on by itself.
        result = command.run(context) => result,
        _ = ctrl_c() => {
            context.tell_interrupted();
            Ok(Exit::Interrupted)
        }
    }
}
