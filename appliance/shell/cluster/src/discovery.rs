//! Which kinds a cluster serves, and under which names and versions.
//!
//! Aggregated discovery: two requests tell everything, and `ETag`s make asking again nearly free,
//! so there is no refresh of single groups. It is asked again when a custom resource definition
//! changes, when somebody needs a kind that is not known, after an outage, and every
//! [`REFRESH_EVERY`] for aggregated APIs, whose changes nothing announces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fyr_model::{GroupKind, GroupVersionKind};
use http::{Request, header};
use kube::client::Body;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::requests::{PAGE_BYTES_MAX, RequestError, Requests};
use crate::resource::{Resource, Scope};

/// How often discovery is asked without an occasion.
const REFRESH_EVERY: Duration = Duration::from_mins(10);

/// Least time between two refreshes: however many applications wait for a kind, the API server is
/// asked no more often.
const REFRESH_PAUSE: Duration = Duration::from_millis(50);

/// How long somebody who needs a refresh waits for it.
const REFRESH_DEADLINE: Duration = Duration::from_secs(10);

/// A new definition is served a little after it is established: asked again after these waits,
/// until the answer changes.
const CHASE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));
const CHASES_MAX: u32 = 6;

/// Waits after a failed refresh.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,\
                      application/json";

/// Why it is not known what a cluster serves.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefreshError {
    /// The cluster refused, or did not answer.
    #[error("discovery failed: {reason}")]
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// Nothing came in time.
    #[error("discovery was not answered within {} s", REFRESH_DEADLINE.as_secs())]
    Deadline,
}

/// All kinds a cluster serves, each with its versions, the preferred one first.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Served {
    kinds: BTreeMap<GroupKind, Vec<Resource>>,
    /// Whether the cluster was asked at all.
    known: bool,
}

impl Served {
    #[cfg(test)]
    pub(crate) fn of(resources: impl IntoIterator<Item = Resource>) -> Self {
        let groups = Document { resources: resources.into_iter().collect(), ..Document::default() };
        Documents { groups, ..Documents::default() }.served()
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    pub(crate) fn preferred(&self, kind: &GroupKind) -> Option<&Resource> {
        self.kinds.get(kind)?.first()
    }

    pub(crate) fn resource(&self, gvk: &GroupVersionKind) -> Option<&Resource> {
        self.kinds.get(&gvk.group_kind())?.iter().find(|resource| resource.gvk == *gvk)
    }

    /// The versions a kind is served in, for messages.
    pub(crate) fn versions(&self, kind: &GroupKind) -> Vec<&str> {
        let resources = self.kinds.get(kind).into_iter().flatten();
        resources.map(|resource| resource.gvk.version.as_str()).collect()
    }
}

/// Keeps [`Served`] true.
#[derive(Debug)]
pub(crate) struct Discovery {
    served: watch::Sender<Arc<Served>>,
    /// Number of refreshes asked for.
    asked: watch::Sender<u64>,
    /// The number of the last one that was answered, and how it went.
    answered: watch::Sender<(u64, Result<(), RefreshError>)>,
    definitions: Notify,
}

impl Discovery {
    pub(crate) fn new() -> Self {
        Self {
            served: watch::Sender::new(Arc::default()),
            asked: watch::Sender::new(0),
            answered: watch::Sender::new((0, Ok(()))),
            definitions: Notify::new(),
        }
    }

    /// What is known now.
    pub(crate) fn served(&self) -> Arc<Served> {
        self.served.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Served>> {
        self.served.subscribe()
    }

    /// A custom resource definition changed.
    pub(crate) fn definition_changed(&self) {
        self.definitions.notify_one();
    }

    /// Asks the cluster, and waits for an answer that is not older than the question.
    pub(crate) async fn refresh(&self) -> Result<(), RefreshError> {
        let mut ticket = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            ticket = *asked;
        });
        let mut answered = self.answered.subscribe();
        let answer = answered.wait_for(|(number, _)| *number >= ticket);
        match timeout(REFRESH_DEADLINE, answer).await {
            Ok(Ok(answer)) => answer.1.clone(),
            Ok(Err(_)) | Err(_) => Err(RefreshError::Deadline),
        }
    }

    /// Asks whenever there is an occasion, for as long as the cluster is managed.
    pub(crate) async fn run(&self, requests: &Requests, cluster: &str) {
        let mut documents = Documents::default();
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut chase = Backoff::new(CHASE.0, CHASE.1);
        let mut chases = 0_u32;
        let mut asked = self.asked.subscribe();
        requests.contact().connected().await;
        loop {
            let ticket = *asked.borrow_and_update();
            let result = documents.refresh(requests).await;
            let wait = match &result {
                Ok(changed) => {
                    backoff.reset();
                    if *changed {
                        chases = 0;
                        self.served.send_replace(Arc::new(documents.served()));
                    }
                    chases = chases.saturating_sub(1);
                    if chases > 0 { chase.next() } else { REFRESH_EVERY }
                }
                Err(error) => {
                    tracing::warn!(cluster, %error, "discovery failed");
                    backoff.next()
                }
            };
            let outcome = result
                .map(drop)
                .map_err(|error| RefreshError::Failed { reason: error.to_string() });
            drop(self.answered.send_replace((ticket, outcome)));
            tokio::select! {
                // Cancel-safe: the number asked for stays.
                _ = asked.changed() => {}
                // Cancel-safe: a permit that is not taken stays.
                () = self.definitions.notified() => {
                    chases = CHASES_MAX;
                    chase.reset();
                }
                // Cancel-safe: it only reads.
                () = reconnected(requests) => {}
                // Cancel-safe: a timer.
                () = sleep(wait) => {}
            }
            sleep(REFRESH_PAUSE).await;
        }
    }
}

