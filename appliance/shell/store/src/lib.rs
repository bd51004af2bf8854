//! What `fyrd` remembers across restarts, in SQLite: the inventory of what it put on clusters, how
//! its applications stand, what was deployed, and facts about clusters and mirrors.
//!
//! Invariants: an answered write survives a crash and a power cut; an object on a cluster is in the
//! inventory of one application at most; a database of a newer version is left alone. Everything
//! here but the inventory, pauses, pins and the history could be found out anew.

mod application;
mod column;
mod facts;
mod history;
mod inventory;
pub mod sqlite;
mod store;

pub use application::{ApplicationState, Applied, Order, OrderTerms, Pause, Pin};
pub use facts::{ClusterFacts, MirrorFacts};
pub use history::{Deployed, Deployment, Phase};
pub use inventory::{Change, Claimed};
pub use store::{OutcomeRecord, Snapshot, Store, StoreError};
