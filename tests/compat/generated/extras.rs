//! Fields of kustomizations that few use: replacements, vars, configurations, plug-ins that are
//! built in, schemas, and what a build says about itself.

use serde_json::{Map, Value, json};

use super::random::Random;

/// A file beside a kustomization: its name and what it holds.
pub(super) type Beside = (&'static str, String);

/// Adds such fields to a kustomization; with the files that they name. `web` is the workload that
/// is always there.
pub(super) fn add(
    random: &mut Random,
    fields: &mut Map<String, Value>,
    web: &Value,
    level: u64,
) -> Vec<Beside> {
    let mut files = Vec::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    if random.chance(20) {
        let list: Vec<Value> = (0..=random.below(2)).map(|_| replacement(random, web)).collect();
        if random.chance(25) {
            files.push(("replacement.yaml", Value::Array(list).to_string()));
            set("replacements", json!([{"path": "replacement.yaml"}]));
        } else {
            set("replacements", Value::Array(list));
        }
    }
    if random.chance(12) {
        files.push(("config.yaml", configuration(random).to_string()));
        set("configurations", json!(["config.yaml"]));
    }
    if random.chance(12) {
        let transformer = transformer(random, level).to_string();
        if random.chance(50) {
            files.push(("transformer.yaml", transformer));
            set("transformers", json!(["transformer.yaml"]));
        } else {
            set("transformers", json!([transformer]));
        }
    }
    if random.chance(8) {
        set("generators", json!([generator(random, level).to_string()]));
    }
    if random.chance(6) {
        files.push(("definitions.json", definitions().to_string()));
        set("crds", json!(["definitions.json"]));
    }
    files
}

/// Adds what only the kustomization that is built may say.
pub(super) fn add_to_top(random: &mut Random, fields: &mut Map<String, Value>) -> Vec<Beside> {
    let mut files = Vec::new();
    if random.chance(10) {
        let all = ["originAnnotations", "transformerAnnotations", "managedByLabel"];
        let some: Vec<&str> = all.into_iter().filter(|_| random.chance(50)).collect();
        fields.insert("buildMetadata".to_owned(), json!(some));
    }
    if random.chance(8) {
        let openapi = if random.chance(50) {
            json!({"version": "v1.21.2"})
        } else {
            files.push(("schema.json", schema().to_string()));
            json!({"path": "schema.json"})
        };
        fields.insert("openapi".to_owned(), openapi);
    }
    files
}

/// Vars of a base, which the arguments of its containers name.
pub(super) fn vars(random: &mut Random, web: &Value) -> Value {
    let field = random.pick(&["metadata.name", "spec.template.metadata.labels.app", "kind"]);
    let object = json!({"apiVersion": "apps/v1", "kind": web["kind"], "name": "web"});
    let mut var = json!({"name": "LEVEL", "objref": object});
    if random.chance(70) {
        var["fieldref"] = json!({"fieldpath": field});
    }
    json!([var])
}

fn replacement(random: &mut Random, web: &Value) -> Value {
    let kind = &web["kind"];
    let mut replacement = match random.below(5) {
        0 => json!({"sourceValue": "fixed"}),
        1 => json!({"source": {"kind": kind, "name": "web",
            "fieldPath": "spec.template.spec.containers.0.image",
            "options": {"delimiter": ":", "index": 0}}}),
        2 => json!({"source": {"group": "apps", "version": "v1", "kind": kind, "name": "web",
            "fieldPath": "spec.template.metadata.labels.app"}}),
        3 => json!({"source": {"kind": kind, "name": "web",
            "fieldPath": "spec.template.spec.containers.[name=main].name"}}),
        _ => json!({"source": {"kind": kind, "name": "web"}}),
    };
    let target = match random.below(7) {
        0 => json!({"select": {"kind": kind}, "fieldPaths": ["metadata.annotations.from"],
            "options": {"create": true}}),
        1 => json!({"select": {"kind": kind, "name": "web"},
            "fieldPaths": ["spec.template.spec.containers.[name=main].image"],
            "options": {"delimiter": ":", "index": 1}}),
        2 => json!({"select": {"kind": kind}, "reject": [{"name": "api"}],
            "fieldPaths": ["spec.template.spec.containers.*.image"],
            "options": {"delimiter": "/", "index": random.below(3)}}),
        3 => json!({"select": {"kind": "Service"}, "fieldPaths": ["metadata.labels.[a.b/c]",
            "metadata.annotations.x\\.y/z"], "options": {"create": true}}),
        4 => json!({"select": {"kind": kind, "name": "web"}, "options": {"create": true},
            "fieldPaths": ["spec.template.spec.containers.[name=main].env.[name=NEW].value"]}),
        5 => json!({"select": {"kind": "ConfigMap"}, "fieldPaths": ["data.host", "data.new"],
            "options": {"create": true}}),
        _ => json!({"select": {"kind": "NoSuch"}, "fieldPaths": ["spec.x"]}),
    };
    replacement["targets"] = json!([target]);
    replacement
}

/// Field specs of the custom resources that bases have.
fn configuration(random: &mut Random) -> Value {
    let all = json!({
        "namePrefix": [{"path": "metadata/name"}, {"path": "spec/title", "kind": "Backup", "create": true}],
        "nameReference": [
            {"kind": "Secret", "version": "v1", "fieldSpecs": [
                {"path": "spec/secretName", "kind": "Backup"},
                {"path": "spec/secretName", "kind": "Certificate", "group": "example.org"}]},
            {"kind": "StatefulSet", "fieldSpecs": [{"path": "spec/target/name", "kind": "Backup"}]},
        ],
        "commonLabels": [{"path": "spec/labels", "create": true, "kind": "Backup"}],
        "commonAnnotations": [{"path": "spec/notes", "create": true, "kind": "Backup"}],
        "images": [{"path": "spec/image", "kind": "Backup"}],
        "replicas": [{"path": "spec/replicas", "kind": "Backup", "create": true}],
        "namespace": [{"path": "spec/namespace", "kind": "Backup", "create": true}],
        "varReference": [{"path": "metadata/annotations", "kind": "Service"}],
    });
    let Value::Object(all) = all else { return all };
    all.into_iter().filter(|_| random.chance(60)).collect::<Map<_, _>>().into()
}

fn builtin(kind: &str, name: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": "builtin", "kind": kind, "metadata": {"name": name}});
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        object.extend(rest);
    }
    object
}

