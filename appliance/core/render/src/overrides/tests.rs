use serde_json::json;

use super::*;
use crate::LoadRestrictor;
use fyr_model::{DirectoryOptions, KustomizeReplicas, KustomizeSelector, SourceTree};

fn environment() -> BuildEnvironment {
    let pairs = [("ARGOCD_APP_NAME", "shop"), ("ARGOCD_APP_REVISION_SHORT", "abcdef0")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    BuildEnvironment { variables: pairs.into_iter().map(owned).collect() }
}

fn tool(files: &[(&str, &str)], tool: &Tool) -> Result<Tool, RenderError> {
    let mut tree = SourceTree::default();
    for (name, text) in files {
        tree.insert_bytes(&format!("apps/{name}"), text.as_bytes()).unwrap();
    }
    effective_tool(&mut Reader::new(&tree, LoadRestrictor::RootOnly), "apps", "shop", tool)
}

fn applied(file: Value, options: &KustomizeOptions) -> Result<Kustomization, RenderError> {
    let mut tree = SourceTree::default();
    tree.insert_bytes("components/here/kustomization.yaml", *b"").unwrap();
    let mut kustomization = Kustomization::read(file, "k.yaml").unwrap();
    let reader = Reader::new(&tree, LoadRestrictor::RootOnly);
    apply(&mut kustomization, options, &environment(), &reader, "apps", "k.yaml")?;
    Ok(kustomization)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn without_files_the_tool_is_that_of_the_application() {
    let directory = Tool::Directory(DirectoryOptions { recurse: true, ..Default::default() });
    assert_eq!(tool(&[], &directory).unwrap(), directory);
    assert_eq!(
        tool(&[(".argocd-source-other.yaml", "a: b")], &Tool::Detect).unwrap(),
        Tool::Detect
    );
}

#[test]
fn a_name_with_a_slash_does_not_lead_elsewhere() {
    let mut tree = SourceTree::default();
    tree.insert_bytes("apps/x.yaml", *b"kustomize: {namePrefix: a}").unwrap();
    let mut reader = Reader::new(&tree, LoadRestrictor::RootOnly);
    let error = effective_tool(&mut reader, "apps", "a/../x", &Tool::Detect).unwrap_err();
    assert!(error.to_string().contains("no slash"), "{error}");
}

#[test]
fn overrides_without_an_application_are_told_of() {
    let mut tree = SourceTree::default();
    let told =
        |tree: &SourceTree| unused(&Reader::new(tree, LoadRestrictor::RootOnly), "apps").unwrap();
    assert_eq!(told(&tree), None);
    tree.insert_bytes("apps/.argocd-source.yaml", *b"a: b").unwrap();
    let warning = told(&tree).unwrap();
    assert_eq!(warning.path, "apps/.argocd-source.yaml");
}

#[test]
fn the_file_of_the_application_comes_last_and_lists_are_replaced() {
    let given = Tool::Kustomize(KustomizeOptions {
        images: texts(&["a:1"]),
        common_labels: pairs(&[("a", "1"), ("b", "2")]),
        name_prefix: Some("x-".to_owned()),
        ..Default::default()
    });
    let files = [
        (".argocd-source.yaml", "kustomize: {images: ['b:2'], commonLabels: {a: '3', b: null}}"),
        (
            ".argocd-source-shop.yaml",
            "path: elsewhere\nkustomize: {images: ['c:3'], replicas: [{name: web, count: '2'}]}",
        ),
    ];
    let Tool::Kustomize(options) = tool(&files, &given).unwrap() else { panic!("another tool") };
    assert_eq!(options.images, ["c:3"]);
    assert_eq!(options.common_labels, pairs(&[("a", "3")]));
    assert_eq!(options.name_prefix.as_deref(), Some("x-"));
    assert_eq!(options.replicas, [KustomizeReplicas { name: "web".to_owned(), count: 2 }]);
}

#[test]
fn what_is_unknown_or_of_another_tool_is_refused() {
    let error = |text| tool(&[(".argocd-source.yaml", text)], &Tool::Detect).unwrap_err();
    assert!(matches!(error("kustomize: {image: [a]}"), RenderError::Field { .. }));
    assert!(matches!(error("kustomise: {}"), RenderError::Field { .. }));
    assert!(matches!(error("helm: {values: a}"), RenderError::Unsupported { .. }));
    assert!(matches!(error("plugin: {name: a}"), RenderError::Unsupported { .. }));
    assert!(matches!(error("directory: {jsonnet: {libs: [a]}}"), RenderError::Unsupported { .. }));
    assert!(matches!(error("kustomize: {}\ndirectory: {}"), RenderError::Field { .. }));
    assert!(matches!(error("- a"), RenderError::Build { .. }));
    let replicas = "kustomize: {replicas: [{name: a, count: -1}]}";
    assert!(matches!(error(replicas), RenderError::Field { .. }));
}

#[test]
fn an_image_replaces_the_rule_of_its_name_and_a_star_keeps_its_part() {
    let file = json!({"images": [
        {"name": "z", "newName": "zz", "newTag": "1"}, {"name": "b", "newTag": "2"},
    ]});
    let images = texts(&["z=*:9", "b=host:5000/b", "a:$ARGOCD_APP_REVISION_SHORT@sha256:1"]);
    let options = KustomizeOptions { images, ..Default::default() };
    let rules = applied(file, &options).unwrap().images;
    let read: Vec<_> = rules
        .iter()
        .map(|rule| [&*rule.name, &*rule.new_name, &*rule.new_tag, &*rule.digest])
        .collect();
    let expected =
        [["a", "", "abcdef0", "sha256:1"], ["b", "host:5000/b", "", ""], ["z", "zz", "9", ""]];
    assert_eq!(read, expected);
    for wrong in ["a", "", "=b:1", "a:1/b"] {
        let options = KustomizeOptions { images: texts(&[wrong]), ..Default::default() };
        assert!(applied(json!({"namePrefix": "x"}), &options).is_err(), "{wrong}");
    }
}

#[test]
fn a_label_that_is_there_is_replaced_only_by_force() {
    let file = || json!({"commonLabels": {"app": "a"}, "commonAnnotations": {"note": "a"}});
    let mut options = KustomizeOptions {
        common_labels: pairs(&[("app", "${ARGOCD_APP_NAME}-$$x")]),
        ..Default::default()
    };
    assert!(matches!(applied(file(), &options), Err(RenderError::Build { .. })));
    options.force_common_labels = true;
    options.common_annotations = pairs(&[("other", "$ARGOCD_APP_NAME")]);
    let kustomization = applied(file(), &options).unwrap();
    assert_eq!(kustomization.common_labels, pairs(&[("app", "shop-$x")]));
    let expected = pairs(&[("note", "a"), ("other", "$ARGOCD_APP_NAME")]);
    assert_eq!(kustomization.common_annotations, expected);
    options.common_annotations_envsubst = true;
    let kustomization = applied(file(), &options).unwrap();
    assert_eq!(kustomization.common_annotations["other"], "shop");
    options.common_annotations = pairs(&[("note", "b")]);
    assert!(applied(file(), &options).is_err());
}

#[test]
fn labels_without_selectors_are_a_rule_of_their_own() {
    let file =
        json!({"labels": [{"pairs": {"a": "1"}}, {"pairs": {"b": "1"}, "includeTemplates": true}]});
    let options = KustomizeOptions {
        common_labels: pairs(&[("app", "x")]),
        label_without_selector: true,
        label_include_templates: true,
        ..Default::default()
    };
    let kustomization = applied(file, &options).unwrap();
    assert!(kustomization.common_labels.is_empty());
    assert_eq!(kustomization.labels[0].pairs, pairs(&[("a", "1")]));
    assert_eq!(kustomization.labels[1].pairs, pairs(&[("app", "x"), ("b", "1")]));
    let kustomization = applied(json!({"namePrefix": "x"}), &options).unwrap();
    assert!(kustomization.labels[0].templates && !kustomization.labels[0].selectors);
}

#[test]
fn the_rest_is_replaced_or_appended() {
    let file = json!({
        "namePrefix": "a-", "nameSuffix": "-a", "namespace": "a", "components": ["../c"],
        "replicas": [{"name": "web", "count": 1}, {"name": "api", "count": 1}],
        "patches": [{"patch": "first"}],
    });
    let target = KustomizeSelector { kind: "Deployment".to_owned(), ..Default::default() };
    let options = KustomizeOptions {
        name_prefix: Some("b-".to_owned()),
        name_suffix: Some(String::new()),
        namespace: Some("b".to_owned()),
        replicas: vec![KustomizeReplicas { name: "web".to_owned(), count: 0 }],
        patches: vec![KustomizePatch {
            patch: Some("second".to_owned()),
            target: Some(target),
            options: [("allowNameChange".to_owned(), true)].into(),
            ..Default::default()
        }],
        components: texts(&["../components/here", "../components/missing", "../c"]),
        ignore_missing_components: true,
        ..Default::default()
    };
    let kustomization = applied(file, &options).unwrap();
    assert_eq!(kustomization.name_prefix, "b-");
    assert_eq!(kustomization.name_suffix, "-a");
    assert_eq!(kustomization.namespace.namespace, "b");
    let counts: Vec<_> =
        kustomization.replicas.iter().map(|rule| (&*rule.name, rule.count)).collect();
    assert_eq!(counts, [("api", 1), ("web", 0)]);
    assert_eq!(kustomization.components, ["../c", "../components/here"]);
    let [first, second] = &kustomization.patches[..] else { panic!("not two patches") };
    assert_eq!(first.text.as_deref(), Some("first"));
    assert_eq!(second.target.as_ref().unwrap().kind, "Deployment");
    assert!(second.allow_name_change && !second.allow_kind_change);
}

#[test]
fn variables_are_expanded_and_unknown_ones_are_errors() {
    let expanded = |text| expand(text, &environment());
    assert_eq!(expanded("a $ b $$ $").unwrap(), "a $ b $ $");
    assert_eq!(expanded("$ARGOCD_APP_NAME.x").unwrap(), "shop.x");
    assert_eq!(expanded("${ARGOCD_APP_NAME}x").unwrap(), "shopx");
    assert!(expanded("$KUBE_VERSION").is_err());
    assert!(expanded("${A").is_err());
}
