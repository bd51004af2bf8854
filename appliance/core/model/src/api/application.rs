//! Applications as the API shows them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Operation;
use crate::ObjectKey;

/// Whether a cluster holds what Git has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum SyncStatus {
    /// It does.
    Synced,
    /// It does not.
    OutOfSync,
    /// It cannot be known.
    #[default]
    Unknown,
}

/// How an object or an application does, from best to worst.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum HealthStatus {
    /// It does what it should.
    Healthy,
    /// It was told to pause.
    Suspended,
    /// It is on its way and not there yet.
    Progressing,
    /// It does not exist.
    Missing,
    /// It cannot get there without help.
    Degraded,
    /// It cannot be known.
    #[default]
    Unknown,
}

impl fmt::Display for SyncStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether an application is in sync, with what, and why not.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncState {
    /// The verdict.
    pub status: SyncStatus,
    /// The full commit id that the cluster is compared with; that of the first source.
    pub revision: Option<String>,
    /// The commits of all sources, in their order.
    #[serde(default)]
    pub revisions: Vec<String>,
    /// The first line of the commit's message.
    #[serde(default)]
    pub subject: String,
    /// Why it is not in sync; empty when there is nothing to say.
    #[serde(default)]
    pub reason: String,
}

/// How an application or object does, and why.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthState {
    /// The verdict.
    pub status: HealthStatus,
    /// Why; empty when there is nothing to say.
    #[serde(default)]
    pub reason: String,
}

/// An application in a list.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSummary {
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// The cluster it is applied to; `null` when its destination names none that is known.
    pub cluster: Option<String>,
    /// The namespace of its destination; empty when it names none.
    #[serde(default)]
    pub namespace: String,
    /// What it follows: branch, tag, commit or constraint of its first source.
    #[serde(default)]
    pub target_revision: String,
    /// Whether the cluster holds what Git has.
    pub sync: SyncState,
    /// How it does.
    pub health: HealthState,
    /// What is being done, or was done last.
    pub operation: Operation,
    /// Whether new commits are applied without asking.
    #[serde(default)]
    pub automated: bool,
    /// Set when it is left alone.
    pub paused: Option<PauseView>,
    /// When its cluster was last changed by a sync.
    pub changed_at: Option<Timestamp>,
    /// Number of its objects.
    #[serde(default)]
    pub resource_count: u64,
    /// Number of its conditions that stand for errors.
    #[serde(default)]
    pub error_count: u64,
}

/// Everything about one application.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationDetail {
    /// What lists show of it; its fields stand beside the others in JSON.
    #[serde(flatten)]
    pub summary: ApplicationSummary,
    /// Where its manifests come from.
    #[serde(default)]
    pub sources: Vec<SourceView>,
    /// Where they are applied.
    #[serde(default)]
    pub destination: DestinationView,
    /// How it is synced without asking; `null` when it is not.
    pub sync_policy: Option<AutomatedView>,
    /// Set when it stays at a commit.
    pub pin: Option<PinView>,
    /// Its objects, in the order of their keys.
    #[serde(default)]
    pub resources: Vec<ResourceStatus>,
    /// What its owner has to know.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Fields of its manifest without effect, and the like.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// When its cluster was last heard of.
    pub last_contact: Option<Timestamp>,
    /// When its repository was last looked at with success.
    pub fetched_at: Option<Timestamp>,
}

/// Where manifests come from.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// The repository, without any password.
    pub repo_url: String,
    /// Folder in it.
    #[serde(default)]
    pub path: String,
    /// Branch, tag, commit or constraint.
    #[serde(default)]
    pub target_revision: String,
    /// What renders it: `directory` or `kustomize`.
    #[serde(default)]
    pub tool: String,
    /// The full commit id it resolves to.
    pub revision: Option<String>,
    /// What a person has to know of that, such as a branch and a tag of one name.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Where objects are applied.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationView {
    /// The server as written in the manifest; `null` when it gives a name.
    pub server: Option<String>,
    /// The name as written in the manifest; `null` when it gives a server.
    pub name: Option<String>,
    /// The namespace of objects that name none.
    #[serde(default)]
    pub namespace: String,
}

