//! Overlays over overlays, made up from a seed.
//!
//! `FYR_COMPAT_SEED` replaces the first seed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::both::Files;

/// Seeds tried in one run. Upstream takes about a fifth of a second for each.
const SEEDS: u64 = 60;

/// `SplitMix64`, which is enough to make things up.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let count = u64::try_from(items.len()).unwrap();
        &items[usize::try_from(self.below(count)).unwrap()]
    }
}

const WORKLOADS: [&str; 3] = ["web", "api", "worker"];

/// The files of one case; the last overlay is the one to build.
struct Case {
    files: BTreeMap<String, String>,
    top: String,
}

fn case(seed: u64) -> Case {
    let mut random = Random(seed);
    let mut files = BTreeMap::new();
    let mut put = |path: String, value: &Value| drop(files.insert(path, format!("{value:#}\n")));
    put("base/kustomization.yaml".to_owned(), &base(&mut random));
    for (name, object) in objects(&mut random) {
        put(format!("base/{name}.yaml"), &object);
    }
    let mut top = "base".to_owned();
    for level in 0..=random.below(3) {
        let kustomization = overlay(&mut random, level, &top);
        top = format!("overlay{level}");
        put(format!("{top}/kustomization.yaml"), &kustomization);
    }
    Case { files, top }
}

fn base(random: &mut Random) -> Value {
    let mut resources: Vec<String> = WORKLOADS.iter().map(|name| format!("{name}.yaml")).collect();
    resources.extend(["service", "account", "binding", "job"].map(|name| format!("{name}.yaml")));
    let mut kustomization = json!({
        "resources": resources,
        "configMapGenerator": [{"name": "settings", "literals": ["level=info", "size=10"]}],
        "secretGenerator": [{"name": "keys", "literals": ["password=a b=c"]}],
    });
    if random.chance(30) {
        kustomization["generatorOptions"] = json!({"disableNameSuffixHash": random.chance(50),
            "labels": {"made": "here"}});
    }
    if random.chance(40) {
        kustomization["labels"] = json!([{"pairs": {"part-of": "shop"}, "includeSelectors": true}]);
    }
    kustomization
}

fn objects(random: &mut Random) -> Vec<(&'static str, Value)> {
    let mut objects: Vec<_> =
        WORKLOADS.iter().map(|name| (*name, workload(random, name))).collect();
    objects.push((
        "service",
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
        }),
    ));
    objects.push((
        "account",
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"},
        }),
    ));
    objects.push(("binding", json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "runner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": "default"}],
    })));
    objects.push(("job", json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "clean"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pod(random, "clean")}}},
    })));
    objects
}

fn workload(random: &mut Random, name: &str) -> Value {
    let kind = *random.pick(&["Deployment", "StatefulSet"]);
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": pod(random, name)},
    });
    if kind == "StatefulSet" {
        workload["spec"]["serviceName"] = json!("web");
    }
    if random.chance(50) {
        workload["spec"]["replicas"] = json!(random.below(4));
    }
    workload
}

fn pod(random: &mut Random, name: &str) -> Value {
    let image = *random.pick(&[
        "nginx",
        "nginx:1.25",
        "registry.local:5000/shop/web:1.0",
        "ghcr.io/shop/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ]);
    let mut container = json!({
        "name": "main", "image": image,
        "env": [{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}],
        "ports": [{"name": "http", "containerPort": 8080}],
    });
    if random.chance(50) {
        container["envFrom"] = json!([{"secretRef": {"name": "keys"}}]);
    }
    let mut spec = json!({"serviceAccountName": "runner", "containers": [container]});
    if random.chance(50) {
        spec["volumes"] = json!([
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "keys", "projected": {"sources": [{"secret": {"name": "keys"}}]}},
        ]);
    }
    json!({"metadata": {"labels": {"app": name}}, "spec": spec})
}

fn overlay(random: &mut Random, level: u64, below: &str) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    set("resources", json!([format!("../{below}")]));
    if random.chance(50) {
        set("namePrefix", json!(format!("p{level}-")));
    }
    if random.chance(30) {
        set("nameSuffix", json!(format!("-s{level}")));
    }
    if random.chance(50) {
        set("namespace", json!(*random.pick(&["shop", "default", "staging"])));
    }
    if random.chance(40) {
        let (selectors, templates) = (random.chance(40), random.chance(50));
        // No other overlay sets this key: upstream keeps one text for all places of an object that
        // a rule sets, so that a later rule for labels alone changes selectors as well.
        let key = format!("tier{level}");
        set(
            "labels",
            json!([{"pairs": {key: "t", "a.b/c": "1"},
            "includeSelectors": selectors, "includeTemplates": templates || selectors}]),
        );
    }
    if random.chance(30) {
        set("commonLabels", json!({"owner": "team", "app": "all"}));
    }
    if random.chance(30) {
        set("commonAnnotations", json!({"note": "true", "level": level.to_string()}));
    }
    if random.chance(50) {
        set("images", images(random));
    }
    if random.chance(40) {
        set("replicas", json!([{"name": random.pick(&WORKLOADS), "count": random.below(9)}]));
    }
    if random.chance(60) {
        let count = 1 + random.below(3);
        set("patches", (0..count).map(|_| patch(random)).collect());
    }
    if random.chance(40) {
        set("configMapGenerator", json!([generator(random, level)]));
    }
    Value::Object(fields)
}

