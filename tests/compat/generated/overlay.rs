//! Kustomizations: bases, overlays over them, and components.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::objects::{WORKLOADS, objects};
use super::random::Random;
use super::{extras, patches, raw};

/// The files of one case, and the folder to build.
pub(super) struct Case {
    pub(super) files: BTreeMap<String, String>,
    pub(super) top: String,
}

impl Case {
    /// Makes everything up from a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut case = Self { files: BTreeMap::new(), top: "base".to_owned() };
        let objects = objects(&mut random);
        case.base(&mut random, &objects);
        let has_component = random.chance(25);
        if has_component {
            case.component(&mut random, &objects);
        }
        let levels = 1 + random.below(3);
        for level in 0..levels {
            let mut fields = overlay(&mut random, &objects, level);
            let below = std::mem::replace(&mut case.top, format!("overlay{level}"));
            fields.insert("resources".to_owned(), json!([format!("../{below}")]));
            if has_component && level == levels - 1 {
                fields.insert("components".to_owned(), json!(["../component"]));
            }
            let mut files = extras::add(&mut random, &mut fields, &objects[0], level);
            if level == levels - 1 {
                order(&mut random, &mut fields);
                files.extend(extras::add_to_top(&mut random, &mut fields));
            }
            for (name, text) in files {
                case.put(&format!("overlay{level}/{name}"), text);
            }
            case.kustomization(&format!("overlay{level}"), fields);
        }
        case
    }

    fn put(&mut self, path: &str, text: impl Into<String>) {
        self.files.insert(path.to_owned(), text.into());
    }

    fn kustomization(&mut self, folder: &str, fields: Map<String, Value>) {
        let text = format!("{:#}\n", Value::Object(fields));
        self.put(&format!("{folder}/kustomization.yaml"), text);
    }

    /// Objects one in a file, several in a file, or in a list.
    fn base(&mut self, random: &mut Random, objects: &[Value]) {
        let mut resources = Vec::new();
        match random.below(4) {
            0 => {
                let documents: Vec<_> =
                    objects.iter().map(|object| format!("{object:#}")).collect();
                self.put("base/all.yaml", documents.join("\n---\n"));
                resources.push("all.yaml".to_owned());
            }
            1 => {
                let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
                self.put("base/list.json", list.to_string());
                resources.push("list.json".to_owned());
            }
            _ => {
                for (index, object) in objects.iter().enumerate() {
                    self.put(&format!("base/{index}.yaml"), format!("{object:#}\n"));
                    resources.push(format!("{index}.yaml"));
                }
            }
        }
        if random.chance(30) {
            self.put("base/raw.yaml", raw::text(random));
            resources.push("raw.yaml".to_owned());
        }
        let mut fields = Map::new();
        fields.insert("resources".to_owned(), json!(resources));
        self.generators(random, &mut fields);
        if random.chance(30) {
            fields.insert(
                "labels".to_owned(),
                json!([{"pairs": {"part-of": "shop"}, "includeSelectors": random.chance(60)}]),
            );
        }
        if random.chance(10) {
            fields.insert("vars".to_owned(), extras::vars(random, &objects[0]));
        }
        if random.chance(20) {
            fields.insert("namespace".to_owned(), json!("shop"));
        }
        if random.chance(20) {
            fields.insert("namePrefix".to_owned(), json!("b-"));
        }
        self.kustomization("base", fields);
    }

    /// The generators of the base.
    fn generators(&mut self, random: &mut Random, fields: &mut Map<String, Value>) {
        let mut settings = json!({"name": "settings", "literals": ["level=info", "size=10"]});
        if random.chance(30) {
            self.put("base/app.env", "# settings\nLEVEL=debug\nEMPTY=\nSPACED = a b \n");
            self.put("base/app.properties", "a=1\nb: \"x\"\n<tag>&</tag>\n");
            settings["envs"] = json!(["app.env"]);
            settings["files"] = json!(["app.properties", "other.txt=app.properties"]);
        }
        if random.chance(20) {
            settings["options"] = json!({"labels": {"own": "1"}, "annotations": {"x": "1.10"},
                "disableNameSuffixHash": random.chance(50), "immutable": random.chance(50)});
        }
        fields.insert("configMapGenerator".to_owned(), json!([settings]));
        let long = "x".repeat(usize::try_from(random.below(120)).unwrap());
        fields.insert(
            "secretGenerator".to_owned(),
            json!([{"name": "keys", "type": random.pick(&["Opaque", "example.org/keys", ""]),
                "literals": ["password='a b=c'", format!("long={long}")]}]),
        );
        if random.chance(25) {
            let options = json!({"disableNameSuffixHash": random.chance(50),
                "labels": {"made": "here"}, "annotations": {"by": "team"}});
            fields.insert("generatorOptions".to_owned(), options);
        }
    }

    fn component(&mut self, random: &mut Random, objects: &[Value]) {
        let mut fields = overlay(random, objects, 9);
        fields.insert("kind".to_owned(), json!("Component"));
        if random.chance(50) {
            let api_version = "kustomize.config.k8s.io/v1alpha1";
            fields.insert("apiVersion".to_owned(), json!(api_version));
        }
        if random.chance(50) {
            self.put(
                "component/extra.yaml",
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "extra"},
                    "spec": {"selector": {"app": "web"}}})
                .to_string(),
            );
            fields.insert("resources".to_owned(), json!(["extra.yaml"]));
        }
        self.kustomization("component", fields);
    }
}

