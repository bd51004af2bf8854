use fyr_model::SourceTree;

use super::KUSTOMIZATIONS_MAX;
use crate::{RenderError, build};

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
