//! Opens databases.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

/// Longest wait for a lock inside SQLite. In WAL mode readers and the writer never wait for each
/// other; what is left is a reader beside a process that recovers the log after a crash.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Size to which the write-ahead log is cut after a checkpoint, in bytes: a burst must not keep the
/// disk full for ever.
const WAL_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// Prepared statements kept by a connection; more than any of our programs has.
const STATEMENTS_MAX: usize = 64;

/// Mode of database files: they name objects, people and clusters.
const FILE_MODE: u32 = 0o600;

/// What a database is and how it came to its present form.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// SQLite's `application_id`, which tells our databases from others and from each other.
    pub application_id: i32,
    /// Steps from an empty database to the present form. Each is run once, in its own transaction;
    /// a step that was released is never changed.
    pub migrations: &'static [&'static str],
}

impl Schema {
    fn version(&self) -> i64 {
        i64::try_from(self.migrations.len()).unwrap_or(i64::MAX)
    }
}

/// Why a database is not opened. None of these changes it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes it.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file, or the lock beside it, cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite cannot open or set up the file.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It is a database of another program.
    #[error("{} is not a database of this program", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// A newer version of Fyr wrote it.
    #[error(
        "{} has schema version {found}, and this program knows versions up to {known}: \
         start a newer version, or restore the backup from before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// It could not be brought to the present form.
    #[error("cannot bring {} to schema version {version}", path.display())]
    Migrate {
        /// The database.
        path: PathBuf,
        /// The version that failed; the database stays at the one before.
        version: i64,
        /// Why.
        source: rusqlite::Error,
    },
}

/// The only connection of the machine that may write a database.
#[derive(Debug)]
pub struct WriterConnection {
    /// The connection.
    pub connection: Connection,
    /// Held as long as the connection; the kernel lets go of it when the process dies.
    _lock: File,
}

/// Opens a database for writing, makes it if there is none, and brings it to the present form.
pub fn open_writer(path: &Path, schema: &Schema) -> Result<WriterConnection, OpenError> {
    let path = &resolved(path)?;
    let lock = lock(path)?;
    create(path)?;
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    migrate(path, &connection, schema)?;
    make_durable(&connection).map_err(|source| OpenError::Open { path: path.clone(), source })?;
    Ok(WriterConnection { connection, _lock: lock })
}

/// Opens a database of another process for reading only, if it is what `schema` says and not newer.
pub fn open_known(path: &Path, schema: &Schema) -> Result<Connection, OpenError> {
    let connection = open_reader(path)?;
    identify(path, &connection, schema)?;
    Ok(connection)
}

/// Opens a database for reading only. It must exist; what it is is not looked at.
pub fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let path = &resolved(path)?;
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|source| OpenError::Open { path: path.clone(), source })?;
    Ok(connection)
}

/// SQLite refuses paths with any link in them; links in the folder are the operator's, and fine.
fn resolved(path: &Path) -> Result<PathBuf, OpenError> {
    let missing = |source| OpenError::Create { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| missing(io::ErrorKind::InvalidFilename.into()))?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    Ok(folder.canonicalize().map_err(missing)?.join(name))
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| OpenError::Create { path: lock_path.clone(), source };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(&lock_path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes the file before SQLite does, so that nobody else can read it for even a moment.
fn create(path: &Path) -> Result<(), OpenError> {
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path);
    file.map(drop).map_err(|source| OpenError::Create { path: path.to_owned(), source })
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, OpenError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(path, flags);
    opened
        .and_then(|connection| harden(&connection).map(|()| connection))
        .map_err(|source| OpenError::Open { path: path.to_owned(), source })
}

/// Switches off what could run code or reach other files on behalf of a damaged database.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "memory")
}

/// A commit that was answered survives a power cut (`FULL` costs one fsync a commit, which group
/// commit shares out), and a `REPLACE` runs the triggers of the rows it removes.
fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "recursive_triggers", true)
}

