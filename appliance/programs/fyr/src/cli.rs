//! The commands and their arguments.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::app::AppCommand;
use crate::audit::AuditCommand;
use crate::build::BuildArguments;
use crate::cluster::ClusterCommand;
use crate::compare::CompareArguments;
use crate::completion::CompletionArguments;
use crate::context::Context;
use crate::edit::EditCommand;
use crate::exit::{Exit, Failure};
use crate::explain::ExplainArguments;
use crate::repo::RepoCommand;
use crate::status::StatusArguments;
use crate::up::UpArguments;
use crate::version::VersionArguments;
use crate::{
    app, audit, build, cluster, compare, completion, edit, explain, repo, status, version,
};

/// Steer Kubernetes clusters from Git, from outside them
#[derive(Debug, Parser)]
#[command(
    name = "fyr",
    version,
    after_help = "Exit codes, the same for every command:\n  \
    0  done; or the answer is yes, or there is no difference\n  \
    1  the answer is no: it differs, needs attention, is degraded\n  \
    2  no answer: wrong usage or input, or something failed\n  \
    3  not allowed\n  \
    4  timed out\n  \
    5  conflict: the plan is stale, or somebody else is applying\n  \
    130  interrupted\n\n\
    Examples:\n  \
    fyr status\n  \
    fyr app get web\n  \
    fyr app wait web --sync --health --timeout 5m"
)]
pub(crate) struct Cli {
    /// Where the daemon listens
    #[arg(
        long,
        global = true,
        env = "FYR_SOCKET",
        value_name = "SOCKET",
        default_value = "/run/fyr/api.sock",
        help_heading = GLOBAL
    )]
    pub(crate) socket: PathBuf,
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        help = "When to use colours: auto, always or never; NO_COLOR is respected",
        help_heading = GLOBAL
    )]
    pub(crate) color: Color,
    /// Tell on standard error what is asked of the daemon
    #[arg(short, long, global = true, action = ArgAction::SetTrue, help_heading = GLOBAL)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Heading of the options that every command takes, so that its own stand first.
const GLOBAL: &str = "Global options";

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether there are colours on an output that is a terminal or not.
    pub(crate) fn on(self, is_terminal: bool) -> bool {
        let unwanted = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && !unwanted("NO_COLOR") && !dumb(),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Status(StatusArguments),
    #[command(subcommand)]
    App(AppCommand),
    #[command(subcommand)]
    Cluster(ClusterCommand),
    #[command(subcommand)]
    Repo(RepoCommand),
    #[command(subcommand)]
    Audit(AuditCommand),
    Build(BuildArguments),
    #[command(subcommand)]
    Edit(EditCommand),
    Diff(CompareArguments),
    Up(UpArguments),
    Completion(CompletionArguments),
    Explain(ExplainArguments),
    Version(VersionArguments),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Status(arguments) => status::run(context, arguments).await,
            Self::App(command) => app::run(context, command).await,
            Self::Cluster(command) => cluster::run(context, command).await,
            Self::Repo(command) => repo::run(context, command).await,
            Self::Audit(command) => audit::run(context, command).await,
            Self::Build(arguments) => build::run(context, arguments).await,
            Self::Edit(command) => edit::run(context, command),
            Self::Diff(arguments) => compare::run(context, arguments).await,
            Self::Completion(arguments) => completion::run(arguments),
            Self::Explain(arguments) => explain::run(arguments),
            Self::Version(arguments) => version::run(arguments),
            // The program's own loop runs it, because it handles Ctrl-C itself.
            Self::Up(_) => Ok(Exit::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
                leaves(below, &path, found);
            }
        } else {
            found.push((path.trim().to_owned(), command.clone()));
        }
    }

    #[test]
    fn every_command_has_an_example_and_a_first_line_without_a_full_stop() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() > 20, "{}", found.len());
        for (path, command) in found {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Example") && after.contains(&path), "{path}: {after}");
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let first = about.lines().next().unwrap_or_default();
            assert!(!first.is_empty() && !first.ends_with('.'), "{path}: {first:?}");
        }
    }
}
