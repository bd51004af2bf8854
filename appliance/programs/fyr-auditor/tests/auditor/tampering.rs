//! Logs that somebody else changed.

use fyr_audit::{Broken, Fault};
use fyr_ipc::Verification;
use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::rig::{Auditor, Folder, entry};

/// A log with this many records, at rest.
async fn log_of(folder: &Folder, records: u64) {
    let auditor = Auditor::start(folder);
    let client = auditor.client().await;
    // The start and the stop are records as well.
    let tasks: Vec<_> = (0..records - 2)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.append(entry(&format!("entry {number}"))).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic").expect("the auditor runs");
    }
    assert_eq!(auditor.end(Signal::SIGTERM), Some(0));
}

/// Changes a log the way somebody would who owns the file and knows what is in it.
fn tamper(folder: &Folder, sql: &str) {
    let connection = Connection::open(folder.database()).expect("nobody has it open");
    let triggers = "DROP TRIGGER record_not_updated; DROP TRIGGER record_not_deleted;
                    DROP TRIGGER record_without_gap; PRAGMA ignore_check_constraints = on;";
    connection.execute_batch(triggers).expect("they are there");
    connection.execute_batch(sql).expect("the statement is right");
}

async fn verdict_after(sql: &str) -> (Option<i32>, String) {
    let folder = Folder::new();
    log_of(&folder, 6).await;
    assert_eq!(folder.verify(), (Some(0), "intact: 6 records".to_owned()));
    tamper(&folder, sql);
    let verdict = folder.verify();
    if verdict.0 != Some(0) {
        let (code, log) = folder.refusal();
        assert_eq!(code, Some(2), "a daemon goes on writing it: {log}");
        assert!(log.contains("was changed by something else than fyr-auditor"), "{log}");
    }
    verdict
}

async fn broken_after(sql: &str) -> String {
    let (code, line) = verdict_after(sql).await;
    assert_eq!(code, Some(1), "{line}");
    line
}

#[tokio::test]
async fn a_changed_entry_is_found_at_its_record() {
    let line = broken_after(
        "UPDATE record SET entry = replace(entry, 'entry ', 'Entry ') WHERE sequence = 3",
    )
    .await;
    assert_eq!(line, "broken: audit record 3 does not have the hash of its content");
}

#[tokio::test]
async fn a_changed_time_hash_or_predecessor_is_found_at_its_record() {
    for (sql, expected) in [
        ("SET at = at + 1", "4 does not have the hash of its content"),
        ("SET hash = zeroblob(32)", "4 does not have the hash of its content"),
        ("SET previous = zeroblob(32)", "4 does not continue the record before it"),
        ("SET hash = x'00'", "4 is not stored as a record"),
        ("SET at = -1", "4 is not stored as a record"),
    ] {
        let line = broken_after(&format!("UPDATE record {sql} WHERE sequence = 4")).await;
        assert_eq!(line, format!("broken: audit record {expected}"), "{sql}");
    }
}

#[tokio::test]
async fn a_removed_record_is_found_wherever_it_was_but_at_the_end() {
    for sequence in [1, 3] {
        let line = broken_after(&format!("DELETE FROM record WHERE sequence = {sequence}")).await;
        assert_eq!(line, format!("broken: audit record {sequence} is missing"));
    }
    // What only a kept head shows, as the documentation says.
    let cut = verdict_after("DELETE FROM record WHERE sequence > 4").await;
    assert_eq!(cut, (Some(0), "intact: 4 records".to_owned()));
}

#[tokio::test]
async fn records_that_changed_places_are_found_at_the_first() {
    let line = broken_after(
        "UPDATE record SET sequence = 100 WHERE sequence = 3;
         UPDATE record SET sequence = 3 WHERE sequence = 4;
         UPDATE record SET sequence = 4 WHERE sequence = 100",
    )
    .await;
    assert_eq!(line, "broken: audit record 3 does not continue the record before it");
}

#[tokio::test]
async fn a_byte_that_changed_in_the_file_is_found() {
    let folder = Folder::new();
    log_of(&folder, 6).await;
    let mut bytes = std::fs::read(folder.database()).unwrap();
    let place = bytes.windows(7).position(|window| window == b"entry 2").unwrap();
    bytes[place] ^= 1;
    std::fs::write(folder.database(), bytes).unwrap();
    let (code, line) = folder.verify();
    assert_eq!(code, Some(1));
    assert!(line.ends_with("does not have the hash of its content"), "{line}");
    assert_eq!(folder.refusal().0, Some(2));
}

#[tokio::test]
async fn an_old_record_that_changed_is_reported_while_the_log_goes_on() {
    let folder = Folder::new();
    log_of(&folder, 1500).await;
    tamper(&folder, "UPDATE record SET at = at + 1 WHERE sequence = 100");
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let changed = Broken { sequence: 100, why: Fault::WrongHash };
    let found =
        |verification: &Verification| *verification == Verification::Broken(changed.clone());
    auditor.wait_for_verification(&client, found).await;
    client.append(entry("the show goes on")).await.unwrap();
}

#[tokio::test]
async fn a_log_of_a_newer_version_is_refused_by_daemon_and_verifier() {
    let folder = Folder::new();
    log_of(&folder, 3).await;
    let connection = Connection::open(folder.database()).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    drop(connection);
    let (code, log) = folder.refusal();
    assert_eq!(code, Some(2));
    assert!(log.contains("schema version 9"), "{log}");
    assert_eq!(folder.verify().0, Some(2));
}

#[tokio::test]
async fn a_file_that_is_no_log_cannot_be_verified() {
    let folder = Folder::new();
    assert_eq!(folder.verify().0, Some(2));
    std::fs::write(folder.database(), "not a database at all, but long enough to be one").unwrap();
    assert_eq!(folder.verify().0, Some(2));
    assert_eq!(folder.refusal().0, Some(2));
}
