//! The sockets between the programs, and the audit client.
