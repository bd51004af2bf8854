//! The sockets between the programs, and the audit client.

mod client;
mod frame;
mod listen;
mod message;

pub use client::{AuditClient, AuditError, AuditState};
pub use frame::{FRAME_BYTES_MAX, FrameError, encode_frame, read_frame, write_frame};
pub use listen::{ListenError, Listener};
pub use message::{Answer, Ask, Query, Reply, Request};
