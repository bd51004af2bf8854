//! Bases, overlays over them and components, made up from seeds.
//!
//! `FYR_COMPAT_SEED` replaces the first seed and `FYR_COMPAT_SEEDS` their number; for a single seed
//! that differs, its files and both results are shown.

mod extras;
mod objects;
mod overlay;
mod patches;
mod random;
mod raw;

use std::thread;

use self::overlay::Case;
use crate::both::{Both, Files};

/// First seed unless told.
const FIRST: u64 = 1;
/// Seeds tried in one run unless told. Upstream takes about a tenth of a second for each.
const SEEDS: u64 = 2_000;
/// Cases built at the same time.
const WORKERS: u64 = 2;
/// Most cases in a hundred that upstream may refuse: a refusal compares nothing.
const REFUSED_PERCENT_MAX: u64 = 20;
/// Differences shown; the others are counted.
const SHOWN_MAX: usize = 20;

/// What came of some seeds.
#[derive(Default)]
struct Outcome {
    refused: u64,
    differences: Vec<String>,
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn outcome(seeds: impl Iterator<Item = u64>, single: bool) -> Outcome {
    let mut outcome = Outcome::default();
    for seed in seeds {
        let case = Case::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let both = Files::write(folder.path(), &case.files).build(&case.top);
        outcome.refused += u64::from(both.upstream.is_err());
        if let Some(difference) = both.difference() {
            let shown = format!("FYR_COMPAT_SEED={seed}, {}: {difference}", case.top);
            outcome.differences.push(if single {
                shown + &everything(&case, &both)
            } else {
                shown
            });
        }
    }
    outcome
}

/// The files of a case and what both make of it.
fn everything(case: &Case, both: &Both) -> String {
    let files = case.files.iter().map(|(path, text)| format!("\n=== {path}\n{text}"));
    let text = |built: &Result<String, String>| match built {
        Ok(text) => text.clone(),
        Err(why) => format!("refused: {why}\n"),
    };
    let (upstream, ours) = (text(&both.upstream), text(&both.ours));
    format!("{}\n=== upstream\n{upstream}\n=== ours\n{ours}", files.collect::<String>())
}

#[test]
fn made_up_overlays_build_to_the_same_bytes() {
    let (first, count) = (number("FYR_COMPAT_SEED", FIRST), number("FYR_COMPAT_SEEDS", SEEDS));
    println!("seeds {first} to {}", first + count - 1);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let seeds = (first..first + count).filter(move |seed| seed % WORKERS == worker);
                scope.spawn(move || outcome(seeds, count == 1))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let refused: u64 = outcomes.iter().map(|outcome| outcome.refused).sum();
    let differences: Vec<_> = outcomes.into_iter().flat_map(|each| each.differences).collect();
    println!("{refused} of {count} are refused by upstream, {} differ", differences.len());
    let shown = &differences[..differences.len().min(SHOWN_MAX)];
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), shown.join("\n\n"));
    // A few seeds say nothing about shares.
    assert!(count < 100 || refused * 100 <= count * REFUSED_PERCENT_MAX, "too many are refused");
}
