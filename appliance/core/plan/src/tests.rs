//! Tests of comparing, planning, the inventory and the assessment together.

mod assessing;
mod deleting;
mod laws;
mod ledger;
mod planning;
mod world;
