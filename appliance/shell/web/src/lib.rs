//! The API of `fyrd`: `/api/v1` over HTTP/1.1 on a Unix socket.
//!
//! | method and path | answer |
//! |---|---|
//! | GET `/api/v1/status` | [`Status`](fyr_model::api::Status) |
//! | GET `/api/v1/applications?cluster=&project=&sync=&health=&name=` | list of [`ApplicationSummary`](fyr_model::api::ApplicationSummary) |
//! | GET `/api/v1/applications/NAME` | [`ApplicationDetail`](fyr_model::api::ApplicationDetail) |
//! | GET `…/NAME/resources` | list of [`ResourceStatus`](fyr_model::api::ResourceStatus) |
//! | GET `…/NAME/tree` | list of [`ResourceNode`](fyr_model::api::ResourceNode) |
//! | GET `…/NAME/history` | list of [`HistoryEntry`](fyr_model::api::HistoryEntry), newest first |
//! | GET `…/NAME/diff?revision=` | [`DiffResponse`](fyr_model::api::DiffResponse) |
//! | POST `…/NAME/diff` with [`DiffRequest`](fyr_model::api::DiffRequest) | the same, for objects from elsewhere |
//! | POST `…/NAME/refresh`, `/api/v1/fleet/refresh` | [`RefreshAnswer`](fyr_model::api::RefreshAnswer); 202 when it goes on |
//! | POST `…/NAME/sync` with [`SyncRequest`](fyr_model::api::SyncRequest) | [`SyncAnswer`](fyr_model::api::SyncAnswer); 202 when something is being done |
//! | POST `…/NAME/rollback` with [`RollbackRequest`](fyr_model::api::RollbackRequest) | the same |
//! | POST `…/NAME/pause`, `…/resume`, `…/terminate` | 204 |
//! | GET `/api/v1/clusters`, `/api/v1/repositories` | lists |
//! | GET `/api/v1/audit?after=&application=&limit=` | [`AuditPage`](fyr_model::api::AuditPage) |
//! | GET `/api/v1/events?application=` | one [`Event`](fyr_model::api::Event) a line, until either side ends it |
//!
//! Every other answer is a [`Problem`](fyr_model::api::Problem). The kernel tells who is at the
//! other end of a connection, so there is nothing to sign in to; whoever is not admitted gets 403.
//!
//! What is behind the API is a [`Backend`], which the daemon implements.

mod actor;
mod backend;
mod events;
mod extract;
mod listen;
#[cfg(any(test, feature = "test-fakes"))]
pub mod memory;
mod patient;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

pub use actor::{Actor, Admission};
pub use backend::{Answer, Backend};
pub use events::HEARTBEAT;
pub use listen::{ListenError, listen};
pub use serve::serve;
