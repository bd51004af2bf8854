//! Git mirrors: fetch, resolve, read.
