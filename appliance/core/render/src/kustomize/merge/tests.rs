use serde_json::{Value, json};

use super::{Merged, strategic};
use crate::kustomize::merge_keys::Schemas;
use crate::kustomize::resource::Id;

fn merged(target: &Value, patch: &Value) -> Value {
    let mut target = target.clone();
    let id = Id::of(&target);
    assert_eq!(strategic(&mut target, patch, &id, Schemas::BuiltIn).unwrap(), Merged::Kept);
    target
}

/// Merges one list of a pod's `spec`.
fn list(name: &str, target: &Value, patch: &Value) -> Value {
    let pod = |list: &Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {name: list}});
    merged(&pod(target), &pod(patch))["spec"][name].clone()
}

fn ports(target: &Value, patch: &Value) -> Value {
    let containers = |ports: &Value| json!([{"name": "a", "ports": ports}]);
    list("containers", &containers(target), &containers(patch))[0]["ports"].clone()
}

fn custom(target: &Value, patch: &Value) -> Value {
    let object = |spec: &Value| json!({"apiVersion": "a.io/v1", "kind": "A", "spec": spec});
    merged(&object(target), &object(patch))["spec"].clone()
}

#[test]
fn what_a_patch_names_comes_first_in_its_order() {
    let target = json!([{"name": "a"}, {"name": "b", "args": ["x"]}, {"name": "c"}]);
    let patch = json!([{"name": "new"}, {"name": "c", "image": "1"}, {"name": "b", "image": "2"}]);
    let expected = json!([
        {"name": "new"}, {"name": "c", "image": "1"},
        {"name": "b", "args": ["x"], "image": "2"}, {"name": "a"},
    ]);
    assert_eq!(list("containers", &target, &patch), expected);
}

#[test]
fn with_two_keys_items_keep_their_order_behind_new_ones() {
    let target = json!([
        {"containerPort": 1, "protocol": "TCP"}, {"containerPort": 2, "protocol": "TCP"},
    ]);
    let patch = json!([
        {"containerPort": 3, "protocol": "TCP"},
        {"containerPort": 2, "protocol": "TCP", "name": "x"},
    ]);
    let expected = json!([
        {"containerPort": 3, "protocol": "TCP"}, {"containerPort": 1, "protocol": "TCP"},
        {"containerPort": 2, "protocol": "TCP", "name": "x"},
    ]);
    assert_eq!(ports(&target, &patch), expected);
}

#[test]
fn a_key_nobody_gives_does_not_count() {
    let target = json!([{"containerPort": 80, "name": "old"}]);
    let patch = json!([{"containerPort": 80, "name": "new"}]);
    assert_eq!(ports(&target, &patch), patch);
}

#[test]
fn a_port_whose_protocol_only_one_side_gives_is_lost_as_in_kustomize() {
    let with = json!([{"containerPort": 80, "protocol": "UDP"}]);
    let without = json!([{"containerPort": 80, "name": "x"}]);
    assert_eq!(ports(&without, &with), without);
    assert_eq!(ports(&with, &without), with);
}

#[test]
fn directives_delete_and_replace_lists() {
    let target = json!([{"name": "a"}, {"name": "b"}]);
    let merge = |patch: Value| list("containers", &target, &patch);
    assert_eq!(merge(json!([{"name": "a", "$patch": "delete"}])), json!([{"name": "b"}]));
    assert_eq!(merge(json!([{"name": "q", "$patch": "delete"}])), target);
    assert_eq!(merge(json!([{"$patch": "replace"}, {"name": "z"}])), json!([{"name": "z"}]));
    assert_eq!(merge(json!([{"$patch": "delete"}])), Value::Null);
    assert_eq!(
        merge(json!([{"name": "a", "x": 1, "$patch": "merge"}])),
        json!([{"name": "a", "x": 1}, {"name": "b"}]),
    );
}

#[test]
fn null_and_directives_delete_fields() {
    let target = json!({"a": {"x": 1, "y": 2}, "b": 1, "c": null});
    let patch = json!({"a": {"x": null, "z": {"q": null}}, "b": null, "d": {"$patch": "delete"}});
    assert_eq!(custom(&target, &patch), json!({"a": {"y": 2, "z": {}}, "c": null}));
    let target = json!({"a": {"x": 1}, "b": {"x": 1}, "c": null});
    let patch = json!({"a": {"$patch": "replace", "z": 3}, "b": {"$patch": "delete"}});
    assert_eq!(custom(&target, &patch), json!({"a": {"z": 3}, "c": null}));
}

#[test]
fn a_patch_deletes_the_whole_object() {
    let mut target = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let id = Id::of(&target);
    assert_eq!(
        strategic(&mut target, &json!({"$patch": "delete"}), &id, Schemas::BuiltIn).unwrap(),
        Merged::Deleted
    );
}

#[test]
fn other_lists_are_replaced_as_written() {
    let patch = json!({"containers": [{"name": "b", "x": null, "$patch": "delete"}]});
    assert_eq!(custom(&json!({"containers": [{"name": "a"}]}), &patch), patch);
    assert_eq!(list("tolerations", &json!([{"key": "a"}]), &json!([])), json!([]));
}

#[test]
fn a_built_in_object_within_a_custom_one_is_merged_as_such() {
    let pod = |containers: Value| json!({"t": {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}}});
    let (target, patch) = (pod(json!([{"name": "a"}])), pod(json!([{"name": "b"}])));
    assert_eq!(custom(&target, &patch), pod(json!([{"name": "b"}, {"name": "a"}])));
}

#[test]
fn lists_of_scalars_are_united_and_the_last_of_namesakes_counts() {
    let object = |finalizers: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"finalizers": finalizers}});
    let result = merged(&object(json!(["a", "b"])), &object(json!(["c", "b"])));
    assert_eq!(result, object(json!(["c", "b", "a"])));
    let containers = |env: Value| json!([{"name": "a", "env": env}]);
    let twice = containers(json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]));
    let once = containers(json!([{"name": "A", "value": "2"}]));
    assert_eq!(list("containers", &twice, &json!([{"name": "a"}])), once);
}

#[test]
fn a_patch_of_another_kind_than_the_field_is_refused() {
    let values = [json!("a"), json!(1), json!({}), json!([])];
    let class = |value: &Value| (value.is_array(), value.is_object());
    for (there, patch) in values.iter().flat_map(|one| values.iter().map(move |other| (one, other)))
    {
        let mut target = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"a": there}});
        let id = Id::of(&target);
        let merged = strategic(&mut target, &json!({"spec": {"a": patch}}), &id, Schemas::BuiltIn);
        assert_eq!(merged.is_ok(), class(there) == class(patch), "{there} and {patch}");
        if let Err(clash) = merged {
            assert!(clash.to_string().starts_with("spec/a: the patch has"), "{clash}");
        }
    }
}
