//! Sorts manifests into a fleet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fleet, FleetApplication, FleetProblem, Severity};
use crate::application::{
    ARGO_GROUP, ARGO_NAMESPACE, Application, DEFAULT_PROJECT, ParseApplicationError,
};
use crate::cluster::{ClusterEntry, IN_CLUSTER_MARK};
use crate::fields::Unsupported;
use crate::project::{AppProject, ParseProjectError};
use crate::repository::{KnownHosts, RepositoryEntry, TlsCertificates};
use crate::secret_manifest::{SECRET_TYPE_LABEL, wipe};
use crate::{Chain, Object, ObjectKey};

impl Fleet {
    /// Assembles what the fleet repository says (`objects`) and what files of the appliance say
    /// (`secrets`, which are wiped).
    ///
    /// The answer does not depend on the order of the objects.
    pub fn assemble(mut objects: Vec<Object>, mut secrets: Vec<Object>) -> Self {
        for list in [&mut objects, &mut secrets] {
            list.sort_by_cached_key(|object| (object.key(), object.digest()));
        }
        let mut fleet = Self::default();
        let mut clusters = Vec::new();
        let mut repositories = Vec::new();
        for object in objects {
            fleet.add(&object);
            if object.kind() == "Secret" {
                wipe(&mut object.into_value());
            }
        }
        for object in secrets {
            fleet.add_local(&object, &mut clusters, &mut repositories);
            wipe(&mut object.into_value());
        }
        fleet.take_clusters(clusters);
        fleet.take_repositories(repositories);
        fleet
            .projects
            .entry(DEFAULT_PROJECT.to_owned())
            .or_insert_with(|| Ok(AppProject::permit_all()));
        fleet.problems.sort();
        fleet.problems.dedup();
        fleet
    }

