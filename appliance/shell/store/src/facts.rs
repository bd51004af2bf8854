//! Facts about mirrors and clusters that outlive a restart.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::Connection;

use crate::column::{Column, maybe, set};

/// How the mirror of a repository does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorFacts {
    /// When it was last asked for news.
    pub tried_at: SystemTime,
    /// When that last succeeded.
    pub fetched_at: Option<SystemTime>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// What tells a cluster from another one behind the same address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterFacts {
    /// Uid of the namespace `kube-system`, which lives as long as the cluster.
    pub system_uid: String,
    /// When the cluster was last seen.
    pub seen_at: SystemTime,
}

pub(crate) fn store_mirror(
    connection: &Connection,
    repository: &str,
    facts: &MirrorFacts,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO mirror (repository, tried_at, fetched_at, failures, error)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET tried_at = excluded.tried_at,
                   fetched_at = excluded.fetched_at, failures = excluded.failures,
                   error = excluded.error";
    let row = (
        repository,
        Column(facts.tried_at),
        facts.fetched_at.map(Column),
        facts.failures,
        &facts.error,
    );
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

pub(crate) fn forget_mirror(connection: &Connection, repository: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM mirror WHERE repository = ?1";
    connection.prepare_cached(sql)?.execute([repository]).map(drop)
}

pub(crate) fn mirrors(connection: &Connection) -> rusqlite::Result<BTreeMap<String, MirrorFacts>> {
    let sql = "SELECT repository, tried_at, fetched_at, failures, error FROM mirror";
    let mut statement = connection.prepare_cached(sql)?;
    let mirrors = statement.query_map([], |row| {
        let facts = MirrorFacts {
            tried_at: set(row, 1)?,
            fetched_at: maybe(row, 2)?,
            failures: row.get(3)?,
            error: row.get(4)?,
        };
        Ok((row.get(0)?, facts))
    })?;
    mirrors.collect()
}

pub(crate) fn store_cluster(
    connection: &Connection,
    name: &str,
    facts: &ClusterFacts,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO cluster (name, system_uid, seen_at) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET system_uid = excluded.system_uid,
                   seen_at = excluded.seen_at";
    let row = (name, &facts.system_uid, Column(facts.seen_at));
    connection.prepare_cached(sql)?.execute(row).map(drop)
}

pub(crate) fn clusters(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<String, ClusterFacts>> {
    let mut statement =
        connection.prepare_cached("SELECT name, system_uid, seen_at FROM cluster")?;
    let clusters = statement.query_map([], |row| {
        let facts = ClusterFacts { system_uid: row.get(1)?, seen_at: set(row, 2)? };
        Ok((row.get(0)?, facts))
    })?;
    clusters.collect()
}
