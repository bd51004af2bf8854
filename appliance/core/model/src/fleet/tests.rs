#![expect(
    clippy::needless_pass_by_value,
    reason = "the builders of manifests take `json!` in place, which reads better without `&`"
)]

use serde_json::{Value, json};

use super::*;
use crate::Object;

fn object(value: Value) -> Object {
    Object::parse(value).unwrap()
}

fn application(name: &str, more: Value) -> Object {
    let mut spec = json!({
        "source": {"repoURL": "git@gitlab.com:org/infra.git", "path": "."},
        "destination": {"name": "europe", "namespace": "shop"},
    });
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    object(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"}, "spec": spec,
    }))
}

fn project(name: &str, spec: Value) -> Object {
    object(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": name}, "spec": spec,
    }))
}

fn secret(name: &str, kind: &str, entries: Value) -> Object {
    object(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": kind}},
        "stringData": entries,
    }))
}

fn cluster(name: &str, server: &str) -> Object {
    let config = json!({"bearerToken": "hunter2"}).to_string();
    secret(name, "cluster", json!({"name": name, "server": server, "config": config}))
}

fn marked(mut cluster: Object) -> Object {
    cluster.set_annotation("fyr.dev/in-cluster", "true");
    cluster
}

fn europe() -> Object {
    cluster("europe", "https://eu:6443")
}

fn parsed<'a>(fleet: &'a Fleet, name: &str) -> &'a Application {
    fleet.applications[name].parsed.as_ref().unwrap()
}

fn errors(fleet: &Fleet) -> Vec<String> {
    let errors = fleet.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| format!("{}: {}", problem.object, problem.message)).collect()
}

fn refusals(fleet: &Fleet, name: &str) -> Vec<String> {
    let refused = fleet.admit(parsed(fleet, name)).unwrap_err();
    refused.iter().map(ToString::to_string).collect()
}

#[test]
fn an_application_finds_its_project_and_its_cluster() {
    let fleet = Fleet::assemble(vec![application("shop", json!({}))], vec![europe()]);
    assert_eq!(fleet.problems, []);
    let admission = fleet.admit(parsed(&fleet, "shop")).unwrap();
    assert_eq!(admission.project.name, "default");
    assert_eq!(admission.cluster.server, "https://eu:6443");
}

#[test]
fn one_bad_manifest_is_a_problem_and_disturbs_nothing_else() {
    let bad = application("bad", json!({"destination": {}}));
    let fleet = Fleet::assemble(
        vec![application("shop", json!({})), bad],
        vec![europe(), cluster("asia", "http://asia")],
    );
    assert!(fleet.admit(parsed(&fleet, "shop")).is_ok());
    assert!(fleet.applications["bad"].parsed.is_err(), "it is broken, not gone");
    let errors = errors(&fleet);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("Secret asia: server"), "{errors:?}");
    assert!(errors[1].starts_with("Application argocd/bad: spec.destination"), "{errors:?}");
}

#[test]
fn the_order_of_the_objects_does_not_matter() {
    let objects =
        || vec![application("a", json!({})), application("b", json!({})), project("p", json!({}))];
    let secrets = || vec![europe(), cluster("asia", "https://asia"), cluster("x", "https://asia")];
    let reversed = |mut objects: Vec<Object>| {
        objects.reverse();
        objects
    };
    assert_eq!(
        Fleet::assemble(objects(), secrets()),
        Fleet::assemble(reversed(objects()), reversed(secrets()))
    );
}

#[test]
fn fleets_differ_when_an_application_or_a_credential_does() {
    let fleet = |more: Value, token: &str| {
        let config = json!({"bearerToken": token}).to_string();
        let entries = json!({"name": "europe", "server": "https://eu", "config": config});
        let clusters = vec![secret("europe", "cluster", entries)];
        Fleet::assemble(vec![application("shop", more)], clusters)
    };
    assert_eq!(fleet(json!({}), "a"), fleet(json!({}), "a"));
    assert_ne!(fleet(json!({}), "a"), fleet(json!({}), "b"));
    assert_ne!(fleet(json!({}), "a"), fleet(json!({"revisionHistoryLimit": 3}), "a"));
}

#[test]
fn two_applications_of_one_name_are_both_refused() {
    let twice = vec![application("shop", json!({})), application("shop", json!({"project": "p"}))];
    let fleet = Fleet::assemble(twice, vec![europe()]);
    let error = fleet.applications["shop"].parsed.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "more than one Application is named shop");
    assert_eq!(errors(&fleet).len(), 1);
}

