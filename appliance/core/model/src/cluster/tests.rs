use serde_json::json;

use super::*;

const CA: &str = "-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";

fn secret(entries: &Value) -> Object {
    Object::parse(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "eu-1", "labels": {SECRET_TYPE_LABEL: "cluster"}},
        "stringData": entries,
    }))
    .unwrap()
}

fn with_config(config: &Value) -> Result<ClusterEntry, ParseClusterError> {
    let config = config.to_string();
    let entries = json!({"server": "https://10.0.0.1:6443/", "config": config});
    ClusterEntry::parse(&secret(&entries))
}

#[test]
fn a_whole_cluster_secret_is_read() {
    let config = json!({
        "bearerToken": "hunter2",
        "tlsClientConfig": {
            "serverName": "kubernetes", "caData": STANDARD.encode(CA),
            "certData": STANDARD.encode(CA), "keyData": STANDARD.encode(KEY),
        },
        "proxyUrl": "http://proxy:3128", "disableCompression": true,
    });
    let cluster = ClusterEntry::parse(&secret(&json!({
        "name": "europe", "server": "https://10.0.0.1:6443/", "config": config.to_string(),
        "namespaces": "shop, pay,", "project": "retail",
    })))
    .unwrap();
    assert_eq!((&*cluster.name, &*cluster.secret.name), ("europe", "eu-1"));
    assert_eq!(cluster.server, "https://10.0.0.1:6443");
    assert_eq!(cluster.namespaces, ["shop", "pay"]);
    assert!(!cluster.cluster_resources && !cluster.in_cluster);
    assert_eq!(cluster.project.as_deref(), Some("retail"));
    let access = &cluster.access;
    assert_eq!(access.bearer_token.as_ref().unwrap().expose(), b"hunter2");
    assert_eq!(access.ca_pem.as_deref(), Some(CA.as_bytes()));
    assert_eq!(access.tls_server_name.as_deref(), Some("kubernetes"));
    let certificate = access.client_certificate.as_ref().unwrap();
    assert_eq!(certificate.key_pem.expose(), KEY.as_bytes());
    assert!(access.proxy_url.is_some() && access.disable_compression && !access.insecure);
    assert!(cluster.warnings.is_empty() && cluster.unsupported.is_empty());
    assert!(!format!("{cluster:?}").contains("hunter2"));
}

#[test]
fn encoded_data_reads_like_plain_data() {
    let cluster = ClusterEntry::parse(
        &Object::parse(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "a", "labels": {SECRET_TYPE_LABEL: "cluster"}},
            "data": {"server": STANDARD.encode("https://a:6443")},
        }))
        .unwrap(),
    )
    .unwrap();
    assert_eq!((&*cluster.name, &*cluster.server), ("a", "https://a:6443"));
    assert!(cluster.cluster_resources, "without namespaces everything is looked at");
}

#[test]
fn the_mark_is_read_from_a_label_or_an_annotation_and_only_true_counts() {
    let marked = |kind: &str, value: &str| {
        let mut object = secret(&json!({"server": "https://a"}));
        object
            .edit(|map| {
                map["metadata"].as_object_mut().unwrap().entry(kind).or_insert_with(|| json!({}))
                    [IN_CLUSTER_MARK] = json!(value);
            })
            .unwrap();
        ClusterEntry::parse(&object).unwrap().in_cluster
    };
    assert!(marked("labels", "true") && marked("annotations", "true"));
    assert!(!marked("labels", "false") && !marked("annotations", "yes"));
}

#[test]
fn programs_for_credentials_are_refused_with_what_to_do_instead() {
    for field in ["execProviderConfig", "awsAuthConfig"] {
        let error = with_config(&json!({field: {"command": "x"}})).unwrap_err().to_string();
        assert!(error.starts_with(&format!("config.{field} runs a program")), "{error}");
        assert!(error.contains("bearerToken"), "{error}");
    }
}

#[test]
fn settings_that_contradict_each_other_or_are_half_there_are_refused() {
    let ca = STANDARD.encode(CA);
    let cases = [
        (json!({"bearerToken": "a", "username": "b"}), "exclude each other"),
        (json!({"tlsClientConfig": {"insecure": true, "caData": ca}}), "exclude each other"),
        (json!({"tlsClientConfig": {"certData": ca}}), "needs config.tlsClientConfig.keyData"),
        (json!({"password": "b"}), "config.password needs config.username"),
        (json!({"tlsClientConfig": {"caData": "%"}}), "caData is not base64"),
        (json!({"tlsClientConfig": {"caData": "aGk="}}), "caData must be PEM"),
        (json!({"tlsClientConfig": {"insecure": "yes"}}), "must be true or false"),
        (json!({"proxyUrl": "socks5://p"}), "config.proxyUrl must begin with"),
        (json!([]), "config is not a JSON mapping"),
    ];
    for (config, message) in cases {
        let error = with_config(&config).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_config_that_is_not_json_is_not_quoted() {
    let entries = json!({"server": "https://a", "config": "{\"bearerToken\": hunter2"});
    let error = ClusterEntry::parse(&secret(&entries)).unwrap_err().to_string();
    assert_eq!(error, "config is not a JSON mapping (line 1, column 17)");
}

#[test]
fn only_addresses_that_work_from_outside_are_servers() {
    let cases = [
        ("http://a:8080", "must be an https:// address"),
        ("a:6443", "must be an https:// address"),
        ("https://", "must be an https:// address"),
        ("https://me:hunter2@a", "must be an https:// address"),
        ("https://kubernetes.default.svc/", "fyr.dev/in-cluster"),
        ("", "server is missing"),
    ];
    for (server, message) in cases {
        let error = ClusterEntry::parse(&secret(&json!({"server": server}))).unwrap_err();
        assert!(error.to_string().contains(message), "{server}: {error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn what_is_risky_or_without_effect_is_said() {
    let cluster =
        with_config(&json!({"tlsClientConfig": {"insecure": true, "caDta": ""}})).unwrap();
    assert!(cluster.access.insecure);
    assert!(cluster.warnings[0].contains("insecure"), "{:?}", cluster.warnings);
    assert!(cluster.warnings[1].contains("anonymous"), "{:?}", cluster.warnings);
    assert_eq!(cluster.unsupported[0].path, "config.tlsClientConfig.caDta");
}

#[test]
fn entries_are_equal_when_their_secrets_are() {
    let a = with_config(&json!({"bearerToken": "a"})).unwrap();
    assert_eq!(a, with_config(&json!({"bearerToken": "a"})).unwrap());
    assert_ne!(a, with_config(&json!({"bearerToken": "b"})).unwrap());
}

#[test]
fn a_secret_of_another_type_is_no_cluster() {
    let mut object = secret(&json!({"server": "https://a"}));
    object.edit(|map| map["metadata"]["labels"] = json!({})).unwrap();
    assert!(ClusterEntry::parse(&object).is_err());
}
