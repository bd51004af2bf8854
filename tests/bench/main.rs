//! Benchmarks: one JSON line a measurement, each with a floor or a peer measured in the same run.

mod cold_start;
mod kustomize;
mod latency;
mod processes;
mod report;
mod rerender;
mod steady;

use clap::{Parser, ValueEnum};

#[derive(Debug, Parser)]
#[command(name = "tests/bench/run")]
struct Arguments {
    /// What to measure.
    #[arg(required = true)]
    names: Vec<Name>,
    /// Number of applications, for cold-start, steady and restart.
    #[arg(long, default_value_t = 100)]
    apps: usize,
    /// Number of samples, for commit-to-applied and heal.
    #[arg(long, default_value_t = 50)]
    samples: usize,
    /// Length of steady in seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Name {
    CommitToApplied,
    Heal,
    ColdStart,
    Steady,
    Restart,
    Kustomize,
    Rerender,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    for name in arguments.names {
        match name {
            Name::CommitToApplied => latency::commit_to_applied(arguments.samples).await,
            Name::Heal => latency::heal(arguments.samples).await,
            Name::ColdStart => cold_start::run(arguments.apps).await,
            Name::Steady => steady::steady(arguments.apps, arguments.seconds).await,
            Name::Restart => steady::restart(arguments.apps).await,
            Name::Kustomize => kustomize::run(),
            Name::Rerender => rerender::run(),
        }
    }
}
