use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{DirectoryOptions, KustomizeOptions, Tool};

/// The Application that people bring along, letter for letter.
const PAYMENT_GATEWAY: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: production-payment-gateway
  namespace: argocd
spec:
  project: default
  source:
    repoURL: 'git@gitlab.com:org/infra-repo.git'
    targetRevision: HEAD
    path: overlays/production
  destination:
    server: 'https://kubernetes.default.svc'
    namespace: payments
  syncPolicy:
    automated:
      prune: true
      selfHeal: true
    syncOptions:
      - CreateNamespace=true
";

fn parse_yaml(text: &str) -> Result<(Application, Vec<Unsupported>), ParseApplicationError> {
    Application::parse(&Object::parse(serde_saphyr::from_str(text).unwrap()).unwrap())
}

/// An application whose `spec` is the smallest one with `more` on top.
fn parse(more: Value) -> Result<(Application, Vec<Unsupported>), ParseApplicationError> {
    let mut spec = json!({
        "source": {"repoURL": "https://git.example.com/x", "path": "."},
        "destination": {"name": "europe"},
    });
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    parse_object(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop"}, "spec": spec,
    }))
}

fn parse_object(value: Value) -> Result<(Application, Vec<Unsupported>), ParseApplicationError> {
    Application::parse(&Object::parse(value).unwrap())
}

fn parse_source(more: Value) -> Result<(Application, Vec<Unsupported>), ParseApplicationError> {
    let mut source = json!({"repoURL": "https://git.example.com/x", "path": "deploy"});
    if let (Value::Object(source), Value::Object(more)) = (&mut source, more) {
        source.extend(more);
    }
    parse(json!({"source": source}))
}

fn paths(unsupported: &[Unsupported]) -> Vec<&str> {
    unsupported.iter().map(|entry| entry.path.as_str()).collect()
}

#[test]
fn the_application_people_bring_along_is_read_as_it_stands() {
    let (application, unsupported) = parse_yaml(PAYMENT_GATEWAY).unwrap();
    assert_eq!(unsupported, []);
    let source = Source {
        repo_url: "git@gitlab.com:org/infra-repo.git".to_owned(),
        path: "overlays/production".to_owned(),
        target_revision: "HEAD".to_owned(),
        tool: Tool::Detect,
    };
    let expected = Application {
        name: "production-payment-gateway".to_owned(),
        namespace: "argocd".to_owned(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        project: "default".to_owned(),
        sources: vec![source],
        destination: Destination {
            cluster: ClusterReference::Server("https://kubernetes.default.svc".to_owned()),
            namespace: "payments".to_owned(),
        },
        sync_policy: SyncPolicy {
            automated: Some(Automated { prune: true, self_heal: true, allow_empty: false }),
            sync_options: vec!["CreateNamespace=true".to_owned()],
            ..SyncPolicy::default()
        },
        revision_history_limit: 10,
        info: Vec::new(),
        cascade: None,
    };
    assert_eq!(application, expected);
}

#[test]
fn a_misspelt_key_is_a_warning_with_its_path_and_not_a_default_in_silence() {
    let text = PAYMENT_GATEWAY.replace("automated:", "automted:");
    let (application, unsupported) = parse_yaml(&text).unwrap();
    assert_eq!(application.sync_policy.automated, None);
    assert_eq!(paths(&unsupported), ["spec.syncPolicy.automted"]);
    assert!(unsupported[0].why.contains("did you mean automated?"), "{}", unsupported[0]);
}

#[test]
fn unknown_fields_are_found_at_every_depth() {
    let (_, unsupported) = parse_object(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "extra": 1,
        "metadata": {"name": "a", "extra": 1, "uid": "u", "creationTimestamp": null},
        "status": {"sync": {}},
        "operation": {"sync": {}},
        "spec": {
            "extra": 1,
            "source": {
                "repoURL": "u", "path": "p", "extra": 1,
                "kustomize": {
                    "extra": 1,
                    "replicas": [{"name": "a", "count": 1, "extra": 1}],
                    "patches": [{"patch": "x", "extra": 1, "target": {"extra": 1},
                                 "options": {"extra": true}}],
                },
            },
            "destination": {"name": "n", "extra": 1},
            "info": [{"name": "a", "value": "b", "extra": 1}],
            "syncPolicy": {
                "extra": 1, "automated": {"extra": 1},
                "retry": {"extra": 1, "backoff": {"extra": 1}},
                "managedNamespaceMetadata": {"extra": 1},
                "syncOptions": ["CreateNamespce=true", "Prune"],
            },
        },
    }))
    .unwrap();
    assert_eq!(
        paths(&unsupported),
        [
            "extra",
            "metadata.extra",
            "operation",
            "spec.destination.extra",
            "spec.extra",
            "spec.info[0].extra",
            "spec.source.extra",
            "spec.source.kustomize.extra",
            "spec.source.kustomize.patches[0].extra",
            "spec.source.kustomize.patches[0].options.extra",
            "spec.source.kustomize.patches[0].target.extra",
            "spec.source.kustomize.replicas[0].extra",
            "spec.syncPolicy.automated.extra",
            "spec.syncPolicy.extra",
            "spec.syncPolicy.managedNamespaceMetadata.extra",
            "spec.syncPolicy.retry.backoff.extra",
            "spec.syncPolicy.retry.extra",
            "spec.syncPolicy.syncOptions[0]",
            "spec.syncPolicy.syncOptions[1]",
        ]
    );
}

