//! Argo CD's `AppProject`: what the applications of a project may take, and where they may put it.
//!
//! Patterns are globs; `!` in front denies what it matches. As in Argo CD, an entry that denies
//! permits everything else at the same time: `!kube-system` alone means "any but kube-system".
//!
//! | field | here |
//! |---|---|
//! | `sourceRepos` | enforced; `*` does not cross `/`, unless it stands alone |
//! | `destinations` | enforced, for the application and for each object's namespace |
//! | `clusterResource{Whitelist,Blacklist}` | enforced: without a list no cluster-scoped object may be deployed |
//! | `namespaceResource{Whitelist,Blacklist}` | enforced: without a list every namespaced object may be |
//! | `permitOnlyProjectScopedClusters` | enforced |
//! | `syncWindows`, `signatureKeys`, `sourceIntegrity`, `destinationServiceAccounts` | guards that Fyr cannot keep: nothing of the project is deployed, see [`AppProject::blocked`] |
//! | `roles`, `sourceNamespaces`, `orphanedResources` | reported as without effect |

use crate::application::{ARGO_GROUP, ARGO_NAMESPACE, DEFAULT_PROJECT};
use crate::cluster::{ClusterEntry, IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use crate::fields::{FieldError, Fields, Unsupported, is_empty};
use crate::glob::{Glob, ParseGlobError};
use crate::repo_url::canonical_repo_url;
use crate::{GroupKind, Object, ObjectKey};

/// What the applications of one project may deploy, from where to where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppProject {
    /// Name.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    source_repos: Vec<Pattern>,
    destinations: Vec<DestinationPattern>,
    cluster_allowed: Vec<KindPattern>,
    cluster_denied: Vec<KindPattern>,
    namespaced_allowed: Option<Vec<KindPattern>>,
    namespaced_denied: Vec<KindPattern>,
    only_scoped_clusters: bool,
    blockers: Vec<String>,
}

/// Why a manifest is not a project that can be enforced.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseProjectError {
    /// Another kind of object.
    #[error("it is a {kind} of {api_version}, not an AppProject of {ARGO_GROUP}/v1alpha1")]
    NotAProject {
        /// Its API version.
        api_version: String,
        /// Its kind.
        kind: String,
    },
    /// Outside the one namespace.
    #[error("AppProjects belong into the namespace {ARGO_NAMESPACE}, not into {namespace}")]
    Namespace {
        /// Where it is.
        namespace: String,
    },
    /// A field has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A pattern cannot be enforced.
    #[error("{path} is not a pattern")]
    Pattern {
        /// The field.
        path: String,
        /// What is wrong with it.
        #[source]
        source: ParseGlobError,
    },
    /// More than one project of this name: which one guards is anyone's guess.
    #[error("more than one AppProject is named {name}")]
    Duplicate {
        /// The name.
        name: String,
    },
}

