//! Manifests that tests write into repositories.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fyr_test_cluster::ControlPlane;
use serde_json::{Value, json};

/// An Application, with the settings that tests vary. JSON is YAML, so it is written as JSON.
#[derive(Clone, Debug)]
pub struct Application {
    name: String,
    manifest: Value,
}

impl Application {
    /// An application of `path` in the repository at `url`, applied to the in-cluster destination,
    /// automated with prune and self-heal.
    pub fn new(name: &str, url: &str, path: &str, namespace: &str) -> Self {
        let manifest = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {"repoURL": url, "targetRevision": "HEAD", "path": path},
                "destination": {
                    "server": "https://kubernetes.default.svc",
                    "namespace": namespace,
                },
                "syncPolicy": {
                    "automated": {"prune": true, "selfHeal": true},
                    "syncOptions": ["CreateNamespace=true"],
                },
            },
        });
        Self { name: name.to_owned(), manifest }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the field at a JSON pointer, creating the mappings on the way.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.manifest;
        for field in pointer.trim_start_matches('/').split('/') {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[field.replace("~1", "/")];
        }
        *place = value;
        self
    }

    /// Without `syncPolicy.automated`: nothing happens until an operator syncs.
    #[must_use]
    pub fn manual(self) -> Self {
        self.with("/spec/syncPolicy/automated", Value::Null)
    }

    /// Deleting the Application deletes its objects.
    #[must_use]
    pub fn cascading(self) -> Self {
        self.with("/metadata/finalizers", json!(["resources-finalizer.argocd.argoproj.io"]))
    }

    /// Applied to the cluster of this name instead.
    #[must_use]
    pub fn on(mut self, cluster: &str) -> Self {
        let namespace = self.manifest["spec"]["destination"]["namespace"].clone();
        self.manifest["spec"]["destination"] = json!({"name": cluster, "namespace": namespace});
        self
    }

    /// The file's content.
    pub fn text(&self) -> String {
        self.manifest.to_string()
    }
}

/// An Argo CD cluster Secret with administrator's credentials, reached at `server`.
pub fn cluster_secret(name: &str, cluster: &ControlPlane, server: &str, in_cluster: bool) -> Value {
    let config = json!({
        "tlsClientConfig": {
            "serverName": "localhost",
            "caData": STANDARD.encode(cluster.ca_certificate()),
            "certData": STANDARD.encode(cluster.admin_certificate()),
            "keyData": STANDARD.encode(cluster.admin_key()),
        },
    });
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": {
                "argocd.argoproj.io/secret-type": "cluster",
                "fyr.dev/in-cluster": in_cluster.to_string(),
            },
        },
        "stringData": {"name": name, "server": server, "config": config.to_string()},
    })
}

/// A ConfigMap with one entry.
pub fn config_map(name: &str, value: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"value": value},
    })
    .to_string()
}

/// A Deployment of one container.
pub fn deployment(name: &str, replicas: u32) -> String {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "registry.example.org/app:1"}]},
            },
        },
    })
    .to_string()
}
