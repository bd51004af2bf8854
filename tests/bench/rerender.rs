//! What a render costs when most of what it reads was read before: an application of many objects,
//! of which one file changes with each commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fyr_model::{BlobId, BuildEnvironment, SourceTree, Tool};
use fyr_render::{LoadRestrictor, ParsedFile, ParsedFiles, ParsedKey, Rendered, Request, render};
use serde_json::json;

use crate::report::{self, Samples};

/// Objects of the application.
const OBJECTS: usize = 1000;

/// Renders of each sort.
const SAMPLES: usize = 30;

#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<ParsedKey, Arc<ParsedFile>>>);

impl ParsedFiles for Kept {
    fn find(&self, key: &ParsedKey) -> Option<Arc<ParsedFile>> {
        self.0.lock().expect("nobody panics with it").get(key).cloned()
    }

    fn keep(&self, key: ParsedKey, file: Arc<ParsedFile>) {
        self.0.lock().expect("nobody panics with it").insert(key, file);
    }
}

/// Prints the three: nothing known, one file changed, nothing changed.
pub(crate) fn run() {
    let kept = Kept::default();
    let first = tree(0);
    let before = rendered(&first, Some(&kept));
    assert_eq!(before.objects.len(), OBJECTS);
    let (mut anew, mut changed, mut carried_over) = (Vec::new(), Vec::new(), Vec::new());
    for revision in 1..=SAMPLES {
        let tree = tree(revision);
        anew.push(timed(|| drop(rendered(&tree, None))));
        changed.push(timed(|| drop(rendered(&tree, Some(&kept)))));
        let environment = BuildEnvironment::default();
        carried_over.push(timed(|| assert!(before.facts.hold(&first, &environment))));
    }
    let weight: usize =
        kept.0.lock().expect("nobody panics with it").values().map(|file| file.weight()).sum();
    let median = |times| Samples::new(times).percentile_ms(50);
    report::print(&json!({
        "bench": "rerender", "objects": OBJECTS, "samples": SAMPLES,
        "anew_ms": median(anew), "one_file_changed_ms": median(changed),
        "nothing_changed_ms": median(carried_over), "kept_mib": weight / 1024 / 1024,
    }));
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn rendered(tree: &SourceTree, kept: Option<&Kept>) -> Rendered {
    let request = Request {
        tree,
        path: "overlay",
        tool: &Tool::Detect,
        environment: &BuildEnvironment::default(),
        application: None,
        load_restrictor: LoadRestrictor::RootOnly,
        parsed: kept.map(|kept| -> &dyn ParsedFiles { kept }),
        stop: None,
    };
    render(&request).expect("it renders")
}

/// The files at a revision, which changes one of them.
fn tree(revision: usize) -> SourceTree {
    let mut tree = SourceTree::default();
    let mut resources = String::from("resources:\n");
    for index in 0..OBJECTS {
        let value = if index == 0 { revision } else { 0 };
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{index}\nspec:\n  \
             selector:\n    matchLabels: {{app: app-{index}}}\n  template:\n    metadata:\n      \
             labels: {{app: app-{index}}}\n    spec:\n      containers:\n      - name: main\n        \
             image: registry.example.org/app:{value}\n        env:\n        - name: LEVEL\n          \
             value: info\n"
        );
        insert(&mut tree, &format!("base/{index}.yaml"), text);
        writeln!(resources, "- {index}.yaml").expect("a text grows");
    }
    insert(&mut tree, "base/kustomization.yaml", resources);
    let overlay = "resources: [../base]\nnamespace: shop\nnamePrefix: eu-\n".to_owned();
    insert(&mut tree, "overlay/kustomization.yaml", overlay);
    tree
}

fn insert(tree: &mut SourceTree, path: &str, text: String) {
    let digest = fyr_model::Digest::of(text.as_bytes());
    let id = BlobId::new(digest.as_bytes()).expect("it has 32 bytes");
    tree.insert_blob(path, text.into_bytes(), id).expect("a clean path");
}
