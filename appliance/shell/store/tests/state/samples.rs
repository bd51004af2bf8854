//! Values with every field set.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use fyr_audit::Actor;
use fyr_model::{CommitId, Digest, ObjectKey};
use fyr_plan::{EntryState, InventoryEntry, Permission, Retention};
use fyr_store::{
    ApplicationState, Applied, Deployment, Order, OrderTerms, Pause, Phase, Pin, Store, StoreError,
};

/// A folder with a database in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a folder for temporary files"))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.path().join("state.db")
    }

    /// Opens the database. A process that another test starts holds the lock as well, from its
    /// fork until it becomes another program.
    pub(crate) fn open(&self) -> Store {
        let patience = Instant::now() + Duration::from_secs(5);
        loop {
            match Store::open(&self.database()) {
                Err(StoreError::Open(_)) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened.expect("nobody else has it open"),
            }
        }
    }
}

pub(crate) fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

pub(crate) fn entry(state: EntryState) -> InventoryEntry {
    InventoryEntry {
        version: "v1".to_owned(),
        uid: Some("0-1-2".to_owned()),
        rendered: Some(Digest::of(b"rendered")),
        own_fields: Some(Digest::of(b"fields")),
        state,
        wave: -3,
        retention: Retention {
            prune: Some(Permission::Confirm),
            delete: Some(Permission::Never),
            prune_last: true,
            ignore_extraneous: false,
        },
    }
}

fn revisions() -> Vec<CommitId> {
    ["a", "b"].map(|digit| digit.repeat(40).parse().expect("it is a full id")).to_vec()
}

fn person() -> Actor {
    Actor::Person { uid: 1000, name: "kari".to_owned() }
}

pub(crate) fn state() -> ApplicationState {
    ApplicationState {
        cascade: Some(fyr_model::Cascade::Background),
        applied: Some(Applied {
            revisions: revisions(),
            digest: Digest::of(b"desired"),
            at: time(1),
        }),
        pause: Some(Pause { by: "kari".to_owned(), reason: "incident 7".to_owned(), at: time(2) }),
        pin: Some(Pin {
            revisions: revisions(),
            history_id: Some(12),
            by: "ola".to_owned(),
            reason: "bad release".to_owned(),
            at: time(3),
        }),
        order: Some(Order {
            actor: person(),
            reason: "release 7".to_owned(),
            terms: OrderTerms {
                prune: true,
                confirmed: false,
                force: true,
                selected: Some(BTreeSet::from([key("web")])),
                commits: Some(revisions()),
            },
            at: time(4),
        }),
    }
}

pub(crate) fn deployment(phase: Phase) -> Deployment {
    Deployment {
        revisions: revisions(),
        source: "{\"path\":\"overlays/production\"}".to_owned(),
        digest: Digest::of(b"desired"),
        deployed_at: time(5),
        actor: person(),
        phase,
        message: String::new(),
    }
}
