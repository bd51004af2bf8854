//! A small world: manifests, a cluster that does what it is told, and an application.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fyr_model::{Automated, CommitId, Digest, GroupKind, Object, ObjectKey};
use serde_json::{Value, json};

use crate::{
    Action, Change, Comparison, Desired, DesiredContext, Inventory, KindState, LiveObject,
    LiveState, Manual, Outcome, Plan, PlanInput, Planned, Policy, Propagation, Scope, StepOutcome,
    StepResult, SyncOptions, TRACKING_ANNOTATION, Trigger, after, before_apply, observe, plan,
};

pub(super) const CLUSTER_KINDS: [&str; 4] =
    ["Namespace", "ClusterRole", "CustomResourceDefinition", "PersistentVolume"];

pub(super) fn key(kind: &str, name: &str) -> ObjectKey {
    let group = match kind {
        "Deployment" => "apps",
        "Role" | "RoleBinding" | "ClusterRole" => "rbac.authorization.k8s.io",
        "CustomResourceDefinition" => "apiextensions.k8s.io",
        "ValidatingWebhookConfiguration" => "admissionregistration.k8s.io",
        "Db" => "example.org",
        _ => "",
    };
    let namespace = if CLUSTER_KINDS.contains(&kind) { "" } else { "dest" };
    let [group, kind, namespace, name] = [group, kind, namespace, name].map(str::to_owned);
    ObjectKey { group, kind, namespace, name }
}

/// A manifest with a payload and annotations of Argo CD's.
pub(super) fn manifest(kind: &str, name: &str, payload: &str, notes: &[(&str, &str)]) -> Object {
    let key = key(kind, name);
    let version = if key.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", key.group) };
    let notes: BTreeMap<String, &str> =
        notes.iter().map(|(name, text)| (format!("argocd.argoproj.io/{name}"), *text)).collect();
    let mut object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": name, "annotations": notes},
        "spec": {"payload": payload},
    });
    if kind == "CustomResourceDefinition" {
        object["spec"] =
            json!({"group": "example.org", "names": {"kind": "Db"}, "scope": "Namespaced"});
    }
    Object::parse(object).unwrap()
}

pub(super) fn config(name: &str) -> Object {
    manifest("ConfigMap", name, "1", &[])
}

pub(super) fn configs(count: usize) -> Vec<Object> {
    (0..count).map(|index| config(&format!("c{index:03}"))).collect()
}

/// An application and its cluster.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) desired: Desired,
    pub(super) inventory: Inventory,
    pub(super) live: LiveState,
    pub(super) claimed: BTreeMap<ObjectKey, String>,
    pub(super) applications: Vec<&'static str>,
    pub(super) resting: BTreeMap<ObjectKey, String>,
    pub(super) forbidden: Vec<ObjectKey>,
    uids: u32,
}

impl World {
    /// Automated with prune and self-healing, on an empty cluster that is completely known.
    pub(super) fn new(rendered: Vec<Object>) -> Self {
        let automated = Automated { prune: true, self_heal: true, allow_empty: false };
        let kinds = ["ConfigMap", "Deployment", "Namespace", "Role", "RoleBinding", "Secret"]
            .into_iter()
            .chain(["CustomResourceDefinition", "ValidatingWebhookConfiguration"])
            .chain(["PersistentVolumeClaim", "ServiceAccount"])
            .map(|kind| (key(kind, "").group_kind(), KindState::Synced))
            .collect();
        let live = LiveState { objects: BTreeMap::new(), kinds, seen_at: SystemTime::UNIX_EPOCH };
        let mut world = Self {
            policy: Policy { automated: Some(automated), ..Policy::default() },
            desired: Desired::default(),
            inventory: Inventory::new(),
            live,
            claimed: BTreeMap::new(),
            applications: vec!["app", "other"],
            resting: BTreeMap::new(),
            forbidden: Vec::new(),
            uids: 0,
        };
        world.want(rendered);
        world
    }

    /// The same, with everything applied.
    pub(super) fn synced(rendered: Vec<Object>) -> Self {
        let mut world = Self::new(rendered);
        world.run(&Trigger::Automated);
        world
    }

    pub(super) fn options(&mut self, options: &[&str]) {
        let (options, without_effect) = SyncOptions::parse(options.iter().copied());
        assert!(without_effect.is_empty());
        self.policy.options = options;
    }

    pub(super) fn want(&mut self, rendered: Vec<Object>) {
        let context = DesiredContext {
            application: "app",
            destination_namespace: "dest",
            scopes: &|kind| {
                let cluster = CLUSTER_KINDS.contains(&kind.kind.as_str());
                let scope = if cluster { Scope::Cluster } else { Scope::Namespaced };
                (kind.kind != "Db").then_some(scope)
            },
            permits: &|_, _| Ok(()),
        };
        self.desired = Desired::prepare(rendered, &context);
    }

