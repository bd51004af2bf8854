//! Git mirrors: fetch, resolve, read.
//!
//! A [`Mirror`] is a bare repository on disk that follows one [`Remote`]. What a `targetRevision`
//! means is decided by [`resolve()`], which is pure, from the [`RemoteRefs`] of the last fetch; what a
//! commit contains is read into a [`fyr_model::SourceTree`], never checked out.
//!
//! Repository content is untrusted, and gix maps packs into memory: everything that touches a pack
//! or a Git host runs in a worker, this executable run again as a sandboxed process under a deadline.
//! A program that uses this crate therefore begins its `main` with
//!
//! ```ignore
//! if std::env::args().nth(1).as_deref() == Some(fyr_git::WORKER_ARGUMENT) {
//!     return fyr_git::worker_main();
//! }
//! ```
//!
//! Limits: [`WorkerLimits`] for what is fetched, [`fyr_model::TreeLimits`] for what is read. No
//! partial or shallow clones, no submodules, no LFS.

mod address;
mod classify;
mod constraint;
mod error;
mod mirror;
mod process;
mod refs;
mod remote;
mod resolve;
mod wire;
mod worker;

pub use address::{Address, AddressError, UrlRewrite, canonical_url, rewrite_url};
pub use error::{FetchError, MirrorError, ReadError, Said, WorkerError};
pub use mirror::{Fetched, Maintained, Mirror, PACKS_MAX};
pub use process::{WORKER_ARGUMENT, WorkerConfig, Workers};
pub use refs::{RemoteRefs, Tag};
pub use remote::{Credentials, Remote, RemoteError, RemoteOptions};
pub use resolve::{ResolveError, Resolved, SHORT_ID_DIGITS_MIN, Target, resolve};
pub use wire::{ReadScope, WorkerLimits};
pub use worker::worker_main;
