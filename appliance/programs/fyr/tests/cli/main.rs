//! The built program against a real socket with the daemon side of `fyr_web::memory` behind it:
//! exit codes, and what goes to which stream.

mod acting;
mod looking;
mod offline;
mod rig;
