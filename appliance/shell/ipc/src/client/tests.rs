//! The client against auditors that misbehave in ways the real one does not.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use fyr_audit::{Actor, StoredRecord};
use fyr_model::Digest;

use super::*;
use crate::audit::{Greeting, Response, Verification};
use crate::{Accepted, Connection, Listener};

const SOON: Duration = Duration::from_secs(30);

/// A socket that a test answers on by hand.
struct Stand {
    folder: tempfile::TempDir,
    listener: Listener,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uids = BTreeSet::from([fs::metadata(folder.path()).unwrap().uid()]);
        let listener = Listener::bind(&folder.path().join("a.sock"), 0o600, uids, 4).unwrap();
        Self { folder, listener }
    }

    fn client(&self) -> AuditClient {
        AuditClient::new(&self.folder.path().join("a.sock"))
    }

    /// The next connection, greeted.
    async fn accept(&self) -> Connection {
        let Accepted::Admitted(mut connection) = self.listener.accept().await.unwrap() else {
            panic!("the test's own user is admitted");
        };
        send(&mut connection, &Greeting::Welcome(state(0))).await;
        connection
    }
}

fn head(sequence: u64) -> Head {
    StoredRecord { sequence, ..Head::start().append(String::new(), 0) }.head()
}

fn state(sequence: u64) -> LogState {
    let verification = Verification::Running { through: 0 };
    LogState { head: head(sequence), verification }
}

async fn send<T: serde::Serialize>(connection: &mut Connection, value: &T) {
    frame::write(&mut connection.stream, &frame::encode(value).unwrap()).await.unwrap();
}

