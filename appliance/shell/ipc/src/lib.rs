//! The sockets between the programs, and the audit client.
//!
//! ```text
//!   fyrd                                                            fyr-auditor
//!   AuditClient ──calls──▶ link ──frames──▶ Unix socket ──frames──▶ Listener: who is it?
//!        ▲                  │                                             │
//!        └── Receipt ◀──────┴───────────── answers, in any order ◀────────┘
//! ```
//!
//! Invariants: a [`Receipt`](fyr_audit::Receipt) comes out of an answer of the auditor and of
//! nothing else; every wait has a deadline; a peer is known by what the kernel says of it, never by
//! what it says of itself.
//!
//! Calls carry numbers, so that many are under way on one connection and the auditor commits them
//! together.

pub mod audit;
mod client;
pub mod frame;
mod listener;

pub use audit::{LogState, Query, Verification};
pub use client::{AuditClient, AuditError, AuditState, Follower};
pub use listener::{Accepted, BindError, Connection, Listener, Peer};
