//! The audit log's records, their hash chain and its verifier. Pure: the auditor stores what this
//! crate encodes.

mod entry;
mod record;
mod recorded;

pub use entry::{Actor, Entry, EntryKind, EntryTooLarge};
pub use record::{Broken, Head, Record, StoredRecord, follow};
pub use recorded::{Intent, Receipt, Recorded, WrongReceipt};