/// One pattern, perhaps with `!` in front.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Pattern {
    denies: bool,
    glob: Glob,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct DestinationPattern {
    server: Option<Pattern>,
    name: Option<Pattern>,
    /// `None` is for applications without a namespace only.
    namespace: Option<Pattern>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct KindPattern {
    group: Glob,
    kind: Glob,
    /// Only of cluster-scoped objects; `None` matches all.
    name: Option<Glob>,
}

/// Longest URL, address or name that is compared with patterns, because comparing takes time in
/// proportion to it. Longer ones are permitted nowhere: Kubernetes has no name over 253 bytes, and
/// 2048 is what Git hosts and proxies take for a URL.
const TEXT_BYTES_MAX: usize = 2048;

/// Guards that Fyr cannot keep. To deploy without them would be to break them.
const GUARDS: [(&str, &str); 4] = [
    ("syncWindows", "sync windows cannot be kept"),
    ("signatureKeys", "signatures of commits cannot be checked"),
    ("sourceIntegrity", "signatures of commits cannot be checked"),
    ("destinationServiceAccounts", "service accounts cannot be impersonated"),
];

impl AppProject {
    /// The project `default` when Git has none: everything is permitted, as in Argo CD.
    pub fn permit_all() -> Self {
        let everything = || Pattern { denies: false, glob: Glob::everything() };
        let destination = DestinationPattern {
            server: Some(everything()),
            name: None,
            namespace: Some(everything()),
        };
        let (group, kind) = (Glob::everything(), Glob::everything());
        Self {
            source_repos: vec![everything()],
            destinations: vec![destination],
            cluster_allowed: vec![KindPattern { group, kind, name: None }],
            ..Self::empty(DEFAULT_PROJECT.to_owned())
        }
    }

    /// Reads a manifest. What has no effect is in the second part of the answer, in path order.
    pub fn parse(object: &Object) -> Result<(Self, Vec<Unsupported>), ParseProjectError> {
        let gvk = object.gvk();
        if gvk.api_version() != "argoproj.io/v1alpha1" || gvk.kind != "AppProject" {
            let api_version = gvk.api_version();
            return Err(ParseProjectError::NotAProject { api_version, kind: gvk.kind });
        }
        let namespace = object.namespace().unwrap_or(ARGO_NAMESPACE).to_owned();
        if namespace != ARGO_NAMESPACE {
            return Err(ParseProjectError::Namespace { namespace });
        }
        let mut unsupported = Vec::new();
        let mut root = Fields::of(object);
        root.skip(&["apiVersion", "kind", "metadata", "status"]);
        let name = object.name().to_owned();
        let project = match root.mapping("spec")? {
            Some(spec) => Self::read(name, spec, &mut unsupported)?,
            None => Self::empty(name),
        };
        root.finish(&mut unsupported);
        unsupported.sort();
        Ok((project, unsupported))
    }

    /// A project that permits nothing.
    fn empty(name: String) -> Self {
        Self {
            name,
            description: String::new(),
            source_repos: Vec::new(),
            destinations: Vec::new(),
            cluster_allowed: Vec::new(),
            cluster_denied: Vec::new(),
            namespaced_allowed: None,
            namespaced_denied: Vec::new(),
            only_scoped_clusters: false,
            blockers: Vec::new(),
        }
    }

    fn read(
        name: String,
        mut spec: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseProjectError> {
        let mut project = Self::empty(name);
        if let Some(description) = spec.text("description")? {
            description.clone_into(&mut project.description);
        }
        let path = spec.path_of("sourceRepos");
        for (index, url) in spec.texts("sourceRepos")?.iter().enumerate() {
            let path = format!("{path}[{index}]");
            project.source_repos.push(Pattern::of_repository(url, path)?);
        }
        for entry in spec.mappings("destinations")? {
            project.destinations.push(DestinationPattern::read(entry, unsupported)?);
        }
        project.cluster_allowed = kinds(&mut spec, "clusterResourceWhitelist", true, unsupported)?;
        project.cluster_denied = kinds(&mut spec, "clusterResourceBlacklist", true, unsupported)?;
        let listed = spec.value("namespaceResourceWhitelist").is_some();
        let allowed = kinds(&mut spec, "namespaceResourceWhitelist", false, unsupported)?;
        project.namespaced_allowed = listed.then_some(allowed);
        project.namespaced_denied =
            kinds(&mut spec, "namespaceResourceBlacklist", false, unsupported)?;
        project.only_scoped_clusters =
            spec.flag("permitOnlyProjectScopedClusters")?.unwrap_or(false);
        for (field, why) in GUARDS {
            if spec.value(field).is_some_and(|value| !is_empty(value)) {
                project.blockers.push(format!("{}: {why}", spec.path_of(field)));
            }
        }
        let without_effect = [
            ("roles", "access to Fyr is not granted by projects"),
            ("sourceNamespaces", "Applications live in the namespace argocd only"),
        ];
        for (field, why) in without_effect {
            spec.without_effect(field, why, unsupported);
        }
        // `orphanedResources: {}` switches Argo CD's search on, so it counts when empty too.
        if spec.value("orphanedResources").is_some() {
            let why = "objects that belong to no application are not searched for";
            unsupported.push(Unsupported::new(spec.path_of("orphanedResources"), why));
        }
        spec.finish(unsupported);
        Ok(project)
    }

    /// Why nothing of this project may be deployed at all: it has guards that Fyr cannot keep.
    pub fn blocked(&self) -> Option<String> {
        if self.blockers.is_empty() {
            return None;
        }
        Some(format!(
            "project '{}' has guards that are not supported, and deploying without them would \
             break them: {}",
            self.name,
            self.blockers.join("; ")
        ))
    }

    /// Whether applications may take manifests from this repository.
    pub fn permits_source(&self, url: &str) -> bool {
        let canonical = canonical_repo_url(url);
        if canonical.len() > TEXT_BYTES_MAX {
            return false;
        }
        let denied = |pattern: &Pattern| pattern.denies && !pattern.permits(&canonical);
        self.source_repos.iter().any(|pattern| pattern.permits(&canonical))
            && !self.source_repos.iter().any(denied)
    }

    /// Whether applications may put objects into this namespace of this cluster. `namespace` is
    /// empty where an application names none.
    ///
    /// The marked cluster goes by two names, its own and [`IN_CLUSTER_SERVER`]: either can permit
    /// it, either can deny it.
    pub fn permits_place(&self, cluster: &ClusterEntry, namespace: &str) -> bool {
        let own = (cluster.server.as_str(), cluster.name.as_str());
        if cluster.in_cluster {
            self.permits_any(&[own, (IN_CLUSTER_SERVER, IN_CLUSTER_NAME)], namespace)
        } else {
            self.permits_any(&[own], namespace)
        }
    }

    /// As [`AppProject::permits_place`], for a cluster known by its address and name alone.
    pub fn permits_destination(&self, server: &str, name: &str, namespace: &str) -> bool {
        self.permits_any(&[(server, name)], namespace)
    }

    fn permits_any(&self, identities: &[(&str, &str)], namespace: &str) -> bool {
        let texts = identities.iter().flat_map(|(server, name)| [*server, *name]);
        if texts.chain([namespace]).any(|text| text.len() > TEXT_BYTES_MAX) {
            return false;
        }
        let some = |test: fn(&DestinationPattern, &str, &str, &str) -> bool| {
            identities.iter().any(|(server, name)| {
                self.destinations.iter().any(|entry| test(entry, server, name, namespace))
            })
        };
        some(DestinationPattern::permits) && !some(DestinationPattern::denies)
    }

    /// Whether applications may use this cluster at all, whatever the namespace: clusters that
    /// belong to another project, and with `permitOnlyProjectScopedClusters` clusters that belong
    /// to none, are out of reach.
    pub fn permits_cluster(&self, cluster: &ClusterEntry) -> bool {
        match &cluster.project {
            Some(project) => *project == self.name,
            None => !self.only_scoped_clusters,
        }
    }

    /// Whether applications may deploy this kind of object under this name; the error is a message
    /// for people, in Argo CD's words.
    pub fn permits_object(
        &self,
        kind: &GroupKind,
        name: &str,
        namespaced: bool,
    ) -> Result<(), String> {
        let listed = |list: &[KindPattern]| list.iter().any(|pattern| pattern.matches(kind, name));
        let texts = [kind.group.as_str(), &kind.kind, name];
        let permitted = if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            false
        } else if namespaced {
            self.namespaced_allowed.as_deref().is_none_or(listed)
                && !listed(&self.namespaced_denied)
        } else {
            listed(&self.cluster_allowed) && !listed(&self.cluster_denied)
        };
        if permitted {
            return Ok(());
        }
        let hint = if namespaced || listed(&self.cluster_denied) {
            ""
        } else {
            ": cluster-scoped kinds must be listed in clusterResourceWhitelist"
        };
        Err(format!(
            "resource {}:{} is not permitted in project {}{hint}",
            kind.group, kind.kind, self.name
        ))
    }

    /// Whether applications may deploy this object to this cluster: its kind, and for a namespaced
    /// object its namespace.
    pub fn permits_deployment(
        &self,
        cluster: &ClusterEntry,
        key: &ObjectKey,
        namespaced: bool,
    ) -> Result<(), String> {
        self.permits_object(&key.group_kind(), &key.name, namespaced)?;
        if namespaced && !self.permits_place(cluster, &key.namespace) {
            return Err(format!(
                "namespace {} is not permitted in project '{}'",
                key.namespace, self.name
            ));
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(text: &str, separator: Option<char>, path: String) -> Result<Self, ParseProjectError> {
        let (denies, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // Alone, `*` means everything, separators or not.
        let separator = separator.filter(|_| text != "*");
        let glob = Glob::parse(text, separator)
            .map_err(|source| ParseProjectError::Pattern { path, source })?;
        Ok(Self { denies, glob })
    }

    fn of_repository(url: &str, path: String) -> Result<Self, ParseProjectError> {
        let canonical = match url.strip_prefix('!') {
            Some(rest) => format!("!{}", canonical_repo_url(rest)),
            None => canonical_repo_url(url),
        };
        Self::parse(&canonical, Some('/'), path)
    }

    /// Whether this pattern, on its own, lets `text` through.
    fn permits(&self, text: &str) -> bool {
        self.glob.matches(text) != self.denies
    }
}

impl DestinationPattern {
    fn read(
        mut fields: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseProjectError> {
        let mut pattern = |name: &'static str| -> Result<Option<Pattern>, ParseProjectError> {
            let path = fields.path_of(name);
            let text = fields.text(name)?;
            text.map(|text| Pattern::parse(text, None, path)).transpose()
        };
        let server = pattern("server")?;
        let name = pattern("name")?;
        let namespace = pattern("namespace")?;
        fields.finish(unsupported);
        Ok(Self { server, name, namespace })
    }

    fn permits(&self, server: &str, name: &str, namespace: &str) -> bool {
        self.names_cluster(server, name) && self.permits_namespace(namespace)
    }

    fn permits_namespace(&self, namespace: &str) -> bool {
        match &self.namespace {
            Some(pattern) => pattern.permits(namespace),
            None => namespace.is_empty(),
        }
    }

    fn names_cluster(&self, server: &str, name: &str) -> bool {
        self.server.as_ref().is_some_and(|pattern| pattern.permits(server))
            || self.name.as_ref().is_some_and(|pattern| pattern.permits(name))
    }

    /// Whether a `!` of this entry is meant for this place. A `!` of a cluster's name counts
    /// whatever the namespace, one of its server only in the entry's namespaces, one of a
    /// namespace only on the entry's clusters: Argo CD's rules, which never permit more.
    fn denies(&self, server: &str, name: &str, namespace: &str) -> bool {
        let hit = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_some_and(|pattern| pattern.denies && !pattern.permits(text))
        };
        hit(&self.name, name)
            || (hit(&self.server, server) && self.permits_namespace(namespace))
            || (hit(&self.namespace, namespace) && self.names_cluster(server, name))
    }
}

impl KindPattern {
    fn matches(&self, kind: &GroupKind, name: &str) -> bool {
        self.group.matches(&kind.group)
            && self.kind.matches(&kind.kind)
            && self.name.as_ref().is_none_or(|pattern| pattern.matches(name))
    }
}

/// Reads a list of kinds; those of cluster-scoped objects may name objects too.
fn kinds(
    spec: &mut Fields<'_>,
    field: &'static str,
    with_names: bool,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Vec<KindPattern>, ParseProjectError> {
    let mut all = Vec::new();
    for mut entry in spec.mappings(field)? {
        let mut glob = |name: &'static str| -> Result<(Glob, bool), ParseProjectError> {
            let path = entry.path_of(name);
            let text = entry.text(name)?.unwrap_or_default();
            let glob = Glob::parse(text, None);
            let glob = glob.map_err(|source| ParseProjectError::Pattern { path, source })?;
            Ok((glob, text.is_empty()))
        };
        let (group, _) = glob("group")?;
        let (kind, _) = glob("kind")?;
        let name = if with_names {
            Some(glob("name")?).filter(|(_, empty)| !empty).map(|(glob, _)| glob)
        } else {
            None
        };
        entry.finish(unsupported);
        all.push(KindPattern { group, kind, name });
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
