//! What the functional tests and the benchmarks share: a world of a Git server, clusters and the
//! daemons, all real.

#![expect(clippy::missing_panics_doc, reason = "a test that cannot go on panics, and says why")]

mod connect_proxy;
mod daemons;
mod evidence;
mod manifests;
mod views;
mod world;

pub use connect_proxy::ConnectProxy;
pub use daemons::{Daemons, Finished, program};
pub use evidence::{own_cluster, run, tracked, writes_since};
pub use manifests::{Application, cluster_secret, config_map, deployment};
pub use views::{
    cluster_secret_with, condition, create, exists, is_paused, manifest, object, resource,
    value_until,
};
pub use world::{SharedCluster, World, object_gone, object_until, shared_cluster, shared_kube};