#[test]
fn what_would_deploy_something_else_if_left_out_is_an_error() {
    let cases = [
        (json!({"helm": {}}), "spec.source.helm is not supported"),
        (json!({"plugin": {"name": "x"}}), "spec.source.plugin is not supported"),
        (json!({"chart": "redis"}), "spec.source.chart is not supported"),
        (json!({"tagPrefix": "app-"}), "spec.source.tagPrefix is not supported"),
        (json!({"ref": "values", "path": ""}), "spec.source.ref is not supported"),
        (json!({"directory": {"jsonnet": {"libs": ["a"]}}}), "spec.source.directory.jsonnet is"),
        (
            json!({"directory": {"disableExtensionFilter": true}}),
            "spec.source.directory.disableExtensionFilter is",
        ),
    ];
    for (source, message) in cases {
        let error = parse_source(source).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let error = parse(json!({"sourceHydrator": {}})).unwrap_err().to_string();
    assert!(error.starts_with("spec.sourceHydrator is not supported"), "{error}");
}

#[test]
fn ignored_differences_are_refused_where_healing_would_revert_them() {
    let differences = json!([{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]);
    let with =
        |policy: Value| parse(json!({"ignoreDifferences": differences, "syncPolicy": policy}));
    assert!(with(json!({"automated": {"selfHeal": true}})).is_err());
    assert!(with(json!({"syncOptions": ["RespectIgnoreDifferences=true"]})).is_err());
    let (_, unsupported) = with(json!({"automated": {"prune": true}})).unwrap();
    assert_eq!(paths(&unsupported), ["spec.ignoreDifferences"]);
    let healing = json!({"automated": {"selfHeal": true}});
    let (_, unsupported) = parse(json!({"ignoreDifferences": [], "syncPolicy": healing})).unwrap();
    assert_eq!(unsupported, []);
}

#[test]
fn a_source_needs_a_repository_and_a_path_inside_it() {
    let argo = "spec.source.repoURL and either spec.source.path or spec.source.chart are required";
    for source in [json!({"repoURL": ""}), json!({"path": null}), json!({"path": "", "chart": ""})]
    {
        assert_eq!(parse_source(source).unwrap_err().to_string(), argo);
    }
    assert_eq!(parse(json!({"source": null})).unwrap_err().to_string(), argo);
    for path in ["/etc", "../x", "a/../../b"] {
        let error = parse_source(json!({"path": path})).unwrap_err().to_string();
        assert!(error.starts_with("spec.source.path: "), "{error}");
    }
    for path in [".", "a/../b", "./deploy"] {
        assert!(parse_source(json!({"path": path})).is_ok(), "{path}");
    }
}

#[test]
fn several_sources_win_over_one_and_are_kept_in_order() {
    let (application, unsupported) = parse(json!({
        "sources": [
            {"repoURL": "https://git.example.com/a", "path": "x", "name": "first"},
            {"repoURL": "https://git.example.com/b", "path": "y", "ref": "values"},
        ],
    }))
    .unwrap();
    let urls: Vec<&str> = application.sources.iter().map(|source| &*source.repo_url).collect();
    assert_eq!(urls, ["https://git.example.com/a", "https://git.example.com/b"]);
    assert_eq!(paths(&unsupported), ["spec.source", "spec.sources[1].ref"]);
    let error = parse(json!({"sources": [{"repoURL": "u", "path": "p"}, {"path": "p"}]}));
    assert!(error.unwrap_err().to_string().starts_with("spec.sources[1].repoURL and either"));
    let many = vec![json!({"repoURL": "u", "path": "p"}); Application::SOURCES_MAX + 1];
    assert!(parse(json!({"sources": many})).is_err());
}

#[test]
fn a_destination_names_its_cluster_exactly_once() {
    let error = parse(json!({"destination": {"name": "a", "server": "https://b"}})).unwrap_err();
    assert!(error.to_string().contains("can't have both name and server defined"), "{error}");
    for destination in [json!({}), json!({"namespace": "x"}), json!(null)] {
        let error = parse(json!({"destination": destination})).unwrap_err();
        assert_eq!(error, ParseApplicationError::NoDestination);
    }
    let (application, _) = parse(json!({"destination": {"server": "https://b/"}})).unwrap();
    assert_eq!(application.destination.cluster, ClusterReference::Server("https://b".to_owned()));
}

#[test]
fn kustomize_overrides_are_read_whole() {
    let (application, unsupported) = parse_source(json!({"kustomize": {
        "namePrefix": "a-", "nameSuffix": "", "images": ["x=y:1"], "version": "v5.0.0",
        "replicas": [{"name": "web", "count": "3"}, {"name": "api", "count": 0}],
        "commonLabels": {"team": "pay"}, "labelWithoutSelector": true,
        "labelIncludeTemplates": true, "commonAnnotationsEnvsubst": true,
        "patches": [{"path": "p.yaml", "target": {"kind": "Deployment"},
                     "options": {"allowNameChange": true}}],
        "components": ["../c"], "namespace": "pay",
    }}))
    .unwrap();
    assert_eq!(paths(&unsupported), ["spec.source.kustomize.version"]);
    let Tool::Kustomize(options) = &application.sources[0].tool else { panic!("not kustomize") };
    assert_eq!(
        (options.name_prefix.as_deref(), options.name_suffix.as_deref()),
        (Some("a-"), None)
    );
    assert_eq!(options.replicas.iter().map(|entry| entry.count).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(options.common_labels["team"], "pay");
    assert!(options.label_include_templates && options.common_annotations_envsubst);
    assert_eq!(options.patches[0].target.as_ref().unwrap().kind, "Deployment");
    assert!(options.patches[0].options["allowNameChange"]);
    assert_eq!(options.namespace.as_deref(), Some("pay"));
}

#[test]
fn kustomize_overrides_that_mean_nothing_are_errors_with_their_path() {
    let cases = [
        (json!({"replicas": [{"name": "a", "count": -1}]}), "replicas[0].count: it must be"),
        (json!({"replicas": [{"name": "a", "count": "x"}]}), "replicas[0].count: it must be"),
        (json!({"replicas": [{"name": "a", "count": 2_147_483_648_u32}]}), "count: it must be"),
        (json!({"replicas": [{"name": "a", "count": 1.5}]}), "replicas[0].count: it must be"),
        (json!({"replicas": [{"name": "a"}]}), "replicas[0].count is required"),
        (json!({"replicas": [{"count": 1}]}), "replicas[0].name is required"),
        (json!({"patches": [{"target": {}}]}), "patches[0]: exactly one of path and patch"),
        (json!({"patches": [{"path": "a", "patch": "b"}]}), "patches[0]: exactly one of"),
        (json!({"labelIncludeTemplates": true}), "labelIncludeTemplates: it needs"),
        (json!({"images": [3]}), "images[0] must be a string, not this number"),
        (json!({"commonLabels": {"a": 1}}), "commonLabels.a must be a string, not this number"),
    ];
    for (options, message) in cases {
        let error = parse_source(json!({"kustomize": options})).unwrap_err().to_string();
        assert!(error.starts_with("spec.source.kustomize.") && error.contains(message), "{error}");
    }
}

#[test]
fn a_tool_is_chosen_by_its_mapping_even_if_that_is_empty() {
    let tool = |source: Value| parse_source(source).unwrap().0.sources.remove(0).tool;
    assert_eq!(tool(json!({"kustomize": {}})), Tool::Kustomize(KustomizeOptions::default()));
    let directory =
        DirectoryOptions { recurse: true, include: "*.yaml".into(), exclude: String::new() };
    assert_eq!(
        tool(json!({"directory": {"recurse": true, "include": "*.yaml", "jsonnet": {}}})),
        Tool::Directory(directory)
    );
    assert_eq!(tool(json!({"kustomize": null, "directory": null})), Tool::Detect);
    let error = parse_source(json!({"kustomize": {}, "directory": {}})).unwrap_err().to_string();
    assert_eq!(error, "multiple application sources defined: Kustomize,Directory");
}

#[test]
fn automation_is_off_when_absent_null_or_not_enabled() {
    let automated =
        |policy: Value| parse(json!({"syncPolicy": policy})).unwrap().0.sync_policy.automated;
    assert_eq!(automated(json!({"automated": {}})), Some(Automated::default()));
    assert_eq!(automated(json!({"automated": {"enabled": false, "prune": true}})), None);
    assert_eq!(automated(json!({"automated": null})), None);
    assert_eq!(automated(json!({})), None);
}

#[test]
fn retries_take_durations_of_go_and_bare_seconds() {
    let retry = |retry: Value| {
        parse(json!({"syncPolicy": {"retry": retry}}))
            .map(|(application, _)| application.sync_policy.retry.unwrap())
    };
    let read = retry(json!({"limit": 3, "refresh": true,
        "backoff": {"duration": "1m30s", "factor": 3, "maxDuration": "600"}}))
    .unwrap();
    let expected = Retry {
        limit: Some(3),
        duration: Duration::from_secs(90),
        factor: 3,
        duration_max: Duration::from_mins(10),
        refresh: Some(true),
    };
    assert_eq!(read, expected);
    assert_eq!(retry(json!({})).unwrap(), Retry::default());
    assert_eq!(retry(json!({"limit": -1})).unwrap().limit, None);
    for backoff in [json!({"duration": "soon"}), json!({"factor": 0}), json!({"duration": []})] {
        let error = retry(json!({"backoff": backoff})).unwrap_err().to_string();
        assert!(error.starts_with("spec.syncPolicy.retry.backoff."), "{error}");
    }
}

#[test]
fn waits_grow_by_the_factor_up_to_the_maximum() {
    let retry = Retry::default();
    let seconds: Vec<u64> = (0..8).map(|number| retry.wait(number).as_secs()).collect();
    assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 180, 180]);
    assert_eq!(retry.wait(u32::MAX), retry.duration_max);
}

#[test]
fn finalizers_decide_whether_objects_go_with_their_application() {
    let cascade = |finalizers: Value| {
        let (application, unsupported) = parse_object(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "a", "finalizers": finalizers},
            "spec": {"source": {"repoURL": "u", "path": "p"}, "destination": {"name": "n"}},
        }))
        .unwrap();
        (application.cascade, unsupported.len())
    };
    assert_eq!(cascade(json!(null)), (None, 0));
    let finalizer = "resources-finalizer.argocd.argoproj.io";
    assert_eq!(cascade(json!([finalizer])), (Some(Cascade::Foreground), 0));
    let background = format!("{finalizer}/background");
    assert_eq!(cascade(json!([background])), (Some(Cascade::Background), 0));
    assert_eq!(cascade(json!([finalizer, background])), (Some(Cascade::Foreground), 0));
    let others = json!(["post-delete-finalizer.argocd.argoproj.io/cleanup", "example.com/x"]);
    assert_eq!(cascade(others), (None, 2));
}

