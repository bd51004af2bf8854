//! Who owns which fields: reading and moving the entries of `metadata.managedFields`.
//!
//! The functions take the array as JSON, as it stands in the object; anything that is not an array
//! counts as empty.

use fyr_model::{Digest, Hasher};
use serde_json::{Map, Value, json};

/// Field manager of everything Fyr applies. One name for the product, not for an instance, so
/// that a standby appliance continues the same ownership.
pub const FIELD_MANAGER: &str = "fyr";

/// Field manager of the namespaces made by `CreateNamespace=true`. Another one than
/// [`FIELD_MANAGER`], so that an application which later brings a manifest of the namespace does
/// not remove what this one set.
pub const NAMESPACE_FIELD_MANAGER: &str = "fyr-namespace";

/// Managers whose fields become ours on adoption: what people and other GitOps tools apply with.
/// Left out on purpose: `kubectl-rollout`, `kubectl-scale` and controllers, whose fields must
/// survive an apply that does not mention them.
const ADOPTED_MANAGERS: [&str; 9] = [
    "kubectl-client-side-apply",
    "kubectl-create",
    "kubectl-edit",
    "kubectl",
    "before-first-apply",
    "argocd-controller",
    "kustomize-controller",
    "helm",
    "helm-controller",
];

/// kubectl's and Argo CD's memory of their last client-side apply. It is left where it is, owned
/// by nobody, so that going back to them is possible.
const LAST_APPLIED: [&str; 3] =
    ["f:metadata", "f:annotations", "f:kubectl.kubernetes.io/last-applied-configuration"];

/// Digest of the fields we own; `None` when we own nothing.
///
/// Covers every entry of ours: changing the `apiVersion` of a manifest leaves two.
pub fn own_fields_digest(managed_fields: &Value) -> Option<Digest> {
    let mut own: Vec<(&str, &Value)> = entries(managed_fields)
        .filter(|entry| is_own(entry))
        .filter_map(|entry| Some((text(entry, "apiVersion"), entry.get("fieldsV1")?)))
        .filter(|(_, fields)| fields.as_object().is_some_and(|fields| !fields.is_empty()))
        .collect();
    if own.is_empty() {
        return None;
    }
    own.sort_by_key(|(version, _)| *version);
    let mut hasher = Hasher::default();
    for (_, fields) in own {
        hasher.field(fields.to_string().as_bytes());
    }
    Some(hasher.finish())
}

/// Whether a manager whose fields become ours on adoption holds any.
pub fn is_adoptable(managed_fields: &Value) -> bool {
    entries(managed_fields).any(is_adopted)
}

/// The other managers that hold fields of the object itself, for messages; sorted, each once.
pub fn other_managers(managed_fields: &Value) -> Vec<String> {
    let mut names: Vec<String> = entries(managed_fields)
        .filter(|entry| text(entry, "subresource").is_empty() && !is_own(entry))
        .map(|entry| text(entry, "manager").to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The JSON patch that moves the fields of the adopted managers to us; `None` when there are none.
///
/// Without it a field that another tool applied and Git no longer has would never go away. It
/// replaces the whole array and sets the `resourceVersion` it was computed from, on which the API
/// server answers 409 if the object has changed since (a `test` operation would answer 422, which
/// cannot be told from an invalid object).
///
/// As client-go's own upgrade does, only entries of one `apiVersion` are joined: paths of other
/// versions need not exist in this one. The others are dropped, their fields stay without an
/// owner.
pub fn adoption_patch(managed_fields: &Value, resource_version: &str) -> Option<Value> {
    if !is_adoptable(managed_fields) {
        return None;
    }
    let target = entries(managed_fields)
        .find(|entry| is_own(entry))
        .or_else(|| entries(managed_fields).find(|entry| is_adopted(entry)))?;
    let version = text(target, "apiVersion");
    let mut union = Map::new();
    for entry in entries(managed_fields) {
        let joins = is_own(entry) || is_adopted(entry);
        if let Some(Value::Object(fields)) = entry.get("fieldsV1")
            && joins
            && text(entry, "apiVersion") == version
        {
            let mut fields = fields.clone();
            if is_adopted(entry) {
                leave_behind(&mut fields);
            }
            join_children(&mut union, fields);
        }
    }
    let mut moved: Vec<Value> = Vec::new();
    if !union.is_empty() {
        moved.push(json!({
            "manager": FIELD_MANAGER,
            "operation": "Apply",
            "apiVersion": version,
            "time": target.get("time").cloned().unwrap_or(Value::Null),
            "fieldsType": "FieldsV1",
            "fieldsV1": union,
        }));
    }
    let stays = |entry: &&Value| {
        !(is_adopted(entry) || is_own(entry) && text(entry, "apiVersion") == version)
    };
    moved.extend(entries(managed_fields).filter(stays).cloned());
    Some(json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": moved},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
    ]))
}

