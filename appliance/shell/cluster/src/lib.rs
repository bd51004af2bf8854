//! A managed cluster: connect, discover, watch, apply, delete.
//!
//! One [`Cluster`] is one failure domain: it has its own tasks, its own connections, its own limit
//! of concurrent writes and its own circuit breaker. A frozen cluster consumes nothing but itself.
//!
//! - [`Cluster::use_kinds`], [`Cluster::set_interest`], [`Cluster::changes`] and [`Cluster::live`]
//!   are how a loop learns what is there: watches keep a small record of every object of the kinds
//!   in use, and wake the applications a change concerns;
//! - [`Cluster::execute`] does what a recorded plan says;
//! - [`Cluster::diff`] asks the API server what an apply would change, for people.
//!
//! Invariants: nothing is changed without a `Recorded<Plan>`; what [`Cluster::live`] returns is
//! never older than our own last write; no content of an object is kept, and no value of a Secret
//! leaves this crate.
//!
//! Limits: Kubernetes 1.26 or later (aggregated discovery). The caller installs rustls' ring
//! provider before the first connection.

mod backoff;
mod cluster;
mod connection;
mod contact;
mod diff;
mod discovery;
mod execute;
mod immutable;
mod keeper;
mod lines;
mod reduce;
mod refusal;
mod requests;
mod resource;
mod step;
mod store;
mod watcher;

pub use cluster::{Changes, Cluster, ClusterStatus};
pub use connection::ConnectError;
pub use contact::{Connectivity, PROBE_DEADLINE, PROBE_IDLE};
pub use diff::ObjectDiff;
pub use discovery::RefreshError;
pub use execute::WRITES_MAX;
pub use resource::Scope;