#[test]
fn wrong_types_are_errors_with_their_path() {
    let cases = [
        (json!({"project": 1}), "spec.project must be a string, not this number"),
        (json!({"syncPolicy": []}), "spec.syncPolicy must be a mapping, not a list"),
        (
            json!({"syncPolicy": {"automated": {"prune": "true"}}}),
            "spec.syncPolicy.automated.prune must be true or false, not this string",
        ),
        (json!({"sources": [1]}), "spec.sources[0] must be a mapping, not this number"),
        (json!({"revisionHistoryLimit": -1}), "spec.revisionHistoryLimit: -1 is not a number of"),
        (json!({"ignoreDifferences": {}}), "spec.ignoreDifferences must be a list"),
    ];
    for (spec, message) in cases {
        let error = parse(spec).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn only_applications_of_the_one_namespace_are_taken() {
    let of = |api_version: &str, kind: &str, namespace: &str| {
        parse_object(json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": {"name": "a", "namespace": namespace},
            "spec": {"source": {"repoURL": "u", "path": "p"}, "destination": {"name": "n"}},
        }))
    };
    assert!(of("argoproj.io/v1alpha1", "Application", "argocd").is_ok());
    assert!(of("argoproj.io/v1alpha1", "Application", "").is_ok());
    assert!(of("argoproj.io/v1alpha1", "Application", "team-a").is_err());
    assert!(of("argoproj.io/v1alpha1", "ApplicationSet", "argocd").is_err());
    assert!(of("app.k8s.io/v1beta1", "Application", "argocd").is_err());
}

#[test]
fn the_build_environment_holds_argos_variables() {
    let (application, _) = parse(json!({"project": "retail"})).unwrap();
    let commit: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let environment = application.build_environment(&application.sources[0], &commit);
    assert_eq!(environment.variables["ARGOCD_APP_NAME"], "shop");
    assert_eq!(environment.variables["ARGOCD_APP_PROJECT_NAME"], "retail");
    assert_eq!(environment.variables["ARGOCD_APP_REVISION_SHORT"], "0123456");
    assert_eq!(environment.variables["ARGOCD_APP_REVISION_SHORT_8"], "01234567");
    assert_eq!(environment.variables["ARGOCD_APP_SOURCE_PATH"], ".");
}

#[test]
fn skipping_takes_the_word_true() {
    let mut application = parse(json!({})).unwrap().0;
    assert!(!application.skip_reconcile());
    let key = "argocd.argoproj.io/skip-reconcile".to_owned();
    application.annotations.insert(key.clone(), "false".to_owned());
    assert!(!application.skip_reconcile());
    application.annotations.insert(key, "true".to_owned());
    assert!(application.skip_reconcile());
}
