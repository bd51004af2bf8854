//! What `fyr build` costs against upstream kustomize: the same folders, built in turns.
//!
//! A base of applications with an overlay that sets a namespace, a prefix, labels, images, patches
//! and generated configuration. Upstream is started anew for each build, and so are we.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fyr_tests::program;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::json;

use crate::report::{self, Samples};

/// Numbers of objects, with how often each is built by both. Upstream takes seconds for a thousand.
const SIZES: [(usize, usize); 4] = [(10, 21), (100, 15), (300, 9), (1000, 9)];

/// Objects of one application of the base; one more is generated for all, and what is missing is
/// configuration.
const OBJECTS_EACH: usize = 3;

/// Builds folders of all sizes and prints a line for each.
pub(crate) fn run() {
    let peer = PathBuf::from(std::env::var_os("FYR_KUSTOMIZE").expect("tests/bench/run sets it"));
    let ours = program("fyr");
    for (objects, samples) in SIZES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_tree(folder.path(), objects);
        let overlay = folder.path().join("overlay");
        assert_eq!(built(&ours, &overlay), objects, "fyr builds other objects than were written");
        assert_eq!(built(&peer, &overlay), objects, "upstream builds other objects");
        let pairs: Vec<(Cost, Cost)> =
            (0..samples).map(|_| (cost(&ours, &overlay), cost(&peer, &overlay))).collect();
        let ours = pairs.iter().map(|(ours, _)| *ours);
        let peer = pairs.iter().map(|(_, peer)| *peer);
        report::print(&json!({
            "bench": "kustomize", "objects": objects, "samples": samples,
            "cpu_ms": median(ours.clone().map(|cost| cost.cpu)),
            "wall_ms": median(ours.map(|cost| cost.wall)),
            "peer_cpu_ms": median(peer.clone().map(|cost| cost.cpu)),
            "peer_wall_ms": median(peer.map(|cost| cost.wall)),
        }));
    }
}

fn median(durations: impl Iterator<Item = Duration>) -> f64 {
    Samples::new(durations.collect()).percentile_ms(50)
}

/// What one build took.
#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

fn build(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("build").arg(folder).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Builds once; with what that took from start to end of the process.
fn cost(program: &Path, folder: &Path) -> Cost {
    let (before, begin) = (children_cpu(), Instant::now());
    let status = build(program, folder).stdout(Stdio::null()).status().expect("it runs");
    let wall = begin.elapsed();
    assert!(status.success(), "{} fails", program.display());
    Cost { cpu: children_cpu().saturating_sub(before), wall }
}

/// CPU time of all processes that this one has started and that have ended.
fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
    let time = |value: TimeVal| {
        let seconds = u64::try_from(value.tv_sec()).expect("no time is negative");
        let micros = u64::try_from(value.tv_usec()).expect("no time is negative");
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// How many objects it builds.
fn built(program: &Path, folder: &Path) -> usize {
    let output = build(program, folder).stderr(Stdio::inherit()).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("YAML is text");
    text.lines().filter(|line| line.starts_with("kind: ")).count()
}

/// Writes a base and an overlay that builds to so many objects.
fn write_tree(folder: &Path, objects: usize) {
    let written = objects - 1;
    let mut resources = String::from("resources:\n");
    for index in 0..written / OBJECTS_EACH + written % OBJECTS_EACH {
        let is_application = index < written / OBJECTS_EACH;
        let name = format!("app-{index}");
        let text = if is_application { application(&name) } else { configuration(&name) };
        write(&folder.join(format!("base/{name}.yaml")), &text);
        writeln!(resources, "- {name}.yaml").expect("a text grows");
    }
    let generated = "configMapGenerator:\n- name: settings\n  literals: [level=info, size=10]\n";
    write(&folder.join("base/kustomization.yaml"), &(resources + generated));
    write(&folder.join("overlay/kustomization.yaml"), OVERLAY);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// A Deployment with its Service and configuration.
fn application(name: &str) -> String {
    let configuration = configuration(name);
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: {name}
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {name}
    spec:
      containers:
      - name: main
        image: registry.example.org/shop/{name}:1.0.0
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: LEVEL
          valueFrom:
            configMapKeyRef:
              name: settings
              key: level
        - name: ADDRESS
          value: http://{name}:80
        envFrom:
        - configMapRef:
            name: {name}
        readinessProbe:
          httpGet:
            path: /ready
            port: http
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
          limits:
            memory: 256Mi
      volumes:
      - name: settings
        configMap:
          name: settings
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app.kubernetes.io/name: {name}
  ports:
  - name: http
    port: 80
    targetPort: http
---
{configuration}"
    )
}

fn configuration(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  feature: \"on\"
  upstream: http://{name}.example.org
"
    )
}

const OVERLAY: &str = "namespace: production
namePrefix: shop-
resources:
- ../base
labels:
- pairs:
    team: shop
    environment: production
  includeSelectors: true
images:
- name: registry.example.org/shop/app-1
  newTag: 1.1.0
- name: registry.example.org/shop/app-2
  newName: mirror.example.org/shop/app-2
patches:
- target:
    kind: Deployment
  patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: any
    spec:
      template:
        spec:
          containers:
          - name: main
            resources:
              limits:
                memory: 512Mi
- target:
    kind: Service
    name: app-1
  patch: |
    - op: replace
      path: /spec/ports/0/port
      value: 8080
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: app-1
    spec:
      replicas: 5
configMapGenerator:
- name: settings
  behavior: merge
  literals: [level=warn]
";
