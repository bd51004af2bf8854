//! A connected cluster with one application, and the means to play everybody else.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use fyr_audit::{Intent, Receipt, Recorded};
use fyr_cluster::{Changes, Cluster, Connectivity};
use fyr_model::{
    ClientCertificate, ClusterAccess, ClusterEntry, Digest, GroupKind, GroupVersionKind, ObjectKey,
    Plaintext,
};
use fyr_plan::{
    Action, ApplyReason, Change, ErrorClass, KindState, LiveObject, Outcome, Plan, Propagation,
    Stage, Step, StepResult, TRACKING_ANNOTATION, TrackingId,
};
use fyr_test_cluster::{ControlPlane, ControlPlaneOptions, Kube, wait_until};
use serde_json::{Value, json};
use tokio::time::timeout;

/// More than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Connections of the client that plays everybody else.
const CONNECTIONS: usize = 2;

/// The control plane of all tests that do not break it. It lives on a thread of its own, because
/// its programs die with the thread that started them.
pub(crate) fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let options = ControlPlaneOptions::default();
                let plane = ControlPlane::start(options).await.expect("it starts");
                sender.send(plane).expect("somebody waits");
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().expect("the control plane starts")
    })
}

/// The administrator's way to the API server at `server`.
pub(crate) fn entry(plane: &ControlPlane, server: &str) -> ClusterEntry {
    ClusterEntry {
        name: "test".to_owned(),
        server: server.to_owned(),
        in_cluster: false,
        namespaces: Vec::new(),
        cluster_resources: true,
        project: None,
        access: access(plane, plane.admin_certificate(), plane.admin_key()),
        secret: ObjectKey {
            group: String::new(),
            kind: "Secret".to_owned(),
            namespace: "argocd".to_owned(),
            name: "cluster-test".to_owned(),
        },
        warnings: Vec::new(),
        unsupported: Vec::new(),
        digest: Digest::of(server.as_bytes()),
    }
}

/// The way in with a client certificate.
pub(crate) fn access(plane: &ControlPlane, certificate: &str, key: &str) -> Arc<ClusterAccess> {
    Arc::new(ClusterAccess {
        ca_pem: Some(plane.ca_certificate().as_bytes().to_vec()),
        client_certificate: Some(ClientCertificate {
            certificate_pem: certificate.as_bytes().to_vec(),
            key_pem: Plaintext::from(key.to_owned()),
        }),
        ..ClusterAccess::default()
    })
}

/// Connects, with rustls' provider installed.
pub(crate) fn connect(entry: &ClusterEntry) -> Cluster {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Cluster::connect(entry).expect("the entry is complete")
}

/// Waits until the cluster counts as unreachable, and says why.
pub(crate) async fn unreachable(cluster: &Cluster, within: Duration) -> String {
    let mut state = cluster.connectivity();
    let lost = state.wait_for(|state| matches!(state, Connectivity::Unreachable { .. }));
    match timeout(within, lost).await.expect("it is noticed").as_deref() {
        Ok(Connectivity::Unreachable { reason, .. }) => reason.clone(),
        other => panic!("{other:?}"),
    }
}

/// What an apply is asked to do beside applying.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    pub(crate) uid: Option<&'a str>,
    pub(crate) adopt_fields: bool,
    pub(crate) recreate: bool,
}

pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) kube: Kube,
    /// Also the application's name: the others' objects must not wake ours.
    pub(crate) namespace: String,
    changes: Changes,
    kinds: BTreeSet<GroupKind>,
}

impl Rig {
    pub(crate) async fn new(namespace: &str) -> Self {
        let plane = shared();
        Self::of(plane, &plane.server(), namespace).await
    }

    /// Connects to `server`, which leads to `plane`, and waits until everything is known.
    pub(crate) async fn of(plane: &ControlPlane, server: &str, namespace: &str) -> Self {
        let cluster = connect(&entry(plane, server));
        let kube = plane.kube_with(&plane.server(), &plane.admin(), CONNECTIONS).expect("a client");
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let path = format!("/api/v1/namespaces/{namespace}");
        kube.apply(&path, &object).await.expect("the namespace is made");
        let changes = cluster.changes();
        let kinds =
            BTreeSet::from([GroupKind::new("", "ConfigMap"), GroupKind::new("apps", "Deployment")]);
        let namespace = namespace.to_owned();
        let rig = Self { cluster, kube, namespace, changes, kinds };
        rig.cluster.set_interest(&rig.namespace, &BTreeSet::new());
        rig.cluster.use_kinds(rig.kinds.clone());
        wait_until(DEADLINE, "every kind to be known", async || {
            let known = rig.cluster.status().kinds;
            rig.kinds.iter().all(|kind| known.get(kind) == Some(&KindState::Synced))
        })
        .await;
        rig
    }

