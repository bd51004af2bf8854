//! From the JSON of an object to the little that is kept of it.

use fyr_model::{GroupVersionKind, ObjectKey};
use fyr_plan::{LiveObject, health_of, is_adoptable, own_fields_digest};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// `metadata`, as far as anybody looks at it. Everything else is skipped while reading.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    pub(crate) uid: String,
    #[serde(default)]
    pub(crate) resource_version: String,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    owner_references: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    annotations: Option<Annotations>,
    #[serde(default)]
    pub(crate) managed_fields: Value,
}

#[derive(Deserialize)]
struct Annotations {
    // `fyr_plan::TRACKING_ANNOTATION`; serde takes no constant here.
    #[serde(default, rename = "argocd.argoproj.io/tracking-id")]
    tracking: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    metadata: Metadata,
}

/// Reads an object: the record of it, and the key it goes under.
///
/// `whole` says that `json` is more than metadata, so that health can be judged.
pub(crate) fn reduce(
    gvk: &GroupVersionKind,
    whole: bool,
    json: &[u8],
) -> Result<(ObjectKey, LiveObject), serde_json::Error> {
    let Envelope { metadata } = serde_json::from_slice(json)?;
    let health = if whole {
        let object: Value = serde_json::from_slice(json)?;
        health_of(gvk, &object)
    } else {
        None
    };
    let key = ObjectKey {
        group: gvk.group.clone(),
        kind: gvk.kind.clone(),
        namespace: metadata.namespace,
        name: metadata.name,
    };
    let live = LiveObject {
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        tracking_id: metadata.annotations.and_then(|annotations| annotations.tracking),
        own_fields: own_fields_digest(&metadata.managed_fields),
        adoptable: is_adoptable(&metadata.managed_fields),
        owned: metadata.owner_references.is_some_and(|owners| !owners.is_empty()),
        deleting: metadata.deletion_timestamp.is_some(),
        health,
    };
    Ok((key, live))
}

/// Reads only the metadata of an object.
pub(crate) fn metadata(json: &[u8]) -> Result<Metadata, serde_json::Error> {
    serde_json::from_slice(json).map(|Envelope { metadata }| metadata)
}

#[cfg(test)]
mod tests {
    use fyr_plan::TRACKING_ANNOTATION;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_reduced_to_its_identity_and_what_drift_is_seen_by() {
        let gvk = GroupVersionKind::from_api_version("v1", "ConfigMap");
        let json = json!({
            "metadata": {
                "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7",
                "annotations": {TRACKING_ANNOTATION: "web:/ConfigMap:shop/a", "other": "x"},
                "managedFields": [{
                    "manager": "fyr", "operation": "Apply", "apiVersion": "v1",
                    "fieldsV1": {"f:data": {"f:a": {}}},
                }],
            },
            "data": {"a": "b"},
        });
        let (key, live) = reduce(&gvk, false, json.to_string().as_bytes()).unwrap();
        assert_eq!(key.to_string(), "ConfigMap shop/a");
        assert_eq!((live.uid.as_str(), live.resource_version.as_str()), ("u", "7"));
        assert_eq!(live.tracking_id.as_deref(), Some("web:/ConfigMap:shop/a"));
        assert!(live.own_fields.is_some());
        assert!(!live.owned && !live.deleting && live.health.is_none());
    }

    #[test]
    fn null_stands_for_absent_as_it_does_in_kubernetes() {
        let gvk = GroupVersionKind::from_api_version("v1", "Namespace");
        let json = json!({"metadata": {
            "name": "a", "uid": "u", "annotations": null, "ownerReferences": null,
            "deletionTimestamp": null,
        }});
        let (key, live) = reduce(&gvk, false, json.to_string().as_bytes()).unwrap();
        assert_eq!(key.namespace, "");
        assert_eq!(live.tracking_id, None);
        assert!(!live.deleting && !live.owned);
    }
}
