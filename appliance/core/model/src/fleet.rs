//! The fleet: everything the appliance is told to do, assembled from manifests.
//!
//! The fleet repository holds `Application`s and `AppProject`s; clusters, repositories and
//! credentials are Secrets from files of the appliance. One bad manifest makes that object a
//! [`FleetProblem`] and disturbs nothing else. In particular a bad `Application` stays in
//! [`Fleet::applications`] with its error: it is broken, not gone, and nothing it deployed may be
//! deleted for it.
//!
//! Two revisions of a fleet are compared with `==`, as are their applications, so that only what
//! changed is started anew; clusters and repositories compare by the digest of their Secrets.

mod assemble;
mod repositories;

use std::collections::BTreeMap;

pub use self::repositories::{Repositories, RepositoryAccess};
use crate::application::{Application, ClusterReference, ParseApplicationError};
use crate::cluster::{ClusterEntry, IN_CLUSTER_MARK, IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::fields::Unsupported;
use crate::project::{AppProject, ParseProjectError};
use crate::{Chain, ObjectKey};

/// Everything the appliance is told to do at one revision of its fleet repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// Applications by name; one outside the namespace `argocd` by `namespace/name`.
    pub applications: BTreeMap<String, FleetApplication>,
    /// Projects by name. `default` is always there.
    pub projects: BTreeMap<String, Result<AppProject, ParseProjectError>>,
    /// Clusters by name, but for those in `contested_clusters`.
    pub clusters: BTreeMap<String, ClusterEntry>,
    /// Clusters that share a name or an address with another: none of them is used, because
    /// picking one could deploy to the wrong place.
    pub contested_clusters: Vec<ClusterEntry>,
    /// Names of Secrets that were meant to be clusters and could not be read.
    pub refused_clusters: Vec<String>,
    /// Repositories, credential templates, host keys and authorities.
    pub repositories: Repositories,
    /// What is wrong, or without effect, in order of the objects.
    pub problems: Vec<FleetProblem>,
}

/// One `Application` manifest of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetApplication {
    /// The application, or why it cannot be deployed: the text of `InvalidSpecError`.
    pub parsed: Result<Application, ParseApplicationError>,
    /// Fields without effect, in path order.
    pub unsupported: Vec<Unsupported>,
}

/// Something in the fleet that people should look at.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FleetProblem {
    /// The object.
    pub object: ObjectKey,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, for people. Never holds a secret.
    pub message: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The object is not used.
    Error,
    /// The object is used, or never would have been.
    Warning,
}

/// Why an application's destination is no cluster. Texts for `InvalidSpecError`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DestinationError {
    /// `https://kubernetes.default.svc`, and no cluster is marked.
    #[error(
        "destination {IN_CLUSTER_SERVER} means the cluster marked {IN_CLUSTER_MARK}: \"true\", and \
         none is: Fyr runs outside its clusters, so put that label on the Secret of the cluster \
         that is meant{}",
        refused_note(refused)
    )]
    NoInCluster {
        /// Cluster Secrets that could not be read.
        refused: Vec<String>,
    },
    /// `https://kubernetes.default.svc`, and several clusters are marked.
    #[error(
        "destination {IN_CLUSTER_SERVER} means the cluster marked {IN_CLUSTER_MARK}: \"true\", and \
         these are: {}", names.join(", ")
    )]
    SeveralInCluster {
        /// The clusters' names.
        names: Vec<String>,
    },
    /// No cluster of this name.
    #[error("there are no clusters with this name: {name}{}", refused_note(refused))]
    UnknownName {
        /// The name.
        name: String,
        /// Cluster Secrets that could not be read.
        refused: Vec<String>,
    },
    /// No cluster of this address.
    #[error("there are no clusters with this server: {server}{}", refused_note(refused))]
    UnknownServer {
        /// The address.
        server: String,
        /// Cluster Secrets that could not be read.
        refused: Vec<String>,
    },
    /// Several clusters share the name or the address.
    #[error(
        "destination {destination} is ambiguous: the cluster Secrets {} share a name or a server",
        secrets.join(", ")
    )]
    Ambiguous {
        /// As the application names it.
        destination: String,
        /// The Secrets.
        secrets: Vec<String>,
    },
}

