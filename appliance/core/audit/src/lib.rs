//! The audit log's records, their hash chain and its verifier. Pure: the auditor stores what this
//! crate encodes, and brings the clock.
//!
//! ```text
//!   Entry ──canonical──▶ bytes ──Head::append──▶ StoredRecord ──Verifier──▶ Verified | Broken
//! ```
//!
//! What is hashed is what is stored: a verifier never encodes an entry again, so records of an
//! older version stay verifiable whatever later versions of [`Entry`] look like.
//!
//! Limits: the chain proves that nothing before its head was changed, removed or reordered. It does
//! not notice a tail that is cut off, or a log rewritten as a whole, unless somebody kept a head.

mod canonical;
mod details;
mod entry;
mod record;
mod recorded;
mod verify;

pub use canonical::NotCanonical;
pub use details::{StepSummary, listing, steps};
pub use entry::{Actor, DaemonEvent, Entry, EntryError, EntryKind, Operation};
pub use record::{DecodeRecordError, Head, Record, StoredRecord};
pub use recorded::{Intent, Receipt, Recorded, WrongReceipt};
pub use verify::{Broken, Fault, Verified, Verifier, verify};
