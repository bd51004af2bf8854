use serde_json::json;

use super::*;

fn resource(value: Value) -> Resource {
    Resource::of(value)
}

fn source() -> Resource {
    resource(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "source"},
        "data": {"host": "example.com:8080", "port": "8080"},
    }))
}

fn target() -> Resource {
    resource(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "containers": [
            {"name": "web", "image": "web:1", "env": [{"name": "HOST", "value": "x"}]},
            {"name": "side", "image": "side:1"},
        ]},
        "text": "{\"a\": {\"b\": 1}}",
    }))
}

/// The target after a replacement of `field` of the source into `path`.
fn replaced(field: &str, target_options: &Value, path: &str) -> Result<Value, String> {
    let rule = json!({
        "source": {"kind": "ConfigMap", "fieldPath": field},
        "targets": [{
            "select": {"kind": "Deployment"}, "fieldPaths": [path], "options": target_options,
        }],
    });
    let rule = Replacement::read(Fields::of(rule, "k", "").unwrap()).unwrap();
    let mut resources = [source(), target()];
    apply(&rule, &mut resources, "k").map_err(|error| error.to_string())?;
    let [_, target] = resources;
    Ok(target.value)
}

#[test]
fn a_value_takes_the_type_of_the_field_it_is_written_to() {
    let value = replaced("data.port", &json!({}), "spec.replicas").unwrap();
    assert_eq!(value["spec"]["replicas"], json!(8080));
    let path = "spec.containers.[name=web].env.[name=HOST].value";
    let value = replaced("data.port", &json!({}), path).unwrap();
    assert_eq!(value["spec"]["containers"][0]["env"][0]["value"], json!("8080"));
}

#[test]
fn a_number_takes_no_other_text() {
    let error = replaced("data.host", &json!({}), "spec.replicas").unwrap_err();
    assert!(error.contains("number"), "{error}");
}

#[test]
fn a_part_of_a_text_is_replaced() {
    let with = |index: i64| {
        let options = json!({"delimiter": ":", "index": index});
        let value = replaced("data.port", &options, "spec.containers.0.image").unwrap();
        value["spec"]["containers"][0]["image"].clone()
    };
    assert_eq!(with(1), json!("web:8080"));
    assert_eq!(with(-1), json!("8080:web:1"));
    assert_eq!(with(7), json!("web:1:8080"));
}

#[test]
fn every_item_and_items_by_pattern_are_found() {
    let value = replaced("data.port", &json!({}), "spec.containers.*.image").unwrap();
    assert_eq!(value["spec"]["containers"][1]["image"], json!("8080"));
    let value = replaced("data.port", &json!({}), "spec.containers.[name=si].image").unwrap();
    assert_eq!(value["spec"]["containers"][0]["image"], json!("web:1"));
    assert_eq!(value["spec"]["containers"][1]["image"], json!("8080"));
}

#[test]
fn a_missing_field_is_an_error_or_created() {
    assert!(replaced("data.port", &json!({}), "metadata.annotations.a").is_err());
    let create = json!({"create": true});
    let value = replaced("data.host", &create, "metadata.annotations.a\\.b").unwrap();
    assert_eq!(value["metadata"]["annotations"], json!({"a.b": "example.com:8080"}));
    let path = "spec.containers.[name=new].image";
    let value = replaced("data.host", &create, path).unwrap();
    let made = json!({"name": "new", "image": "example.com:8080"});
    assert_eq!(value["spec"]["containers"][2], made);
}

#[test]
fn a_source_has_to_be_one_object_with_the_field() {
    assert!(replaced("data.nothing", &json!({}), "spec.replicas").unwrap_err().contains("nothing"));
    let rule = json!({"source": {"name": "web"}, "targets": [{"select": {"kind": "ConfigMap"}}]});
    let rule = Replacement::read(Fields::of(rule, "k", "").unwrap()).unwrap();
    assert!(apply(&rule, &mut [target(), target()], "k").is_err());
    assert!(apply(&rule, &mut [source()], "k").is_err());
}

#[test]
fn a_field_within_a_text_of_json_is_replaced() {
    let value = replaced("data.port", &json!({}), "text.a.b").unwrap();
    assert_eq!(value["text"], json!("{\"a\":{\"b\":8080}}"));
}

#[test]
fn rejected_targets_stay() {
    let rule = json!({
        "sourceValue": "9",
        "targets": [{
            "select": {"kind": ".*"}, "reject": [{"name": "we.*"}], "fieldPaths": ["data.port"],
        }],
    });
    let rule = Replacement::read(Fields::of(rule, "k", "").unwrap()).unwrap();
    let mut resources = [source(), target()];
    apply(&rule, &mut resources, "k").unwrap();
    assert_eq!(resources[0].value["data"]["port"], json!("9"));
}