fn transformer(random: &mut Random, level: u64) -> Value {
    let own = json!([{"path": "metadata/name"}]);
    let name = format!("t{level}");
    match random.below(11) {
        0 => builtin("PrefixTransformer", &name, json!({"prefix": "x-", "fieldSpecs": own})),
        1 => builtin("SuffixTransformer", &name, json!({"suffix": "-x", "fieldSpecs": own})),
        2 => builtin(
            "PrefixSuffixTransformer",
            &name,
            json!({"prefix": "y-", "suffix": "-y", "fieldSpecs": own}),
        ),
        3 => builtin(
            "LabelTransformer",
            &name,
            json!({"labels": {"by": "hand"},
            "fieldSpecs": [{"path": "metadata/labels", "create": true},
                {"path": "spec/template/metadata/labels", "kind": "Deployment"}]}),
        ),
        4 => builtin(
            "AnnotationsTransformer",
            &name,
            json!({"annotations": {"by": "hand"},
            "fieldSpecs": [{"path": "metadata/annotations", "create": true}]}),
        ),
        5 => builtin(
            "ImageTagTransformer",
            &name,
            json!({"imageTag": {"name": "nginx",
            "newTag": "9"}}),
        ),
        6 => builtin(
            "ReplicaCountTransformer",
            &name,
            json!({
            "replica": {"name": "web", "count": 4},
            "fieldSpecs": [{"path": "spec/replicas", "create": true, "kind": "Deployment"},
                {"path": "spec/replicas", "create": true, "kind": "StatefulSet"},
                {"path": "spec/replicas", "create": true, "kind": "DaemonSet"}]}),
        ),
        7 => builtin(
            "PatchTransformer",
            &name,
            json!({"target": {"kind": "Deployment|DaemonSet"},
            "patch": "- {op: add, path: /spec/by, value: hand}"}),
        ),
        8 => builtin(
            "PatchJson6902Transformer",
            &name,
            json!({
            "target": {"group": "apps", "version": "v1", "kind": "Deployment", "name": "web"},
            "jsonOp": "[{\"op\": \"add\", \"path\": \"/spec/by\", \"value\": \"hand\"}]"}),
        ),
        9 => builtin(
            "ValueAddTransformer",
            &name,
            json!({"value": "added",
            "targets": [{"selector": {"kind": "Deployment"}, "fieldPath": "metadata/labels/added"}]}),
        ),
        _ => builtin(
            "NamespaceTransformer",
            &name,
            json!({
            "metadata": {"name": name, "namespace": "elsewhere"}, "unsetOnly": random.chance(50),
            "setRoleBindingSubjects": random.pick(&["defaultOnly", "allServiceAccounts", "none"]),
            "fieldSpecs": [{"path": "metadata/namespace", "create": true}]}),
        ),
    }
}

fn generator(random: &mut Random, level: u64) -> Value {
    let name = format!("made{level}");
    let kind = random.pick(&["ConfigMapGenerator", "SecretGenerator"]);
    builtin(kind, &name, json!({"literals": ["a=1", "b=2"]}))
}

/// Definitions of the custom resources, with what refers to what.
fn definitions() -> Value {
    let spec = json!({"properties": {
        "secretRef": {"x-kubernetes-object-ref-api-version": "v1",
            "x-kubernetes-object-ref-kind": "Secret", "type": "string"},
        "selector": {"x-kubernetes-label-selector": "", "type": "object"},
    }});
    json!({
        "example.org/v1.Backup": {"Schema": {"properties": {
            "kind": {"type": "string"}, "apiVersion": {"type": "string"}, "metadata": {},
            "spec": {"$ref": "example.org/v1.BackupSpec"}}}},
        "example.org/v1.BackupSpec": {"Schema": spec},
    })
}

/// A schema in which the steps of a custom resource are merged by name.
fn schema() -> Value {
    let steps = json!({"type": "array", "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
        "items": {"type": "object", "properties": {"name": {"type": "string"}}}});
    json!({"definitions": {"v1.Backup": {
        "x-kubernetes-group-version-kind": [
            {"group": "example.org", "kind": "Backup", "version": "v1"}],
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"steps": steps}}}}}})
}
