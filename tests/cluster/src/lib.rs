//! Real control planes, Git servers and faults for the tests.
//!
//! Nothing here imitates: the API server, etcd, the controllers, `sshd` and `git http-backend`
//! are the real programs, each on its own free port of loopback and with its own certificates,
//! so several can run at once. What is added is the means to break them: kill, freeze, cut.
//!
//! Invariants:
//! - every program started here dies with the process that started it, however that one ends
//!   (a session of `sshd` or a `git http-backend` is left to end with its connection);
//! - every wait has a deadline, and running into it says what was waited for and shows the end of
//!   the log that explains it;
//! - [`Kube`] shares no code with the clients under test, so it can witness for or against them.
//!
//! Limits: Linux only; needs `setpriv` (util-linux), `git`, and for [`SshGitServer`] Debian's
//! `openssh-server`.

mod audit_log;
mod authority;
mod background;
mod control_plane;
mod folder;
mod git;
mod kube;
mod port;
mod process;
mod programs;
mod proxy;
mod wait;

pub use audit_log::{AuditEvent, AuditPosition};
pub use authority::CertificateError;
pub use control_plane::{ControlPlane, ControlPlaneError, ControlPlaneOptions};
pub use folder::FolderError;
pub use git::{
    Credentials, GitAccess, GitError, GitServerError, HttpsGitServer, Repository, SshGitServer,
};
pub use kube::{Identity, Kube, KubeError, WaitForError, Watch, WatchEvent};
pub use port::PortError;
pub use process::ProcessError;
pub use programs::{Programs, ProgramsError};
pub use proxy::{Cut, Proxy, ProxyError};
pub use wait::wait_until;
