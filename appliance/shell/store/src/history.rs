//! What was deployed.

use std::time::SystemTime;

use fyr_audit::Actor;
use fyr_model::{CommitId, Digest};
use rusqlite::{Connection, Row};

use crate::column::{Column, set};

/// Deployments kept of each application; the oldest go first. A busy one deploys ten times a day,
/// so this is months; the audit log keeps everything.
const DEPLOYMENTS_MAX: u64 = 1000;

/// How a deployment ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// All steps were done.
    Succeeded,
    /// Some steps failed.
    Failed,
}

/// One deployment of an application.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deployment {
    /// The commits, one a source.
    pub revisions: Vec<CommitId>,
    /// The sources as they were, as compact JSON: what a rollback renders again.
    pub source: String,
    /// Digest of everything that was desired.
    pub digest: Digest,
    /// When it ended.
    pub deployed_at: SystemTime,
    /// Who asked for it.
    pub actor: Actor,
    /// How it ended.
    pub phase: Phase,
    /// What people read.
    pub message: String,
}

/// A deployment with its place in the history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deployed {
    /// Number in the application's history, from 1. Never used again.
    pub id: u64,
    /// What was deployed.
    pub deployment: Deployment,
}

const COLUMNS: &str = "id, revisions, source, digest, deployed_at, actor, phase, message";

/// Adds a deployment, drops the oldest ones over the limit, and returns its number.
pub(crate) fn add(
    connection: &Connection,
    application: &str,
    deployment: &Deployment,
) -> rusqlite::Result<u64> {
    let sql = "INSERT INTO history (application, id, revisions, source, digest, deployed_at,
                   actor, phase, message)
               VALUES (?1, (SELECT coalesce(max(id), 0) + 1 FROM history WHERE application = ?1),
                   ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               RETURNING id";
    let Column(id): Column<u64> = connection.prepare_cached(sql)?.query_row(
        (
            application,
            Column(deployment.revisions.as_slice()),
            &deployment.source,
            Column(&deployment.digest),
            Column(deployment.deployed_at),
            Column(&deployment.actor),
            Column(deployment.phase),
            &deployment.message,
        ),
        |row| row.get(0),
    )?;
    if let Some(last) = id.checked_sub(DEPLOYMENTS_MAX) {
        let sql = "DELETE FROM history WHERE application = ?1 AND id <= ?2";
        connection.prepare_cached(sql)?.execute((application, Column(last)))?;
    }
    Ok(id)
}

/// The newest `limit` deployments, newest first.
pub(crate) fn newest(
    connection: &Connection,
    application: &str,
    limit: u32,
) -> rusqlite::Result<Vec<Deployed>> {
    let sql =
        format!("SELECT {COLUMNS} FROM history WHERE application = ?1 ORDER BY id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map((application, limit), read)?.collect()
}

/// One deployment, if it is still kept.
pub(crate) fn one(
    connection: &Connection,
    application: &str,
    id: u64,
) -> rusqlite::Result<Option<Deployed>> {
    let sql = format!("SELECT {COLUMNS} FROM history WHERE application = ?1 AND id = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map((application, Column(id)), read)?.next().transpose()
}

pub(crate) fn forget(connection: &Connection, application: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM history WHERE application = ?1";
    connection.prepare_cached(sql)?.execute([application]).map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Deployed> {
    let deployment = Deployment {
        revisions: set(row, 1)?,
        source: row.get(2)?,
        digest: set(row, 3)?,
        deployed_at: set(row, 4)?,
        actor: set(row, 5)?,
        phase: set(row, 6)?,
        message: row.get(7)?,
    };
    Ok(Deployed { id: set(row, 0)?, deployment })
}
