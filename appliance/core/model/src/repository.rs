//! Git repositories and their credentials, as Argo CD's repository Secrets describe them.
//!
//! A `Secret` with the label `argocd.argoproj.io/secret-type: repository` describes one
//! repository; with `repo-creds` it is a template for every repository whose URL begins with its
//! own, the longest such URL winning.
//!
//! | entry | meaning |
//! |---|---|
//! | `url` | repository, or beginning of URLs |
//! | `type` | `git`, which is also the default; others are refused |
//! | `username`, `password` | basic authentication over HTTPS |
//! | `bearerToken` | bearer authentication over HTTPS |
//! | `sshPrivateKey` | key for SSH |
//! | `tlsClientCertData`, `tlsClientCertKey` | client certificate for HTTPS, PEM |
//! | `insecure` | accept any certificate over HTTPS; SSH host keys are always checked |
//! | `proxy`, `noProxy` | HTTP proxy and the hosts to reach without it |
//! | `name`, `project` | a name for people; the only project that may use it |
//! | `sshKnownHosts` | ours: lines of `known_hosts`, beside those of the fleet |
//! | `tlsCA` | ours: authorities to trust for this repository, PEM |
//!
//! Argo CD keeps host keys and authorities in the `ConfigMap`s `argocd-ssh-known-hosts-cm` and
//! `argocd-tls-certs-cm`, which [`KnownHosts`] and [`TlsCertificates`] read.
//!
//! Refused: GitHub App, Google and Azure credentials, Helm and OCI repositories.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::ClientCertificate;
use crate::fields::{FieldError, Fields, Unsupported};
use crate::repo_url::canonical_repo_url;
use crate::secret_manifest::{SECRET_TYPE_LABEL, SecretManifest, SecretManifestError, check_pem};
use crate::{Digest, Object, ObjectKey, Plaintext};

/// What a repository Secret is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RepositoryRole {
    /// One repository.
    Repository,
    /// Credentials for every repository whose URL begins with this one.
    CredentialTemplate,
}

/// A repository, or a template of credentials.
///
/// Two entries are equal when the Secrets they came from are.
#[derive(Clone, Debug)]
pub struct RepositoryEntry {
    /// What the Secret is for.
    pub role: RepositoryRole,
    /// URL as written.
    pub url: String,
    /// [`canonical_repo_url`] of it.
    pub canonical_url: String,
    /// A name for people.
    pub name: Option<String>,
    /// The only project whose applications may use it.
    pub project: Option<String>,
    /// Who asks.
    pub credentials: Arc<GitCredentials>,
    /// How to get there and whom to trust.
    pub transport: GitTransport,
    /// The Secret.
    pub secret: ObjectKey,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Entries without effect.
    pub unsupported: Vec<Unsupported>,
    /// Digest of the whole Secret.
    pub digest: Digest,
}

/// What proves to a Git server who asks.
#[derive(Debug, Default)]
pub struct GitCredentials {
    /// User name for HTTPS.
    pub username: Option<String>,
    /// Password or token for HTTPS.
    pub password: Option<Plaintext>,
    /// Bearer token for HTTPS; excludes a password.
    pub bearer_token: Option<Plaintext>,
    /// OpenSSH or PEM private key.
    pub ssh_private_key: Option<Plaintext>,
    /// TLS client certificate.
    pub client_certificate: Option<ClientCertificate>,
}

/// The way to a Git server, and whom to trust on it.
#[derive(Clone, Debug, Default)]
pub struct GitTransport {
    /// Lines of OpenSSH's `known_hosts`; without a matching line the server is refused.
    pub known_hosts: Option<Arc<str>>,
    /// Authorities to trust over HTTPS, PEM; the system's when absent.
    pub ca_pem: Option<Arc<str>>,
    /// Accept any certificate over HTTPS.
    pub insecure: bool,
    /// HTTP proxy; may hold a password.
    pub proxy: Option<Arc<Plaintext>>,
    /// Hosts to reach without the proxy, comma-separated.
    pub no_proxy: Option<String>,
}

