//! The audit log's records, their hash chain and its verifier. Pure: the auditor stores what this
//! crate encodes.

mod recorded;

pub use recorded::{Intent, Receipt, Recorded, WrongReceipt};
