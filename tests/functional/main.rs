//! The daemons against real API servers and Git servers.

mod audit;
mod cli;
mod clusters;
mod crashes;
mod faults;
mod health;
mod limits;
mod objects;
mod policy;
mod render;
mod restart;
mod sources;
mod spine;
