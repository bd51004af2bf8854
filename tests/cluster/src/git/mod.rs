//! Git servers and clones, all by the real `git`, and none of it by the user's configuration.

mod cgi;
mod command;
mod https;
mod repository;
mod server;
mod ssh;

pub use command::{GitAccess, GitError};
pub use https::{Credentials, HttpsGitServer};
pub use repository::Repository;
pub use server::GitServerError;
pub use ssh::SshGitServer;
