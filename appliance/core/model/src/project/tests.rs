use serde_json::{Value, json};

use super::*;

fn parse(spec: &Value) -> Result<(AppProject, Vec<Unsupported>), ParseProjectError> {
    AppProject::parse(
        &Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": "retail"}, "spec": spec,
        }))
        .unwrap(),
    )
}

fn project(spec: &Value) -> AppProject {
    parse(spec).unwrap().0
}

fn deployment() -> GroupKind {
    GroupKind::new("apps", "Deployment")
}

#[test]
fn the_project_of_nobody_permits_everything() {
    let project = AppProject::permit_all();
    assert_eq!(project.name, "default");
    assert!(project.permits_source("git@gitlab.com:any/where.git"));
    assert!(project.permits_destination("https://any", "any", "any"));
    assert!(project.permits_destination("https://any", "any", ""));
    assert!(project.permits_object(&GroupKind::new("", "Namespace"), "x", false).is_ok());
    assert!(project.permits_object(&deployment(), "x", true).is_ok());
    assert_eq!(project.blocked(), None);
}

#[test]
fn texts_too_long_to_compare_are_permitted_nowhere() {
    let project = AppProject::permit_all();
    let long = "a".repeat(TEXT_BYTES_MAX + 1);
    assert!(!project.permits_source(&format!("https://git.example.com/{long}")));
    assert!(!project.permits_destination("https://any", "any", &long));
    assert!(project.permits_object(&deployment(), &long, true).is_err());
}

#[test]
fn an_empty_project_permits_no_source_no_destination_and_nothing_cluster_scoped() {
    for spec in [json!({}), json!(null)] {
        let project = project(&spec);
        assert!(!project.permits_source("https://git.example.com/x"));
        assert!(!project.permits_destination("https://any", "any", "any"));
        assert!(project.permits_object(&GroupKind::new("", "Namespace"), "x", false).is_err());
        assert!(project.permits_object(&deployment(), "x", true).is_ok());
    }
}

#[test]
fn sources_are_compared_in_their_canonical_form_and_stars_stop_at_slashes() {
    let project = project(&json!({"sourceRepos": [
        "git@gitlab.com:org/*", "https://git.example.com/**", "!https://git.example.com/secret/**",
    ]}));
    assert!(project.permits_source("ssh://git@gitlab.com/org/infra.git"));
    assert!(project.permits_source("https://GIT.example.com/a/b.git"));
    assert!(!project.permits_source("https://git.example.com/secret/x"));
    assert!(!project.permits_source("https://git.example.com/secret/x.git"));
}

#[test]
fn a_star_of_a_source_does_not_reach_into_subgroups() {
    let project = project(&json!({"sourceRepos": ["git@gitlab.com:org/*"]}));
    assert!(!project.permits_source("git@gitlab.com:org/group/infra"));
    assert!(!project.permits_source("git@gitlab.com.attacker.net:org/infra"));
    assert!(!project.permits_source("git@gitlab.com:other/infra"));
}

#[test]
fn an_entry_that_denies_permits_the_rest() {
    let project = project(&json!({"sourceRepos": ["!https://git.example.com/secret"]}));
    assert!(project.permits_source("https://git.example.com/open"));
    assert!(!project.permits_source("https://git.example.com/secret.git"));
}

#[test]
fn destinations_are_permitted_by_server_or_name_and_namespace() {
    let project = project(&json!({"destinations": [
        {"server": "https://eu:6443", "namespace": "shop-*"},
        {"name": "us-*", "namespace": "*"},
    ]}));
    assert!(project.permits_destination("https://eu:6443", "eu", "shop-a"));
    assert!(!project.permits_destination("https://eu:6443", "eu", "kube-system"));
    assert!(!project.permits_destination("https://eu:6443", "eu", ""));
    assert!(project.permits_destination("https://x", "us-1", "kube-system"));
    assert!(!project.permits_destination("https://x", "ap-1", "shop-a"));
}

#[test]
fn a_denied_namespace_or_cluster_stays_denied_whatever_else_permits() {
    let any = json!({"server": "*", "namespace": "*"});
    let namespace =
        project(&json!({"destinations": [any, {"server": "*", "namespace": "!kube-*"}]}));
    assert!(namespace.permits_destination("https://a", "a", "shop"));
    assert!(!namespace.permits_destination("https://a", "a", "kube-system"));
    let server =
        project(&json!({"destinations": [any, {"server": "!https://a", "namespace": "pay"}]}));
    assert!(!server.permits_destination("https://a", "a", "pay"));
    assert!(server.permits_destination("https://a", "a", "shop"));
    let name = project(&json!({"destinations": [any, {"name": "!prod", "namespace": "pay"}]}));
    assert!(!name.permits_destination("https://a", "prod", "pay"));
    assert!(!name.permits_destination("https://a", "prod", "shop"));
    assert!(name.permits_destination("https://a", "dev", "shop"));
}

