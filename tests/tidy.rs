//! Rules of the tree that no compiler checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file: what a reader can hold.
const FILE_LINES_MAX: usize = 600;

/// Folders whose crates may be named by the crates of a folder: the arrows of
/// `appliance/ARCHITECTURE.md`. `model` may be used by everything.
const ARROWS: [(&str, &[&str]); 3] = [
    ("appliance/core", &["appliance/core"]),
    ("appliance/shell", &["appliance/core"]),
    ("appliance/programs", &["appliance/core", "appliance/shell"]),
];

/// Files that may read the plaintext of a secret, each reviewed: they hand it to the outside
/// thing it is for, and to nothing else.
const EXPOSERS: [&str; 11] = [
    "appliance/core/model/src/appliance.rs",
    "appliance/core/model/src/cluster.rs",
    "appliance/core/model/src/cluster/tests.rs",
    "appliance/core/model/src/repository.rs",
    "appliance/core/model/src/secret_manifest.rs",
    "appliance/programs/fyrd/src/remote.rs",
    "appliance/programs/fyrd/src/settings.rs",
    "appliance/shell/cluster/src/connection.rs",
    "appliance/shell/git/src/mirror.rs",
    "appliance/shell/git/src/process.rs",
    "appliance/shell/git/src/remote.rs",
];

/// Files that may make a `Recorded` value: the client of the auditor's socket.
const RECORDERS: [&str; 2] = ["appliance/core/audit/src/recorded.rs", "appliance/shell/ipc/src/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the tree").to_owned()
}

/// Every file that Git knows or would add, with its content where that is text.
fn files() -> Vec<(String, String)> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(listing.status.success(), "git ls-files failed");
    String::from_utf8(listing.stdout)
        .expect("paths are UTF-8")
        .lines()
        .filter_map(|path| {
            Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?))
        })
        .collect()
}

fn sources() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|(path, _)| {
        let path = Path::new(path);
        path.extension().is_some_and(|e| ["rs", "go", "py", "sh"].iter().any(|known| e == *known))
            || path.file_name().is_some_and(|name| name == "run" || name == "quickstart")
    })
}

/// The Rust sources of the appliance.
fn appliance_sources() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|(path, _)| {
        path.starts_with("appliance/") && Path::new(path).extension().is_some_and(|end| end == "rs")
    })
}

fn report(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<_> = sources()
        .filter(|(_, text)| text.lines().count() > FILE_LINES_MAX)
        .map(|(path, text)| format!("{path}: {} lines", text.lines().count()))
        .collect();
    report("files over 600 lines: split them by what they are about", &long);
}

#[test]
fn nothing_is_left_open_in_the_code() {
    // Put together here so that this file does not find itself.
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "unimple".to_owned() + "mented!"];
    let open: Vec<_> = sources()
        .flat_map(|(path, text)| {
            let lines = text.lines().enumerate();
            let hits = lines.filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
            hits.map(|(index, _)| format!("{path}:{}", index + 1)).collect::<Vec<_>>()
        })
        .collect();
    report("marks of unfinished work", &open);
}

#[test]
fn only_the_two_lint_configurations_exist() {
    let found: Vec<_> = files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.ends_with("clippy.toml"))
        .filter(|path| path != ".clippy.toml" && path != "appliance/core/.clippy.toml")
        .collect();
    report("clippy reads only the nearest file, so another one switches bans off", &found);
}

/// The crates of the workspace: folder by package name.
fn crates() -> BTreeMap<String, String> {
    files()
        .into_iter()
        .filter_map(|(path, text)| {
            let folder = path.strip_suffix("/Cargo.toml")?.to_owned();
            let name = text.lines().find_map(|line| line.strip_prefix("name = \""))?;
            Some((name.trim_end_matches('"').to_owned(), folder))
        })
        .collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let crates = crates();
    let mut against = Vec::new();
    for (name, folder) in &crates {
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| folder.starts_with(from)) else {
            continue;
        };
        let manifest =
            std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("it was listed");
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for (other, other_folder) in &crates {
            let named = dependencies
                .lines()
                .any(|line| line.split(['.', ' ', '=']).next() == Some(other.as_str()));
            let permitted = allowed.iter().any(|to| other_folder.starts_with(to));
            if named && !permitted {
                against.push(format!("{name} -> {other}"));
            }
        }
    }
    report("dependencies against the arrows of appliance/ARCHITECTURE.md", &against);
}

#[test]
fn secrets_are_read_only_where_it_was_reviewed() {
    let exposing: Vec<_> = appliance_sources()
        .filter(|(path, _)| path != "appliance/core/model/src/secret.rs")
        .filter(|(path, _)| !EXPOSERS.iter().any(|known| path == known))
        .filter(|(_, text)| text.contains(".expose()") || text.contains(".expose_text()"))
        .map(|(path, _)| path)
        .collect();
    report("files that read a secret's plaintext without being listed in EXPOSERS", &exposing);
}

#[test]
fn only_the_audit_client_makes_recorded_values() {
    let making: Vec<_> = appliance_sources()
        // Tests stand in for the auditor; they are not part of any program.
        .filter(|(path, _)| !path.contains("/tests/"))
        .filter(|(path, _)| !RECORDERS.iter().any(|known| path.starts_with(known)))
        .filter(|(_, text)| text.contains("Recorded::new(") || text.contains("Receipt {"))
        .map(|(path, _)| path)
        .collect();
    report("acting needs a receipt of the audit log; these files make one themselves", &making);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("it exists");
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("the workspace lists its dependencies");
    let mut explained = false;
    let mut silent = Vec::new();
    for line in section.lines() {
        match line.trim() {
            "" => explained = false,
            line if line.starts_with('#') => explained = true,
            line if !explained => silent.push(line.to_owned()),
            _ => {}
        }
    }
    report("dependencies without a comment above their group", &silent);
}
