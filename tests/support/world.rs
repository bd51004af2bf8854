//! A Git server, repositories, clusters and the daemons.

use std::time::Duration;

use fyr_test_cluster::{
    ControlPlane, ControlPlaneOptions, GitAccess, Kube, Repository, SshGitServer, wait_until,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{Application, Daemons, cluster_secret};

/// The URL under which manifests name the repositories of the test's Git server.
const WRITTEN_URL: &str = "git@git.example.org:org/";

/// Long enough for anything that works; tests wait for states, so only failures take this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A control plane that many tests use at once, each in a namespace of its own.
pub type SharedCluster = &'static ControlPlane;

/// Starts the shared control plane on first use; it dies with the test process.
pub async fn shared_cluster() -> SharedCluster {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let options = ControlPlaneOptions {
                controllers: true,
                nodes: 1,
                audit_log: true,
                ..ControlPlaneOptions::default()
            };
            ControlPlane::start(options).await.expect("the shared control plane starts")
        })
        .await
}

/// A client of the shared control plane for one test: connections live in the test's own runtime.
pub async fn shared_kube() -> Kube {
    let cluster = shared_cluster().await;
    cluster.kube_with(&cluster.server(), &cluster.admin(), 4).expect("valid certificates")
}

/// Everything a test needs around the daemons.
#[derive(Debug)]
pub struct World {
    /// The daemons; started by [`World::start`].
    pub daemons: Daemons,
    /// The Git server.
    pub git: SshGitServer,
    /// A clone of the fleet repository.
    pub fleet: Repository,
    /// A clone of the repository that applications come from.
    pub infra: Repository,
    secrets: Vec<Value>,
    settings: Value,
    folder: tempfile::TempDir,
}

