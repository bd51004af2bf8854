//! What every part of Fyr talks about: objects, revisions, applications, clusters, secrets as
//! types. Pure data: no clock, no I/O.

pub mod api;
mod appliance;
mod application;
mod cluster;
mod digest;
mod error;
mod fields;
mod fleet;
mod glob;
mod go_duration;
mod object;
mod project;
mod repo_url;
mod repository;
mod revision;
mod secret;
mod secret_manifest;
mod source;
pub mod source_tree;

pub use appliance::{
    Appliance, FleetSource, ParseApplianceError, SecretSource, TextSource, UrlRewrite,
};
pub use application::{
    ARGO_GROUP, ARGO_NAMESPACE, Application, Automated, Cascade, ClusterReference, DEFAULT_PROJECT,
    Destination, Info, NamespaceMetadata, ParseApplicationError, Retry, SyncPolicy,
};
pub use cluster::{
    BasicLogin, ClientCertificate, ClusterAccess, ClusterEntry, IN_CLUSTER_MARK, IN_CLUSTER_NAME,
    IN_CLUSTER_SERVER, ParseClusterError,
};
pub use digest::{Digest, Hasher, ParseDigestError};
pub use error::{Blame, Chain};
pub use fields::{FieldError, Unsupported};
pub use fleet::{
    Admission, DestinationError, Fleet, FleetApplication, FleetProblem, InvalidSpec, ProjectError,
    Repositories, RepositoryAccess, Severity,
};
pub use glob::{Glob, ParseGlobError};
pub use go_duration::{ParseDurationError, parse_go_duration};
pub use object::{GroupKind, GroupVersionKind, Object, ObjectError, ObjectKey};
pub use project::{AppProject, ParseProjectError};
pub use repo_url::{canonical_repo_url, is_file_url};
pub use repository::{
    GitCredentials, GitTransport, KnownHosts, ParseRepositoryError, RepositoryEntry,
    RepositoryRole, TlsCertificates,
};
pub use revision::{CommitId, ParseCommitIdError, Revision};
pub use secret::Plaintext;
pub use secret_manifest::{SECRET_TYPE_LABEL, SecretManifestError};
pub use source::{
    BuildEnvironment, DirectoryOptions, KustomizeOptions, KustomizePatch, KustomizeReplicas,
    KustomizeSelector, Source, Tool,
};
pub use source_tree::{BlobId, File, SourceTree, SourceTreeError, TreeLimits};