/// Why an application's project does not let it deploy anything. Texts for `InvalidSpecError`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProjectError {
    /// No project of this name.
    #[error("Application referencing project {name} which does not exist")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The project's manifest cannot be read, so nobody knows what it permits.
    #[error("project {name} cannot be enforced: {}", Chain(reason))]
    Broken {
        /// The name.
        name: String,
        /// Why.
        reason: ParseProjectError,
    },
    /// It has guards that Fyr cannot keep.
    #[error("{reason}")]
    Blocked {
        /// Which.
        reason: String,
    },
}

/// Why an application may not be deployed as it stands: the text of `InvalidSpecError`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSpec {
    /// Its project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Its destination.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// Its project does not permit one of its repositories. Argo CD's words.
    #[error("application repo {url} is not permitted in project '{project}'")]
    Source {
        /// The repository.
        url: String,
        /// The project.
        project: String,
    },
    /// Its project does not permit its destination. Argo CD's words.
    #[error(
        "application destination server '{server}' and namespace '{namespace}' do not match any of \
         the allowed destinations in project '{project}'"
    )]
    Place {
        /// The cluster's address.
        server: String,
        /// The namespace.
        namespace: String,
        /// The project.
        project: String,
    },
    /// The cluster is out of the project's reach.
    #[error("cluster {cluster} is not open to project '{project}': {why}")]
    Cluster {
        /// The cluster's name.
        cluster: String,
        /// The project.
        project: String,
        /// Why.
        why: String,
    },
}

/// An application that its fleet lets deploy, with what it needs for that.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// Its project, which still has to permit each object.
    pub project: &'a AppProject,
    /// Its cluster.
    pub cluster: &'a ClusterEntry,
}

impl Fleet {
    /// The application's project.
    pub fn project(&self, application: &Application) -> Result<&AppProject, ProjectError> {
        let name = application.project.clone();
        let project = match self.projects.get(&name) {
            None => return Err(ProjectError::Unknown { name }),
            Some(Err(reason)) => {
                return Err(ProjectError::Broken { name, reason: reason.clone() });
            }
            Some(Ok(project)) => project,
        };
        match project.blocked() {
            Some(reason) => Err(ProjectError::Blocked { reason }),
            None => Ok(project),
        }
    }

    /// The cluster the application names.
    pub fn destination(
        &self,
        application: &Application,
    ) -> Result<&ClusterEntry, DestinationError> {
        match &application.destination.cluster {
            ClusterReference::Server(server) if server == IN_CLUSTER_SERVER => self.in_cluster(),
            ClusterReference::Server(server) => {
                let found = self.one_of(server, |cluster| cluster.server == *server)?;
                let (server, refused) = (server.clone(), self.refused_clusters.clone());
                found.ok_or(DestinationError::UnknownServer { server, refused })
            }
            ClusterReference::Name(name) => {
                match self.one_of(name, |cluster| cluster.name == *name)? {
                    Some(cluster) => Ok(cluster),
                    None if name == IN_CLUSTER_NAME => self.in_cluster(),
                    None => {
                        let (name, refused) = (name.clone(), self.refused_clusters.clone());
                        Err(DestinationError::UnknownName { name, refused })
                    }
                }
            }
        }
    }

