//! Brings a rendered object into the form that is applied.
//!
//! Server-side apply takes what is sent as what is wanted: fields that only the API server writes
//! must not be sent, and list entries need the keys by which they are merged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Metadata that only the API server writes. `generateName` means nothing beside a name.
const SERVER_METADATA: [&str; 7] = [
    "creationTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Where the kinds that run pods keep their pod.
const POD_SPECS: [&str; 3] =
    ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];

/// Changes `object`, of API group `group` and kind `kind`, in place.
pub(crate) fn normalize(group: &str, kind: &str, object: &mut Value) {
    if let Value::Object(fields) = object {
        // Of custom resource definitions too: their status is only ever written by the server.
        fields.remove("status");
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        for field in SERVER_METADATA {
            metadata.remove(field);
        }
    }
    match (group, kind) {
        ("", "Secret") => encode_string_data(object),
        ("", "Service") => default_protocols(object.get_mut("spec")),
        ("" | "apps" | "batch", _) => {
            for pod in POD_SPECS {
                if let Some(Value::Object(pod)) = object.pointer_mut(pod) {
                    default_container_protocols(pod);
                }
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => drop_empty_bundle(object),
        _ => {}
    }
}

/// Moves `stringData` into `data`, as the API server would. Applied as it is, a key that is later
/// removed from it would stay for ever.
fn encode_string_data(object: &mut Value) {
    let Value::Object(fields) = object else { return };
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Value::Object(data) = data else { return };
    for (key, value) in texts {
        // What is no text is left for the API server to refuse by its name.
        let value = match value {
            Value::String(text) => Value::String(STANDARD.encode(text)),
            other => other,
        };
        data.insert(key, value);
    }
}

/// `protocol` is part of the key by which ports are merged, and has a default.
fn default_protocols(holder: Option<&mut Value>) {
    let Some(Value::Array(ports)) = holder.and_then(|holder| holder.get_mut("ports")) else {
        return;
    };
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        let protocol = port.entry("protocol").or_insert(Value::Null);
        if protocol.is_null() {
            *protocol = Value::String("TCP".to_owned());
        }
    }
}

fn default_container_protocols(pod: &mut Map<String, Value>) {
    for list in ["containers", "initContainers"] {
        let Some(Value::Array(containers)) = pod.get_mut(list) else { continue };
        for container in containers {
            default_protocols(Some(container));
        }
    }
}

/// Generators leave an empty bundle (or an encoded newline) for cert-manager to fill; the API
/// server refuses it.
fn drop_empty_bundle(object: &mut Value) {
    let client = object.pointer_mut("/spec/conversion/webhook/clientConfig");
    if let Some(Value::Object(client)) = client
        && client.get("caBundle").is_some_and(is_empty)
    {
        client.remove("caBundle");
    }
}

fn is_empty(bundle: &Value) -> bool {
    bundle.is_null() || matches!(bundle.as_str(), Some("" | "Cg=="))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normalized(group: &str, kind: &str, mut object: Value) -> Value {
        normalize(group, kind, &mut object);
        object
    }

    #[test]
    fn what_only_the_server_writes_is_not_sent() {
        let object = json!({
            "metadata": {"name": "a", "uid": "1", "resourceVersion": "2", "generation": 3,
                "creationTimestamp": null, "managedFields": [], "generateName": "a-"},
            "status": {"ready": true},
            "data": {"k": "v"},
        });
        let expected = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        assert_eq!(normalized("", "ConfigMap", object), expected);
    }

    #[test]
    fn string_data_becomes_data_and_wins_over_it() {
        let object = json!({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "z"}});
        assert_eq!(normalized("", "Secret", object), json!({"data": {"a": "eg==", "b": "eQ=="}}));
        let only = json!({"data": null, "stringData": {"a": "z"}});
        assert_eq!(normalized("", "Secret", only), json!({"data": {"a": "eg=="}}));
        let custom = json!({"stringData": {"a": "z"}});
        assert_eq!(normalized("example.org", "Secret", custom.clone()), custom);
    }

    #[test]
    fn ports_get_the_protocol_they_are_merged_by() {
        let service = json!({"spec": {"ports": [{"port": 1}, {"port": 2, "protocol": "UDP"}]}});
        assert_eq!(
            normalized("", "Service", service)["spec"]["ports"],
            json!([{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "UDP"}])
        );
        let pod = json!({"containers": [{"ports": [{"containerPort": 1}]}]});
        for (group, kind, object, pointer) in [
            ("", "Pod", json!({"spec": pod}), "/spec"),
            (
                "apps",
                "Deployment",
                json!({"spec": {"template": {"spec": pod}}}),
                "/spec/template/spec",
            ),
            (
                "batch",
                "CronJob",
                json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
                "/spec/jobTemplate/spec/template/spec",
            ),
        ] {
            let object = normalized(group, kind, object);
            let port = object.pointer(pointer).unwrap().pointer("/containers/0/ports/0").unwrap();
            assert_eq!(port["protocol"], "TCP", "{kind}");
        }
    }

    #[test]
    fn an_empty_bundle_of_a_definition_is_left_out_and_a_real_one_kept() {
        let bundle = |bundle: &str| {
            let object = json!({"spec": {"conversion": {"webhook": {
                "clientConfig": {"caBundle": bundle}}}}});
            normalized("apiextensions.k8s.io", "CustomResourceDefinition", object)
                .pointer("/spec/conversion/webhook/clientConfig/caBundle")
                .cloned()
        };
        assert_eq!(bundle(""), None);
        assert_eq!(bundle("Cg=="), None);
        assert_eq!(bundle("LS0t"), Some(json!("LS0t")));
    }
}