/// How an application is synced without asking.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AutomatedView {
    /// Objects that left Git are deleted.
    pub prune: bool,
    /// Changes on the cluster are reverted.
    pub self_heal: bool,
    /// Even the last object may be deleted.
    pub allow_empty: bool,
}

/// An application is left alone: shown, neither synced nor healed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseView {
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// An application stays at a commit, whatever its `targetRevision` means.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PinView {
    /// The full commit ids, one a source.
    pub revisions: Vec<String>,
    /// The entry of the history it was rolled back to.
    pub history_id: u64,
}

/// What an application's owner has to know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its kind, under Argo CD's name where it has one: `ComparisonError`, `SyncError`…
    pub r#type: String,
    /// Whether it stands for something that failed, and not for something to know.
    #[serde(default)]
    pub error: bool,
    /// What people read.
    pub message: String,
}

/// Names one object.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRef {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl From<ObjectKey> for ResourceRef {
    fn from(key: ObjectKey) -> Self {
        let ObjectKey { group, kind, namespace, name } = key;
        Self { group, kind, namespace, name }
    }
}

impl From<ResourceRef> for ObjectKey {
    fn from(reference: ResourceRef) -> Self {
        let ResourceRef { group, kind, namespace, name } = reference;
        Self { group, kind, namespace, name }
    }
}

/// `Deployment shop/web`, as in messages.
impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// How one object stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Version it is applied as; empty when it is no longer in Git.
    #[serde(default)]
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Whether the cluster holds what Git has of it.
    pub status: SyncStatus,
    /// How it does; `null` when there is nothing to judge it by.
    pub health: Option<HealthState>,
    /// Why it is not in sync, or what the last try said; empty when there is nothing to say.
    #[serde(default)]
    pub message: String,
    /// Its sync wave.
    #[serde(default)]
    pub wave: i32,
    /// Git no longer has it.
    #[serde(default)]
    pub requires_pruning: bool,
    /// The object of the same application that owns it; `null` at the top.
    pub owner: Option<ResourceRef>,
}

impl ResourceStatus {
    /// Which object it is.
    pub fn reference(&self) -> ResourceRef {
        ResourceRef {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// How much it needs a person, most first: for lists that show problems first.
    pub fn urgency(&self) -> u8 {
        let health = self.health.as_ref().map(|health| health.status);
        match (health, self.status) {
            (Some(HealthStatus::Degraded), _) => 0,
            (_, SyncStatus::OutOfSync) | (Some(HealthStatus::Missing), _) => 1,
            (_, SyncStatus::Unknown) | (Some(HealthStatus::Unknown), _) => 2,
            (Some(HealthStatus::Progressing), _) => 3,
            (Some(HealthStatus::Suspended), _) => 4,
            (Some(HealthStatus::Healthy) | None, SyncStatus::Synced) => 5,
        }
    }
}

/// An object with the objects it owns.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceNode {
    /// The object; its fields stand beside `children` in JSON.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// What it owns.
    #[serde(default)]
    pub children: Vec<Self>,
}

impl ResourceNode {
    /// Levels of ownership that are shown; below them objects stand at the top. Kubernetes itself
    /// needs four (`CronJob` → Job → Pod and what an operator puts above).
    pub const DEPTH_MAX: usize = 16;

    /// Arranges objects by ownership, problems first on each level. Every object is there exactly
    /// once: one whose owner is not among them, or is owned by itself in a circle, is at the top.
    pub fn forest(resources: &[ResourceStatus]) -> Vec<Self> {
        let known: BTreeMap<ResourceRef, &ResourceStatus> =
            resources.iter().map(|resource| (resource.reference(), resource)).collect();
        let mut top = Vec::new();
        let mut children: BTreeMap<ResourceRef, Vec<&ResourceStatus>> = BTreeMap::new();
        for (reference, resource) in &known {
            match &resource.owner {
                Some(owner) if known.contains_key(owner) && Self::ends(reference, &known) => {
                    children.entry(owner.clone()).or_default().push(resource);
                }
                _ => top.push(*resource),
            }
        }
        Self::level(top, &children)
    }

