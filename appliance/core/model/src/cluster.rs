//! Clusters, as Argo CD's cluster Secrets describe them.
//!
//! A cluster is a `Secret` with the label `argocd.argoproj.io/secret-type: cluster`:
//!
//! | entry | meaning |
//! |---|---|
//! | `server` | `https://` address of the API server, reachable from the appliance |
//! | `name` | what people call it; the Secret's name when absent |
//! | `config` | JSON: `bearerToken`, `username`, `password`, `tlsClientConfig {insecure, serverName, caData, certData, keyData}`, `proxyUrl`, `disableCompression` |
//! | `namespaces` | comma-separated; when set, Fyr looks at no others |
//! | `clusterResources` | `true` to look at cluster-scoped objects too when `namespaces` is set |
//! | `project` | only applications of this project may use the cluster |
//!
//! `fyr.dev/in-cluster: "true"`, as a label or an annotation, marks the cluster that
//! `https://kubernetes.default.svc` means: Fyr runs outside its clusters, so the address that
//! Argo CD users write for "the cluster I run in" needs a cluster to stand for.
//!
//! Refused: `execProviderConfig` and `awsAuthConfig`, because they run programs on the appliance;
//! addresses without TLS, because credentials would travel in clear.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::fields::{FieldError, Fields, Unsupported};
use crate::secret_manifest::{
    SECRET_TYPE_LABEL, SecretManifest, SecretManifestError, check_pem, wipe,
};
use crate::{Digest, Object, ObjectKey, Plaintext};

/// The address by which Argo CD names the cluster it runs in.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";

/// The name Argo CD gives that cluster.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// Label or annotation that marks the cluster [`IN_CLUSTER_SERVER`] stands for.
pub const IN_CLUSTER_MARK: &str = "fyr.dev/in-cluster";

/// One managed cluster and how to reach it.
///
/// Two entries are equal when the Secrets they came from are.
#[derive(Clone, Debug)]
pub struct ClusterEntry {
    /// What people call it.
    pub name: String,
    /// Address of the API server, without a trailing `/`.
    pub server: String,
    /// Whether `https://kubernetes.default.svc` means this cluster.
    pub in_cluster: bool,
    /// Namespaces Fyr may look at; empty means all.
    pub namespaces: Vec<String>,
    /// Whether Fyr may look at cluster-scoped objects. Always true without `namespaces`.
    pub cluster_resources: bool,
    /// The only project whose applications may use it.
    pub project: Option<String>,
    /// Credentials and the way to the API server.
    pub access: Arc<ClusterAccess>,
    /// The Secret.
    pub secret: ObjectKey,
    /// What the operator should know, such as unverified TLS.
    pub warnings: Vec<String>,
    /// Entries without effect.
    pub unsupported: Vec<Unsupported>,
    /// Digest of the whole Secret.
    pub digest: Digest,
}

/// How to reach an API server and prove who asks.
#[derive(Debug, Default)]
pub struct ClusterAccess {
    /// Token of a service account.
    pub bearer_token: Option<Plaintext>,
    /// User name and password.
    pub basic: Option<BasicLogin>,
    /// Certificate that proves who asks.
    pub client_certificate: Option<ClientCertificate>,
    /// Authorities to trust, PEM; the system's when absent.
    pub ca_pem: Option<Vec<u8>>,
    /// Name expected in the server's certificate, where it is not the address's host.
    pub tls_server_name: Option<String>,
    /// Accept any certificate of the server.
    pub insecure: bool,
    /// `http://` or `https://` proxy to go through; may hold a password.
    pub proxy_url: Option<Plaintext>,
    /// Ask for uncompressed answers.
    pub disable_compression: bool,
}

/// User name and password.
#[derive(Debug)]
pub struct BasicLogin {
    /// User name.
    pub username: String,
    /// Password; empty if none was given.
    pub password: Plaintext,
}

/// A TLS client certificate with its key.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Certificate and its intermediates, PEM.
    pub certificate_pem: Vec<u8>,
    /// Private key, PEM.
    pub key_pem: Plaintext,
}

