//! The Secret by which a cluster becomes known, in the form Argo CD takes it.

use fyr_model::{
    ClusterEntry, IN_CLUSTER_MARK, Object, ObjectError, ParseClusterError, SECRET_TYPE_LABEL,
};
use serde_json::{Map, Value, json};

use super::kubeconfig::{Credentials, Target};
use crate::style::push;

/// What the Secret says beside how to reach the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) name: String,
    pub(super) in_cluster: bool,
    /// Empty means all.
    pub(super) namespaces: Vec<String>,
}

/// Why there is no Secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManifestError {
    /// The cluster's name makes no name of an object.
    #[error("the Secret cannot be named")]
    Name(#[source] ObjectError),
    /// The daemon would refuse it.
    #[error("the daemon would refuse this cluster")]
    Refused(#[source] ParseClusterError),
}

/// A Secret's text and what the operator should know of it.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
}

/// Makes the Secret, and reads it as the daemon will: what it would refuse is refused here.
pub(super) fn secret(target: &Target, options: &Options) -> Result<Manifest, ManifestError> {
    let object = Object::parse(value(target, options)).map_err(ManifestError::Name)?;
    let entry = ClusterEntry::parse(&object).map_err(ManifestError::Refused)?;
    let mut warnings = entry.warnings;
    if is_local(&target.server) {
        let server = &target.server;
        warnings.push(format!(
            "server {server} is this machine: it has to be an address that the appliance reaches"
        ));
    }
    Ok(Manifest { text: text(target, options), warnings })
}

fn value(target: &Target, options: &Options) -> Value {
    let mut labels = json!({ SECRET_TYPE_LABEL: ClusterEntry::SECRET_TYPE });
    if options.in_cluster {
        labels[IN_CLUSTER_MARK] = "true".into();
    }
    let entries: Map<String, Value> = entries(target, options)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": object_name(&options.name), "namespace": "argocd", "labels": labels},
        "stringData": entries,
    })
}

/// The entries of the Secret, in the order in which people read them.
fn entries(target: &Target, options: &Options) -> Vec<(&'static str, String)> {
    let mut entries = vec![("name", options.name.clone()), ("server", target.server.clone())];
    if !options.namespaces.is_empty() {
        entries.push(("namespaces", options.namespaces.join(",")));
    }
    let config = serde_json::to_string_pretty(&config(target));
    entries.push(("config", config.expect("it has only string keys")));
    entries
}

fn config(target: &Target) -> Value {
    let mut config = json!({});
    let mut tls = json!({});
    match &target.credentials {
        Credentials::None => {}
        Credentials::Token(token) => config["bearerToken"] = token.as_str().into(),
        Credentials::Certificate { cert_data, key_data } => {
            tls["certData"] = cert_data.as_str().into();
            tls["keyData"] = key_data.as_str().into();
        }
        Credentials::Basic { username, password } => {
            config["username"] = username.as_str().into();
            config["password"] = password.as_str().into();
        }
    }
    if target.insecure {
        // Together they are refused, by client-go too.
        tls["insecure"] = true.into();
    } else if let Some(ca_data) = &target.ca_data {
        tls["caData"] = ca_data.as_str().into();
    }
    if let Some(name) = &target.tls_server_name {
        tls["serverName"] = name.as_str().into();
    }
    if let Some(url) = &target.proxy_url {
        config["proxyUrl"] = url.as_str().into();
    }
    if target.disable_compression {
        config["disableCompression"] = true.into();
    }
    if tls != json!({}) {
        config["tlsClientConfig"] = tls;
    }
    config
}