/// The version of a database, 0 if it is empty; an error if it is not ours or newer than we are.
fn identify(path: &Path, connection: &Connection, schema: &Schema) -> Result<i64, OpenError> {
    let failed = |source| OpenError::Open { path: path.to_owned(), source };
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let id = number("PRAGMA application_id").map_err(failed)?;
    let found = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let empty = id == 0 && found == 0 && tables == 0;
    if !empty && id != i64::from(schema.application_id) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > schema.version() {
        let known = schema.version();
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

fn migrate(path: &Path, connection: &Connection, schema: &Schema) -> Result<(), OpenError> {
    let found = identify(path, connection, schema)?;
    for (sql, version) in schema.migrations.iter().zip(1_i64..).skip_while(|(_, v)| *v <= found) {
        // The pragmas are part of the file and so of the transaction.
        let step = format!(
            "BEGIN EXCLUSIVE; {sql}; PRAGMA application_id = {}; PRAGMA user_version = {version}; \
             COMMIT",
            schema.application_id
        );
        if let Err(source) = connection.execute_batch(&step) {
            if !connection.is_autocommit() {
                // The connection is dropped next, which rolls back as well.
                let _ = connection.execute_batch("ROLLBACK");
            }
            return Err(OpenError::Migrate { path: path.to_owned(), version, source });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    const TABLE: &str = "CREATE TABLE a (n INTEGER) STRICT";
    const SCHEMA: Schema = Schema { application_id: 7, migrations: &[TABLE] };

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_new_database_is_private_durable_and_not_mapped() {
        let folder = folder();
        let path = folder.path().join("new.db");
        let writer = open_writer(&path, &SCHEMA).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, FILE_MODE);
        let text = |name: &str| {
            let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            format!("{:?}", writer.connection.pragma_query_value(None, name, value).unwrap())
        };
        assert_eq!(text("journal_mode"), "Text(\"wal\")");
        assert_eq!(text("synchronous"), "Integer(2)");
        assert_eq!(text("mmap_size"), "Integer(0)");
        assert_eq!(text("user_version"), "Integer(1)");
    }

    #[test]
    fn migrations_go_on_where_they_stopped_and_never_run_twice() {
        let folder = folder();
        let path = folder.path().join("old.db");
        drop(open_writer(&path, &SCHEMA).unwrap());
        let next = Schema { migrations: &[TABLE, "ALTER TABLE a ADD COLUMN m INTEGER"], ..SCHEMA };
        drop(open_writer(&path, &next).unwrap());
        let writer = open_writer(&path, &next).unwrap();
        writer.connection.execute("INSERT INTO a (n, m) VALUES (1, 2)", []).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let folder = folder();
        let path = folder.path().join("fails.db");
        drop(open_writer(&path, &SCHEMA).unwrap());
        let broken = Schema {
            migrations: &[TABLE, "CREATE TABLE b (n INTEGER) STRICT; nonsense"],
            ..SCHEMA
        };
        let error = open_writer(&path, &broken).unwrap_err();
        assert!(matches!(error, OpenError::Migrate { version: 2, .. }), "{error}");
        let writer = open_writer(&path, &SCHEMA).unwrap();
        let tables = "SELECT count(*) FROM sqlite_schema";
        let count: i64 = writer.connection.query_row(tables, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn a_newer_or_foreign_database_is_refused_and_not_touched() {
        let folder = folder();
        let path = folder.path().join("newer.db");
        let next = Schema { migrations: &[TABLE, "SELECT 1"], ..SCHEMA };
        drop(open_writer(&path, &next).unwrap());
        let error = open_writer(&path, &SCHEMA).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
        let other = Schema { application_id: 8, ..SCHEMA };
        assert!(matches!(open_writer(&path, &other), Err(OpenError::Foreign { .. })));
        assert!(matches!(open_known(&path, &SCHEMA), Err(OpenError::Newer { .. })));
        open_known(&path, &next).unwrap();
    }

    #[test]
    fn a_database_has_one_writer() {
        let folder = folder();
        let path = folder.path().join("one.db");
        let first = open_writer(&path, &SCHEMA).unwrap();
        assert!(matches!(open_writer(&path, &SCHEMA), Err(OpenError::InUse { .. })));
        drop(first);
        open_writer(&path, &SCHEMA).unwrap();
    }

    #[test]
    fn a_database_that_is_a_link_is_refused() {
        let folder = folder();
        drop(open_writer(&folder.path().join("real.db"), &SCHEMA).unwrap());
        symlink(folder.path().join("real.db"), folder.path().join("link.db")).unwrap();
        assert!(open_writer(&folder.path().join("link.db"), &SCHEMA).is_err());
    }

    #[test]
    fn other_files_cannot_be_attached_and_readers_cannot_write() {
        let folder = folder();
        let path = folder.path().join("closed.db");
        let writer = open_writer(&path, &SCHEMA).unwrap();
        assert!(writer.connection.execute_batch("ATTACH ':memory:' AS other").is_err());
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute("INSERT INTO a VALUES (1)", []).is_err());
    }
}
