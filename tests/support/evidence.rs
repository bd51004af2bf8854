//! Control planes of a test's own, and the evidence of what was done on them.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fyr_test_cluster::{
    AuditEvent, AuditPosition, ControlPlane, ControlPlaneOptions, Kube, Proxy, wait_until,
};
use serde_json::{Value, json};

use crate::daemons::program;
use crate::{Application, Finished, World, cluster_secret};

/// Longest time until the API server has written down a request it has answered.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
/// Longest run of a program that is expected to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// A control plane that a test may break: etcd and the API server, with its log of requests.
/// Nothing collects garbage there, so what is deleted in the foreground stays for ever:
/// [`Application::pruned_in_the_background`].
pub async fn own_cluster() -> ControlPlane {
    let options = ControlPlaneOptions { audit_log: true, ..ControlPlaneOptions::default() };
    ControlPlane::start(options).await.expect("a control plane starts")
}

impl Application {
    /// What leaves Git is deleted at once, and not after what it owns.
    #[must_use]
    pub fn pruned_in_the_background(self) -> Self {
        let options = json!(["CreateNamespace=true", "PrunePropagationPolicy=background"]);
        self.with("/spec/syncPolicy/syncOptions", options)
    }
}

/// Every `ConfigMap` of a cluster that carries a tracking annotation, with its entry `value`: what
/// is there because of an application, whatever the daemons believe.
pub async fn tracked(kube: &Kube) -> BTreeMap<String, String> {
    let all = kube.list("/api/v1/configmaps").await.expect("the API server answers");
    let ours = all
        .iter()
        .filter(|one| !one["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].is_null());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ours.map(|one| (text(&one["metadata"]["name"]), text(&one["data"]["value"]))).collect()
}

/// The requests of the daemons that could change something since a place in the API server's own
/// log. What was answered before this call is in it.
pub async fn writes_since(
    cluster: &ControlPlane,
    kube: &Kube,
    since: AuditPosition,
) -> Vec<AuditEvent> {
    static MARKS: AtomicU64 = AtomicU64::new(0);
    let mark = format!("/api/v1/namespaces/mark-{}", MARKS.fetch_add(1, Ordering::Relaxed));
    kube.get(&mark).await.expect("the API server answers");
    let events = || cluster.audit_events(since).expect("the log of requests can be read");
    wait_until(WRITTEN_WITHIN, "the log of requests holding the newest", async || {
        events().iter().any(|event| event.uri == mark)
    })
    .await;
    let ours = |event: &AuditEvent| event.is_write() && event.user_agent.starts_with("fyr/");
    events().into_iter().filter(ours).collect()
}

/// Runs one of the programs to its end.
pub async fn run<'a>(name: &str, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    let command = tokio::process::Command::new(program(name))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ENDS_WITHIN, command)
        .await
        .unwrap_or_else(|_| panic!("{name} does not end"))
        .expect("the program starts");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl World {
    /// A world whose in-cluster destination is a cluster of the test's own, reached through a
    /// proxy; the daemons run.
    pub async fn behind(cluster: &ControlPlane, proxy: &Proxy) -> Self {
        let mut world = Self::new();
        let server = format!("https://{}", proxy.address());
        world.add_secret(cluster_secret("own", cluster, &server, true));
        world.start().await;
        world
    }

    /// A world whose in-cluster destination is a cluster of the test's own; the daemons run.
    pub async fn on(cluster: &ControlPlane) -> Self {
        let mut world = Self::new();
        world.add_cluster("own", cluster, true);
        world.start().await;
        world
    }

    /// How everything stands.
    pub async fn status(&self) -> Value {
        self.daemons.api("GET", "/api/v1/status").await
    }

    /// One cluster as the API lists it.
    pub async fn cluster(&self, name: &str) -> Value {
        let clusters = self.daemons.api("GET", "/api/v1/clusters").await;
        let clusters = clusters.as_array().cloned().unwrap_or_default();
        clusters.into_iter().find(|one| one["name"] == name).unwrap_or_default()
    }

    /// Waits until a cluster answers, or until it does not.
    pub async fn cluster_reachable(&self, name: &str, reachable: bool) -> Value {
        let what = format!("cluster {name} with reachable {reachable}");
        wait_until(Duration::from_mins(1), &what, async || {
            self.cluster(name).await["reachable"] == reachable
        })
        .await;
        self.cluster(name).await
    }

    /// The records of the audit log about an application, oldest first.
    pub async fn records(&self, application: &str) -> Vec<Value> {
        let query = ["audit", "list", "--app", application, "--limit", "500", "-o", "json"];
        let finished = self.daemons.fyr(query).await.success();
        finished.json().as_array().cloned().expect("a list of records")
    }
}