    pub(super) fn comparison<'a>(&'a self, exists: &'a dyn Fn(&str) -> bool) -> Comparison<'a> {
        Comparison {
            application: "app",
            desired: &self.desired,
            live: &self.live,
            inventory: &self.inventory,
            claimed: &self.claimed,
            exists,
        }
    }

    pub(super) fn plan(&self, trigger: &Trigger) -> Planned {
        let revision: CommitId = "1".repeat(40).parse().unwrap();
        let exists = |name: &str| self.applications.contains(&name);
        plan(&PlanInput {
            cluster: "c",
            revision: Some(&revision),
            policy: &self.policy,
            trigger,
            destination_namespace: "dest",
            comparison: self.comparison(&exists),
            permits: &|key, _| {
                let forbidden = self.forbidden.contains(key);
                if forbidden { Err("not permitted in project p".to_owned()) } else { Ok(()) }
            },
            versions: &|kind: &GroupKind| (kind.kind != "Db").then(|| "v1".to_owned()),
            resting: &self.resting,
        })
    }

    /// Plans, applies and notes everything, as the daemon does.
    pub(super) fn run(&mut self, trigger: &Trigger) -> Planned {
        let planned = self.plan(trigger);
        self.write_ahead(&planned);
        let outcome = self.execute(&planned.plan);
        after(&mut self.inventory, &planned.plan, &outcome);
        observe(&mut self.inventory, "app", &self.desired, &self.live);
        planned
    }

    /// Writes down what is about to happen; returns which entries.
    pub(super) fn write_ahead(&mut self, planned: &Planned) -> Vec<ObjectKey> {
        let entries = before_apply(&self.inventory, &planned.plan, &self.desired);
        let keys = entries.iter().map(|(key, _)| key.clone()).collect();
        self.inventory.extend(entries);
        keys
    }

    pub(super) fn execute(&mut self, plan: &Plan) -> Outcome {
        let mut outcome = Outcome::default();
        for step in plan.steps() {
            let result = match &step.action {
                Action::Apply { body, rendered, .. } => self.apply(&step.key, body, *rendered),
                Action::CreateNamespace { .. } => {
                    self.put(&step.key, None, None);
                    StepResult::NamespaceReady
                }
                Action::Prune { .. } => {
                    self.live.objects.remove(&step.key);
                    StepResult::Pruned
                }
            };
            outcome.steps.push(StepOutcome { key: step.key.clone(), result });
        }
        outcome
    }

    fn apply(&mut self, key: &ObjectKey, body: &str, rendered: Digest) -> StepResult {
        let body: Value = serde_json::from_str(body).unwrap();
        let tracking = body["metadata"]["annotations"][TRACKING_ANNOTATION].as_str();
        let live = self.put(key, tracking.map(str::to_owned), Some(rendered));
        StepResult::Applied {
            uid: live.uid.clone(),
            resource_version: live.resource_version.clone(),
            own_fields: live.own_fields,
            change: Change::Configured,
        }
    }

    /// Puts an object on the cluster, under its old uid if it has one.
    pub(super) fn put(
        &mut self,
        key: &ObjectKey,
        tracking_id: Option<String>,
        own_fields: Option<Digest>,
    ) -> &mut LiveObject {
        self.uids += 1;
        let uid = match self.live.objects.get(key) {
            Some(live) => live.uid.clone(),
            None => format!("uid-{}", self.uids),
        };
        let live = LiveObject {
            uid,
            resource_version: self.uids.to_string(),
            tracking_id,
            own_fields,
            adoptable: false,
            owned: false,
            deleting: false,
            health: None,
        };
        self.live.objects.insert(key.clone(), live);
        self.object(key)
    }

    pub(super) fn object(&mut self, key: &ObjectKey) -> &mut LiveObject {
        self.live.objects.get_mut(key).expect("the object is on the cluster")
    }
}

pub(super) fn manual(prune: bool, confirmed: bool) -> Trigger {
    Trigger::Manual(Manual { prune, confirmed, ..Manual::default() })
}

pub(super) fn deletion() -> Trigger {
    Trigger::Delete { propagation: Propagation::Background, confirmed: false }
}

/// `create ConfigMap/a`, `prune ConfigMap/a`; stages that need success begin with `|`.
pub(super) fn text(planned: &Planned) -> Vec<String> {
    let stages = planned.plan.stages.iter().flat_map(|stage| {
        let gate = if stage.needs_success { "| " } else { "" };
        stage.steps.iter().map(move |step| {
            let verb = match &step.action {
                Action::Apply { reason, .. } => format!("{reason:?}").to_lowercase(),
                Action::CreateNamespace { .. } => "make".to_owned(),
                Action::Prune { .. } => "prune".to_owned(),
            };
            format!("{gate}{verb} {}/{}", step.key.kind, step.key.name)
        })
    });
    stages.collect()
}