fn images(random: &mut Random) -> Value {
    let mut image = json!({"name": random.pick(&["nginx", "registry.local:5000/shop/web",
        "ghcr.io/shop/web", "absent"])});
    if random.chance(50) {
        image["newName"] = json!(*random.pick(&["nginx", "mirror.local:443/nginx"]));
    }
    match random.below(3) {
        0 => image["newTag"] = json!("2.0"),
        1 => image["digest"] = json!("sha256:aaaa"),
        _ => image["newName"] = json!("other"),
    }
    json!([image])
}

fn generator(random: &mut Random, level: u64) -> Value {
    match random.below(3) {
        0 => json!({"name": format!("extra{level}"), "literals": ["a=1"]}),
        1 => {
            json!({"name": "settings", "behavior": "merge", "literals": [format!("level=l{level}")]})
        }
        _ => json!({"name": "settings", "behavior": "replace", "literals": ["level=warn"]}),
    }
}

fn patch(random: &mut Random) -> Value {
    let kinds = "Deployment|StatefulSet";
    let name = *random.pick(&WORKLOADS);
    let target = match random.below(3) {
        0 => json!({"kind": kinds}),
        1 => json!({"kind": kinds, "name": name}),
        _ => json!({"group": "apps", "labelSelector": "app notin (none)", "name": "w.*"}),
    };
    let containers = |container: Value| {
        let name = json!({"name": "any"});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name,
            "spec": {"template": {"spec": {"containers": [container]}}}})
    };
    let patch = match random.below(7) {
        0 => containers(json!({"name": "main", "resources": {"limits": {"memory": "64Mi"}}})),
        1 => containers(json!({"name": "side", "image": "nginx"})),
        2 => containers(json!({"name": "main", "env": [{"name": "MORE", "value": "1"},
            {"name": "LEVEL", "$patch": "delete"}]})),
        3 => {
            containers(json!({"name": "main", "ports": [{"containerPort": 9090, "name": "admin"}]}))
        }
        4 => json!([{"op": "add", "path": "/spec/template/metadata/annotations",
            "value": {"a/b": "c"}}]),
        5 => json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image",
            "value": "nginx:9"}]),
        _ => json!([{"op": "add", "path": "/spec/template/spec/containers/0/env/-",
            "value": {"name": format!("LAST{}", random.below(1 << 30)), "value": "yes"}}]),
    };
    json!({"target": target, "patch": patch.to_string()})
}

#[test]
fn made_up_overlays_build_to_the_same_objects() {
    let first = std::env::var("FYR_COMPAT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut built = 0;
    let mut differences = Vec::new();
    for seed in first..first + SEEDS {
        let case = case(seed);
        let folder = tempfile::tempdir().unwrap();
        let both = Files::write(folder.path(), &case.files).build(&case.top);
        built += u64::from(both.upstream.is_ok());
        if let Some(difference) = both.difference() {
            differences.push(format!("FYR_COMPAT_SEED={seed}, {}: {difference}", case.top));
        }
    }
    assert!(built >= SEEDS / 2, "upstream builds only {built} of {SEEDS}");
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