    /// Whether the chain of an object's owners ends before the limit.
    fn ends(start: &ResourceRef, known: &BTreeMap<ResourceRef, &ResourceStatus>) -> bool {
        let mut current = start;
        for _ in 0..Self::DEPTH_MAX {
            match known.get(current).and_then(|resource| resource.owner.as_ref()) {
                Some(owner) => current = owner,
                None => return true,
            }
        }
        false
    }

    fn level(
        mut here: Vec<&ResourceStatus>,
        children: &BTreeMap<ResourceRef, Vec<&ResourceStatus>>,
    ) -> Vec<Self> {
        here.sort_by_key(|resource| (resource.urgency(), resource.reference()));
        let node = |resource: &ResourceStatus| {
            let below = children.get(&resource.reference()).cloned().unwrap_or_default();
            Self { resource: resource.clone(), children: Self::level(below, children) }
        };
        here.into_iter().map(node).collect()
    }
}

/// Which applications a list shows; absent conditions hold for all.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationFilter {
    /// On this cluster.
    pub cluster: Option<String>,
    /// Of this project.
    pub project: Option<String>,
    /// With this sync status.
    pub sync: Option<SyncStatus>,
    /// With this health.
    pub health: Option<HealthStatus>,
    /// Whose name contains this text.
    pub name: Option<String>,
}

impl ApplicationFilter {
    /// Whether an application is to be shown.
    pub fn matches(&self, application: &ApplicationSummary) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        self.cluster.as_ref().is_none_or(|wanted| application.cluster.as_ref() == Some(wanted))
            && is(self.project.as_ref(), &application.project)
            && is(self.sync.as_ref(), &application.sync.status)
            && is(self.health.as_ref(), &application.health.status)
            && self.name.as_ref().is_none_or(|part| application.name.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, owner: Option<&str>) -> ResourceStatus {
        let reference =
            |name: &str| ResourceRef { name: name.to_owned(), ..ResourceRef::default() };
        ResourceStatus {
            name: name.to_owned(),
            status: SyncStatus::Synced,
            owner: owner.map(reference),
            ..ResourceStatus::default()
        }
    }

    fn outline(nodes: &[ResourceNode]) -> String {
        let one = |node: &ResourceNode| match outline(&node.children) {
            below if below.is_empty() => node.resource.name.clone(),
            below => format!("{}({below})", node.resource.name),
        };
        nodes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn objects_stand_below_their_owner() {
        let all = [resource("b", Some("a")), resource("a", None), resource("c", Some("b"))];
        assert_eq!(outline(&ResourceNode::forest(&all)), "a(b(c))");
    }

    #[test]
    fn an_unknown_owner_and_a_circle_hide_nothing() {
        let all = [
            resource("a", Some("gone")),
            resource("b", Some("c")),
            resource("c", Some("b")),
            resource("d", Some("d")),
        ];
        assert_eq!(outline(&ResourceNode::forest(&all)), "a b c d");
    }

    #[test]
    fn problems_come_first() {
        let mut bad = resource("z", None);
        bad.health = Some(HealthState { status: HealthStatus::Degraded, reason: String::new() });
        let all = [resource("a", None), bad];
        assert_eq!(outline(&ResourceNode::forest(&all)), "z a");
    }

    #[test]
    fn a_filter_needs_all_its_conditions() {
        let application = ApplicationSummary {
            name: "web".to_owned(),
            cluster: Some("prod".to_owned()),
            ..ApplicationSummary::default()
        };
        let mut filter = ApplicationFilter {
            cluster: Some("prod".to_owned()),
            name: Some("we".to_owned()),
            ..ApplicationFilter::default()
        };
        assert!(filter.matches(&application));
        filter.sync = Some(SyncStatus::Synced);
        assert!(!filter.matches(&application));
    }

    #[test]
    fn details_hold_the_fields_of_the_summary_beside_their_own() {
        let detail = ApplicationDetail::default();
        let json = serde_json::to_value(&detail).unwrap();
        assert_eq!(json["sync"]["status"], "Unknown");
        assert!(json["paused"].is_null());
        assert!(json["conditions"].is_array());
        assert_eq!(serde_json::from_value::<ApplicationDetail>(json).unwrap(), detail);
    }
}
