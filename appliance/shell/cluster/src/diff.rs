//! What an apply would change, for people: the live object and the one a dry run gives.
//!
//! Nothing of a Secret's data leaves: each value is replaced by a mark that says whether it would
//! change.

use fyr_model::{GroupKind, GroupVersionKind, ObjectKey};
use fyr_plan::{ErrorClass, FIELD_MANAGER, StepError};
use http::Method;
use serde_json::{Map, Value};

use crate::cluster::Cluster;
use crate::refusal::step_error;
use crate::requests::{OBJECT_BYTES_MAX, RequestError, with_body};

/// Metadata that the API server keeps, and that differs without meaning anything.
const BOOKKEEPING: [&str; 6] =
    ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"];

/// kubectl's memory of its last apply: a copy of the object, a Secret's values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

const SAME: &str = "(hidden, the same)";
const LIVE: &str = "(hidden, live value)";
const NEW: &str = "(hidden, new value)";

/// An object before and after an apply, without status and bookkeeping.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectDiff {
    /// As it is; `None` when it does not exist.
    pub live: Option<Value>,
    /// As it would be.
    pub merged: Option<Value>,
}

impl Cluster {
    /// Asks the API server what applying `body` would give. Changes nothing.
    pub async fn diff(
        &self,
        key: &ObjectKey,
        gvk: &GroupVersionKind,
        body: &str,
    ) -> Result<ObjectDiff, StepError> {
        let fail = |error: &RequestError| step_error(error, key);
        let served = self.shared.discovery.served();
        let Some(resource) = served.resource(gvk) else {
            let message = format!("the cluster does not serve {}", gvk.group_kind());
            return Err(StepError { class: ErrorClass::NoSuchKind, message });
        };
        let path = resource.object(&key.namespace, &key.name).map_err(|error| StepError {
            class: ErrorClass::Invalid,
            message: error.to_string(),
        })?;
        let live = match self.shared.requests.get(&path, JSON, OBJECT_BYTES_MAX).await {
            Ok(answer) => Some(answer.json::<Value>().map_err(|error| fail(&error))?),
            Err(RequestError::Refused(status)) if status.code == 404 => None,
            Err(error) => return Err(fail(&error)),
        };
        let path = format!(
            "{path}?dryRun=All&fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict"
        );
        let body = body.as_bytes().to_vec();
        let request = with_body(Method::PATCH, &path, "application/apply-patch+yaml", JSON, body);
        let request = request.map_err(|error| fail(&error))?;
        let answer = self.shared.requests.send(request, OBJECT_BYTES_MAX).await;
        let merged = answer.and_then(|answer| answer.json::<Value>()).map_err(|e| fail(&e))?;
        Ok(comparable(&gvk.group_kind(), live, Some(merged)))
    }
}

const JSON: &str = "application/json";

/// Removes what is not to be compared or not to be seen.
fn comparable(kind: &GroupKind, mut live: Option<Value>, mut merged: Option<Value>) -> ObjectDiff {
    for object in [&mut live, &mut merged].into_iter().flatten() {
        strip(object);
    }
    if kind.group.is_empty() && kind.kind == "Secret" {
        for field in ["data", "stringData"] {
            hide(field, live.as_mut(), merged.as_mut());
        }
    }
    ObjectDiff { live, merged }
}

fn strip(object: &mut Value) {
    let Some(object) = object.as_object_mut() else { return };
    object.remove("status");
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in BOOKKEEPING {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
}

fn hide(field: &str, live: Option<&mut Value>, merged: Option<&mut Value>) {
    let mut none = (Map::new(), Map::new());
    let live = entries(field, live).unwrap_or(&mut none.0);
    let merged = entries(field, merged).unwrap_or(&mut none.1);
    for (name, value) in live.iter_mut() {
        match merged.get_mut(name) {
            Some(other) if other == value => {
                *value = SAME.into();
                *other = SAME.into();
            }
            Some(other) => {
                *value = LIVE.into();
                *other = NEW.into();
            }
            None => *value = LIVE.into(),
        }
    }
    for (name, value) in merged.iter_mut() {
        if !live.contains_key(name) {
            *value = NEW.into();
        }
    }
}

fn entries<'a>(field: &str, object: Option<&'a mut Value>) -> Option<&'a mut Map<String, Value>> {
    object?.get_mut(field)?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_of_a_secret_is_shown_and_changes_still_are() {
        let secret = |data: Value| {
            json!({
                "metadata": {"name": "a", "uid": "u", "annotations": {
                    LAST_APPLIED: "{\"data\":{\"p\":\"hunter2\"}}", "kept": "yes",
                }},
                "data": data,
            })
        };
        let live = secret(json!({"p": "hunter2", "same": "hunter3", "old": "hunter4"}));
        let merged = secret(json!({"p": "hunter5", "same": "hunter3", "new": "hunter6"}));
        let diff = comparable(&GroupKind::new("", "Secret"), Some(live), Some(merged));
        assert!(!format!("{diff:?}").contains("hunter"), "{diff:?}");
        let (live, merged) = (diff.live.unwrap(), diff.merged.unwrap());
        assert_ne!(live["data"]["p"], merged["data"]["p"]);
        assert_eq!(live["data"]["same"], merged["data"]["same"]);
        assert_eq!(merged["data"]["new"], NEW);
        assert_eq!(live["metadata"], json!({"name": "a", "annotations": {"kept": "yes"}}));
    }

    #[test]
    fn a_secret_that_does_not_exist_yet_is_hidden_as_well() {
        let merged = json!({"metadata": {"name": "a"}, "data": {"p": "hunter2"}});
        let diff = comparable(&GroupKind::new("", "Secret"), None, Some(merged));
        assert_eq!(diff.merged.unwrap()["data"], json!({"p": NEW}));
    }

    #[test]
    fn other_kinds_keep_their_content_and_lose_their_status() {
        let live = json!({"metadata": {"name": "a", "generation": 3}, "data": {"p": "q"},
                          "status": {"ready": true}});
        let diff = comparable(&GroupKind::new("", "ConfigMap"), Some(live), None);
        assert_eq!(diff.live, Some(json!({"metadata": {"name": "a"}, "data": {"p": "q"}})));
    }
}
