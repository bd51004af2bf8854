//! The audit log's records, their hash chain and its verifier.
