//! How an application stands, as far as a restart must not lose it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use fyr_audit::Actor;
use fyr_model::{Cascade, CommitId, Digest, ObjectKey};
use rusqlite::{Connection, Row, named_params};
use serde::{Deserialize, Serialize};

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
    /// Set while a sync that somebody asked for is not done.
    pub order: Option<Order>,
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

/// A sync that somebody asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// Who asked.
    pub actor: Actor,
    /// Why.
    pub reason: String,
    /// What exactly.
    pub terms: OrderTerms,
    /// When it was taken on.
    pub at: SystemTime,
}

/// What exactly a sync is to do.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct OrderTerms {
    /// Delete what Git no longer has.
    pub prune: bool,
    /// Whoever asked saw what is deleted.
    pub confirmed: bool,
    /// Recreate objects whose fields cannot be changed.
    pub force: bool,
    /// Only these objects; `None` for all.
    pub selected: Option<BTreeSet<ObjectKey>>,
    /// These commits, one a source, instead of what `targetRevision` means.
    pub commits: Option<Vec<CommitId>>,
}

const STORE: &str = "
    INSERT OR REPLACE INTO application (name, applied_revisions, applied_digest, applied_at,
        pause_by, pause_reason, pause_at, pin_revisions, pin_history_id, pin_by, pin_reason,
        pin_at, cascade, order_by, order_reason, order_terms, order_at)
    VALUES (:name, :applied_revisions, :applied_digest, :applied_at, :pause_by, :pause_reason,
        :pause_at, :pin_revisions, :pin_history_id, :pin_by, :pin_reason, :pin_at,
        :cascade, :order_by, :order_reason, :order_terms, :order_at)";

/// Stores the whole state of an application.
pub(crate) fn store(
    connection: &Connection,
    name: &str,
    state: &ApplicationState,
) -> rusqlite::Result<()> {
    let ApplicationState { applied, pause, pin, cascade, order } = state;
    let (applied, pause, pin) = (applied.as_ref(), pause.as_ref(), pin.as_ref());
    let order = order.as_ref();
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
        ":order_by": order.map(|order| Column(&order.actor)),
        ":order_reason": order.map(|order| &order.reason),
        ":order_terms": order.map(|order| Column(&order.terms)),
        ":order_at": order.map(|order| Column(order.at)),
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
        order: part(row, "order_at", |at| {
            Ok(Order {
                actor: set(row, "order_by")?,
                reason: row.get("order_reason")?,
                terms: set(row, "order_terms")?,
                at,
            })
        })?,
    })
}
