//! The daemon that mirrors, renders, plans, applies, watches and heals.

fn main() {}
