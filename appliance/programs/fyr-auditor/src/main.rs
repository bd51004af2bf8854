//! The daemon that alone writes the audit log.

fn main() {}
