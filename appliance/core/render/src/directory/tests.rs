use fyr_model::{File, SourceTree};

use super::*;
use crate::LoadRestrictor;

const CONFIG: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME}}";

fn tree(files: &[(&str, &str)]) -> SourceTree {
    let mut tree = SourceTree::default();
    for (path, text) in files {
        tree.insert_bytes(path, text.as_bytes()).unwrap();
    }
    tree
}

fn named(name: &str) -> String {
    CONFIG.replace("NAME", name)
}

fn names(tree: &SourceTree, options: &DirectoryOptions) -> Vec<String> {
    let (objects, _) =
        read(&mut Reader::new(tree, LoadRestrictor::RootOnly), "app", options).unwrap();
    objects.iter().map(|object| object.name().to_owned()).collect()
}

#[test]
fn folders_below_are_read_only_when_asked() {
    let tree = tree(&[("app/a.yaml", &named("a")), ("app/b/b.yml", &named("b"))]);
    assert_eq!(names(&tree, &DirectoryOptions::default()), ["a"]);
    let recurse = DirectoryOptions { recurse: true, ..Default::default() };
    assert_eq!(names(&tree, &recurse), ["a", "b"]);
}

#[test]
fn exclude_wins_over_include_and_stars_cross_folders() {
    let files = ["app/x/a.yaml", "app/x/b.yaml", "app/c.yaml"];
    let texts: Vec<_> =
        files.iter().map(|path| (*path, named(&path[path.len() - 6..][..1]))).collect();
    let pairs: Vec<_> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let options = DirectoryOptions {
        recurse: true,
        include: "*{a,b}.yaml".to_owned(),
        exclude: "*/b.yaml".to_owned(),
    };
    assert_eq!(names(&tree(&pairs), &options), ["a"]);
}

#[test]
fn yaml_that_is_no_manifest_is_left_out_with_a_warning() {
    let tree = tree(&[("app/values.yaml", "{{ broken"), ("app/a.yaml", &named("a"))]);
    let (objects, warnings) = read(
        &mut Reader::new(&tree, LoadRestrictor::RootOnly),
        "app",
        &DirectoryOptions::default(),
    )
    .unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(warnings[0].path, "app/values.yaml");
}

#[test]
fn a_broken_manifest_is_an_error_that_names_file_and_line() {
    let tree = tree(&[("app/a.yaml", "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n]\n")]);
    let error = read(
        &mut Reader::new(&tree, LoadRestrictor::RootOnly),
        "app",
        &DirectoryOptions::default(),
    )
    .unwrap_err();
    let text = fyr_model::Chain(&error).to_string();
    assert!(text.starts_with("app/a.yaml:5: "), "{text}");
}

#[test]
fn a_manifest_over_a_limit_is_never_left_out() {
    let too_much = usize::try_from(fyr_model::TreeLimits::FILE_BYTES_MAX).unwrap();
    let text = format!("{}#{}", named("a"), " ".repeat(too_much));
    let tree = tree(&[("app/a.yaml", &text)]);
    read(&mut Reader::new(&tree, LoadRestrictor::RootOnly), "app", &DirectoryOptions::default())
        .unwrap_err();
}

#[test]
fn lists_become_their_items() {
    let list = format!("{{apiVersion: v1, kind: List, items: [{}, {}]}}", named("a"), named("b"));
    let empty = "{apiVersion: v1, kind: List, metadata: {}, items: null}";
    let tree = tree(&[("app/a.yaml", &list), ("app/b.yaml", empty)]);
    assert_eq!(names(&tree, &DirectoryOptions::default()), ["a", "b"]);
}

#[test]
fn marked_files_and_files_of_overrides_are_left_out() {
    let marked = format!("# +argocd:skip-file-rendering\n{}", named("a"));
    let tree = tree(&[("app/a.yaml", &marked), ("app/.argocd-source-x.yaml", &named("b"))]);
    assert!(names(&tree, &DirectoryOptions::default()).is_empty());
}

#[test]
fn json_holds_exactly_one_object_and_jsonnet_is_an_error() {
    let object = r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"a","labels":{"x":"\/"}}}"#;
    assert_eq!(names(&tree(&[("app/a.json", object)]), &DirectoryOptions::default()), ["a"]);
    for (path, text) in
        [("app/a.json", format!("{object} {object}")), ("app/a.jsonnet", "{}".into())]
    {
        let tree = tree(&[(path, &text)]);
        read(
            &mut Reader::new(&tree, LoadRestrictor::RootOnly),
            "app",
            &DirectoryOptions::default(),
        )
        .unwrap_err();
    }
}

#[test]
fn links_to_files_are_read_and_links_to_folders_are_not() {
    let mut tree = tree(&[("base/a.yaml", &named("a")), ("app/b.yaml", &named("b"))]);
    tree.insert("app/a.yaml", File::Link("../base/a.yaml".to_owned())).unwrap();
    tree.insert("app/folder.yaml", File::Link("../base".to_owned())).unwrap();
    let recurse = DirectoryOptions { recurse: true, ..Default::default() };
    assert_eq!(names(&tree, &recurse), ["a", "b"]);
}
