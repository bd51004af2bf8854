//! Which credentials, host keys and authorities count for a repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::repo_url::canonical_repo_url;
use crate::repository::{
    GitCredentials, GitTransport, KnownHosts, RepositoryEntry, RepositoryRole, TlsCertificates,
};
use crate::{Digest, Hasher, ObjectKey};

/// Every repository and credential template of a fleet, with its host keys and authorities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repositories {
    entries: BTreeMap<Scope, RepositoryEntry>,
    templates: BTreeMap<Scope, RepositoryEntry>,
    known_hosts: KnownHosts,
    certificates: TlsCertificates,
}

/// Canonical URL, and the project the entry is for, if it is not for all.
type Scope = (String, Option<String>);

/// How to reach one repository. Two are equal when all that went into them is.
#[derive(Clone, Debug)]
pub struct RepositoryAccess {
    /// [`canonical_repo_url`] of the URL that was asked for.
    pub canonical_url: String,
    /// Who asks; empty if nobody described the repository.
    pub credentials: Arc<GitCredentials>,
    /// The way, and whom to trust.
    pub transport: GitTransport,
    /// Digest of all of it.
    pub digest: Digest,
}

impl PartialEq for RepositoryAccess {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for RepositoryAccess {}

impl Repositories {
    /// The repositories, in order of their canonical URL.
    pub fn entries(&self) -> impl Iterator<Item = &RepositoryEntry> {
        self.entries.values()
    }

    /// The credential templates, in order of their canonical URL.
    pub fn templates(&self) -> impl Iterator<Item = &RepositoryEntry> {
        self.templates.values()
    }

    /// Adds an entry, unless one of the same URL and project is there; then the error is that
    /// one's Secret.
    pub(super) fn add(&mut self, entry: RepositoryEntry) -> Result<(), ObjectKey> {
        let map = match entry.role {
            RepositoryRole::Repository => &mut self.entries,
            RepositoryRole::CredentialTemplate => &mut self.templates,
        };
        let scope = (entry.canonical_url.clone(), entry.project.clone());
        if let Some(first) = map.get(&scope) {
            return Err(first.secret.clone());
        }
        map.insert(scope, entry);
        Ok(())
    }

    pub(super) fn add_known_hosts(&mut self, hosts: &KnownHosts) {
        let both = [self.known_hosts.0.as_str(), &hosts.0];
        self.known_hosts.0 = join_lines(both);
    }

    pub(super) fn add_certificates(&mut self, certificates: TlsCertificates) {
        self.certificates.0.extend(certificates.0);
    }

    /// How to reach `url` for applications of `project`.
    ///
    /// An entry or template of the project comes before one for all; those of other projects are
    /// out of reach. Credentials are the entry's, or if it has none the template's of the longest
    /// URL. Host keys of the entry, the template and the fleet all count.
    pub(super) fn access(&self, url: &str, project: &str) -> RepositoryAccess {
        let canonical_url = canonical_repo_url(url);
        let scope = |project: Option<&str>| (canonical_url.clone(), project.map(str::to_owned));
        let entry =
            self.entries.get(&scope(Some(project))).or_else(|| self.entries.get(&scope(None)));
        let template = self.template(&canonical_url, project);
        let with_credentials =
            [entry, template].into_iter().flatten().find(|entry| !entry.credentials.is_empty());
        let transports: Vec<&GitTransport> =
            [entry, template].into_iter().flatten().map(|entry| &entry.transport).collect();
        let known_hosts = join_lines(
            transports
                .iter()
                .filter_map(|transport| transport.known_hosts.as_deref())
                .chain([self.known_hosts.0.as_str()]),
        );
        let first = |pick: fn(&GitTransport) -> bool| {
            transports.iter().copied().find(|transport| pick(transport))
        };
        let ca_pem = first(|transport| transport.ca_pem.is_some())
            .and_then(|transport| transport.ca_pem.clone())
            .or_else(|| self.certificates.of(&canonical_url).map(Arc::from));
        let proxied = first(|transport| transport.proxy.is_some());
        let transport = GitTransport {
            known_hosts: Some(known_hosts).filter(|lines| !lines.is_empty()).map(Arc::from),
            // Only the most specific description may switch checks off.
            insecure: transports.first().is_some_and(|transport| transport.insecure),
            proxy: proxied.and_then(|transport| transport.proxy.clone()),
            no_proxy: proxied.and_then(|transport| transport.no_proxy.clone()),
            ca_pem,
        };
        let digest = digest(&canonical_url, [entry, template], &transport);
        let credentials =
            with_credentials.map(|entry| entry.credentials.clone()).unwrap_or_default();
        RepositoryAccess { canonical_url, credentials, transport, digest }
    }

    fn template(&self, canonical_url: &str, project: &str) -> Option<&RepositoryEntry> {
        let open = |entry: &&RepositoryEntry| {
            entry.project.as_deref().is_none_or(|owner| owner == project)
        };
        self.templates
            .values()
            .filter(open)
            .filter(|template| template.covers(canonical_url))
            .max_by_key(|template| (template.canonical_url.len(), template.project.is_some()))
    }
}

fn digest(
    canonical_url: &str,
    entries: [Option<&RepositoryEntry>; 2],
    transport: &GitTransport,
) -> Digest {
    let mut hasher = Hasher::default();
    hasher.field(canonical_url.as_bytes());
    for entry in entries {
        hasher.field(entry.map(|entry| entry.digest.to_string()).unwrap_or_default().as_bytes());
    }
    hasher.field(transport.known_hosts.as_deref().unwrap_or_default().as_bytes());
    hasher.field(transport.ca_pem.as_deref().unwrap_or_default().as_bytes());
    hasher.finish()
}

/// Joins texts of lines, each ended.
fn join_lines<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = String::new();
    for line in texts.into_iter().flat_map(str::lines).filter(|line| !line.trim().is_empty()) {
        all.push_str(line);
        all.push('\n');
    }
    all
}
