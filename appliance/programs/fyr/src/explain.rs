//! `fyr explain`: what an error code means.

use clap::Args;
use fyr_model::api::ErrorCode;

use crate::exit::{Exit, Failure};
use crate::output;

/// Say what an error code means and what to do
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr explain E0401")]
pub(crate) struct ExplainArguments {
    /// The code, such as E0401
    code: String,
}

pub(crate) fn run(arguments: &ExplainArguments) -> Result<Exit, Failure> {
    let Some(code) = ErrorCode::parse(&arguments.code) else {
        let known: Vec<String> = ErrorCode::all().map(|code| code.to_string()).collect();
        let message = format!("there is no error code {}", arguments.code);
        let hint = format!("known codes: {}", known.join(" "));
        return Err(Failure::new(ErrorCode::InvalidRequest, message).with_hint(hint));
    };
    output::write(&format!("{code}: {}\n", code.explanation()))?;
    Ok(Exit::Done)
}
