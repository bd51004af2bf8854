//! How an application stands, as far as a restart must not lose it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fyr_audit::Actor;
use fyr_model::{Cascade, CommitId, Digest};
use rusqlite::{Connection, Row, named_params};

use crate::column::{Column, maybe, set};

/// How an application stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ApplicationState {
    /// What was last applied completely.
    pub applied: Option<Applied>,
    /// Set while it is left alone.
    pub pause: Option<Pause>,
    /// Set while it stays at a commit.
    pub pin: Option<Pin>,
    /// How its objects go when it leaves the fleet, whose manifest is gone by then; `None` if they
    /// stay.
    pub cascade: Option<Cascade>,
    /// What is being done, or was done last.
    pub operation: Option<Operation>,
    /// Set after a heal.
    pub heal: Option<Heal>,
}

/// What was last applied completely.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Applied {
    /// The commits, one a source.
    pub revisions: Vec<CommitId>,
    /// Digest of everything that was desired.
    pub digest: Digest,
    /// When.
    pub at: SystemTime,
}

/// It is left alone: shown, neither synced nor healed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause {
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: SystemTime,
}

/// It stays at a commit, whatever its `targetRevision` means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pin {
    /// The commits, one a source.
    pub revisions: Vec<CommitId>,
    /// The deployment it was rolled back to.
    pub history_id: Option<u64>,
    /// Who pinned it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: SystemTime,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Steps are being carried out, or were when the daemon ended.
    Running,
    /// All steps were done.
    Succeeded,
    /// Some steps failed.
    Failed,
    /// Somebody ended it.
    Terminated,
}

/// What is being done, or was done last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// How far it is.
    pub phase: Phase,
    /// What people read.
    pub message: String,
    /// Who asked for it.
    pub actor: Actor,
    /// The commits it leads to, one a source.
    pub revisions: Vec<CommitId>,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub finished_at: Option<SystemTime>,
    /// Failed tries before this one, in a row.
    pub retries: u32,
}

/// The last heal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heal {
    /// Heals that failed in a row, including this one.
    pub failures: u32,
    /// When it ended.
    pub ended_at: SystemTime,
}

const STORE: &str = "
    INSERT OR REPLACE INTO application (name, applied_revisions, applied_digest, applied_at,
        pause_by, pause_reason, pause_at, pin_revisions, pin_history_id, pin_by, pin_reason,
        pin_at, cascade, operation_phase, operation_message, operation_actor, operation_revisions,
        operation_started_at, operation_finished_at, operation_retries, heal_failures,
        heal_ended_at)
    VALUES (:name, :applied_revisions, :applied_digest, :applied_at, :pause_by, :pause_reason,
        :pause_at, :pin_revisions, :pin_history_id, :pin_by, :pin_reason, :pin_at,
        :cascade, :operation_phase, :operation_message, :operation_actor, :operation_revisions,
        :operation_started_at, :operation_finished_at, :operation_retries, :heal_failures,
        :heal_ended_at)";

/// Stores the whole state of an application.
pub(crate) fn store(
    connection: &Connection,
    name: &str,
    state: &ApplicationState,
) -> rusqlite::Result<()> {
    let ApplicationState { applied, pause, pin, cascade, operation, heal } = state;
    let (applied, pause, pin) = (applied.as_ref(), pause.as_ref(), pin.as_ref());
    let operation = operation.as_ref();
    let stored = connection.prepare_cached(STORE)?.execute(named_params! {
        ":name": name,
        ":applied_revisions": applied.map(|applied| Column(applied.revisions.as_slice())),
        ":applied_digest": applied.map(|applied| Column(&applied.digest)),
        ":applied_at": applied.map(|applied| Column(applied.at)),
        ":pause_by": pause.map(|pause| &pause.by),
        ":pause_reason": pause.map(|pause| &pause.reason),
        ":pause_at": pause.map(|pause| Column(pause.at)),
        ":pin_revisions": pin.map(|pin| Column(pin.revisions.as_slice())),
        ":pin_history_id": pin.and_then(|pin| pin.history_id).map(Column),
        ":pin_by": pin.map(|pin| &pin.by),
        ":pin_reason": pin.map(|pin| &pin.reason),
        ":pin_at": pin.map(|pin| Column(pin.at)),
        ":cascade": cascade.map(Column),
        ":operation_phase": operation.map(|operation| Column(operation.phase)),
        ":operation_message": operation.map(|operation| &operation.message),
        ":operation_actor": operation.map(|operation| Column(&operation.actor)),
        ":operation_revisions": operation.map(|operation| Column(operation.revisions.as_slice())),
        ":operation_started_at": operation.map(|operation| Column(operation.started_at)),
        ":operation_finished_at": operation.and_then(|operation| operation.finished_at).map(Column),
        ":operation_retries": operation.map(|operation| operation.retries),
        ":heal_failures": heal.map(|heal| heal.failures),
        ":heal_ended_at": heal.map(|heal| Column(heal.ended_at)),
    });
    stored.map(drop)
}

/// The states of all applications.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<BTreeMap<String, ApplicationState>> {
    let mut statement = connection.prepare_cached("SELECT * FROM application")?;
    let states = statement.query_map([], |row| Ok((row.get("name")?, read(row)?)))?;
    states.collect()
}

pub(crate) fn forget(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM application WHERE name = ?1";
    connection.prepare_cached(sql)?.execute([name]).map(drop)
}

/// The time in `column` says whether a part is there; `read` then gets it and the row.
fn part<T>(
    row: &Row<'_>,
    column: &str,
    read: impl FnOnce(SystemTime) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    maybe(row, column)?.map(read).transpose()
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApplicationState> {
    Ok(ApplicationState {
        applied: part(row, "applied_at", |at| {
            let revisions = set(row, "applied_revisions")?;
            Ok(Applied { revisions, digest: set(row, "applied_digest")?, at })
        })?,
        pause: part(row, "pause_at", |at| {
            Ok(Pause { by: row.get("pause_by")?, reason: row.get("pause_reason")?, at })
        })?,
        pin: part(row, "pin_at", |at| {
            Ok(Pin {
                revisions: set(row, "pin_revisions")?,
                history_id: maybe(row, "pin_history_id")?,
                by: row.get("pin_by")?,
                reason: row.get("pin_reason")?,
                at,
            })
        })?,
        cascade: maybe(row, "cascade")?,
        operation: part(row, "operation_started_at", |started_at| {
            Ok(Operation {
                phase: set(row, "operation_phase")?,
                message: row.get("operation_message")?,
                actor: set(row, "operation_actor")?,
                revisions: set(row, "operation_revisions")?,
                started_at,
                finished_at: maybe(row, "operation_finished_at")?,
                retries: row.get("operation_retries")?,
            })
        })?,
        heal: part(row, "heal_ended_at", |ended_at| {
            Ok(Heal { failures: row.get("heal_failures")?, ended_at })
        })?,
    })
}