    /// Project and cluster of an application that may be deployed; otherwise all that speaks
    /// against it, never empty.
    ///
    /// What the project says of single objects is a later question:
    /// [`AppProject::permits_deployment`].
    pub fn admit(&self, application: &Application) -> Result<Admission<'_>, Vec<InvalidSpec>> {
        let project = self.project(application);
        let cluster = self.destination(application);
        let mut errors = Vec::new();
        if let Ok(project) = project {
            errors.extend(denied_sources(project, application));
            if let Ok(cluster) = cluster {
                errors.extend(denied_place(project, cluster, application));
            }
        }
        match (project, cluster) {
            (Ok(project), Ok(cluster)) if errors.is_empty() => Ok(Admission { project, cluster }),
            (project, cluster) => {
                errors.extend(project.err().map(InvalidSpec::from));
                errors.extend(cluster.err().map(InvalidSpec::from));
                Err(errors)
            }
        }
    }

    /// How to reach a repository for applications of `project`. Always an answer: a repository
    /// that nobody described is reached without credentials.
    pub fn repository(&self, url: &str, project: &str) -> RepositoryAccess {
        self.repositories.access(url, project)
    }

    fn in_cluster(&self) -> Result<&ClusterEntry, DestinationError> {
        let marked: Vec<&ClusterEntry> =
            self.all_clusters().filter(|cluster| cluster.in_cluster).collect();
        match marked[..] {
            [cluster] => self
                .one_of(IN_CLUSTER_SERVER, |other| other == cluster)?
                .ok_or_else(|| self.no_in_cluster()),
            [] => Err(self.no_in_cluster()),
            _ => {
                let names = marked.iter().map(|cluster| cluster.name.clone()).collect();
                Err(DestinationError::SeveralInCluster { names })
            }
        }
    }

    fn no_in_cluster(&self) -> DestinationError {
        DestinationError::NoInCluster { refused: self.refused_clusters.clone() }
    }

    fn all_clusters(&self) -> impl Iterator<Item = &ClusterEntry> {
        self.clusters.values().chain(&self.contested_clusters)
    }

    /// The uncontested cluster that `is_meant`; an error if a contested one is meant.
    fn one_of(
        &self,
        destination: &str,
        is_meant: impl Fn(&ClusterEntry) -> bool,
    ) -> Result<Option<&ClusterEntry>, DestinationError> {
        let contested: Vec<String> = self
            .contested_clusters
            .iter()
            .filter(|cluster| is_meant(cluster))
            .map(|cluster| cluster.secret.name.clone())
            .collect();
        if !contested.is_empty() {
            let destination = destination.to_owned();
            return Err(DestinationError::Ambiguous { destination, secrets: contested });
        }
        Ok(self.clusters.values().find(|cluster| is_meant(cluster)))
    }
}

fn denied_sources<'a>(
    project: &'a AppProject,
    application: &'a Application,
) -> impl Iterator<Item = InvalidSpec> + 'a {
    let denied =
        application.sources.iter().filter(|source| !project.permits_source(&source.repo_url));
    denied.map(|source| InvalidSpec::Source {
        url: source.repo_url.clone(),
        project: project.name.clone(),
    })
}

fn denied_place(
    project: &AppProject,
    cluster: &ClusterEntry,
    application: &Application,
) -> Option<InvalidSpec> {
    let namespace = &application.destination.namespace;
    if !project.permits_place(cluster, namespace) {
        return Some(InvalidSpec::Place {
            server: cluster.server.clone(),
            namespace: namespace.clone(),
            project: project.name.clone(),
        });
    }
    if project.permits_cluster(cluster) {
        return None;
    }
    let why = match &cluster.project {
        Some(owner) => format!("it belongs to project '{owner}'"),
        None => "permitOnlyProjectScopedClusters is set, and it belongs to none".to_owned(),
    };
    let (cluster, project) = (cluster.name.clone(), project.name.clone());
    Some(InvalidSpec::Cluster { cluster, project, why })
}

/// Points to Secrets that may be the missing cluster.
fn refused_note(refused: &[String]) -> String {
    if refused.is_empty() {
        return String::new();
    }
    format!(" (these cluster Secrets could not be read: {})", refused.join(", "))
}

#[cfg(test)]
mod tests;
