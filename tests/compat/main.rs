//! Rendering against upstream kustomize: the same files, built by both, give the same objects in
//! the same order and are printed alike to the byte, or are refused by both.
//!
//! `FYR_KUSTOMIZE` names the upstream program.

#![expect(clippy::unwrap_used, reason = "everything here is a test, and a failure ends it")]

mod both;
mod corpus;
mod generated;