#[test]
fn kinds_are_listed_apart_for_cluster_and_namespace() {
    let project = project(&json!({
        "clusterResourceWhitelist": [
            {"group": "", "kind": "Namespace", "name": "shop-*"},
            {"group": "rbac.*", "kind": "*"},
        ],
        "clusterResourceBlacklist": [{"group": "*", "kind": "ClusterRoleBinding"}],
        "namespaceResourceBlacklist": [{"group": "", "kind": "ResourceQuota"}],
    }));
    let cluster = |group: &str, kind: &str, name: &str| {
        project.permits_object(&GroupKind::new(group, kind), name, false)
    };
    assert!(cluster("", "Namespace", "shop-a").is_ok());
    assert!(cluster("", "Namespace", "kube-system").is_err());
    assert!(cluster("rbac.authorization.k8s.io", "ClusterRole", "x").is_ok());
    assert!(cluster("rbac.authorization.k8s.io", "ClusterRoleBinding", "x").is_err());
    assert_eq!(
        cluster("", "Node", "x").unwrap_err(),
        "resource :Node is not permitted in project retail: cluster-scoped kinds must be listed in \
         clusterResourceWhitelist"
    );
    assert!(project.permits_object(&GroupKind::new("", "ResourceQuota"), "x", true).is_err());
    assert!(project.permits_object(&deployment(), "x", true).is_ok());
}

#[test]
fn an_empty_list_of_namespaced_kinds_is_not_an_absent_one() {
    let with = |list: Value| project(&json!({"namespaceResourceWhitelist": list}));
    assert!(with(json!([])).permits_object(&deployment(), "x", true).is_err());
    assert!(with(json!(null)).permits_object(&deployment(), "x", true).is_ok());
    let deployments = with(json!([{"group": "apps", "kind": "Deployment"}]));
    assert!(deployments.permits_object(&deployment(), "x", true).is_ok());
    assert!(deployments.permits_object(&GroupKind::new("", "Secret"), "x", true).is_err());
}

#[test]
fn guards_that_cannot_be_kept_block_the_project() {
    for field in ["syncWindows", "signatureKeys", "destinationServiceAccounts"] {
        let blocked = project(&json!({field: [{"kind": "deny"}]})).blocked().unwrap();
        assert!(blocked.contains(&format!("spec.{field}")), "{blocked}");
        assert_eq!(project(&json!({field: []})).blocked(), None, "{field}");
    }
    let blocked = project(&json!({"sourceIntegrity": {"git": {"policies": [{"repos": ["*"]}]}}}));
    assert!(blocked.blocked().unwrap().contains("spec.sourceIntegrity"));
}

#[test]
fn what_has_no_effect_is_reported_with_its_path() {
    let (_, unsupported) = parse(&json!({
        "roles": [{"name": "ci"}], "orphanedResources": {}, "sourceNamespaces": ["a"],
        "destinatons": [], "destinations": [{"server": "*", "namspace": "*"}],
        "namespaceResourceBlacklist": [{"group": "", "kind": "Secret", "name": "x"}],
    }))
    .unwrap();
    let paths: Vec<&str> = unsupported.iter().map(|entry| &*entry.path).collect();
    assert_eq!(
        paths,
        [
            "spec.destinations[0].namspace",
            "spec.destinatons",
            "spec.namespaceResourceBlacklist[0].name",
            "spec.orphanedResources",
            "spec.roles",
            "spec.sourceNamespaces",
        ]
    );
}

#[test]
fn patterns_that_cannot_be_enforced_are_errors() {
    let cases = [
        (json!({"sourceRepos": ["https://a/[x"]}), "spec.sourceRepos[0] is not a pattern"),
        (
            json!({"destinations": [{"server": "{a", "namespace": "*"}]}),
            "spec.destinations[0].server is not a pattern",
        ),
        (
            json!({"clusterResourceWhitelist": [{"group": "*", "kind": "[!"}]}),
            "spec.clusterResourceWhitelist[0].kind is not a pattern",
        ),
        (json!({"sourceRepos": "*"}), "spec.sourceRepos must be a list, not this string"),
    ];
    for (spec, message) in cases {
        assert_eq!(parse(&spec).unwrap_err().to_string(), message);
    }
}

#[test]
fn projects_elsewhere_and_other_kinds_are_refused() {
    let of = |kind: &str, namespace: &str| {
        AppProject::parse(
            &Object::parse(json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": kind,
                "metadata": {"name": "a", "namespace": namespace},
            }))
            .unwrap(),
        )
    };
    assert!(of("AppProject", "argocd").is_ok());
    assert!(of("AppProject", "other").is_err());
    assert!(of("Application", "argocd").is_err());
}
