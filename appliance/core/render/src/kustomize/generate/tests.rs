use fyr_model::SourceTree;

use super::*;
use crate::LoadRestrictor;

fn tree() -> SourceTree {
    let mut tree = SourceTree::default();
    let environment = "\u{feff}A=1\n# c\n  # d\nB\nC= x y \nD=\"q\"\n\nE=a=b\r\n";
    tree.insert_bytes("app/e.env", environment.as_bytes()).unwrap();
    tree.insert_bytes("app/dir/bin.dat", &b"\xff\xfe\0bin"[..]).unwrap();
    tree.insert_bytes("app/long.txt", vec![b'z'; 53]).unwrap();
    tree.insert_bytes("app/dir/top.txt", &b"top"[..]).unwrap();
    tree.insert_bytes("top.txt", &b"top"[..]).unwrap();
    tree
}

fn generator() -> Generator {
    Generator { name: "c".to_owned(), ..Generator::default() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn config(generator: &Generator) -> Result<Resource, RenderError> {
    let tree = tree();
    config_map(
        &mut Reader::new(&tree, LoadRestrictor::RootOnly),
        "app",
        "app/kustomization.yaml",
        generator,
    )
}

fn build(resources: &mut Vec<Resource>, generated: Resource, behavior: Behavior) -> bool {
    absorb(resources, generated, behavior, "k").is_ok()
}

#[test]
fn environment_files_are_read_line_by_line() {
    let made = config(&Generator { envs: texts(&["e.env"]), ..generator() }).unwrap();
    let data = json!({"A": "1", "B": "", "C": " x y ", "D": "\"q\"", "E": "a=b"});
    assert_eq!(made.value["data"], data);
}

#[test]
fn literals_lose_one_pair_of_quotes_and_bytes_go_to_binary_data() {
    let literals = texts(&["a='x=y'", "b=\"", "c=\"'d'\"", "e="]);
    let files = texts(&["dir/bin.dat", "t=dir/top.txt"]);
    let made = config(&Generator { literals, files, ..generator() }).unwrap();
    let data = json!({"a": "x=y", "b": "\"", "c": "'d'", "e": "", "t": "top"});
    assert_eq!(made.value["data"], data);
    assert_eq!(made.value["binaryData"], json!({"bin.dat": "//4AYmlu"}));
    assert!(made.needs_hash);
    assert_eq!(config(&generator()).unwrap().value.get("data"), None);
}

#[test]
fn secrets_hold_base64_in_lines() {
    let tree = tree();
    let secret = |files: &[&str]| {
        let generator = Generator { files: texts(files), ..generator() };
        secret(&mut Reader::new(&tree, LoadRestrictor::RootOnly), "app", "k", &generator)
            .unwrap()
            .value
    };
    let line = "enp6".repeat(17) + "en\n" + "o=\n";
    let made = secret(&["long.txt"]);
    assert_eq!(made["data"]["long.txt"], line.as_str());
    assert_eq!(made["type"], "Opaque");
    assert_eq!(secret(&[])["data"], json!({}));
}

#[test]
fn any_text_is_a_key_as_the_cluster_is_who_judges_it() {
    let made = config(&Generator { literals: texts(&["a b=1", "é/=2"]), ..generator() }).unwrap();
    assert_eq!(made.value["data"], json!({"a b": "1", "é/": "2"}));
}

#[test]
fn what_is_ambiguous_or_elsewhere_is_an_error() {
    let fails = |generator: Generator| config(&generator).unwrap_err();
    let literals = |list: &[&str]| Generator { literals: texts(list), ..generator() };
    let files = |list: &[&str]| Generator { files: texts(list), ..generator() };
    for list in [&["a=1", "a=1"][..], &["a"], &["=a"]] {
        assert!(matches!(fails(literals(list)), RenderError::Build { .. }), "{list:?}");
    }
    assert!(matches!(fails(files(&["a=b=c"])), RenderError::Build { .. }));
    assert!(matches!(fails(files(&["../../x"])), RenderError::Outside { .. }));
    assert!(matches!(fails(files(&["/x"])), RenderError::Outside { .. }));
    assert!(matches!(fails(files(&["x"])), RenderError::Missing { .. }));
}

#[test]
fn a_merge_keeps_the_object_and_its_name() {
    let mut resources =
        vec![config(&Generator { literals: texts(&["a=1", "b=2"]), ..generator() }).unwrap()];
    resources[0].remember();
    resources[0].set_name("p-c".to_owned());
    let mut change = Generator { literals: texts(&["b=3"]), ..generator() };
    change.options.labels.insert("l".to_owned(), "1".to_owned());
    change.options.without_hash = true;
    assert!(build(&mut resources, config(&change).unwrap(), Behavior::Merge));
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "p-c", "labels": {"l": "1"}},
        "data": {"a": "1", "b": "3"},
    });
    assert_eq!(resources[0].value, expected);
    // kustomize adds a hash only if both the old and the new object want one.
    assert!(!resources[0].needs_hash);
    let replacement = Generator { literals: texts(&["z=1"]), ..generator() };
    assert!(build(&mut resources, config(&replacement).unwrap(), Behavior::Replace));
    assert_eq!(resources[0].value["data"], json!({"z": "1"}));
    assert_eq!(resources[0].value["metadata"], expected["metadata"]);
    assert_eq!(resources.len(), 1);
}

#[test]
fn behaviors_that_do_not_fit_are_errors() {
    let made = || config(&generator()).unwrap();
    let mut resources = Vec::new();
    assert!(!build(&mut resources, made(), Behavior::Merge));
    assert!(!build(&mut resources, made(), Behavior::Replace));
    assert!(build(&mut resources, made(), Behavior::Create));
    assert!(!build(&mut resources, made(), Behavior::Create));
    resources.push(made());
    assert!(!build(&mut resources, made(), Behavior::Merge));
}

#[test]
fn files_outside_the_folder_are_refused() {
    let files = |path: &str| config(&Generator { files: texts(&[path]), ..generator() });
    assert!(matches!(files("../top.txt"), Err(RenderError::Outside { .. })));
    assert!(matches!(files("/top.txt"), Err(RenderError::Outside { .. })));
}