/// Why a Secret does not describe a repository. Never shows a value that may be secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseRepositoryError {
    /// The Secret itself.
    #[error(transparent)]
    Secret(#[from] SecretManifestError),
    /// A field of a `ConfigMap` has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// `url` is missing.
    #[error("url is missing")]
    NoUrl,
    /// Not a Git repository.
    #[error("type {found:?} is not supported: only git repositories are")]
    Type {
        /// As written.
        found: String,
    },
    /// Credentials that Fyr cannot use.
    #[error("{key} is not supported: use username and password, bearerToken or sshPrivateKey")]
    Credentials {
        /// The entry.
        key: &'static str,
    },
    /// Two settings that exclude each other.
    #[error("{first} and {second} exclude each other")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// One half of a client certificate.
    #[error("{present} needs {missing}")]
    Incomplete {
        /// The half that is there.
        present: &'static str,
        /// The half that is not.
        missing: &'static str,
    },
}

/// Entries of Argo CD for credentials that Fyr cannot use.
const REFUSED: [&str; 6] = [
    "githubAppID",
    "githubAppInstallationID",
    "githubAppPrivateKey",
    "githubAppEnterpriseBaseUrl",
    "gcpServiceAccountKey",
    "azureServicePrincipalClientSecret",
];

impl PartialEq for RepositoryEntry {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for RepositoryEntry {}

impl RepositoryEntry {
    /// The value of the `secret-type` label of a repository.
    pub const SECRET_TYPE: &'static str = "repository";

    /// The value of the `secret-type` label of a template.
    pub const TEMPLATE_SECRET_TYPE: &'static str = "repo-creds";

    /// Reads a repository Secret or a template.
    pub fn parse(secret: &Object) -> Result<Self, ParseRepositoryError> {
        let role = match secret.label(SECRET_TYPE_LABEL) {
            Some(Self::SECRET_TYPE) => RepositoryRole::Repository,
            Some(Self::TEMPLATE_SECRET_TYPE) => RepositoryRole::CredentialTemplate,
            label => {
                let found = label.unwrap_or_default().to_owned();
                let expected = "repository or repo-creds";
                return Err(SecretManifestError::OtherType { found, expected }.into());
            }
        };
        let mut entries = SecretManifest::read(secret)?;
        refuse(&mut entries)?;
        let url = entries.take_text("url")?.ok_or(ParseRepositoryError::NoUrl)?;
        let mut unsupported = Vec::new();
        skip(&mut entries, &mut unsupported)?;
        let name = entries.take_text("name")?;
        let project = entries.take_text("project")?;
        let credentials = GitCredentials::take(&mut entries)?;
        let transport = GitTransport::take(&mut entries)?;
        entries.finish(&mut unsupported);
        let canonical_url = canonical_repo_url(&url);
        Ok(Self {
            warnings: warnings(&canonical_url, &credentials, &transport),
            role,
            url,
            canonical_url,
            name,
            project,
            credentials: Arc::new(credentials),
            transport,
            secret: secret.key(),
            unsupported,
            digest: secret.digest(),
        })
    }

    /// Whether this template's URL is the beginning of `canonical_url`.
    ///
    /// The host must be the same to its end: a template for `https://git.example.com` is not for
    /// `https://git.example.com.attacker.net`, which a comparison of letters would allow. Within
    /// the path letters are compared, as in Argo CD: `…/team-` is for `…/team-a/x`.
    pub fn covers(&self, canonical_url: &str) -> bool {
        let Some(rest) = canonical_url.strip_prefix(&self.canonical_url) else { return false };
        let has_path = self
            .canonical_url
            .split_once("://")
            .is_some_and(|(scheme, rest)| scheme == "file" || rest.contains('/'));
        has_path || rest.is_empty() || rest.starts_with('/')
    }
}

impl GitCredentials {
    /// Whether there is nothing to prove who asks.
    pub fn is_empty(&self) -> bool {
        self.username.is_none()
            && self.password.is_none()
            && self.bearer_token.is_none()
            && self.ssh_private_key.is_none()
            && self.client_certificate.is_none()
    }