    /// One object of the fleet repository.
    fn add(&mut self, object: &Object) {
        let gvk = object.gvk();
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            (ARGO_GROUP, "Application") => self.add_application(object),
            (ARGO_GROUP, "AppProject") => self.add_project(object),
            (ARGO_GROUP, "ApplicationSet") => self.error(
                object.key(),
                "ApplicationSets are not supported: commit the Applications it stands for",
            ),
            ("bitnami.com", "SealedSecret") => self.error(
                object.key(),
                "SealedSecrets are not supported: put the Secret into a file of the appliance and \
                 name that file in spec.secrets.files of appliance.yaml",
            ),
            ("", "Secret") => self.error(
                object.key(),
                "a plain Secret in Git can be read by everyone who can read the repository, so it \
                 is not used: put it into a file of the appliance, name that file in \
                 spec.secrets.files of appliance.yaml, and change the credentials it shows",
            ),
            ("", "ConfigMap") if self.add_config_map(object) => {}
            _ => self.warning(object.key(), "a fleet has no use for this kind; it has no effect"),
        }
    }

    fn add_application(&mut self, object: &Object) {
        let name = match object.namespace() {
            None | Some(ARGO_NAMESPACE) => object.name().to_owned(),
            Some(namespace) => format!("{namespace}/{}", object.name()),
        };
        let mut application = match Application::parse(object) {
            Ok((application, unsupported)) => {
                FleetApplication { parsed: Ok(application), unsupported }
            }
            Err(error) => FleetApplication { parsed: Err(error), unsupported: Vec::new() },
        };
        if self.applications.contains_key(&name) {
            application.parsed = Err(ParseApplicationError::Duplicate { name: name.clone() });
            application.unsupported.clear();
        }
        if let Err(error) = &application.parsed {
            self.error(object.key(), &Chain(error).to_string());
        }
        self.applications.insert(name, application);
    }

    fn add_project(&mut self, object: &Object) {
        let name = object.name().to_owned();
        let parsed = match AppProject::parse(object) {
            // Of another namespace: no project of Argo CD, so it must not stand in for one.
            Err(error @ ParseProjectError::Namespace { .. }) => {
                return self.error(object.key(), &error.to_string());
            }
            _ if self.projects.contains_key(&name) => Err(ParseProjectError::Duplicate { name }),
            Ok((project, unsupported)) => {
                self.report(&object.key(), &[], &unsupported);
                Ok(project)
            }
            Err(error) => Err(error),
        };
        match &parsed {
            Err(error) => self.error(object.key(), &Chain(error).to_string()),
            Ok(project) => {
                if let Some(reason) = project.blocked() {
                    self.error(object.key(), &reason);
                }
            }
        }
        self.projects.insert(object.name().to_owned(), parsed);
    }

    /// Whether the `ConfigMap` is one that a fleet has a use for.
    fn add_config_map(&mut self, object: &Object) -> bool {
        match object.name() {
            KnownHosts::CONFIG_MAP => match KnownHosts::parse(object) {
                Ok((hosts, unsupported)) => {
                    self.repositories.add_known_hosts(&hosts);
                    self.report(&object.key(), &[], &unsupported);
                }
                Err(error) => self.error(object.key(), &Chain(&error).to_string()),
            },
            TlsCertificates::CONFIG_MAP => match TlsCertificates::parse(object) {
                Ok(certificates) => self.repositories.add_certificates(certificates),
                Err(error) => self.error(object.key(), &Chain(&error).to_string()),
            },
            _ => return false,
        }
        true
    }

    /// One object of a file of the appliance.
    fn add_local(
        &mut self,
        object: &Object,
        clusters: &mut Vec<ClusterEntry>,
        repositories: &mut Vec<RepositoryEntry>,
    ) {
        if object.kind() == "ConfigMap" && self.add_config_map(object) {
            return;
        }
        match object.label(SECRET_TYPE_LABEL) {
            Some(ClusterEntry::SECRET_TYPE) => match ClusterEntry::parse(object) {
                Ok(cluster) => {
                    self.report(&object.key(), &cluster.warnings, &cluster.unsupported);
                    clusters.push(cluster);
                }
                Err(error) => {
                    self.refused_clusters.push(object.name().to_owned());
                    self.error(object.key(), &Chain(&error).to_string());
                }
            },
            Some(RepositoryEntry::SECRET_TYPE | RepositoryEntry::TEMPLATE_SECRET_TYPE) => {
                match RepositoryEntry::parse(object) {
                    Ok(repository) => {
                        self.report(&object.key(), &repository.warnings, &repository.unsupported);
                        repositories.push(repository);
                    }
                    Err(error) => self.error(object.key(), &Chain(&error).to_string()),
                }
            }
            _ => self.error(
                object.key(),
                "only Secrets with the label argocd.argoproj.io/secret-type: cluster, repository \
                 or repo-creds, and Argo CD's ConfigMaps of host keys and certificates, are read \
                 from files of the appliance",
            ),
        }
    }

    /// Keeps the clusters that share neither name nor address with another.
    fn take_clusters(&mut self, mut clusters: Vec<ClusterEntry>) {
        clusters
            .sort_by(|a, b| (&a.name, &a.secret, a.digest).cmp(&(&b.name, &b.secret, b.digest)));
        // The same Secret in two files is one cluster.
        clusters.dedup();
        self.refused_clusters.sort();
        let shared_names = repeated(clusters.iter().map(|cluster| cluster.name.clone()));
        let shared_servers = repeated(clusters.iter().map(|cluster| cluster.server.clone()));
        let marked = clusters.iter().filter(|cluster| cluster.in_cluster).count();
        for cluster in clusters {
            if marked > 1 && cluster.in_cluster {
                let message = format!("more than one cluster is marked {IN_CLUSTER_MARK}");
                self.error(cluster.secret.clone(), &message);
            }
            let name_is_shared = shared_names.contains(&cluster.name);
            if name_is_shared || shared_servers.contains(&cluster.server) {
                let what = if name_is_shared { "name" } else { "server" };
                let message = format!(
                    "another cluster Secret has the same {what}; neither is used, since picking \
                     one could deploy to the wrong place"
                );
                self.error(cluster.secret.clone(), &message);
                self.contested_clusters.push(cluster);
            } else {
                self.clusters.insert(cluster.name.clone(), cluster);
            }
        }
    }

    /// Keeps of each repository the entry whose Secret comes first by name. Unlike with clusters,
    /// the wrong choice deploys nothing wrong: it fails to fetch.
    fn take_repositories(&mut self, mut repositories: Vec<RepositoryEntry>) {
        repositories.sort_by(|a, b| (&a.secret, a.digest).cmp(&(&b.secret, b.digest)));
        repositories.dedup();
        for repository in repositories {
            let secret = repository.secret.clone();
            if let Err(first) = self.repositories.add(repository) {
                let message = format!("{first} is for the same URL and project");
                self.error(secret, &message);
            }
        }
    }

    fn report(&mut self, key: &ObjectKey, warnings: &[String], unsupported: &[Unsupported]) {
        for warning in warnings {
            self.warning(key.clone(), warning);
        }
        for field in unsupported {
            self.warning(key.clone(), &field.to_string());
        }
    }

    fn error(&mut self, object: ObjectKey, message: &str) {
        let severity = Severity::Error;
        self.problems.push(FleetProblem { object, severity, message: message.to_owned() });
    }

    fn warning(&mut self, object: ObjectKey, message: &str) {
        let severity = Severity::Warning;
        self.problems.push(FleetProblem { object, severity, message: message.to_owned() });
    }
}

fn repeated(values: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_usize) += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(value, _)| value).collect()
}