impl World {
    /// A Git server with an empty fleet and an empty repository `org/infra`; no cluster yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let git = SshGitServer::start(None).expect("the Git server starts");
        let repository = |name: &str| {
            let url = git.create_repository(name).expect("a repository");
            let clone = Repository::create(&url, git.access()).expect("a clone");
            clone.write("README", name).expect("a file");
            clone.write("applications/.keep", "").expect("a file");
            clone.commit("Begin").expect("a commit");
            clone.push().expect("a push");
            clone
        };
        let (fleet, infra) = (repository("org/fleet.git"), repository("org/infra.git"));
        let daemons = Daemons::new(folder.path());
        let known_hosts = git.known_hosts();
        let identity = std::fs::read_to_string(git.identity_path()).expect("the client's key");
        let credentials = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "git",
                "namespace": "argocd",
                "labels": {"argocd.argoproj.io/secret-type": "repo-creds"},
            },
            "stringData": {
                "url": WRITTEN_URL.trim_end_matches('/'),
                "sshPrivateKey": identity,
                "sshKnownHosts": known_hosts,
            },
        });
        let settings = json!({
            "fleet": {
                "repoURL": format!("{WRITTEN_URL}fleet.git"),
                "path": "applications",
                "sshPrivateKeyFile": git.identity_path(),
                "knownHostsFile": git.known_hosts_path(),
            },
            "urlRewrites": [
                {"base": format!("{}/org/", git.url_base()), "insteadOf": WRITTEN_URL},
            ],
            "secrets": {"files": ["secrets.yaml"]},
        });
        let secrets = vec![credentials];
        Self { daemons, git, fleet, infra, secrets, settings, folder }
    }

    /// A world with the shared cluster as the in-cluster destination, and the daemons running.
    pub async fn on_shared_cluster() -> Self {
        let mut world = Self::new();
        world.add_cluster("shared", shared_cluster().await, true);
        world.start().await;
        world
    }

    /// Makes a cluster known to the daemons, at their next start or look at the fleet.
    pub fn add_cluster(&mut self, name: &str, cluster: &ControlPlane, in_cluster: bool) {
        self.add_secret(cluster_secret(name, cluster, &cluster.server(), in_cluster));
    }

    /// Adds a Secret to the local file of Secrets.
    pub fn add_secret(&mut self, secret: Value) {
        self.secrets.push(secret);
        self.write_configuration();
    }

    /// Sets a field of `spec` in `appliance.yaml`.
    pub fn set(&mut self, field: &str, value: Value) {
        self.settings[field] = value;
        self.write_configuration();
    }

    /// Starts the daemons and waits until they answer.
    pub async fn start(&mut self) {
        self.write_configuration();
        self.daemons.start().await;
    }

    /// The URL under which manifests name a repository of the Git server.
    pub fn written_url(name: &str) -> String {
        format!("{WRITTEN_URL}{name}")
    }

    /// How Git reaches the server.
    pub fn access(&self) -> GitAccess {
        self.git.access()
    }

    /// An application of a folder of `org/infra`, whose name is also its namespace.
    pub fn application(&self, name: &str, path: &str) -> Application {
        Application::new(name, &Self::written_url("infra.git"), path, name)
    }

    /// Commits an application to the fleet repository and has the daemon look at it.
    pub async fn register(&self, application: &Application) {
        self.register_all(std::slice::from_ref(application)).await;
    }

    /// Commits applications to the fleet repository and has the daemon look at them.
    pub async fn register_all(&self, applications: &[Application]) {
        for application in applications {
            let path = format!("applications/{}.yaml", application.name());
            self.fleet.write(&path, application.text()).expect("a file");
        }
        self.publish_fleet("Register").await;
    }

    /// Removes an application from the fleet repository.
    pub async fn unregister(&self, name: &str) {
        self.fleet.remove(&format!("applications/{name}.yaml")).expect("it is there");
        self.publish_fleet("Unregister").await;
    }

    /// Commits and pushes the fleet's clone and has the daemon look at it.
    pub async fn publish_fleet(&self, message: &str) {
        self.fleet.commit(message).expect("a commit");
        self.fleet.push().expect("a push");
        // What the fleet refuses is for the test to look at.
        self.daemons.ask("POST", "/api/v1/fleet/refresh").await;
    }

    /// Commits and pushes the clone of `org/infra` and has the daemon look at it for `application`.
    pub async fn publish(&self, application: &str, message: &str) -> String {
        let commit = self.infra.commit(message).expect("a commit");
        self.infra.push().expect("a push");
        self.daemons.ask("POST", &format!("/api/v1/applications/{application}/refresh")).await;
        commit
    }

    /// Runs the command line and expects exit code 0.
    pub async fn fyr<const N: usize>(&self, arguments: [&str; N]) -> String {
        self.daemons.fyr(arguments).await.success().stdout
    }

    /// One application as the API shows it; null while there is none of this name.
    pub async fn get(&self, name: &str) -> Value {
        match self.daemons.ask("GET", &format!("/api/v1/applications/{name}")).await {
            Some((200, application)) => application,
            _ => Value::Null,
        }
    }

    /// Waits until an application is as `reached` says.
    pub async fn until(&self, name: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            last = self.get(name).await;
            if reached(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("{name} is not {what}; it is {last:#}\nlog:\n{}", self.daemons.log());
    }

    /// Waits until an application is in sync.
    pub async fn synced(&self, name: &str) -> Value {
        self.until(name, "in sync", |app| app["sync"]["status"] == "Synced").await
    }

    /// Waits until an application is in sync at a commit.
    pub async fn synced_at(&self, name: &str, commit: &str) -> Value {
        self.until(name, "in sync at the commit", |app| {
            app["sync"]["status"] == "Synced" && app["sync"]["revision"] == commit
        })
        .await
    }

    /// Waits until an application has a condition whose text contains `text`.
    pub async fn condition(&self, name: &str, text: &str) -> Value {
        let has = |app: &Value| {
            let conditions = app["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|one| one.to_string().contains(text)))
        };
        self.until(name, &format!("showing {text:?}"), has).await
    }

    fn write_configuration(&self) {
        let document = json!({
            "apiVersion": "fyr.dev/v1alpha1",
            "kind": "Appliance",
            "metadata": {"name": "test"},
            "spec": self.settings,
        });
        let secrets: Vec<String> = self.secrets.iter().map(Value::to_string).collect();
        let write = |name: &str, text: &str| {
            std::fs::write(self.folder.path().join(name), text).expect("the folder is writable");
        };
        write("appliance.yaml", &document.to_string());
        write("secrets.yaml", &secrets.join("\n---\n"));
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until the object at `path` is as `reached` says.
pub async fn object_until(kube: &Kube, path: &str, what: &str, reached: impl Fn(&Value) -> bool) {
    wait_until(PATIENCE, what, async || {
        kube.get(path).await.is_ok_and(|(status, object)| status.is_success() && reached(&object))
    })
    .await;
}

/// Waits until there is no object at `path`.
pub async fn object_gone(kube: &Kube, path: &str) {
    wait_until(PATIENCE, &format!("{path} gone"), async || {
        kube.get(path).await.is_ok_and(|(status, _)| status.as_u16() == 404)
    })
    .await;
}