#[test]
fn kinds_a_fleet_cannot_use_are_said_so() {
    let of = |api_version: &str, kind: &str| {
        object(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}))
    };
    let fleet = Fleet::assemble(
        vec![
            of("argoproj.io/v1alpha1", "ApplicationSet"),
            of("bitnami.com/v1alpha1", "SealedSecret"),
            of("v1", "Namespace"),
            of("v1", "ConfigMap"),
        ],
        vec![of("v1", "Secret")],
    );
    let errors = errors(&fleet);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("ApplicationSets are not supported")));
    assert!(errors.iter().any(|error| error.contains("SealedSecrets are not supported")));
    assert!(errors.iter().any(|error| error.contains("only Secrets with the label")));
    assert_eq!(fleet.problems.len(), 5);
}

#[test]
fn a_plain_secret_in_git_is_refused_and_not_quoted() {
    let fleet = Fleet::assemble(vec![europe()], Vec::new());
    assert!(fleet.clusters.is_empty());
    assert!(errors(&fleet)[0].contains("a plain Secret in Git"), "{:?}", fleet.problems);
    assert!(!format!("{fleet:?}").contains("hunter2"));
}

#[test]
fn the_in_cluster_address_means_the_marked_cluster() {
    for destination in
        [json!({"server": "https://kubernetes.default.svc/"}), json!({"name": "in-cluster"})]
    {
        let shop = || application("shop", json!({"destination": destination}));
        let asia = || cluster("asia", "https://asia");
        let fleet = Fleet::assemble(vec![shop()], vec![marked(europe()), asia()]);
        assert_eq!(fleet.destination(parsed(&fleet, "shop")).unwrap().name, "europe");

        let fleet = Fleet::assemble(vec![shop()], vec![europe(), asia()]);
        let message = refusals(&fleet, "shop").remove(0);
        assert!(
            message.contains("fyr.dev/in-cluster: \"true\"") && message.contains("put that label")
        );

        let fleet = Fleet::assemble(vec![shop()], vec![marked(europe()), marked(asia())]);
        let message = refusals(&fleet, "shop").remove(0);
        assert!(message.ends_with("and these are: asia, europe"), "{message}");
        assert_eq!(errors(&fleet).len(), 2);
    }
}

#[test]
fn a_project_that_names_the_in_cluster_address_means_the_marked_cluster_too() {
    let admitted = |destinations: Value, to: &str| {
        let spec = json!({"sourceRepos": ["*"], "destinations": destinations});
        let shop = json!({"project": "p", "destination": {"server": to, "namespace": "shop"}});
        let objects = vec![application("shop", shop), project("p", spec)];
        let secrets = vec![marked(europe()), cluster("asia", "https://asia")];
        let fleet = Fleet::assemble(objects, secrets);
        fleet.admit(parsed(&fleet, "shop")).is_ok()
    };
    let inside = "https://kubernetes.default.svc";
    let only_inside = json!([{"server": inside, "namespace": "*"}]);
    assert!(
        admitted(only_inside.clone(), inside) && admitted(only_inside.clone(), "https://eu:6443")
    );
    assert!(!admitted(only_inside, "https://asia"));
    let by_name = json!([{"name": "in-cluster", "namespace": "shop"}]);
    assert!(admitted(by_name.clone(), inside) && !admitted(by_name, "https://asia"));
    let never_inside = json!([
        {"server": "*", "namespace": "*"}, {"server": format!("!{inside}"), "namespace": "*"},
    ]);
    assert!(!admitted(never_inside.clone(), inside));
    assert!(!admitted(never_inside.clone(), "https://eu:6443"), "by its other name neither");
    assert!(admitted(never_inside, "https://asia"));
}

#[test]
fn an_unknown_destination_is_named_with_the_secrets_that_could_not_be_read() {
    let to = |destination: Value| application("shop", json!({"destination": destination}));
    let fleet = Fleet::assemble(
        vec![to(json!({"name": "asia"}))],
        vec![europe(), cluster("asia", "http://asia")],
    );
    assert_eq!(
        refusals(&fleet, "shop"),
        [
            "there are no clusters with this name: asia (these cluster Secrets could not be read: asia)"
        ]
    );
    let fleet = Fleet::assemble(vec![to(json!({"server": "https://asia"}))], vec![europe()]);
    let message = "there are no clusters with this server: https://asia";
    assert_eq!(refusals(&fleet, "shop"), [message]);
}

