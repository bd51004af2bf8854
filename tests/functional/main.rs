//! The daemons against real API servers and Git servers.

mod spine;
