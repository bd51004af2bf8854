//! `fyr-auditor`: the only program that has the audit log open for writing.
//!
//! ```text
//!   fyrd ──socket──▶ server ──entries──▶ Log ──group commit──▶ audit.db
//!                      ▲                  │ readers
//!                      └── records, head ◀┘
//! ```
//!
//! Invariants: an entry is answered only when it is on the disk; records are only ever added, with
//! numbers without gaps and times that never go back; a log whose end is not as it was written is
//! not written on. What the program holds is one database and one Unix socket: no network, no keys.
//!
//! Limits: the chain shows what was changed, not that the whole file was replaced.

mod arguments;
mod daemon;
mod log;
mod query;
mod schema;
mod server;
mod verify;

pub use arguments::{Arguments, run};
use log::{Log, OpenLogError};
use query::QueryError;
use server::serve;
