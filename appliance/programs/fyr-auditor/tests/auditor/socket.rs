//! What comes over the socket from others than our client, and what goes to the service manager.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};

use fyr_ipc::AuditClient;
use fyr_ipc::audit::{Answer, Greeting, Refusal, Response};
use nix::sys::signal::Signal;

use crate::rig::{Auditor, DEADLINE, Folder, entry};

/// A connection that says what it likes.
struct Wire(UnixStream);

impl Wire {
    /// Connects and takes the greeting.
    fn open(folder: &Folder) -> Self {
        let stream = UnixStream::connect(folder.socket()).expect("the auditor listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("the socket takes a time-out");
        let mut wire = Self(stream);
        let greeting = wire.read().expect("the auditor greets");
        assert!(matches!(serde_json::from_slice(&greeting), Ok(Greeting::Welcome(_))));
        wire
    }

    fn write(&mut self, content: &str) {
        let length = u32::try_from(content.len()).expect("it is short");
        let mut frame = vec![1];
        frame.extend(length.to_be_bytes());
        frame.extend(content.as_bytes());
        self.0.write_all(&frame).expect("the auditor reads");
    }

    /// The next message, or `None` once the connection is closed.
    fn read(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 5];
        self.0.read_exact(&mut header).ok()?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let mut content = vec![0; usize::try_from(length).ok()?];
        self.0.read_exact(&mut content).ok()?;
        Some(content)
    }
}

#[tokio::test]
async fn a_user_who_was_not_named_is_refused_and_told_why() {
    let folder = Folder::new();
    let uid = std::fs::metadata(folder.path()).unwrap().uid();
    let _auditor = Auditor::start_with(&folder, |command| {
        command.arg("--allow-uid").arg((uid + 1).to_string());
    });
    let client = AuditClient::new(&folder.socket());
    let mut state = client.state();
    let told = format!("user {uid} may not use the audit log");
    let refused = state.wait_for(|state| format!("{state:?}").contains(&told));
    tokio::time::timeout(DEADLINE, refused).await.unwrap().unwrap();
    assert!(client.append(entry("a")).await.is_err());
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_connection_and_no_other() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let mut wire = Wire::open(&folder);
    wire.0.write_all(&[1, 0xff, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(wire.read(), None);
    client.append(entry("a")).await.unwrap();
}

#[tokio::test]
async fn another_version_and_what_is_no_call_end_the_connection() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    auditor.client().await;
    let mut newer = Wire::open(&folder);
    newer.0.write_all(&[2, 0, 0, 0, 0]).unwrap();
    assert_eq!(newer.read(), None);
    let mut noise = Wire::open(&folder);
    noise.write("[]");
    assert_eq!(noise.read(), None);
}

#[tokio::test]
async fn a_call_of_another_version_is_refused_and_the_next_one_is_answered() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    auditor.client().await;
    let mut wire = Wire::open(&folder);
    let answer = |wire: &mut Wire| {
        serde_json::from_slice::<Response>(&wire.read().expect("it is answered")).unwrap()
    };
    wire.write(r#"{"id":7,"request":{"append":{"kind":"miracle"}}}"#);
    let refused = answer(&mut wire);
    assert_eq!(refused.id, 7);
    assert!(matches!(refused.answer, Answer::Refused(Refusal::Invalid { .. })), "{refused:?}");
    wire.write(r#"{"id":8,"request":"state"}"#);
    let answered = answer(&mut wire);
    assert!(matches!(answered.answer, Answer::State(_)), "{answered:?}");
}

#[tokio::test]
async fn a_log_has_one_auditor() {
    let folder = Folder::new();
    let auditor = Auditor::start(&folder);
    let client = auditor.client().await;
    let (code, log) = folder.refusal();
    assert_eq!(code, Some(2));
    assert!(log.contains("is in use by another process"), "{log}");
    client.append(entry("a")).await.unwrap();
}

#[tokio::test]
async fn the_service_manager_is_told_that_it_is_ready_alive_and_stopping() {
    let folder = Folder::new();
    let path = folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let auditor = Auditor::start_with(&folder, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    let next = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("it tells something");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut told = Vec::new();
    while told.iter().filter(|text| *text == "WATCHDOG=1").count() < 3 {
        told.push(next());
    }
    assert!(told.iter().any(|text| text == "READY=1"), "{told:?}");
    auditor.end(Signal::SIGTERM);
    while next() != "STOPPING=1" {}
}