#[test]
fn clusters_that_share_a_name_or_an_address_are_not_used() {
    let entries = json!({"name": "europe", "server": "https://other"});
    let same_name = secret("second", "cluster", entries);
    let same_server = cluster("alias", "https://eu:6443/");
    for rival in [same_name, same_server] {
        let bystander = cluster("asia", "https://asia");
        let secrets = vec![europe(), rival, bystander];
        let fleet = Fleet::assemble(vec![application("shop", json!({}))], secrets);
        assert!(refusals(&fleet, "shop")[0].contains("is ambiguous"), "{:?}", fleet.problems);
        assert_eq!(fleet.clusters.keys().collect::<Vec<_>>(), ["asia"]);
        assert_eq!(errors(&fleet).len(), 2);
    }
    let fleet = Fleet::assemble(vec![application("shop", json!({}))], vec![europe(), europe()]);
    assert!(fleet.admit(parsed(&fleet, "shop")).is_ok(), "one Secret in two files is one cluster");
}

#[test]
fn the_project_decides_over_sources_and_destinations_and_all_is_said_at_once() {
    let narrow = json!({
        "sourceRepos": ["https://git.example.com/*"],
        "destinations": [{"name": "europe", "namespace": "pay"}],
    });
    let shop = application("shop", json!({"project": "narrow"}));
    let fleet = Fleet::assemble(vec![shop, project("narrow", narrow)], vec![europe()]);
    assert_eq!(
        refusals(&fleet, "shop"),
        [
            "application repo git@gitlab.com:org/infra.git is not permitted in project 'narrow'",
            "application destination server 'https://eu:6443' and namespace 'shop' do not match \
             any of the allowed destinations in project 'narrow'",
        ]
    );
}

#[test]
fn a_missing_broken_doubled_or_blocked_project_lets_nothing_through() {
    let all = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
    });
    let shop = || application("shop", json!({"project": "p"}));
    let first = |objects: Vec<Object>| {
        let fleet = Fleet::assemble(objects, vec![europe()]);
        refusals(&fleet, "shop").remove(0)
    };
    let message = first(vec![shop()]);
    assert_eq!(message, "Application referencing project p which does not exist");
    let message = first(vec![shop(), project("p", json!({"sourceRepos": ["[x"]}))]);
    assert!(message.starts_with("project p cannot be enforced: spec.sourceRepos[0]"), "{message}");
    let message = first(vec![shop(), project("p", all.clone()), project("p", all.clone())]);
    assert!(message.contains("more than one AppProject is named p"), "{message}");
    let mut windows = all.clone();
    windows["syncWindows"] = json!([{"kind": "deny"}]);
    let message = first(vec![shop(), project("p", windows)]);
    assert!(message.contains("spec.syncWindows"), "{message}");
    let fleet = Fleet::assemble(vec![shop(), project("p", all)], vec![europe()]);
    assert!(fleet.admit(parsed(&fleet, "shop")).is_ok());
}

#[test]
fn a_broken_default_project_does_not_fall_back_to_permitting_everything() {
    let broken = project("default", json!({"sourceRepos": "*"}));
    let fleet = Fleet::assemble(vec![application("shop", json!({})), broken], vec![europe()]);
    assert!(refusals(&fleet, "shop")[0].starts_with("project default cannot be enforced"));
}

#[test]
fn a_cluster_of_a_project_is_closed_to_others() {
    let entries = json!({"name": "europe", "server": "https://eu", "project": "pay"});
    let owned = || secret("europe", "cluster", entries.clone());
    let shop = application("shop", json!({}));
    let fleet = Fleet::assemble(vec![shop], vec![owned()]);
    let message = refusals(&fleet, "shop").remove(0);
    assert!(message.ends_with("it belongs to project 'pay'"), "{message}");

    let scoped = |only: bool| {
        project(
            "pay",
            json!({
                "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
                "permitOnlyProjectScopedClusters": only,
            }),
        )
    };
    let shop = || application("shop", json!({"project": "pay"}));
    let fleet = Fleet::assemble(vec![shop(), scoped(true)], vec![owned()]);
    assert!(fleet.admit(parsed(&fleet, "shop")).is_ok());
    let fleet = Fleet::assemble(vec![shop(), scoped(true)], vec![europe()]);
    assert!(refusals(&fleet, "shop")[0].contains("permitOnlyProjectScopedClusters"));
    let fleet = Fleet::assemble(vec![shop(), scoped(false)], vec![europe()]);
    assert!(fleet.admit(parsed(&fleet, "shop")).is_ok());
}

