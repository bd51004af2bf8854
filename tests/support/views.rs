//! Reading what the API says of an application, and waiting for it to say something else.

use fyr_test_cluster::Kube;
use serde_json::{Value, json};

use crate::{World, object_until, shared_cluster};

/// What the API says of one object of an application; null when it does not list the object.
pub fn resource<'a>(app: &'a Value, kind: &str, name: &str) -> &'a Value {
    let resources = app["resources"].as_array().map_or(&[][..], Vec::as_slice);
    let found = resources.iter().find(|one| one["kind"] == kind && one["name"] == name);
    found.unwrap_or(&Value::Null)
}

/// The message of an application's condition of a type; `None` when it has none.
pub fn condition<'a>(app: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = app["conditions"].as_array()?;
    conditions.iter().find(|one| one["type"] == kind)?["message"].as_str()
}

/// Whether an application is paused.
pub fn is_paused(app: &Value) -> bool {
    !app["paused"].is_null() && app["paused"] != false
}

impl World {
    /// As [`World::on_shared_cluster`], with settings of the test's own made before the start.
    pub async fn on_shared_cluster_with(prepare: impl FnOnce(&mut Self)) -> Self {
        let mut world = Self::new();
        world.add_cluster("shared", shared_cluster().await, true);
        prepare(&mut world);
        world.start().await;
        world
    }

    /// Commits files to `org/infra` before anything is registered, and returns the commit.
    pub fn seed<'a>(&self, files: impl IntoIterator<Item = (&'a str, String)>) -> String {
        for (path, content) in files {
            self.infra.write(path, content).expect("a file");
        }
        let commit = self.infra.commit("Add the manifests").expect("a commit");
        self.infra.push().expect("a push");
        commit
    }

    /// Waits until an application is out of sync.
    pub async fn out_of_sync(&self, name: &str) -> Value {
        self.until(name, "out of sync", |app| app["sync"]["status"] == "OutOfSync").await
    }

    /// Waits until the health of an application is `status`.
    pub async fn health(&self, name: &str, status: &str) -> Value {
        self.until(name, status, |app| app["health"]["status"] == status).await
    }

    /// Waits until an application has a condition of a type whose message contains `text`.
    pub async fn condition_of(&self, name: &str, kind: &str, text: &str) -> Value {
        let has = |app: &Value| condition(app, kind).is_some_and(|found| found.contains(text));
        self.until(name, &format!("showing {kind} with {text:?}"), has).await
    }

    /// Waits until one object of an application is as `reached` says of its entry.
    pub async fn resource_until(
        &self,
        name: &str,
        (kind, object): (&str, &str),
        what: &str,
        reached: impl Fn(&Value) -> bool,
    ) -> Value {
        let what = format!("showing {kind} {object} {what}");
        self.until(name, &what, |app| reached(resource(app, kind, object))).await
    }
}

/// Waits until the entry `value` of a `ConfigMap` is `expected`.
pub async fn value_until(kube: &Kube, path: &str, expected: &str) {
    let what = format!("{path} holding {expected:?}");
    object_until(kube, path, &what, |object| object["data"]["value"] == expected).await;
}

/// Whether there is an object at `path`.
pub async fn exists(kube: &Kube, path: &str) -> bool {
    let (status, answer) = kube.get(path).await.expect("the API server answers");
    assert!(status.is_success() || status.as_u16() == 404, "{path}: {status} {answer}");
    status.is_success()
}

/// The object at `path`, which must be there.
pub async fn object(kube: &Kube, path: &str) -> Value {
    let (status, object) = kube.get(path).await.expect("the API server answers");
    assert!(status.is_success(), "{path}: {status} {object}");
    object
}

/// Posts an object to the collection at `path` and returns it as it was stored.
pub async fn create(kube: &Kube, path: &str, object: &Value) -> Value {
    let (status, stored) = kube.post(path, object).await.expect("the API server answers");
    assert!(status.is_success(), "{path}: {status} {stored:#}");
    stored
}

/// A manifest as JSON, to be changed before it is written.
pub fn manifest(text: &str) -> Value {
    serde_json::from_str(text).expect("the manifests of this crate are JSON")
}

/// The Secret of a cluster, marked as the in-cluster destination, with a configuration of the
/// test's own.
pub fn cluster_secret_with(name: &str, server: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": {
                "argocd.argoproj.io/secret-type": "cluster",
                "fyr.dev/in-cluster": "true",
            },
        },
        "stringData": {"name": name, "server": server, "config": config.to_string()},
    })
}
