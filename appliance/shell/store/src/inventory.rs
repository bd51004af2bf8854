//! The inventory's rows.

use std::collections::BTreeMap;

use fyr_model::ObjectKey;
use fyr_plan::{Inventory, InventoryEntry, Retention};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::column::{Column, maybe, set};

/// One entry to store, or `None` to remove it.
pub type Change = (ObjectKey, Option<InventoryEntry>);

/// An object is in the inventory of another application; nothing was stored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key} on cluster {cluster} belongs to application {owner}")]
pub struct Claimed {
    /// The object.
    pub key: ObjectKey,
    /// The cluster.
    pub cluster: String,
    /// The application it belongs to.
    pub owner: String,
}

const COLUMNS: &str = "api_group, kind, namespace, name, version, uid, rendered, own_fields, \
                       state, wave, prune, deletion, prune_last, ignore_extraneous";

const OWNER: &str = "SELECT application FROM inventory WHERE cluster = ?1 AND api_group = ?2 AND \
                     kind = ?3 AND namespace = ?4 AND name = ?5";

const REMOVE: &str = "DELETE FROM inventory WHERE cluster = ?1 AND api_group = ?2 AND kind = ?3 \
                      AND namespace = ?4 AND name = ?5 AND application = ?6";

const STORE: &str = "
    INSERT INTO inventory (cluster, api_group, kind, namespace, name, application, version, uid,
        rendered, own_fields, state, wave, prune, deletion, prune_last, ignore_extraneous)
    VALUES (:cluster, :group, :kind, :namespace, :name, :application, :version, :uid,
        :rendered, :own_fields, :state, :wave, :prune, :deletion, :prune_last, :ignore_extraneous)
    ON CONFLICT DO UPDATE SET version = excluded.version, uid = excluded.uid,
        rendered = excluded.rendered, own_fields = excluded.own_fields, state = excluded.state,
        wave = excluded.wave, prune = excluded.prune, deletion = excluded.deletion,
        prune_last = excluded.prune_last, ignore_extraneous = excluded.ignore_extraneous";

/// Stores all changes, or none if one is to an object of another application.
pub(crate) fn apply(
    connection: &Connection,
    application: &str,
    cluster: &str,
    changes: &[Change],
) -> rusqlite::Result<Result<(), Claimed>> {
    let mut owner = connection.prepare_cached(OWNER)?;
    for (key, _) in changes.iter().filter(|(_, entry)| entry.is_some()) {
        let place = (cluster, &key.group, &key.kind, &key.namespace, &key.name);
        let found: Option<String> = owner.query_row(place, |row| row.get(0)).optional()?;
        if let Some(owner) = found.filter(|owner| owner != application) {
            return Ok(Err(Claimed { key: key.clone(), cluster: cluster.to_owned(), owner }));
        }
    }
    for (key, entry) in changes {
        if let Some(entry) = entry {
            store(connection, application, cluster, key, entry)?;
        } else {
            let mut remove = connection.prepare_cached(REMOVE)?;
            let ObjectKey { group, kind, namespace, name } = key;
            remove.execute((cluster, group, kind, namespace, name, application))?;
        }
    }
    Ok(Ok(()))
}

fn store(
    connection: &Connection,
    application: &str,
    cluster: &str,
    key: &ObjectKey,
    entry: &InventoryEntry,
) -> rusqlite::Result<()> {
    let Retention { prune, delete, prune_last, ignore_extraneous } = entry.retention;
    let mut statement = connection.prepare_cached(STORE)?;
    let stored = statement.execute(named_params! {
        ":cluster": cluster,
        ":group": key.group,
        ":kind": key.kind,
        ":namespace": key.namespace,
        ":name": key.name,
        ":application": application,
        ":version": entry.version,
        ":uid": entry.uid,
        ":rendered": entry.rendered.as_ref().map(Column),
        ":own_fields": entry.own_fields.as_ref().map(Column),
        ":state": Column(entry.state),
        ":wave": entry.wave,
        ":prune": prune.map(Column),
        ":deletion": delete.map(Column),
        ":prune_last": prune_last,
        ":ignore_extraneous": ignore_extraneous,
    });
    stored.map(drop)
}

/// The objects of one application on one cluster.
pub(crate) fn of(
    connection: &Connection,
    application: &str,
    cluster: &str,
) -> rusqlite::Result<Inventory> {
    let sql = format!("SELECT {COLUMNS} FROM inventory WHERE application = ?1 AND cluster = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map((application, cluster), read)?.collect()
}

/// All inventories: by application, then by cluster.
pub(crate) fn all(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<String, BTreeMap<String, Inventory>>> {
    let sql = format!("SELECT {COLUMNS}, application, cluster FROM inventory");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut all: BTreeMap<String, BTreeMap<String, Inventory>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (key, entry) = read(row)?;
        let clusters = all.entry(row.get("application")?).or_default();
        clusters.entry(row.get("cluster")?).or_default().insert(key, entry);
    }
    Ok(all)
}

/// Which application each object of a cluster belongs to.
pub(crate) fn claims(
    connection: &Connection,
    cluster: &str,
) -> rusqlite::Result<BTreeMap<ObjectKey, String>> {
    let sql = "SELECT api_group, kind, namespace, name, application FROM inventory \
               WHERE cluster = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let claims = statement.query_map([cluster], |row| Ok((key(row)?, row.get(4)?)))?;
    claims.collect()
}

pub(crate) fn forget(connection: &Connection, application: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM inventory WHERE application = ?1";
    connection.prepare_cached(sql)?.execute([application]).map(drop)
}

fn key(row: &Row<'_>) -> rusqlite::Result<ObjectKey> {
    Ok(ObjectKey {
        group: row.get(0)?,
        kind: row.get(1)?,
        namespace: row.get(2)?,
        name: row.get(3)?,
    })
}

/// A row that begins with [`COLUMNS`].
fn read(row: &Row<'_>) -> rusqlite::Result<(ObjectKey, InventoryEntry)> {
    let entry = InventoryEntry {
        version: row.get(4)?,
        uid: row.get(5)?,
        rendered: maybe(row, 6)?,
        own_fields: maybe(row, 7)?,
        state: set(row, 8)?,
        wave: row.get(9)?,
        retention: Retention {
            prune: maybe(row, 10)?,
            delete: maybe(row, 11)?,
            prune_last: row.get(12)?,
            ignore_extraneous: row.get(13)?,
        },
    };
    Ok((key(row)?, entry))
}
