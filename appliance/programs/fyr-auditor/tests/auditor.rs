//! The auditor as a process, and its client.

#[path = "auditor/rig.rs"]
mod rig;
#[path = "auditor/socket.rs"]
mod socket;
#[path = "auditor/tampering.rs"]
mod tampering;

use std::time::{Duration, Instant};

use fyr_audit::{Actor, DaemonEvent, Entry, EntryKind, Intent, Operation};
use fyr_ipc::{AuditError, AuditState, Query, Verification};
use fyr_model::Digest;
use nix::sys::signal::Signal;
use rig::{Auditor, DEADLINE, Folder, entry, everything};

#[derive(Debug)]
struct Cut(&'static str);

impl Intent for Cut {
    fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

fn intent(subject: Digest) -> Entry {
    Entry { subject, ..Entry::new(EntryKind::Intent, Actor::Automation, "commit") }
}

#[tokio::test]
async fn an_entry_is_in_the_log_where_its_receipt_says() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let written = Entry {
        application: Some("shop".to_owned()),
        details: serde_json::json!({"b": 1, "a": ["x"]}),
        ..entry("by hand")
    };
    let receipt = client.append(written.clone()).await.unwrap();
    let record = client.list(everything()).await.unwrap().pop().unwrap();
    assert_eq!((record.sequence, record.hash), (receipt.sequence, receipt.hash));
    assert_eq!((record.entry, receipt.subject), (written.clone(), written.subject));
    assert_eq!(client.head().await.unwrap().sequence, receipt.sequence);
}

#[tokio::test]
async fn only_the_entry_of_an_intent_records_it() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let cut = Cut("a");
    let recorded = client.record(cut, intent(Cut("a").digest())).await;
    let recorded = recorded.map_err(|(_, error)| error).unwrap();
    assert_eq!(recorded.receipt().subject, Cut("a").digest());

    let before = client.head().await.unwrap();
    let other = Entry { kind: EntryKind::Outcome, ..intent(Cut("a").digest()) };
    for wrong in [intent(Cut("b").digest()), other] {
        let (value, error) = client.record(Cut("a"), wrong).await.unwrap_err();
        assert_eq!((value.0, error), ("a", AuditError::OtherIntent));
    }
    assert_eq!(client.head().await.unwrap(), before, "nothing was written");
}