#[test]
fn credentials_come_from_the_entry_or_the_longest_template() {
    let template = |name: &str, url: &str, password: &str| {
        secret(name, "repo-creds", json!({"url": url, "username": name, "password": password}))
    };
    let fleet = Fleet::assemble(
        Vec::new(),
        vec![
            template("host", "https://git.example.com", "a"),
            template("org", "https://git.example.com/org", "b"),
            secret(
                "own",
                "repository",
                json!({
                    "url": "https://git.example.com/org/own.git", "username": "own", "password": "c",
                }),
            ),
            secret("bare", "repository", json!({"url": "https://git.example.com/org/bare"})),
        ],
    );
    let user = |url: &str| fleet.repository(url, "default").credentials.username.clone();
    assert_eq!(user("https://git.example.com/org/own").as_deref(), Some("own"));
    assert_eq!(user("https://git.example.com/org/bare.git").as_deref(), Some("org"));
    assert_eq!(user("https://git.example.com/other/x").as_deref(), Some("host"));
    assert_eq!(user("https://git.example.com.attacker.net/org/x"), None);
    assert!(fleet.repository("git@git.example.com:org/x", "default").credentials.is_empty());
}

#[test]
fn entries_of_another_project_are_out_of_reach() {
    let entry = |name: &str, project: &str| {
        let url = "https://git.example.com/x";
        secret(
            name,
            "repository",
            json!({
                "url": url, "username": name, "password": "a", "project": project,
            }),
        )
    };
    let fleet = Fleet::assemble(Vec::new(), vec![entry("pay", "pay"), entry("all", "")]);
    let user = |project: &str| {
        let access = fleet.repository("https://git.example.com/x.git", project);
        access.credentials.username.clone()
    };
    assert_eq!(user("pay").as_deref(), Some("pay"));
    assert_eq!(user("shop").as_deref(), Some("all"));
    let fleet = Fleet::assemble(Vec::new(), vec![entry("pay", "pay")]);
    assert!(fleet.repository("https://git.example.com/x", "shop").credentials.is_empty());
}

#[test]
fn host_keys_and_authorities_of_the_fleet_add_to_those_of_the_repository() {
    const CA: &str = "-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----";
    let config_map = |name: &str, data: Value| {
        let metadata = json!({"name": name});
        object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))
    };
    let hosts = config_map("argocd-ssh-known-hosts-cm", json!({"ssh_known_hosts": "fleet k1\n"}));
    let certificates = config_map("argocd-tls-certs-cm", json!({"git.example.com": CA}));
    let entry = secret(
        "own",
        "repository",
        json!({
            "url": "git@git.example.com:x", "sshKnownHosts": "own k2",
        }),
    );
    let fleet = Fleet::assemble(vec![hosts, certificates], vec![entry]);
    assert_eq!(fleet.problems, []);
    let own = fleet.repository("git@git.example.com:x", "default");
    assert_eq!(own.transport.known_hosts.as_deref(), Some("own k2\nfleet k1\n"));
    let other = fleet.repository("https://git.example.com/y", "default");
    assert_eq!(other.transport.known_hosts.as_deref(), Some("fleet k1\n"));
    assert_eq!(other.transport.ca_pem.as_deref(), Some(CA));
    assert_ne!(own, other);
    assert_eq!(own, fleet.repository("ssh://git@git.example.com/x.git", "default"));
}

#[test]
fn of_two_secrets_for_one_repository_the_first_by_name_counts() {
    let entry = |name: &str| {
        let url = "https://git.example.com/x";
        secret(name, "repository", json!({"url": url, "username": name, "password": "a"}))
    };
    let fleet = Fleet::assemble(Vec::new(), vec![entry("b"), entry("a")]);
    let access = fleet.repository("https://git.example.com/x", "default");
    assert_eq!(access.credentials.username.as_deref(), Some("a"));
    assert_eq!(errors(&fleet), ["Secret b: Secret a is for the same URL and project"]);
}