    fn take(entries: &mut SecretManifest) -> Result<Self, ParseRepositoryError> {
        let certificate = entries.take("tlsClientCertData");
        let key = entries.take("tlsClientCertKey");
        let client_certificate = match (certificate, key) {
            (Some(certificate), Some(key_pem)) => {
                check_pem("tlsClientCertData", "CERTIFICATE", certificate.expose())?;
                check_pem("tlsClientCertKey", "PRIVATE KEY", key_pem.expose())?;
                let certificate_pem = certificate.expose().to_vec();
                Some(ClientCertificate { certificate_pem, key_pem })
            }
            (Some(_), None) => {
                let (present, missing) = ("tlsClientCertData", "tlsClientCertKey");
                return Err(ParseRepositoryError::Incomplete { present, missing });
            }
            (None, Some(_)) => {
                let (present, missing) = ("tlsClientCertKey", "tlsClientCertData");
                return Err(ParseRepositoryError::Incomplete { present, missing });
            }
            (None, None) => None,
        };
        let credentials = Self {
            username: entries.take_text("username")?,
            password: entries.take("password"),
            bearer_token: entries.take("bearerToken"),
            ssh_private_key: entries.take("sshPrivateKey"),
            client_certificate,
        };
        if credentials.password.is_some() && credentials.bearer_token.is_some() {
            let (first, second) = ("password", "bearerToken");
            return Err(ParseRepositoryError::Conflict { first, second });
        }
        if let Some(key) = &credentials.ssh_private_key {
            check_pem("sshPrivateKey", "PRIVATE KEY", key.expose())?;
        }
        Ok(credentials)
    }
}

impl GitTransport {
    fn take(entries: &mut SecretManifest) -> Result<Self, ParseRepositoryError> {
        let ca_pem = entries.take_text("tlsCA")?;
        if let Some(pem) = &ca_pem {
            check_pem("tlsCA", "CERTIFICATE", pem.as_bytes())?;
        }
        let transport = Self {
            known_hosts: entries.take_text("sshKnownHosts")?.map(Arc::from),
            ca_pem: ca_pem.map(Arc::from),
            insecure: entries.take_flag("insecure")?,
            proxy: entries.take("proxy").map(Arc::new),
            no_proxy: entries.take_text("noProxy")?,
        };
        if transport.insecure && transport.ca_pem.is_some() {
            let (first, second) = ("insecure", "tlsCA");
            return Err(ParseRepositoryError::Conflict { first, second });
        }
        Ok(transport)
    }
}

fn refuse(entries: &mut SecretManifest) -> Result<(), ParseRepositoryError> {
    if let Some(found) = entries.take_text("type")?.filter(|found| found != "git") {
        return Err(ParseRepositoryError::Type { found });
    }
    if entries.take_flag("enableOCI")? {
        return Err(ParseRepositoryError::Type { found: "oci".to_owned() });
    }
    for key in REFUSED {
        if entries.take(key).is_some() {
            return Err(ParseRepositoryError::Credentials { key });
        }
    }
    let key = "useAzureWorkloadIdentity";
    if entries.take_flag(key)? {
        return Err(ParseRepositoryError::Credentials { key });
    }
    Ok(())
}

/// Takes the entries of Argo CD that change nothing here, saying so where that may surprise.
fn skip(
    entries: &mut SecretManifest,
    unsupported: &mut Vec<Unsupported>,
) -> Result<(), SecretManifestError> {
    // A mirror holds all of the history, and basic credentials are always sent at once.
    for key in ["depth", "forceHttpBasicAuth"] {
        entries.take(key);
    }
    let surprising = [
        ("insecureIgnoreHostKey", "SSH host keys are always checked; give sshKnownHosts"),
        ("enableLfs", "files in Git LFS are not fetched"),
    ];
    for (key, why) in surprising {
        if entries.take_flag(key)? {
            unsupported.push(Unsupported::new(key, why));
        }
    }
    Ok(())
}

fn warnings(url: &str, credentials: &GitCredentials, transport: &GitTransport) -> Vec<String> {
    let mut warnings = Vec::new();
    if transport.insecure {
        warnings.push(
            "insecure: anyone on the way can pose as this server and decide what is deployed; \
             give tlsCA instead"
                .to_owned(),
        );
    }
    if url.starts_with("http://") && !credentials.is_empty() {
        warnings.push("url: credentials travel in clear over http://".to_owned());
    }
    if !url.starts_with("ssh://") && credentials.ssh_private_key.is_some() {
        warnings.push("sshPrivateKey has no effect: the URL is not one of SSH".to_owned());
    }
    if !url.starts_with("http")
        && (credentials.password.is_some() || credentials.bearer_token.is_some())
    {
        warnings
            .push("passwords and tokens have no effect: the URL is not one of HTTPS".to_owned());
    }
    warnings
}

/// The host keys of `argocd-ssh-known-hosts-cm`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownHosts(pub String);

impl KnownHosts {
    /// Name of the `ConfigMap`.
    pub const CONFIG_MAP: &'static str = "argocd-ssh-known-hosts-cm";

