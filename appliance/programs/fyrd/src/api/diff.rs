//! What a sync would change, field by field: the API server is asked, nothing is changed.

use std::sync::Arc;

use futures::StreamExt;
use fyr_cluster::Cluster;
use fyr_model::api::{DiffRequest, DiffResponse, ErrorCode, ObjectDiff, Problem};
use fyr_model::{GroupVersionKind, Object, ObjectKey};
use fyr_web::Answer;
use serde_json::json;

use super::Api;
use crate::application::Report;

/// Objects compared at a time: as many as the cluster is asked at once when applying.
const COMPARISONS_MAX: usize = 8;

/// One object as it should be.
type Wanted = (ObjectKey, GroupVersionKind, Arc<str>);

impl Api {
    /// What syncing an application would change.
    pub(super) async fn diff_of(&self, name: &str, revision: Option<&str>) -> Answer<DiffResponse> {
        let report = self.handle(name)?.report.borrow().clone();
        let current = report.revisions.first().map(|revision| revision.commit.to_string());
        if let Some(wanted) = revision
            && current.as_deref() != Some(wanted)
        {
            let message = format!("{name} is at {}, not at {wanted}", current.unwrap_or_default());
            return Err(Problem::new(ErrorCode::WrongState, message)
                .with_hint("fyr app sync --revision --dry-run shows the plan for another commit"));
        }
        let desired = report.desired.as_ref().ok_or_else(|| not_ready(name))?;
        let wanted: Vec<Wanted> = desired
            .objects
            .iter()
            .map(|(key, object)| (key.clone(), object.gvk.clone(), Arc::clone(&object.body)))
            .collect();
        let mut response = self.compare(name, &report, wanted).await?;
        let extra = report.assessment.resources.iter().filter(|one| one.requires_pruning);
        response.objects.extend(extra.map(|resource| removed(&resource.key)));
        Ok(response)
    }

    /// What applying other objects in place of the application's own would change.
    pub(super) async fn diff_of_objects(
        &self,
        name: &str,
        request: DiffRequest,
    ) -> Answer<DiffResponse> {
        let report = self.handle(name)?.report.borrow().clone();
        let application = report.application.as_ref().ok_or_else(|| not_ready(name))?;
        let cluster = self.cluster_of(name, &report)?;
        let mut wanted = Vec::with_capacity(request.objects.len());
        for value in request.objects {
            let mut object = Object::parse(value).map_err(|error| {
                Problem::new(ErrorCode::InvalidManifests, "an object cannot be compared")
                    .because(&error)
            })?;
            let namespaced =
                cluster.scope(&object.gvk().group_kind()) == Some(fyr_cluster::Scope::Namespaced);
            if namespaced && object.namespace().is_none() {
                object.set_namespace(Some(&application.destination.namespace));
            }
            wanted.push((object.key(), object.gvk(), object.value().to_string().into()));
        }
        self.compare(name, &report, wanted).await
    }

    async fn compare(
        &self,
        name: &str,
        report: &Report,
        wanted: Vec<Wanted>,
    ) -> Answer<DiffResponse> {
        let cluster = self.cluster_of(name, report)?;
        let mut objects: Vec<ObjectDiff> = futures::stream::iter(wanted)
            .map(|wanted| one(&cluster, wanted))
            .buffered(COMPARISONS_MAX)
            .collect()
            .await;
        let all = objects.len();
        objects.retain(|object| object.changed || object.error.is_some());
        Ok(DiffResponse {
            application: name.to_owned(),
            cluster: cluster.name().to_owned(),
            revision: report.revisions.first().map(|revision| revision.commit.to_string()),
            unchanged: u64::try_from(all - objects.len()).unwrap_or(u64::MAX),
            objects,
        })
    }

    fn cluster_of(&self, name: &str, report: &Report) -> Answer<Cluster> {
        let cluster = report.cluster.as_ref().ok_or_else(|| not_ready(name))?;
        self.context.clusters.get(cluster).map_err(|reason| {
            Problem::new(ErrorCode::ClusterUnreachable, format!("cluster {cluster}: {reason}"))
        })
    }
}

async fn one(cluster: &Cluster, (key, gvk, body): Wanted) -> ObjectDiff {
    match cluster.diff(&key, &gvk, &body).await {
        Ok(diff) => ObjectDiff {
            changed: diff.live != diff.merged,
            live: diff.live,
            desired: diff.merged,
            key: key.into(),
            ..ObjectDiff::default()
        },
        Err(error) => {
            ObjectDiff { error: Some(error.message), key: key.into(), ..ObjectDiff::default() }
        }
    }
}

/// An object that goes: its content is of no interest any more.
fn removed(key: &ObjectKey) -> ObjectDiff {
    let live = json!({
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace},
    });
    let key = key.clone().into();
    ObjectDiff { key, live: Some(live), desired: None, changed: true, error: None }
}

fn not_ready(name: &str) -> Problem {
    Problem::new(ErrorCode::NotReady, format!("{name} has not been rendered yet"))
        .with_hint(format!("fyr app get {name} says why"))
}
