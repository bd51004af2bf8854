//! Preconditions written into a body without reading all of it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// Adds `metadata.uid`, so that the API server refuses the apply when another object has taken the
/// place of the one it was made for, or none is there (409), instead of creating one.
///
/// A body holds its metadata once, as the planner writes it; everything else is skipped, not read.
pub(super) fn with_uid(body: &str, uid: &str) -> Result<Vec<u8>, serde_json::Error> {
    let metadata = serde_json::from_str::<Parts<'_>>(body)?.metadata.get();
    // `metadata` is a slice of `body`: the difference of their addresses is its place in it.
    let start = metadata.as_ptr().addr() - body.as_ptr().addr() + 1;
    let uid = json!(uid).to_string();
    let separator = if metadata.trim_end_matches('}').trim() == "{" { "" } else { "," };
    let mut out = Vec::with_capacity(body.len() + uid.len() + 8);
    out.extend_from_slice(body.get(..start).unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\"uid\":");
    out.extend_from_slice(uid.as_bytes());
    out.extend_from_slice(separator.as_bytes());
    out.extend_from_slice(body.get(start..).unwrap_or_default().as_bytes());
    Ok(out)
}

/// The body under another name, for proving that it is valid without touching the object.
pub(super) fn renamed(body: &str, name: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut object: Value = serde_json::from_str(body)?;
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".to_owned(), json!(name));
    }
    serde_json::to_vec(&object)
}

/// Whether a namespace's manifest says more than its name.
pub(super) fn has_own_metadata(body: &str) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Namespace {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        labels: Value,
        #[serde(default)]
        annotations: Value,
    }
    let Namespace { metadata } = serde_json::from_str(body)?;
    let says = |value: &Value| value.as_object().is_some_and(|entries| !entries.is_empty());
    Ok(says(&metadata.labels) || says(&metadata.annotations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_goes_into_the_objects_own_metadata_and_nothing_else_changes() {
        let bodies = [
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}}),
            json!({"apiVersion": "v1", "data": {"metadata": {"x": "}"}}, "metadata": {"name": "a"},
                   "spec": {"template": {"metadata": {"labels": {}}}}}),
        ];
        for mut body in bodies {
            let sent = with_uid(&body.to_string(), "u-\"1").unwrap();
            body["metadata"]["uid"] = json!("u-\"1");
            assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), body);
        }
    }

    #[test]
    fn metadata_without_entries_stays_valid_json() {
        let sent = with_uid(r#"{"metadata":{}}"#, "u").unwrap();
        assert_eq!(sent, br#"{"metadata":{"uid":"u"}}"#);
    }

    #[test]
    fn a_namespace_with_labels_says_more_than_its_name() {
        assert!(!has_own_metadata(r#"{"metadata":{"name":"a","labels":{}}}"#).unwrap());
        assert!(has_own_metadata(r#"{"metadata":{"name":"a","labels":{"x":"y"}}}"#).unwrap());
    }
}
