//! Rendering against upstream kustomize: the same files, built by both, give the same objects in
//! the same order, or are refused by both.
//!
//! `FYR_KUSTOMIZE` names the upstream program.

mod both;
mod corpus;
mod generated;