#[tokio::test]
async fn a_client_holds_on_while_the_auditor_is_killed_and_started_again() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let mut receipts = Vec::new();
    for round in 0..3 {
        receipts.push(client.append(entry(&format!("round {round}"))).await.unwrap());
        auditor.end(Signal::SIGKILL);
        let mut state = client.state();
        state.wait_for(|state| matches!(state, AuditState::Down { .. })).await.unwrap();
        let begin = Instant::now();
        let error = client.append(entry("while it is gone")).await.unwrap_err();
        assert!(matches!(error, AuditError::Down { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(1), "it fails at once");
        auditor.start_again();
        client.connected(DEADLINE).await.unwrap();
    }
    let records = client.list(everything()).await.unwrap();
    for receipt in receipts {
        assert!(records.iter().any(|record| record.hash == receipt.hash), "{receipt:?}");
    }
    assert!(!records.iter().any(|record| record.entry.reason == "while it is gone"));
}

#[tokio::test]
async fn entries_under_way_when_it_is_killed_are_recorded_once_or_not_at_all() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    for round in 0..5 {
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let (client, reason) = (client.clone(), format!("{round}/{number}"));
                tokio::spawn(async move { (client.append(entry(&reason)).await, reason) })
            })
            .collect();
        let mut state = client.state();
        auditor.end(Signal::SIGKILL);
        state.wait_for(|state| matches!(state, AuditState::Down { .. })).await.unwrap();
        auditor.start_again();
        client.connected(DEADLINE).await.unwrap();
        let records = client.list(everything()).await.unwrap();
        for task in tasks {
            let (result, reason) = task.await.unwrap();
            let found: Vec<_> =
                records.iter().filter(|record| record.entry.reason == reason).collect();
            match result {
                Ok(receipt) => assert_eq!(found[0].hash, receipt.hash),
                Err(AuditError::Lost) => assert!(found.len() <= 1, "{reason}"),
                Err(AuditError::Down { .. }) => assert!(found.is_empty(), "{reason}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
    auditor.end(Signal::SIGTERM);
    assert_eq!(folder.verify().0, Some(0));
}

#[tokio::test]
async fn a_stop_is_recorded_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    client.append(entry("last words")).await.unwrap();
    assert_eq!(auditor.end(Signal::SIGTERM), Some(0));
    assert!(!folder.socket().exists());
    assert_eq!(folder.verify().1, "intact: 3 records");
    auditor.start_again();
    let client = auditor.client().await;
    let kinds: Vec<_> =
        client.list(everything()).await.unwrap().iter().map(|record| record.entry.kind).collect();
    let daemon = EntryKind::Daemon;
    let (started, stopped) = (daemon(DaemonEvent::Started), daemon(DaemonEvent::Stopped));
    assert_eq!(kinds, [started, EntryKind::Outcome, stopped, started]);
}

#[tokio::test]
async fn records_are_found_by_what_they_are_about() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let kari = Actor::Person { uid: 1000, name: "kari".to_owned() };
    for (application, cluster, actor) in [
        ("shop", "prod", Actor::Automation),
        ("shop", "staging", kari.clone()),
        ("blog", "prod", kari),
    ] {
        let entry = Entry {
            kind: EntryKind::Operation(Operation::Sync),
            actor,
            application: Some(application.to_owned()),
            cluster: Some(cluster.to_owned()),
            ..entry("why not")
        };
        client.append(entry).await.unwrap();
    }
    let found = async |query: Query| {
        let records = client.list(Query { limit: 10, ..query }).await.unwrap();
        records.iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    // Number 1 is the auditor's own start.
    let none = Query::default();
    assert_eq!(found(none.clone()).await, [1, 2, 3, 4]);
    assert_eq!(found(Query { application: some("shop"), ..none.clone() }).await, [2, 3]);
    assert_eq!(found(Query { cluster: some("prod"), ..none.clone() }).await, [2, 4]);
    assert_eq!(found(Query { actor: some("kari"), ..none.clone() }).await, [3, 4]);
    assert_eq!(found(Query { actor: some("automation"), ..none.clone() }).await, [1, 2]);
    let both = Query { application: some("shop"), actor: some("kari"), ..none.clone() };
    assert_eq!(found(both).await, [3]);
    assert_eq!(found(Query { after: 2, before: Some(4), ..none.clone() }).await, [3]);
    assert_eq!(found(Query { since: Some(u64::MAX), ..none.clone() }).await, [0_u64; 0]);
    assert_eq!(found(Query { until: Some(1), ..none.clone() }).await, [0_u64; 0]);

    let two = |newest| Query { limit: 2, newest, ..none.clone() };
    for (newest, expected) in [(false, [1, 2]), (true, [3, 4])] {
        let records = client.list(two(newest)).await.unwrap();
        let numbers: Vec<_> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, expected);
    }
}

#[tokio::test]
async fn a_listing_larger_than_a_message_comes_whole_and_in_order() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    for number in 0..7 {
        client.append(entry(&format!("{number}{}", "x".repeat(900_000)))).await.unwrap();
    }
    for newest in [false, true] {
        let records = client.list(Query { newest, ..everything() }).await.unwrap();
        let numbers: Vec<_> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>(), "newest: {newest}");
    }
}

#[tokio::test]
async fn followers_get_what_matches_as_it_comes_and_go_on_after_a_restart() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let shop = |reason| Entry { application: Some("shop".to_owned()), ..entry(reason) };
    let query = Query { application: Some("shop".to_owned()), ..Query::default() };
    let mut follower = client.follow(0, query);
    let following = tokio::spawn(async move {
        let records = follower.next().await.unwrap();
        (follower, records)
    });
    client.append(entry("about nothing")).await.unwrap();
    client.append(shop("first")).await.unwrap();
    let (mut follower, records) = following.await.unwrap();
    assert_eq!(records[0].entry.reason, "first");

    auditor.end(Signal::SIGTERM);
    assert!(follower.next().await.is_err());
    auditor.start_again();
    client.connected(DEADLINE).await.unwrap();
    client.append(shop("second")).await.unwrap();
    let records = follower.next().await.unwrap();
    let reasons: Vec<_> = records.iter().map(|record| &*record.entry.reason).collect();
    assert_eq!(reasons, ["second"]);
}

#[tokio::test]
async fn many_entries_at_once_are_all_recorded_and_the_log_is_checked_while_it_serves() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let tasks: Vec<_> = (0..2000)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.append(entry(&number.to_string())).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(client.head().await.unwrap().sequence, 2001);
    auditor.end(Signal::SIGKILL);
    auditor.start_again();
    let client = auditor.client().await;
    let intact = |verification: &Verification| {
        matches!(verification, Verification::Intact { through: 2001.. })
    };
    auditor.wait_for_verification(&client, intact).await;
}