fn entries(managed_fields: &Value) -> impl Iterator<Item = &Value> {
    managed_fields.as_array().into_iter().flatten()
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is_own(entry: &Value) -> bool {
    text(entry, "manager") == FIELD_MANAGER
        && text(entry, "operation") == "Apply"
        && text(entry, "subresource").is_empty()
}

fn is_adopted(entry: &Value) -> bool {
    ADOPTED_MANAGERS.contains(&text(entry, "manager")) && text(entry, "subresource").is_empty()
}

/// Takes out what must not become ours: applying a manifest without it would remove it.
fn leave_behind(fields: &mut Map<String, Value>) {
    fields.remove("f:status");
    remove_path(fields, &LAST_APPLIED);
}

/// Removes a path, and the nodes that hold nothing else: an empty node would be a leaf, which
/// means that the whole field is owned.
fn remove_path(node: &mut Map<String, Value>, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else { return };
    if let Some(Value::Object(child)) = node.get_mut(*first)
        && !rest.is_empty()
    {
        remove_path(child, rest);
        if !child.is_empty() {
            return;
        }
    }
    node.remove(*first);
}

/// Union of two sets of paths below the same node.
fn join_children(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, child) in from {
        match into.get_mut(&name) {
            Some(existing) => join(existing, child),
            None => {
                into.insert(name, child);
            }
        }
    }
}

