//! Keeps the watches that are needed running, and no others.
//!
//! Level-triggered: it looks at the kinds wanted and the kinds served, and makes the running
//! watches so. Custom resource definitions are always watched (metadata only, unless an application
//! has some), because they announce new kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fyr_model::GroupKind;
use fyr_plan::{KindState, has_health_rules};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::discovery::{Discovery, Served};
use crate::requests::Requests;
use crate::resource::Scope;
use crate::store::{Coverage, Records};
use crate::watcher::{Spec, Watcher};

/// What the cluster's entry allows to look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// Only these namespaces; all of them when empty.
    pub(crate) namespaces: Vec<String>,
    /// Whether objects of the cluster as a whole may be looked at.
    pub(crate) cluster_resources: bool,
}

/// Starts and stops watches.
pub(crate) struct Keeper {
    pub(crate) limits: Limits,
    pub(crate) watches: Requests,
    pub(crate) requests: Requests,
    pub(crate) records: Arc<Records>,
    pub(crate) discovery: Arc<Discovery>,
}

impl Keeper {
    /// Follows `wanted` for as long as the cluster is managed.
    pub(crate) async fn run(&self, mut wanted: watch::Receiver<BTreeSet<GroupKind>>) {
        let mut served = self.discovery.subscribe();
        let mut running: BTreeMap<Coverage, Running> = BTreeMap::new();
        let mut unwatched: BTreeSet<GroupKind> = BTreeSet::new();
        loop {
            let kinds = wanted.borrow_and_update().clone();
            let offer = served.borrow_and_update().clone();
            let needs = needs(&kinds, &offer, &self.limits);
            self.stop_all_but(&needs.watches, &mut running).await;
            for kind in &unwatched {
                let is_watched = needs.watches.keys().any(|coverage| coverage.kind == *kind);
                if !needs.unwatched.contains_key(kind) && !is_watched {
                    self.records.update(|store| store.drop_kind(kind));
                }
            }
            for (kind, state) in &needs.unwatched {
                self.records.update(|store| store.set_unwatched(kind, state.clone()));
            }
            unwatched = needs.unwatched.into_keys().collect();
            for (coverage, spec) in needs.watches {
                running.entry(coverage).or_insert_with(|| self.start(spec));
            }
            tokio::select! {
                // Cancel-safe per the docs of `changed()`; so is the other.
                changed = wanted.changed() => if changed.is_err() { return },
                changed = served.changed() => if changed.is_err() { return },
            }
        }
    }

    fn start(&self, spec: Spec) -> Running {
        let coverage = spec.coverage();
        self.records.update(|store| store.set_state(&coverage, KindState::Listing));
        let watcher = Watcher {
            spec: spec.clone(),
            watches: self.watches.clone(),
            requests: self.requests.clone(),
            records: self.records.clone(),
            discovery: self.discovery.clone(),
        };
        Running { spec, task: tokio::spawn(watcher.keep_running()) }
    }

    async fn stop_all_but(
        &self,
        needed: &BTreeMap<Coverage, Spec>,
        running: &mut BTreeMap<Coverage, Running>,
    ) {
        let stopped = running.extract_if(.., |coverage, running| {
            needed.get(coverage).is_none_or(|spec| *spec != running.spec)
        });
        let stopped: Vec<_> = stopped.collect();
        for (coverage, mut running) in stopped {
            running.task.abort();
            // Until it has really ended it could still write into the store. How it ends says
            // nothing: it was aborted.
            let _ = (&mut running.task).await;
            self.records.update(|store| store.drop_coverage(&coverage));
        }
    }
}

