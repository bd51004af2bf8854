//! SQLite as all of Fyr uses it: hardened connections, one writer for each database, readers
//! beside it.
//!
//! ```text
//!   callers ──jobs──▶ Writer's thread ──BEGIN, job, job, …, COMMIT, fsync──▶ file ──▶ replies
//!   callers ───────────────────────── Readers (read-only, WAL) ◀──────────── file
//! ```
//!
//! Invariants: a reply to a write is sent only when the write is on the disk; a database has one
//! writer in one process (a lock file says so); a database of a newer version, or of something
//! else, is left alone. Nothing is memory-mapped, so that a dying disk is an error and no SIGBUS.

mod connection;
mod readers;
mod writer;

pub use connection::{OpenError, Schema, WriterConnection, open_known, open_reader, open_writer};
pub use readers::{ReadError, Readers};
pub use writer::{WriteError, Writer};