/// The Secret as YAML with comments. Strings are written as JSON, which is YAML.
fn text(target: &Target, options: &Options) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut text = format!(
        "# Cluster {} for Fyr, from context {} of a kubeconfig.\n\
         # It holds credentials: keep it readable by the appliance alone, and never commit it.\n\
         # Name this file under spec.secrets.files of appliance.yaml.\n\
         apiVersion: v1\n\
         kind: Secret\n\
         metadata:\n  \
         name: {}\n  \
         namespace: argocd\n  \
         labels:\n    \
         {SECRET_TYPE_LABEL}: {}\n",
        one_line(&options.name),
        one_line(&target.context),
        object_name(&options.name),
        ClusterEntry::SECRET_TYPE,
    );
    if options.in_cluster {
        text.push_str(
            "    # https://kubernetes.default.svc in an Application means this cluster.\n",
        );
        push!(text, "    {IN_CLUSTER_MARK}: \"true\"\n");
    }
    text.push_str("stringData:\n");
    for (name, value) in entries(target, options) {
        if name == "namespaces" {
            text.push_str(
                "  # Fyr looks at these and at nothing that belongs to the whole cluster.\n",
            );
        }
        if name == "config" {
            let lines = value.lines().map(|line| format!("    {line}\n"));
            push!(text, "  config: |\n{}", lines.collect::<String>());
        } else {
            push!(text, "  {name}: {}\n", quoted(&value));
        }
    }
    text
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A name for the Secret: that of RFC 1123, which Kubernetes asks for.
fn object_name(name: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '.') => letter,
        _ => '-',
    };
    let name: String = name.chars().map(letter).take(200).collect();
    format!("cluster-{}", name.trim_matches(['-', '.']))
}

/// Whether an address means this machine, whoever uses it.
fn is_local(server: &str) -> bool {
    let host = server.strip_prefix("https://").unwrap_or(server);
    ["localhost", "127.", "[::1]", "0.0.0.0"].iter().any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn target() -> Target {
        Target {
            context: "admin@prod".into(),
            server: "https://10.0.0.1:6443".into(),
            ca_data: Some(STANDARD.encode("-----BEGIN CERTIFICATE-----\nx\n")),
            credentials: Credentials::Token("abc".into()),
            ..Target::default()
        }
    }

    fn options() -> Options {
        Options {
            name: "Prod EU".into(),
            in_cluster: true,
            namespaces: vec!["shop".into(), "pay".into()],
        }
    }

    #[test]
    fn the_secret_is_argo_cds_with_an_explanation() {
        let manifest = secret(&target(), &options()).unwrap();
        let ca_data = target().ca_data.unwrap();
        let expected = format!(
            "\
# Cluster Prod EU for Fyr, from context admin@prod of a kubeconfig.
# It holds credentials: keep it readable by the appliance alone, and never commit it.
# Name this file under spec.secrets.files of appliance.yaml.
apiVersion: v1
kind: Secret
metadata:
  name: cluster-prod-eu
  namespace: argocd
  labels:
    argocd.argoproj.io/secret-type: cluster
    # https://kubernetes.default.svc in an Application means this cluster.
    fyr.dev/in-cluster: \"true\"
stringData:
  name: \"Prod EU\"
  server: \"https://10.0.0.1:6443\"
  # Fyr looks at these and at nothing that belongs to the whole cluster.
  namespaces: \"shop,pay\"
  config: |
    {{
      \"bearerToken\": \"abc\",
      \"tlsClientConfig\": {{
        \"caData\": \"{ca_data}\"
      }}
    }}
"
        );
        assert_eq!(manifest.text, expected);
        assert!(manifest.warnings.is_empty(), "{:?}", manifest.warnings);
    }

    #[test]
    fn the_text_is_what_was_checked() {
        let read: Value = serde_saphyr::from_str(&text(&target(), &options())).unwrap();
        let mut expected = value(&target(), &options());
        // A literal block ends with a line feed, which JSON passes over.
        let config = expected["stringData"]["config"].as_str().unwrap().to_owned() + "\n";
        expected["stringData"]["config"] = config.into();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_the_operator_should_know_is_told() {
        let target = Target {
            server: "https://127.0.0.1:6443".into(),
            insecure: true,
            credentials: Credentials::None,
            ..target()
        };
        let warnings = secret(&target, &options()).unwrap().warnings.join("\n");
        assert!(warnings.contains("insecure"), "{warnings}");
        assert!(warnings.contains("anonymous"), "{warnings}");
        assert!(warnings.contains("is this machine"), "{warnings}");
    }

    #[test]
    fn what_the_daemon_would_refuse_is_refused_here() {
        let target = Target { server: "http://10.0.0.1".into(), ..target() };
        assert!(matches!(secret(&target, &options()), Err(ManifestError::Refused(_))));
    }
}
