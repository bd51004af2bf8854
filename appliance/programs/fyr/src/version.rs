//! `fyr version`.

use clap::Args;
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};

/// Print the version of this command line
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr version -o json")]
pub(crate) struct VersionArguments {
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

pub(crate) fn run(arguments: &VersionArguments) -> Result<Exit, Failure> {
    let value = Version { version: env!("CARGO_PKG_VERSION") };
    let line = |_| format!("fyr {}\n", value.version);
    show(arguments.output.format, &value, line, || vec![format!("fyr/{}", value.version)])?;
    Ok(Exit::Done)
}
