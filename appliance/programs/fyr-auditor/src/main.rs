//! The daemon that alone writes the audit log.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    fyr_auditor::run(fyr_auditor::Arguments::parse())
}