/// Ends when the cluster was lost and has come back.
async fn reconnected(requests: &Requests) {
    requests.contact().opened().await;
    requests.contact().connected().await;
}

/// Both discovery documents as last read, with their tags.
#[derive(Default)]
struct Documents {
    core: Document,
    groups: Document,
}

#[derive(Default)]
struct Document {
    etag: Option<String>,
    resources: Vec<Resource>,
    read: bool,
}

impl Documents {
    /// Whether anything changed.
    async fn refresh(&mut self, requests: &Requests) -> Result<bool, RequestError> {
        let core = self.core.refresh(requests, "/api").await?;
        let groups = self.groups.refresh(requests, "/apis").await?;
        Ok(core || groups)
    }

    fn served(&self) -> Served {
        let mut kinds: BTreeMap<GroupKind, Vec<Resource>> = BTreeMap::new();
        for resource in self.core.resources.iter().chain(&self.groups.resources) {
            kinds.entry(resource.kind()).or_default().push(resource.clone());
        }
        Served { kinds, known: true }
    }
}

impl Document {
    async fn refresh(&mut self, requests: &Requests, path: &str) -> Result<bool, RequestError> {
        let mut request = Request::get(path).header(header::ACCEPT, ACCEPT);
        if let Some(etag) = &self.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let answer = requests.send(request.body(Body::empty())?, PAGE_BYTES_MAX).await?;
        if answer.status == http::StatusCode::NOT_MODIFIED {
            return Ok(false);
        }
        let list: GroupList = answer.json()?;
        let resources = list.resources(&self.resources);
        let changed = !self.read || resources != self.resources;
        *self = Self { etag: answer.etag, resources, read: true };
        Ok(changed)
    }
}

/// `apidiscovery.k8s.io/v2` `APIGroupDiscoveryList`, as far as it is used; `v2beta1` has the same
/// fields.
#[derive(Deserialize)]
struct GroupList {
    // Not optional: servers before 1.26 answer with a list of another form, and an empty cluster
    // must not be read out of it.
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupMetadata,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
struct GroupMetadata {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "version")]
    name: String,
    #[serde(default)]
    resources: Vec<Offer>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    resource: String,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

impl GroupList {
    /// All resources. An API server behind the aggregator that is down is `Stale` and may be listed
    /// without resources: what was known of it stays true.
    fn resources(self, previous: &[Resource]) -> Vec<Resource> {
        let mut resources = Vec::new();
        for group in self.items {
            let group_name = group.metadata.name;
            for version in group.versions {
                if version.freshness == "Stale" && version.resources.is_empty() {
                    let known = previous.iter().filter(|resource| {
                        resource.gvk.group == group_name && resource.gvk.version == version.name
                    });
                    resources.extend(known.cloned());
                }
                for offer in version.resources {
                    let Some(kind) = offer.response_kind.map(|kind| kind.kind) else { continue };
                    let has = |verb: &str| offer.verbs.iter().any(|known| known == verb);
                    let watchable = has("list") && has("watch");
                    let namespaced = offer.scope == "Namespaced";
                    resources.push(Resource {
                        gvk: GroupVersionKind {
                            group: group_name.clone(),
                            version: version.name.clone(),
                            kind,
                        },
                        plural: offer.resource,
                        scope: if namespaced { Scope::Namespaced } else { Scope::Cluster },
                        watchable,
                    });
                }
            }
        }
        resources
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(freshness: &str, with_resources: bool) -> GroupList {
        let resources = json!([
            {"resource": "deployments", "responseKind": {"kind": "Deployment"},
             "scope": "Namespaced", "verbs": ["get", "list", "watch", "patch"]},
            {"resource": "reviews", "responseKind": {"kind": "Review"},
             "scope": "Cluster", "verbs": ["create"]},
        ]);
        let resources = if with_resources { resources } else { json!([]) };
        serde_json::from_value(json!({"items": [{
            "metadata": {"name": "apps"},
            "versions": [
                {"version": "v1", "freshness": freshness, "resources": resources},
                {"version": "v1beta1", "freshness": "Current", "resources": [
                    {"resource": "deployments", "responseKind": {"kind": "Deployment"},
                     "scope": "Namespaced", "verbs": ["list", "watch"]},
                ]},
            ],
        }]}))
        .unwrap()
    }

    #[test]
    fn a_kind_has_its_versions_in_the_order_of_preference() {
        let served = Served::of(list("Current", true).resources(&[]));
        let deployment = GroupKind::new("apps", "Deployment");
        assert_eq!(served.versions(&deployment), ["v1", "v1beta1"]);
        assert_eq!(served.preferred(&deployment).unwrap().gvk.version, "v1");
        let old = GroupVersionKind::from_api_version("apps/v1beta1", "Deployment");
        assert_eq!(served.resource(&old).unwrap().plural, "deployments");
        assert!(!served.preferred(&GroupKind::new("apps", "Review")).unwrap().watchable);
        assert!(served.preferred(&GroupKind::new("apps", "Missing")).is_none());
    }

    #[test]
    fn an_aggregated_api_that_is_down_keeps_its_kinds() {
        let before = list("Current", true).resources(&[]);
        let after = list("Stale", false).resources(&before);
        assert_eq!(Served::of(after).versions(&GroupKind::new("apps", "Review")), ["v1"]);
    }

    #[test]
    fn the_answer_of_a_server_without_aggregated_discovery_is_an_error_and_not_empty() {
        let old = json!({"kind": "APIGroupList", "groups": [{"name": "apps"}]});
        assert!(serde_json::from_value::<GroupList>(old).is_err());
    }
}
