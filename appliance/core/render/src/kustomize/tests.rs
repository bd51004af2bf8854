use std::sync::atomic::AtomicBool;

use fyr_model::{BuildEnvironment, SourceTree, Tool};

use super::gather::KUSTOMIZATIONS_MAX;
use crate::{LoadRestrictor, RenderError, Request, build, render};

fn tree<'a>(files: impl IntoIterator<Item = (String, &'a str)>) -> SourceTree {
    let mut tree = SourceTree::default();
    for (path, text) in files {
        tree.insert_bytes(&path, text.as_bytes()).unwrap();
    }
    tree
}

#[test]
fn kustomizations_that_name_each_other_twice_end_at_a_limit() {
    let texts: Vec<_> =
        (0..40).map(|level| format!("resources: [../{level}, ../{level}]")).collect();
    let mut files: Vec<_> = (1..)
        .zip(&texts)
        .map(|(level, text)| (format!("{level}/kustomization.yaml"), text.as_str()))
        .collect();
    files.push(("0/kustomization.yaml".to_owned(), "namePrefix: a"));
    let error = build(&tree(files), "40").unwrap_err();
    let RenderError::Limit { limit, .. } = error else { panic!("{error}") };
    assert_eq!(limit, KUSTOMIZATIONS_MAX);
}

#[test]
fn kustomizations_in_a_cycle_are_an_error_that_names_them() {
    let files = [
        ("a/kustomization.yaml".to_owned(), "resources: [../b]"),
        ("b/kustomization.yaml".to_owned(), "resources: [../a]"),
    ];
    let error = build(&tree(files), "a").unwrap_err().to_string();
    assert!(error.contains("a → b"), "{error}");
}

#[test]
fn annotations_without_one_are_left_out_and_labels_without_one_stay() {
    let object = "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {}, labels: {}}}";
    let files =
        [("kustomization.yaml".to_owned(), "resources: [a.yaml]"), ("a.yaml".to_owned(), object)];
    let text = build(&tree(files), "").unwrap();
    assert_eq!(text, "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {}\n  name: a\n");
}

#[test]
fn annotations_of_the_items_of_a_list_become_text() {
    let list = "apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, \
        metadata: {name: a, annotations: {a: 8080, b: null, c: true, d: [x], e: text}}}\n";
    let files =
        [("kustomization.yaml".to_owned(), "resources: [a.yaml]"), ("a.yaml".to_owned(), list)];
    let text = build(&tree(files), "").unwrap();
    let expected = "    a: \"8080\"\n    b: \"null\"\n    c: \"true\"\n    d: \"\"\n    e: text\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn null_for_all_annotations_takes_them_away_only_from_the_object_that_a_patch_names() {
    let object = "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {x: y}}}";
    let keeps = |field: &str, options: &str| {
        let patch = "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: null}}";
        let entry = if options.is_empty() {
            format!("'{patch}'")
        } else {
            format!("{{patch: '{patch}', {options}}}")
        };
        let patches = format!("resources: [a.yaml]\n{field}: [{entry}]\n");
        let files =
            [("kustomization.yaml".to_owned(), patches.as_str()), ("a.yaml".to_owned(), object)];
        build(&tree(files), "").unwrap().contains("  annotations:\n    x: \"y\"\n")
    };
    assert!(!keeps("patches", "target: "));
    assert!(keeps("patches", "target: {kind: Pod}"));
    assert!(keeps("patches", "options: {allowNameChange: true}"));
    assert!(keeps("patchesStrategicMerge", ""));
}

#[test]
fn null_for_a_label_deletes_it_by_name_and_is_text_by_target() {
    let object = "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {x: y, z: z}}}";
    let labels = |target: &str| {
        let patches = format!(
            "resources: [a.yaml]\npatches: [{{{target}patch: '{{apiVersion: v1, kind: Pod, \
             metadata: {{name: a, labels: {{x: null, b: 1}}}}}}'}}]\n"
        );
        let files = [("kustomization.yaml".to_owned(), &*patches), ("a.yaml".to_owned(), object)];
        let text = build(&tree(files), "").unwrap();
        text.split_once("labels:\n").unwrap().1.replace("  name: a\n", "")
    };
    assert_eq!(labels(""), "    b: 1\n    z: z\n");
    let texts = "    b: \"1\"\n    x: \"null\"\n    z: z\n";
    assert_eq!(labels("target: {kind: Pod}, "), texts);
}

#[test]
fn a_kustomization_that_sets_nothing_is_refused_and_an_empty_list_is_something() {
    let builds = |text| build(&tree([("kustomization.yaml".to_owned(), text)]), "").is_ok();
    assert!(!builds("kind: Kustomization\nresources:\nnamePrefix: ''\n"));
    assert!(builds("resources: []"));
    assert!(builds("metadata: {}"));
}

#[test]
fn annotations_that_operations_add_become_text() {
    let kustomization = "resources: [a.yaml]\npatches: [{target: {kind: Pod}, patch: '[{\"op\": \
        \"add\", \"path\": \"/metadata/annotations\", \"value\": {\"a\": null, \"b\": 8080}}]'}]\n";
    let files = [
        ("kustomization.yaml".to_owned(), kustomization),
        ("a.yaml".to_owned(), "{apiVersion: v1, kind: Pod, metadata: {name: a}}"),
    ];
    let text = build(&tree(files), "").unwrap();
    assert!(text.contains("annotations:\n    a: \"null\"\n    b: \"8080\"\n"), "{text}");
}

#[test]
fn images_by_their_old_name_come_after_the_others() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{image: x}]}}";
    let text = "resources: [a.yaml]\nimageTags: [{name: x, newTag: v2}]\nimages: [{name: x, newTag: v1}]\n";
    let files = [("kustomization.yaml".to_owned(), text), ("a.yaml".to_owned(), pod)];
    assert!(build(&tree(files), "").unwrap().contains("image: x:v2"));
}

#[test]
fn a_render_that_nobody_waits_for_ends() {
    let files = [("kustomization.yaml".to_owned(), "resources: [a.yaml]")];
    let stop = AtomicBool::new(true);
    let request = Request {
        tree: &tree(files),
        path: "",
        tool: &Tool::Detect,
        environment: &BuildEnvironment::default(),
        application: None,
        load_restrictor: LoadRestrictor::RootOnly,
        parsed: None,
        stop: Some(&stop),
    };
    assert!(matches!(render(&request), Err(RenderError::Stopped)));
}
