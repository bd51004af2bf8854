//! `fyr completion`: scripts for shells.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output;

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr completion bash > /usr/share/bash-completion/completions/fyr\n  \
    fyr completion zsh > ~/.zfunc/_fyr\n  \
    fyr completion fish > ~/.config/fish/completions/fyr.fish")]
pub(crate) struct CompletionArguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(arguments: &CompletionArguments) -> Result<Exit, Failure> {
    output::write(&script(arguments.shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut command = Cli::command();
    let mut bytes = Vec::new();
    match shell {
        Shell::Bash => generate(Bash, &mut command, "fyr", &mut bytes),
        Shell::Zsh => generate(Zsh, &mut command, "fyr", &mut bytes),
        Shell::Fish => generate(Fish, &mut command, "fyr", &mut bytes),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("rollback") && script.contains("completion"), "{shell:?}");
        }
    }
}
