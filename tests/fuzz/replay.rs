//! Every input that the fuzz targets begin with or once failed on, on a stable compiler: none may
//! panic, take long or take much memory.

#![expect(clippy::unwrap_used, reason = "everything here is a test, and a failure ends it")]

mod input;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};

/// Most CPU time of one input in a build without optimisation, which is some ten times slower than
/// a release. CPU time, so that a busy machine fails nothing.
const CPU_MILLIS_MAX: i64 = 1_000;

/// CPU time after which an input is given up.
const CPU_SECONDS_GIVEN_UP: u64 = 10;

/// Most memory of a process that takes one input, in KiB: that of the program and 64 MiB.
const MEMORY_KIB_MAX: i64 = (8 + 64) * 1024;

/// Does what a fuzz target does with an input.
type Target = fn(&[u8]);

/// The targets, by the folders of their corpora.
const TARGETS: [(&str, Target); 2] = [("yaml", input::yaml), ("tree", input::tree)];

/// Names the input to a process that takes one.
const INPUT: &str = "FYR_FUZZ_INPUT";

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_is_answered_in_little_time_and_memory() {
    let mut failures = Vec::new();
    for (target, _) in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() >= 20, "only {} inputs for {target}", inputs.len());
        for input in inputs {
            // A process each, because the peak of memory is that of a process.
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "one_input", "--ignored", "--nocapture"])
                .env(INPUT, &input)
                .output()
                .unwrap();
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                failures.push(format!("{}: {}\n{said}", input.display(), output.status));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "it is run by the other test, once for every input"]
fn one_input() {
    let Some(path) = std::env::var_os(INPUT) else { return };
    let path = Path::new(&path);
    let of = path.parent().and_then(Path::file_name);
    let (_, target) = TARGETS.into_iter().find(|(name, _)| of == Some(name.as_ref())).unwrap();
    let bytes = fs::read(path).unwrap();
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS_GIVEN_UP, CPU_SECONDS_GIVEN_UP).unwrap();
    target(&bytes);
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let times = [usage.user_time(), usage.system_time()];
    let millis: i64 = times.iter().map(|time| time.tv_sec() * 1000 + time.tv_usec() / 1000).sum();
    assert!(millis <= CPU_MILLIS_MAX, "takes {millis} ms of CPU, over {CPU_MILLIS_MAX}");
    let memory = usage.max_rss();
    assert!(memory <= MEMORY_KIB_MAX, "takes {memory} KiB, over {MEMORY_KIB_MAX}");
}