    /// Reads `data.ssh_known_hosts`.
    pub fn parse(config_map: &Object) -> Result<(Self, Vec<Unsupported>), ParseRepositoryError> {
        let (mut data, mut unsupported) = (config_map_data(config_map)?, Vec::new());
        let hosts = data.remove("ssh_known_hosts").unwrap_or_default();
        let why = "only ssh_known_hosts is read";
        let rest = data.into_keys().map(|key| Unsupported::new(format!("data.{key}"), why));
        unsupported.extend(rest);
        Ok((Self(hosts), unsupported))
    }
}

/// The authorities of `argocd-tls-certs-cm`, by host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsCertificates(pub BTreeMap<String, String>);

impl TlsCertificates {
    /// Name of the `ConfigMap`.
    pub const CONFIG_MAP: &'static str = "argocd-tls-certs-cm";

    /// Reads PEM certificates by host.
    pub fn parse(config_map: &Object) -> Result<Self, ParseRepositoryError> {
        let data = config_map_data(config_map)?;
        for (host, pem) in &data {
            check_pem(&format!("data.{host}"), "CERTIFICATE", pem.as_bytes())?;
        }
        Ok(Self(data))
    }

    /// The authorities for the host of a canonical URL, whatever its port.
    pub fn of(&self, canonical_url: &str) -> Option<&str> {
        let authority = canonical_url.split_once("://")?.1.split('/').next()?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        self.0.get(host).map(String::as_str)
    }
}

fn config_map_data(config_map: &Object) -> Result<BTreeMap<String, String>, FieldError> {
    Fields::of(config_map).text_map("data")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CA: &str = "-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----";
    const KEY: &str =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n";

    fn parse(kind: &str, entries: &Value) -> Result<RepositoryEntry, ParseRepositoryError> {
        RepositoryEntry::parse(
            &Object::parse(json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "r", "labels": {SECRET_TYPE_LABEL: kind}},
                "stringData": entries,
            }))
            .unwrap(),
        )
    }

    #[test]
    fn a_repository_over_ssh_is_read() {
        let entry = parse(
            "repository",
            &json!({
                "url": "git@gitlab.com:org/infra.git", "type": "git", "name": "infra",
                "sshPrivateKey": KEY, "sshKnownHosts": "gitlab.com ssh-ed25519 AAAA",
                "project": "retail", "depth": "1",
            }),
        )
        .unwrap();
        assert_eq!(entry.role, RepositoryRole::Repository);
        assert_eq!(entry.canonical_url, "ssh://gitlab.com/org/infra");
        assert_eq!(entry.project.as_deref(), Some("retail"));
        let key = entry.credentials.ssh_private_key.as_ref().unwrap();
        assert_eq!(key.expose(), KEY.as_bytes(), "the key keeps its last line break");
        assert_eq!(entry.transport.known_hosts.as_deref(), Some("gitlab.com ssh-ed25519 AAAA"));
        assert!(entry.warnings.is_empty() && entry.unsupported.is_empty());
        assert!(!format!("{entry:?}").contains("hunter2"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let url = "https://git.example.com/x";
        let cases = [
            (json!({}), "url is missing"),
            (json!({"url": url, "type": "helm"}), "type \"helm\" is not supported"),
            (json!({"url": url, "enableOCI": "true"}), "type \"oci\" is not supported"),
            (json!({"url": url, "githubAppID": "1"}), "githubAppID is not supported"),
            (json!({"url": url, "useAzureWorkloadIdentity": "true"}), "AzureWorkloadIdentity"),
            (json!({"url": url, "password": "a", "bearerToken": "b"}), "exclude each other"),
            (json!({"url": url, "tlsClientCertData": CA}), "needs tlsClientCertKey"),
            (json!({"url": url, "tlsClientCertKey": KEY}), "needs tlsClientCertData"),
            (json!({"url": url, "insecure": "true", "tlsCA": CA}), "exclude each other"),
            (json!({"url": url, "insecure": "yes"}), "insecure must be"),
            (json!({"url": url, "sshPrivateKey": "hunter2"}), "sshPrivateKey must be PEM"),
            (json!({"url": url, "tlsCA": "garbage"}), "tlsCA must be PEM"),
        ];
        for (entries, message) in cases {
            let error = parse("repository", &entries).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(parse("cluster", &json!({"url": url})).is_err());
    }

    #[test]
    fn risks_and_entries_without_effect_are_said() {
        let entry = parse(
            "repository",
            &json!({
                "url": "http://git.example.com/x", "password": "a", "sshPrivateKey": KEY,
                "insecure": "true", "insecureIgnoreHostKey": "true", "usrname": "b",
            }),
        )
        .unwrap();
        assert_eq!(entry.warnings.len(), 3, "{:?}", entry.warnings);
        let paths: Vec<&str> = entry.unsupported.iter().map(|entry| &*entry.path).collect();
        assert_eq!(paths, ["insecureIgnoreHostKey", "usrname"]);
    }

    #[test]
    fn a_template_covers_its_host_and_path_and_no_other_host() {
        let covers = |template: &str, url: &str| {
            let entry = parse("repo-creds", &json!({"url": template})).unwrap();
            assert_eq!(entry.role, RepositoryRole::CredentialTemplate);
            entry.covers(&canonical_repo_url(url))
        };
        assert!(covers("https://git.example.com", "https://git.example.com/a/b"));
        assert!(covers("https://git.example.com/team-", "https://git.example.com/team-a/b.git"));
        assert!(covers("git@git.example.com:", "git@git.example.com:a/b.git"));
        assert!(covers("ssh://git@git.example.com", "git@git.example.com:a/b.git"));
        assert!(!covers("https://git.example.com", "https://git.example.com.attacker.net/a"));
        assert!(!covers("https://git.example.com", "https://git.example.com:8443/a"));
        assert!(!covers("https://git.example.com", "git@git.example.com:a/b"));
        assert!(!covers("https://git.example.com/org", "https://git.example.com/other"));
    }

    #[test]
    fn host_keys_and_authorities_of_argo_are_read() {
        let config_map = |data: Value| {
            let metadata = json!({"name": "x"});
            Object::parse(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
            )
            .unwrap()
        };
        let (hosts, unsupported) =
            KnownHosts::parse(&config_map(json!({"ssh_known_hosts": "h k", "y": ""}))).unwrap();
        assert_eq!((hosts.0.as_str(), &*unsupported[0].path), ("h k", "data.y"));
        let certificates =
            TlsCertificates::parse(&config_map(json!({"git.example.com": CA}))).unwrap();
        assert_eq!(certificates.of("https://git.example.com/x"), Some(CA));
        assert_eq!(certificates.of("https://git.example.com:8443/x"), Some(CA));
        assert_eq!(certificates.of("https://example.com/x"), None);
        assert!(TlsCertificates::parse(&config_map(json!({"h": "garbage"}))).is_err());
    }
}
