//! The daemons against real API servers and Git servers.

mod clusters;
mod health;
mod objects;
mod policy;
mod render;
mod sources;
mod spine;
