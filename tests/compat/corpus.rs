//! Kustomizations as people write them, in `corpus`, and broken ones, in `refused`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::both::Files;

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat").join(folder);
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn what_people_write_builds_to_the_same_bytes() {
    let mut differences = Vec::new();
    let mut built = 0;
    for case in cases("corpus") {
        let files = Files::read(&case);
        for target in files.targets() {
            let both = files.build(&target);
            let place = format!("{}/{target}", case.file_name().unwrap().display());
            match &both.upstream {
                Ok(objects) => assert!(!objects.is_empty(), "{place} builds to nothing"),
                Err(why) => panic!("{place} is broken: {why}"),
            }
            built += 1;
            differences.extend(both.difference().map(|text| format!("{place}: {text}")));
        }
    }
    assert!(built >= 50, "only {built} folders were built");
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn what_is_broken_is_refused_by_both() {
    let mut accepted = Vec::new();
    let cases = cases("refused");
    assert!(!cases.is_empty());
    for case in cases {
        let both = Files::read(&case).build("");
        if both.upstream.is_ok() || both.ours.is_ok() {
            let (upstream, ours) = (both.upstream.err(), both.ours.err());
            accepted.push(format!("{}: upstream {upstream:?}, ours {ours:?}", case.display()));
        }
    }
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
}