    /// Watches one more kind, which the cluster need not serve.
    pub(crate) async fn use_also(&mut self, kind: &GroupKind) {
        self.kinds.insert(kind.clone());
        self.cluster.use_kinds(self.kinds.clone());
        wait_until(DEADLINE, "the kind to be looked at", async || {
            self.cluster.status().kinds.contains_key(kind)
        })
        .await;
    }

    pub(crate) fn interest(&self, objects: &[&Value]) {
        let keys = objects.iter().map(|object| key(object)).collect();
        self.cluster.set_interest(&self.namespace, &keys);
    }

    /// The path of a namespaced resource of the core group or of `apps`.
    pub(crate) fn path(&self, resource: &str) -> String {
        let base = if resource.starts_with("deployments") { "/apis/apps/v1" } else { "/api/v1" };
        format!("{base}/namespaces/{}/{resource}", self.namespace)
    }

    pub(crate) fn config_map(&self, name: &str, data: &Value) -> Value {
        self.tracked(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace}, "data": data}))
    }

    /// A Deployment whose selector, which is immutable, is `label`.
    pub(crate) fn deployment(&self, name: &str, label: &str) -> Value {
        self.tracked(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": self.namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": label}},
            "template": {
                "metadata": {"labels": {"app": label}},
                "spec": {"containers": [{"name": "main", "image": "example.org/main:1"}]},
            },
        }}))
    }

    pub(crate) fn custom(&self, kind: &str, name: &str) -> Value {
        self.tracked(json!({"apiVersion": "example.org/v1", "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace}, "spec": {"size": 3}}))
    }

    fn tracked(&self, mut object: Value) -> Value {
        let id = TrackingId::new(&self.namespace, &key(&object), &self.namespace).to_string();
        object["metadata"]["annotations"] = json!({TRACKING_ANNOTATION: id});
        object
    }

    pub(crate) fn live(&self, object: &Value) -> Option<LiveObject> {
        let key = key(object);
        let mut state = self.cluster.live(&self.namespace, &BTreeSet::from([key.clone()]));
        state.objects.remove(&key)
    }

    pub(crate) fn is_complete(&self, object: &Value) -> bool {
        self.cluster.live(&self.namespace, &BTreeSet::from([key(object)])).complete()
    }

    /// Waits until the application is woken.
    pub(crate) async fn woken(&mut self) {
        let woken = timeout(DEADLINE, self.changes.next()).await.expect("it is woken");
        assert_eq!(woken, BTreeSet::from([self.namespace.clone()]));
    }

    /// Who has been woken already.
    pub(crate) async fn woken_now(&mut self) -> Option<BTreeSet<String>> {
        timeout(Duration::ZERO, self.changes.next()).await.ok()
    }

    /// Applies an object and forgets who was woken by it: the event of our own write wakes nobody
    /// once its answer is stored, but may overtake the answer.
    pub(crate) async fn apply_quietly(&mut self, object: &Value) -> StepResult {
        let result = self.apply(object).await;
        assert!(change(&result).is_some(), "{result:?}");
        self.woken_now().await;
        result
    }

    /// The same application, through another connection.
    pub(crate) async fn through(self, cluster: Cluster) -> Self {
        let changes = cluster.changes();
        cluster.set_interest(&self.namespace, &BTreeSet::new());
        cluster.use_kinds(self.kinds.clone());
        wait_until(DEADLINE, "the cluster to be discovered", async || cluster.is_discovered())
            .await;
        Self { cluster, changes, ..self }
    }

    /// Changes an object the way kubectl does.
    pub(crate) async fn merge(&self, path: &str, manager: &str, change: &Value) -> Value {
        let path = format!("{path}?fieldManager={manager}");
        let (status, answer) = self
            .kube
            .patch(&path, "application/merge-patch+json", change)
            .await
            .expect("an answer");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub(crate) async fn apply(&self, object: &Value) -> StepResult {
        self.apply_with(object, Options::default()).await
    }

    pub(crate) async fn apply_with(&self, object: &Value, options: Options<'_>) -> StepResult {
        let outcome = self.run_steps(vec![vec![apply_with(object, options)]]).await;
        outcome.steps.into_iter().next().expect("one step").result
    }

    pub(crate) async fn prune(&self, object: &Value, seen: &LiveObject) -> StepResult {
        self.prune_with(object, seen, Propagation::Background).await
    }

    pub(crate) async fn prune_with(
        &self,
        object: &Value,
        seen: &LiveObject,
        propagation: Propagation,
    ) -> StepResult {
        let action = Action::Prune {
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
            propagation,
        };
        let outcome = self.run_steps(vec![vec![step(object, action)]]).await;
        outcome.steps.into_iter().next().expect("one step").result
    }

    pub(crate) async fn run(&self, stages: Vec<Vec<Value>>) -> Outcome {
        let stages = stages.iter().map(|stage| stage.iter().map(apply).collect());
        self.run_steps(stages.collect()).await
    }

    pub(crate) async fn run_steps(&self, stages: Vec<Vec<Step>>) -> Outcome {
        self.execute(self.plan(stages)).await
    }

    pub(crate) fn plan(&self, stages: impl IntoIterator<Item = Vec<Step>>) -> Plan {
        let stages = stages.into_iter().map(|steps| Stage { steps, needs_success: false });
        Plan {
            application: self.namespace.clone(),
            cluster: self.cluster.name().to_owned(),
            revision: None,
            stages: stages.collect(),
        }
    }

    pub(crate) async fn execute(&self, plan: Plan) -> Outcome {
        let hash = Digest::of(b"a record of a test's log");
        let receipt = Receipt { sequence: 1, hash, subject: plan.digest() };
        let recorded = Recorded::new(plan, receipt).expect("it is the plan's own receipt");
        let steps = recorded.value().steps().count();
        let reported = std::sync::atomic::AtomicUsize::new(0);
        let outcome = self
            .cluster
            .execute(&recorded, |_| {
                reported.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            })
            .await;
        assert_eq!(outcome.steps.len(), steps, "every step has an outcome");
        assert_eq!(reported.into_inner(), steps, "and every outcome was reported");
        outcome
    }
}

pub(crate) fn key(object: &Value) -> ObjectKey {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let GroupVersionKind { group, kind, .. } = gvk(object);
    ObjectKey {
        group,
        kind,
        namespace: text("/metadata/namespace").to_owned(),
        name: text("/metadata/name").to_owned(),
    }
}

fn gvk(object: &Value) -> GroupVersionKind {
    let text = |field: &str| object[field].as_str().expect("a manifest has it");
    GroupVersionKind::from_api_version(text("apiVersion"), text("kind"))
}

fn step(object: &Value, action: Action) -> Step {
    Step { key: key(object), gvk: gvk(object), action }
}

pub(crate) fn apply(object: &Value) -> Step {
    apply_with(object, Options::default())
}

fn apply_with(object: &Value, options: Options<'_>) -> Step {
    let body = object.to_string();
    let action = Action::Apply {
        reason: ApplyReason::Update,
        rendered: Digest::of(body.as_bytes()),
        body: Arc::from(body),
        uid: options.uid.map(str::to_owned),
        adopt_fields: options.adopt_fields,
        recreate: options.recreate,
    };
    step(object, action)
}

pub(crate) fn namespace_step(name: &str) -> Step {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let body = Arc::from(object.to_string());
    step(&object, Action::CreateNamespace { body })
}

/// A definition of a namespaced kind of the group `example.org`.
pub(crate) fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.org")},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                }}},
            }],
        },
    })
}

pub(crate) fn class(result: &StepResult) -> Option<ErrorClass> {
    match result {
        StepResult::Failed(error) => Some(error.class),
        _ => None,
    }
}

pub(crate) fn change(result: &StepResult) -> Option<Change> {
    match result {
        StepResult::Applied { change, .. } => Some(*change),
        _ => None,
    }
}

pub(crate) fn uid(result: &StepResult) -> Option<String> {
    match result {
        StepResult::Applied { uid, .. } => Some(uid.clone()),
        _ => None,
    }
}

pub(crate) fn own_fields(result: &StepResult) -> Option<Digest> {
    match result {
        StepResult::Applied { own_fields, .. } => *own_fields,
        _ => None,
    }
}