/// Union of two nodes. A node without children is a member of the set itself; one with children
/// says so with `.`, which has to be added when both forms meet.
fn join(into: &mut Value, from: Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    if into.is_empty() == from.is_empty() {
        join_children(into, from);
        return;
    }
    join_children(into, from);
    into.insert(".".to_owned(), Value::Object(Map::new()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    }

    fn joined(managed_fields: &Value) -> Value {
        adoption_patch(managed_fields, "7").expect("there is something to adopt")[0]["value"]
            .clone()
    }

    #[test]
    fn the_digest_follows_our_own_fields_and_nothing_else() {
        let own = entry("fyr", "Apply", &json!({"f:spec": {"f:replicas": {}}}));
        let before = own_fields_digest(&json!([own]));
        assert!(before.is_some());
        let foreign = entry("kubectl", "Update", &json!({"f:spec": {"f:paused": {}}}));
        assert_eq!(own_fields_digest(&json!([foreign, own])), before);
        let mut later = own.clone();
        later["time"] = json!("2027-01-01T00:00:00Z");
        assert_eq!(own_fields_digest(&json!([later])), before);
        let lost = entry("fyr", "Apply", &json!({"f:spec": {"f:paused": {}}}));
        assert_ne!(own_fields_digest(&json!([lost])), before);
    }

    #[test]
    fn updates_subresources_and_empty_entries_are_not_ours() {
        let mut status = entry("fyr", "Apply", &json!({"f:status": {}}));
        status["subresource"] = json!("status");
        let update = entry("fyr", "Update", &json!({"f:spec": {}}));
        let empty = entry("fyr", "Apply", &json!({}));
        assert_eq!(own_fields_digest(&json!([status, update, empty, {}])), None);
        assert_eq!(own_fields_digest(&Value::Null), None);
    }

    #[test]
    fn two_entries_of_ours_digest_alike_in_either_order() {
        let new = entry("fyr", "Apply", &json!({"f:spec": {"f:a": {}}}));
        let mut old = entry("fyr", "Apply", &json!({"f:spec": {"f:b": {}}}));
        old["apiVersion"] = json!("apps/v1beta1");
        let digest = own_fields_digest(&json!([new, old]));
        assert_eq!(digest, own_fields_digest(&json!([old, new])));
        assert_ne!(digest, own_fields_digest(&json!([new])));
    }

    #[test]
    fn fields_of_kubectl_argo_and_flux_become_ours_and_those_of_controllers_do_not() {
        let fields = json!([
            entry("kubectl-client-side-apply", "Update", &json!({"f:spec": {"f:a": {}}})),
            entry("argocd-controller", "Apply", &json!({"f:spec": {"f:b": {}}})),
            entry("kustomize-controller", "Apply", &json!({"f:spec": {"f:c": {}}})),
            entry("kube-controller-manager", "Update", &json!({"f:spec": {"f:d": {}}})),
        ]);
        assert!(is_adoptable(&fields));
        let moved = joined(&fields);
        assert_eq!(moved.as_array().map(Vec::len), Some(2));
        assert_eq!(moved[0]["manager"], "fyr");
        assert_eq!(moved[0]["operation"], "Apply");
        assert_eq!(moved[0]["fieldsV1"], json!({"f:spec": {"f:a": {}, "f:b": {}, "f:c": {}}}));
        assert_eq!(moved[1]["manager"], "kube-controller-manager");
        assert_eq!(other_managers(&moved), ["kube-controller-manager"]);
    }

    #[test]
    fn nothing_to_adopt_gives_no_patch() {
        let scale = json!({
            "manager": "kubectl", "operation": "Update", "subresource": "scale",
            "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:replicas": {}}},
        });
        let fields = json!([entry("fyr", "Apply", &json!({"f:spec": {}})), scale]);
        assert!(!is_adoptable(&fields));
        assert_eq!(adoption_patch(&fields, "7"), None);
        assert_eq!(adoption_patch(&Value::Null, "7"), None);
    }

    #[test]
    fn the_patch_holds_the_resource_version_it_was_made_for() {
        let fields = json!([entry("helm", "Update", &json!({"f:data": {}}))]);
        let patch = adoption_patch(&fields, "41").unwrap();
        assert_eq!(
            patch[1],
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "41"})
        );
    }

    #[test]
    fn a_leaf_joined_with_a_branch_stays_a_member() {
        let fields = json!([
            entry("fyr", "Apply", &json!({"f:data": {"f:a": {}}, "f:x": {}})),
            entry("helm", "Update", &json!({"f:data": {}, "f:x": {}})),
        ]);
        assert_eq!(
            joined(&fields)[0]["fieldsV1"],
            json!({"f:data": {".": {}, "f:a": {}}, "f:x": {}})
        );
    }

    #[test]
    fn status_and_the_last_applied_annotation_are_left_behind() {
        let annotation = "f:kubectl.kubernetes.io/last-applied-configuration";
        let fields = json!([entry(
            "kubectl-client-side-apply",
            "Update",
            &json!({
                "f:metadata": {"f:annotations": {annotation: {}}},
                "f:spec": {"f:a": {}},
                "f:status": {"f:phase": {}},
            })
        )]);
        assert_eq!(joined(&fields)[0]["fieldsV1"], json!({"f:spec": {"f:a": {}}}));
        let only = json!([entry("helm", "Update", &json!({"f:status": {}}))]);
        assert_eq!(joined(&only), json!([]));
    }

    #[test]
    fn entries_of_another_version_are_dropped_and_not_mixed() {
        let mut other = entry("helm", "Update", &json!({"f:spec": {"f:old": {}}}));
        other["apiVersion"] = json!("apps/v1beta1");
        let fields = json!([entry("fyr", "Apply", &json!({"f:spec": {"f:a": {}}})), other]);
        let moved = joined(&fields);
        assert_eq!(moved.as_array().map(Vec::len), Some(1));
        assert_eq!(moved[0]["fieldsV1"], json!({"f:spec": {"f:a": {}}}));
    }
}