/// What an overlay or a component may do, `resources` left out.
fn overlay(random: &mut Random, objects: &[Value], level: u64) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    if random.chance(40) {
        set("namePrefix", json!(format!("p{level}-")));
    }
    if random.chance(25) {
        set("nameSuffix", json!(format!("-s{level}")));
    }
    if random.chance(40) {
        set("namespace", json!(random.pick(&["shop", "default", "staging"])));
    }
    if random.chance(40) {
        set("labels", labels(random, level));
    }
    if random.chance(20) {
        set("commonLabels", json!({"owner": "team", "app": "all"}));
    }
    if random.chance(25) {
        set("commonAnnotations", json!({"note": "true", "level": level.to_string()}));
    }
    if random.chance(40) {
        set("images", (0..=random.below(2)).map(|_| image(random)).collect());
    }
    if random.chance(25) && objects[0]["kind"] != "DaemonSet" {
        set("replicas", json!([{"name": "web", "count": random.below(9)}]));
    }
    if random.chance(50) {
        set("patches", (0..=random.below(2)).map(|_| patches::patch(random, objects)).collect());
    }
    if random.chance(10) {
        let patch = patches::merge(random, objects).to_string();
        set("patchesStrategicMerge", json!([patch]));
    }
    if random.chance(10) {
        set("patchesJson6902", json!([patches::operations_by_name(random, objects)]));
    }
    if random.chance(30) {
        set("configMapGenerator", json!([generator(random, level)]));
    }
    if random.chance(15) {
        set(
            "secretGenerator",
            json!([{"name": "keys", "behavior": "merge",
            "literals": ["password=new"]}]),
        );
    }
    fields
}

/// The order of the result.
fn order(random: &mut Random, fields: &mut Map<String, Value>) {
    let options = match random.below(8) {
        0 => json!({"order": "fifo"}),
        1 => json!({"order": "legacy"}),
        2 => json!({"order": "legacy", "legacySortOptions": {
            "orderFirst": ["Deployment", "Service"], "orderLast": ["ConfigMap", "Namespace"]}}),
        _ => return,
    };
    fields.insert("sortOptions".to_owned(), options);
}

fn labels(random: &mut Random, level: u64) -> Value {
    // No other overlay sets this key: upstream keeps one text for all places of an object that
    // a rule sets, so that a later rule for labels alone changes selectors as well.
    let mut pairs = Map::new();
    pairs.insert(format!("tier{level}"), json!("t"));
    pairs.insert(format!("a.b/c{level}"), json!("1"));
    let mut rule = json!({"pairs": pairs});
    match random.below(4) {
        0 => rule["includeSelectors"] = json!(true),
        1 => rule["includeTemplates"] = json!(true),
        2 => {
            rule["fields"] = json!([
                {"path": "spec/labels", "kind": "Backup", "group": "example.org", "create": true},
                {"path": "spec/template/metadata/labels", "kind": "Deployment"},
            ]);
        }
        _ => {}
    }
    json!([rule])
}

fn image(random: &mut Random) -> Value {
    let mut image = json!({"name": random.pick(&["nginx", "registry.local:5000/shop/web",
        "ghcr.io/shop/web", "ghcr.io/shop/api", "absent", "ngin."])});
    if random.chance(40) {
        image["newName"] = json!(random.pick(&["nginx", "mirror.local:443/nginx", "other"]));
    }
    match random.below(5) {
        0 => image["newTag"] = json!("2.0"),
        1 => image["digest"] = json!("sha256:aaaa"),
        2 => image["tagSuffix"] = json!("-slim"),
        3 => {
            image["newTag"] = json!("3");
            image["digest"] = json!("sha256:bbbb");
        }
        _ => image["newName"] = json!("renamed"),
    }
    image
}

fn generator(random: &mut Random, level: u64) -> Value {
    match random.below(4) {
        0 => json!({"name": format!("extra{level}"), "literals": ["a=1", "b=\"2\""]}),
        1 => json!({"name": "settings", "behavior": "replace", "literals": ["level=warn"]}),
        2 => json!({"name": random.pick(&WORKLOADS), "literals": ["a=1"],
            "options": {"disableNameSuffixHash": true}}),
        _ => json!({"name": "settings", "behavior": "merge",
            "literals": [format!("level=l{level}"), format!("new{level}=x")]}),
    }
}