struct Running {
    spec: Spec,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What shall run.
#[derive(Debug, Default)]
struct Needs {
    watches: BTreeMap<Coverage, Spec>,
    /// Kinds without a watch, and why.
    unwatched: BTreeMap<GroupKind, KindState>,
}

fn needs(wanted: &BTreeSet<GroupKind>, served: &Served, limits: &Limits) -> Needs {
    let definitions = GroupKind::new("apiextensions.k8s.io", "CustomResourceDefinition");
    let mut needs = Needs::default();
    for kind in wanted.iter().chain([&definitions]) {
        let is_wanted = wanted.contains(kind);
        let why_not = match served.preferred(kind) {
            None if served.is_known() => KindState::Missing,
            None => KindState::Listing,
            Some(resource) if !resource.watchable => {
                failed("the cluster does not let this kind be watched")
            }
            Some(resource) if resource.scope == Scope::Cluster && !limits.cluster_resources => {
                failed("the cluster's entry is limited to namespaces and clusterResources is off")
            }
            Some(resource) => {
                let whole = is_wanted && has_health_rules(kind);
                for namespace in namespaces(resource.scope, limits) {
                    let spec = Spec { resource: resource.clone(), namespace, whole };
                    needs.watches.insert(spec.coverage(), spec);
                }
                continue;
            }
        };
        if is_wanted {
            needs.unwatched.insert(kind.clone(), why_not);
        }
    }
    needs
}

fn namespaces(scope: Scope, limits: &Limits) -> Vec<Option<String>> {
    match scope {
        Scope::Namespaced if !limits.namespaces.is_empty() => {
            limits.namespaces.iter().cloned().map(Some).collect()
        }
        Scope::Namespaced | Scope::Cluster => vec![None],
    }
}

fn failed(reason: &str) -> KindState {
    KindState::Failed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use fyr_model::GroupVersionKind;

    use super::*;
    use crate::resource::Resource;

    fn resource(api_version: &str, kind: &str, scope: Scope) -> Resource {
        Resource {
            gvk: GroupVersionKind::from_api_version(api_version, kind),
            plural: format!("{}s", kind.to_lowercase()),
            scope,
            watchable: true,
        }
    }

    fn served() -> Served {
        Served::of([
            resource("apps/v1", "Deployment", Scope::Namespaced),
            resource("v1", "ConfigMap", Scope::Namespaced),
            resource("v1", "Namespace", Scope::Cluster),
            resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", Scope::Cluster),
        ])
    }

    fn kinds(kinds: &[(&str, &str)]) -> BTreeSet<GroupKind> {
        kinds.iter().map(|(group, kind)| GroupKind::new(*group, *kind)).collect()
    }

    fn everything() -> Limits {
        Limits { namespaces: Vec::new(), cluster_resources: true }
    }

    #[test]
    fn only_kinds_whose_health_is_read_from_them_are_watched_whole() {
        let wanted = kinds(&[("apps", "Deployment"), ("", "ConfigMap")]);
        let needs = needs(&wanted, &served(), &everything());
        let whole: Vec<_> = needs
            .watches
            .values()
            .filter(|spec| spec.whole)
            .map(|spec| spec.resource.gvk.kind.as_str())
            .collect();
        assert_eq!(whole, ["Deployment"]);
        assert_eq!(needs.watches.len(), 3, "and the definitions, as metadata");
    }

    #[test]
    fn a_kind_the_cluster_does_not_serve_is_missing_only_once_the_cluster_was_asked() {
        let wanted = kinds(&[("example.org", "Widget")]);
        let widget = GroupKind::new("example.org", "Widget");
        let asked = needs(&wanted, &served(), &everything());
        assert_eq!(asked.unwatched.get(&widget), Some(&KindState::Missing));
        let unasked = needs(&wanted, &Served::default(), &everything());
        assert_eq!(unasked.unwatched.get(&widget), Some(&KindState::Listing));
    }

    #[test]
    fn a_cluster_limited_to_namespaces_is_watched_in_each_and_nowhere_else() {
        let wanted = kinds(&[("", "ConfigMap"), ("", "Namespace")]);
        let limits = Limits {
            namespaces: vec!["bank".to_owned(), "shop".to_owned()],
            cluster_resources: false,
        };
        let needs = needs(&wanted, &served(), &limits);
        let watched: Vec<_> =
            needs.watches.keys().map(|coverage| coverage.namespace.as_deref()).collect();
        assert_eq!(watched, [Some("bank"), Some("shop")]);
        let namespace = needs.unwatched.get(&GroupKind::new("", "Namespace"));
        assert!(matches!(namespace, Some(KindState::Failed { .. })));
    }
}