/// Why a Secret does not describe a cluster. Never shows a value that may be secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseClusterError {
    /// The Secret itself.
    #[error(transparent)]
    Secret(#[from] SecretManifestError),
    /// A field of `config` has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// `config` is not a JSON mapping.
    #[error("config is not a JSON mapping (line {line}, column {column})")]
    Config {
        /// Line of the first error.
        line: usize,
        /// Column of the first error.
        column: usize,
    },
    /// `server` is missing.
    #[error("server is missing: the address of the API server, for example https://10.0.0.1:6443")]
    NoServer,
    /// `server` cannot be used.
    #[error("server {server:?} must be an https:// address without user, query and white space")]
    Server {
        /// As written.
        server: String,
    },
    /// `server` is the address a cluster has only from inside.
    #[error(
        "server {IN_CLUSTER_SERVER} exists only inside the cluster: give the address the appliance \
         can reach and mark this Secret with the label {IN_CLUSTER_MARK}: \"true\""
    )]
    InClusterServer,
    /// `name` cannot be used.
    #[error(
        "name {name:?} must be 1 to {} characters without control characters",
        ClusterEntry::NAME_CHARS_MAX
    )]
    Name {
        /// As written.
        name: String,
    },
    /// Credentials that need a program to run on the appliance.
    #[error(
        "{path} runs a program for credentials, which Fyr does not do: use a service account's \
         bearerToken or a client certificate (`fyr cluster add` makes one)"
    )]
    ExecCredentials {
        /// The field.
        path: String,
    },
    /// Two settings that exclude each other.
    #[error("{first} and {second} exclude each other")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// One half of a pair.
    #[error("{present} needs {missing}")]
    Incomplete {
        /// The half that is there.
        present: &'static str,
        /// The half that is not.
        missing: &'static str,
    },
    /// A value inside `config` is not base64.
    #[error("{path} is not base64")]
    Base64 {
        /// The field.
        path: String,
    },
    /// `proxyUrl` is not the URL of an HTTP proxy.
    #[error("config.proxyUrl must begin with http:// or https://")]
    Proxy,
}

impl PartialEq for ClusterEntry {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ClusterEntry {}

impl ClusterEntry {
    /// Longest name of a cluster; the longest a Kubernetes name can be.
    pub const NAME_CHARS_MAX: usize = 253;

    /// The value of the `secret-type` label of a cluster.
    pub const SECRET_TYPE: &'static str = "cluster";