/// The next entry that is to be appended. Answers questions for the state on the way.
async fn next_entry(connection: &mut Connection) -> (u64, Entry) {
    loop {
        let content = frame::read(&mut connection.stream, SOON).await.unwrap().unwrap();
        let Call { id, request } = serde_json::from_slice::<Call<Request>>(&content).unwrap();
        match request {
            Request::Append(entry) => return (id, *entry),
            Request::State => {
                let answer = Answer::State(state(0));
                send(connection, &Response { id, answer }).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn appended(id: u64, sequence: u64, subject: Digest) -> Response {
    Response { id, answer: Answer::Appended(Appended { head: head(sequence), subject }) }
}

fn entry(reason: &str) -> Entry {
    Entry::new(EntryKind::Outcome, Actor::Automation, reason)
}

/// Appends in a task of its own.
fn append(
    client: &AuditClient,
    reason: &str,
) -> tokio::task::JoinHandle<Result<Receipt, AuditError>> {
    let (client, entry) = (client.clone(), entry(reason));
    tokio::spawn(async move { client.append(entry).await })
}

#[derive(Debug)]
struct Cut;

impl Intent for Cut {
    fn digest(&self) -> Digest {
        Digest::of(b"cut")
    }
}

#[tokio::test]
async fn calls_share_a_connection_and_answers_come_in_any_order() {
    let stand = Stand::new();
    let client = stand.client();
    let mut connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let calls: Vec<_> = (0..100).map(|number| append(&client, &number.to_string())).collect();
    // Nothing is answered before everything has arrived.
    let mut arrived = Vec::new();
    while arrived.len() < calls.len() {
        arrived.push(next_entry(&mut connection).await);
    }
    for (id, entry) in arrived.into_iter().rev() {
        let sequence = entry.reason.parse::<u64>().unwrap() + 1;
        send(&mut connection, &appended(id, sequence, entry.subject)).await;
    }
    for (number, call) in (1..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap().sequence, number);
    }
    assert!(matches!(&*client.state().borrow(), AuditState::Up(log) if log.head.sequence == 100));
}

#[tokio::test]
async fn a_lost_connection_fails_what_is_under_way_and_is_made_anew() {
    let stand = Stand::new();
    let client = stand.client();
    let mut connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let call = append(&client, "a");
    next_entry(&mut connection).await;
    drop(connection);
    assert_eq!(call.await.unwrap(), Err(AuditError::Lost));
    assert!(matches!(&*client.state().borrow(), AuditState::Down { .. }));
    let mut connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let call = append(&client, "b");
    let (id, entry) = next_entry(&mut connection).await;
    send(&mut connection, &appended(id, 1, entry.subject)).await;
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_ends_at_its_deadline() {
    let stand = Stand::new();
    let client = stand.client();
    let mut connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let call = append(&client, "a");
    // Goes on to answer for its state, so it is slow and not dead.
    let ended = tokio::select! {
        ended = call => ended.unwrap(),
        () = async { loop { next_entry(&mut connection).await; } } => unreachable!(),
    };
    assert_eq!(ended, Err(AuditError::Late { within: APPEND_WITHIN }));
    assert!(matches!(&*client.state().borrow(), AuditState::Up(_)));
}

#[tokio::test(start_paused = true)]
async fn an_auditor_that_falls_silent_counts_as_gone() {
    let stand = Stand::new();
    let client = stand.client();
    let _connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let mut state = client.state();
    let down = state.wait_for(|state| matches!(state, AuditState::Down { .. })).await.unwrap();
    assert!(format!("{down:?}").contains("silent for more than 12 s"), "{down:?}");
}

#[tokio::test]
async fn a_receipt_of_another_intent_is_no_permission() {
    let stand = Stand::new();
    let client = stand.client();
    let mut connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let asking = client.clone();
    let call = tokio::spawn(async move {
        let subject = Cut.digest();
        let entry = Entry { kind: EntryKind::Intent, subject, ..entry("a") };
        asking.record(Cut, entry).await
    });
    let (id, _) = next_entry(&mut connection).await;
    send(&mut connection, &appended(id, 1, Digest::of(b"another"))).await;
    let (_, error) = call.await.unwrap().unwrap_err();
    assert!(matches!(error, AuditError::WrongReceipt(_)), "{error}");
}

#[tokio::test]
async fn refusals_say_why_and_an_answer_out_of_turn_is_no_receipt() {
    let stand = Stand::new();
    let client = stand.client();
    let mut connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let call = append(&client, "a");
    let (id, _) = next_entry(&mut connection).await;
    send(&mut connection, &Response { id, answer: Answer::Refused(Refusal::NoSpace) }).await;
    assert_eq!(call.await.unwrap(), Err(AuditError::Refused(Refusal::NoSpace)));
    let call = append(&client, "b");
    let (id, _) = next_entry(&mut connection).await;
    send(&mut connection, &Response { id, answer: Answer::State(state(0)) }).await;
    assert!(matches!(call.await.unwrap(), Err(AuditError::Confused { .. })));
}

#[tokio::test]
async fn without_an_auditor_everything_fails_at_once_and_says_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let client = AuditClient::new(&folder.path().join("nobody.sock"));
    let mut state = client.state();
    let tried = state.wait_for(|state| format!("{state:?}").contains("nobody.sock")).await;
    let first = tried.unwrap().clone();
    let error = client.append(entry("a")).await.unwrap_err();
    let AuditState::Down { since, .. } = first else { panic!("{first:?}") };
    assert!(matches!(error, AuditError::Down { since: told, .. } if told == since), "{error}");
    let late = client.connected(Duration::ZERO).await.unwrap_err();
    assert!(matches!(late, AuditError::Down { .. }));
}

#[tokio::test]
async fn an_entry_that_is_too_large_is_not_even_sent() {
    let stand = Stand::new();
    let client = stand.client();
    let _connection = stand.accept().await;
    client.connected(SOON).await.unwrap();
    let error = client.append(entry(&"x".repeat(Entry::BYTES_MAX))).await.unwrap_err();
    assert!(matches!(error, AuditError::Entry(EntryError::TooLarge { .. })), "{error}");
}
