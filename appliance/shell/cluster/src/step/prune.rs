//! Deletes an object, if it still is the one that was seen.

use fyr_plan::{ErrorClass, Propagation, StepError, StepResult};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::apply::{JSON, is_absent};
use super::{Sent, Work};
use crate::reduce::reduce;
use crate::requests::{Answer, with_body};
use crate::watcher::METADATA;

impl Work<'_> {
    pub(super) async fn prune(
        &self,
        uid: &str,
        resource_version: &str,
        propagation: Propagation,
    ) -> Result<StepResult, StepError> {
        let resource = match self.resource().await {
            Ok(resource) => resource,
            // The cluster was asked again and does not know the kind: its objects went with it.
            Err(error) if error.class == ErrorClass::NoSuchKind => {
                return Ok(StepResult::AlreadyGone);
            }
            Err(error) => return Err(error),
        };
        let path = self.path(&resource)?;
        let preconditions = json!({"uid": uid, "resourceVersion": resource_version});
        match self.delete(&path, &preconditions, propagation).await {
            Ok(answer) => {
                self.note_deletion(&answer, uid);
                Ok(StepResult::Pruned)
            }
            Err(error) if is_absent(&error) => Ok(StepResult::AlreadyGone),
            Err(error) => Err(self.error(&error)),
        }
    }

    pub(super) async fn delete(
        &self,
        path: &str,
        preconditions: &Value,
        propagation: Propagation,
    ) -> Sent {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": policy(propagation),
        });
        let options = options.to_string().into_bytes();
        self.send(|| with_body(Method::DELETE, path, JSON, METADATA, options.clone())).await
    }

    /// Stores what a deletion left. An object with finalizers stays, marked; one without is gone,
    /// and the answer is either its last state or a mere status.
    pub(super) fn note_deletion(&self, answer: &Answer, uid: &str) {
        let left = match reduce(self.gvk, false, &answer.body) {
            Ok((key, live))
                if answer.status != StatusCode::NO_CONTENT && key.name == self.key.name =>
            {
                live.deleting.then_some(live)
            }
            _ => None,
        };
        self.shared.records.update(|store| match left {
            Some(mut live) => {
                live.health = store.get(self.key).and_then(|known| known.health.clone());
                store.wrote(self.key.clone(), live, self.application);
            }
            None => store.deleted(self.key, uid, self.application),
        });
    }
}

fn policy(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Foreground => "Foreground",
        Propagation::Background => "Background",
        Propagation::Orphan => "Orphan",
    }
}