    /// Reads a cluster Secret.
    pub fn parse(secret: &Object) -> Result<Self, ParseClusterError> {
        let label = secret.label(SECRET_TYPE_LABEL).unwrap_or_default();
        if label != Self::SECRET_TYPE {
            let (found, expected) = (label.to_owned(), Self::SECRET_TYPE);
            return Err(SecretManifestError::OtherType { found, expected }.into());
        }
        let mut entries = SecretManifest::read(secret)?;
        let server = server(entries.take_text("server")?)?;
        let name = name(entries.take_text("name")?.unwrap_or_else(|| secret.name().to_owned()))?;
        let namespaces = split_list(&entries.take_text("namespaces")?.unwrap_or_default());
        let cluster_resources = entries.take_flag("clusterResources")? || namespaces.is_empty();
        let project = entries.take_text("project")?;
        let mut unsupported = Vec::new();
        if entries.take_text("shard")?.is_some() {
            let why = "one appliance serves all its clusters, so it has no effect";
            unsupported.push(Unsupported::new("shard", why));
        }
        let access = match entries.take("config") {
            Some(config) => ClusterAccess::parse(&config, &mut unsupported)?,
            None => ClusterAccess::default(),
        };
        entries.finish(&mut unsupported);
        let marked = |value: Option<&str>| value == Some("true");
        Ok(Self {
            name,
            server,
            in_cluster: marked(secret.label(IN_CLUSTER_MARK))
                || marked(secret.annotation(IN_CLUSTER_MARK)),
            namespaces,
            cluster_resources,
            project,
            warnings: access.warnings(),
            access: Arc::new(access),
            secret: secret.key(),
            unsupported,
            digest: secret.digest(),
        })
    }
}

impl ClusterAccess {
    fn parse(
        config: &Plaintext,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseClusterError> {
        let mut value: Value = serde_json::from_slice(config.expose()).map_err(|error| {
            // Not the error itself: it must not be able to quote a token.
            ParseClusterError::Config { line: error.line(), column: error.column() }
        })?;
        let access = match &value {
            Value::Object(map) => Self::read(map, unsupported),
            _ => Err(ParseClusterError::Config { line: 1, column: 1 }),
        };
        wipe(&mut value);
        access
    }

    fn read(
        map: &Map<String, Value>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseClusterError> {
        let mut config = Fields::new(map, "config");
        for field in ["execProviderConfig", "awsAuthConfig"] {
            if config.value(field).is_some() {
                return Err(ParseClusterError::ExecCredentials { path: config.path_of(field) });
            }
        }
        let bearer_token = config.text("bearerToken")?.map(plaintext);
        let username = config.text("username")?.map(str::to_owned);
        let password = config.text("password")?.map(plaintext);
        if bearer_token.is_some() && username.is_some() {
            let (first, second) = ("config.bearerToken", "config.username");
            return Err(ParseClusterError::Conflict { first, second });
        }
        let basic = match (username, password) {
            (Some(username), password) => {
                let password = password.unwrap_or_else(|| Plaintext::new(Vec::new()));
                Some(BasicLogin { username, password })
            }
            (None, Some(_)) => {
                let (present, missing) = ("config.password", "config.username");
                return Err(ParseClusterError::Incomplete { present, missing });
            }
            (None, None) => None,
        };
        let proxy_url = config.text("proxyUrl")?;
        if proxy_url.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            return Err(ParseClusterError::Proxy);
        }
        let mut access = Self {
            bearer_token,
            basic,
            proxy_url: proxy_url.map(plaintext),
            disable_compression: config.flag("disableCompression")?.unwrap_or(false),
            ..Self::default()
        };
        if let Some(tls) = config.mapping("tlsClientConfig")? {
            access.read_tls(tls, unsupported)?;
        }
        config.finish(unsupported);
        Ok(access)
    }

    fn read_tls(
        &mut self,
        mut tls: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<(), ParseClusterError> {
        self.insecure = tls.flag("insecure")?.unwrap_or(false);
        self.tls_server_name = tls.text("serverName")?.map(str::to_owned);
        self.ca_pem = pem(&mut tls, "caData", "CERTIFICATE")?;
        let certificate = pem(&mut tls, "certData", "CERTIFICATE")?;
        let key = pem(&mut tls, "keyData", "PRIVATE KEY")?.map(Plaintext::new);
        tls.finish(unsupported);
        if self.insecure && self.ca_pem.is_some() {
            let first = "config.tlsClientConfig.insecure";
            let second = "config.tlsClientConfig.caData";
            return Err(ParseClusterError::Conflict { first, second });
        }
        let (cert_path, key_path) =
            ("config.tlsClientConfig.certData", "config.tlsClientConfig.keyData");
        self.client_certificate = match (certificate, key) {
            (Some(certificate_pem), Some(key_pem)) => {
                Some(ClientCertificate { certificate_pem, key_pem })
            }
            (Some(_), None) => {
                return Err(ParseClusterError::Incomplete {
                    present: cert_path,
                    missing: key_path,
                });
            }
            (None, Some(_)) => {
                return Err(ParseClusterError::Incomplete {
                    present: key_path,
                    missing: cert_path,
                });
            }
            (None, None) => None,
        };
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.insecure {
            warnings.push(
                "config.tlsClientConfig.insecure: anyone on the way can pose as this API server \
                 and take its credentials; give caData instead"
                    .to_owned(),
            );
        }
        if self.basic.is_some() {
            warnings.push(
                "config.username: Kubernetes has not taken passwords since 1.19; use bearerToken \
                 or a client certificate"
                    .to_owned(),
            );
        } else if self.bearer_token.is_none() && self.client_certificate.is_none() {
            warnings.push(
                "config holds no credentials: the API server will treat Fyr as anonymous"
                    .to_owned(),
            );
        }
        warnings
    }
}

fn plaintext(text: &str) -> Plaintext {
    Plaintext::from(text.to_owned())
}

fn pem(
    tls: &mut Fields<'_>,
    name: &'static str,
    label: &'static str,
) -> Result<Option<Vec<u8>>, ParseClusterError> {
    let Some(text) = tls.text(name)? else { return Ok(None) };
    let path = tls.path_of(name);
    let Ok(bytes) = STANDARD.decode(text) else {
        return Err(ParseClusterError::Base64 { path });
    };
    check_pem(&path, label, &bytes)?;
    Ok(Some(bytes))
}

fn server(server: Option<String>) -> Result<String, ParseClusterError> {
    let server = server.ok_or(ParseClusterError::NoServer)?;
    let trimmed = server.trim_end_matches('/');
    if trimmed == IN_CLUSTER_SERVER {
        return Err(ParseClusterError::InClusterServer);
    }
    let forbidden = |letter: char| {
        letter.is_whitespace() || letter.is_control() || matches!(letter, '@' | '?' | '#')
    };
    match trimmed.strip_prefix("https://") {
        Some(host) if !host.is_empty() && !host.starts_with('/') && !host.contains(forbidden) => {
            Ok(trimmed.to_owned())
        }
        _ => Err(ParseClusterError::Server { server: without_user(&server) }),
    }
}

/// A URL as written but for what stands before `@`, which may be a password.
fn without_user(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}

fn name(name: String) -> Result<String, ParseClusterError> {
    if name.chars().count() > ClusterEntry::NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let name = name.chars().take(40).collect();
        return Err(ParseClusterError::Name { name });
    }
    Ok(name)
}

fn split_list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
