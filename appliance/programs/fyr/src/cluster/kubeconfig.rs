//! Reads the one context of a kubeconfig that a cluster is added from.
//!
//! Format: `k8s.io/client-go/tools/clientcmd/api/v1`. Fields that have nothing to do with reaching
//! a cluster are passed over. Values are never shown in errors.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A kubeconfig as written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Raw {
    current_context: String,
    clusters: Vec<Named<RawCluster>>,
    contexts: Vec<Named<RawContext>>,
    users: Vec<Named<RawUser>>,
}

/// An entry of a list with the name of what it holds, which stands under a key of its kind.
#[derive(Debug, Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    value: Option<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RawCluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
    disable_compression: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawContext {
    cluster: String,
    user: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RawUser {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

/// One cluster and how to reach it; certificates and keys are base64 of PEM.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) context: String,
    pub(super) server: String,
    pub(super) ca_data: Option<String>,
    pub(super) insecure: bool,
    pub(super) tls_server_name: Option<String>,
    pub(super) proxy_url: Option<String>,
    pub(super) disable_compression: bool,
    pub(super) credentials: Credentials,
}

/// How to prove who asks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Credentials {
    #[default]
    None,
    Token(String),
    Certificate {
        cert_data: String,
        key_data: String,
    },
    Basic {
        username: String,
        password: String,
    },
}

/// Why a kubeconfig cannot be used. Never shows a value of it that may be secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum KubeconfigError {
    /// It is not YAML of this form.
    #[error("it is not a kubeconfig{}", position(*line))]
    Shape { line: Option<u64> },
    /// No context is chosen.
    #[error("it has no current-context; choose one of {known} with --context")]
    NoContext { known: String },
    /// Something names an entry that is not there.
    #[error("it has no {what} {name:?}; there are {known}")]
    Unknown { what: &'static str, name: String, known: String },
    /// Credentials that a program makes.
    #[error("user {user:?} gets credentials from {how}, which Fyr does not run")]
    Program { user: String, how: &'static str },
    /// The user acts as somebody else.
    #[error("user {user:?} impersonates another user, which Fyr does not do")]
    Impersonation { user: String },
    /// A file that it names cannot be read.
    #[error("{field} names {}, which cannot be read", path.display())]
    File { field: &'static str, path: PathBuf, source: std::io::Error },
    /// A certificate without its key, or the other way round.
    #[error("user {user:?} has a client {present} and no client {missing}")]
    Half { user: String, present: &'static str, missing: &'static str },
}

fn position(line: Option<u64>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

/// Reads the files that a kubeconfig names.
pub(super) type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

/// Reads one context; the current one if none is named. With `token` the user's own credentials
/// are not looked at.
pub(super) fn read(
    text: &str,
    context: Option<&str>,
    token: Option<&str>,
    file: ReadFile<'_>,
) -> Result<Target, KubeconfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let raw: Raw = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // Not the error itself: it must not be able to quote a token.
        KubeconfigError::Shape { line: error.location().map(|at| at.line()) }
    })?;
    let name = match context {
        Some(name) => name,
        None if raw.current_context.is_empty() => {
            return Err(KubeconfigError::NoContext { known: names(&raw.contexts) });
        }
        None => &raw.current_context,
    };
    let context = find(&raw.contexts, "context", name)?;
    let cluster = find(&raw.clusters, "cluster", &context.cluster)?;
    let credentials = match token {
        Some(token) => Credentials::Token(token.trim().to_owned()),
        None if context.user.is_empty() => Credentials::None,
        None => credentials(find(&raw.users, "user", &context.user)?, &context.user, file)?,
    };
    Ok(Target {
        context: name.to_owned(),
        server: cluster.server.clone(),
        ca_data: data(
            cluster.certificate_authority_data.as_ref(),
            cluster.certificate_authority.as_ref(),
            "certificate-authority",
            file,
        )?,
        insecure: cluster.insecure_skip_tls_verify,
        tls_server_name: set(cluster.tls_server_name.as_ref()),
        proxy_url: set(cluster.proxy_url.as_ref()),
        disable_compression: cluster.disable_compression,
        credentials,
    })
}

fn credentials(
    user: &RawUser,
    name: &str,
    file: ReadFile<'_>,
) -> Result<Credentials, KubeconfigError> {
    let owner = || name.to_owned();
    if user.exec.is_some() {
        return Err(KubeconfigError::Program { user: owner(), how: "a program (exec)" });
    }
    if user.auth_provider.is_some() {
        return Err(KubeconfigError::Program { user: owner(), how: "an auth-provider" });
    }
    if user.impersonate.is_some() {
        return Err(KubeconfigError::Impersonation { user: owner() });
    }
    // The order in which client-go prefers them.
    if let Some(token) = set(user.token.as_ref()) {
        return Ok(Credentials::Token(token));
    }
    if let Some(path) = &user.token_file {
        let bytes = file(path).map_err(|source| KubeconfigError::File {
            field: "tokenFile",
            path: path.clone(),
            source,
        })?;
        return Ok(Credentials::Token(String::from_utf8_lossy(&bytes).trim().to_owned()));
    }
    let certificate = data(
        user.client_certificate_data.as_ref(),
        user.client_certificate.as_ref(),
        "client-certificate",
        file,
    )?;
    let key = data(user.client_key_data.as_ref(), user.client_key.as_ref(), "client-key", file)?;
    match (certificate, key) {
        (Some(cert_data), Some(key_data)) => {
            return Ok(Credentials::Certificate { cert_data, key_data });
        }
        (Some(_), None) => {
            let (present, missing) = ("certificate", "key");
            return Err(KubeconfigError::Half { user: owner(), present, missing });
        }
        (None, Some(_)) => {
            let (present, missing) = ("key", "certificate");
            return Err(KubeconfigError::Half { user: owner(), present, missing });
        }
        (None, None) => {}
    }
    match set(user.username.as_ref()) {
        Some(username) => {
            let password = user.password.clone().unwrap_or_default();
            Ok(Credentials::Basic { username, password })
        }
        None => Ok(Credentials::None),
    }
}

/// A value that may stand inline, as base64, or in a file. Inline wins, as in client-go.
fn data(
    inline: Option<&String>,
    path: Option<&PathBuf>,
    field: &'static str,
    file: ReadFile<'_>,
) -> Result<Option<String>, KubeconfigError> {
    if let Some(inline) = set(inline) {
        return Ok(Some(inline));
    }
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
    match file(path) {
        Ok(bytes) => Ok(Some(STANDARD.encode(bytes))),
        Err(source) => Err(KubeconfigError::File { field, path: path.clone(), source }),
    }
}

fn set(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

fn find<'a, T>(
    entries: &'a [Named<T>],
    what: &'static str,
    name: &str,
) -> Result<&'a T, KubeconfigError> {
    let found = entries.iter().find(|entry| entry.name == name);
    found.and_then(|entry| entry.value.as_ref()).ok_or_else(|| KubeconfigError::Unknown {
        what,
        name: name.to_owned(),
        known: names(entries),
    })
}

fn names<T>(entries: &[Named<T>]) -> String {
    match entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>() {
        names if names.is_empty() => "none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: a
preferences: {}
clusters:
- name: one
  cluster: {server: 'https://10.0.0.1:6443', certificate-authority: ca.pem, extra: 1}
contexts:
- {name: a, context: {cluster: one, user: token}}
- {name: exec, context: {cluster: one, user: exec}}
- {name: half, context: {cluster: one, user: half}}
- {name: gone, context: {cluster: two, user: token}}
- {name: files, context: {cluster: one, user: files}}
users:
- {name: token, user: {token: hunter2}}
- {name: exec, user: {exec: {command: aws}}}
- {name: half, user: {client-certificate-data: Yg==}}
- {name: files, user: {client-certificate: c.pem, client-key: k.pem}}
";

    fn read_context(context: &str) -> Result<Target, KubeconfigError> {
        let file = |path: &Path| Ok(format!("<{}>", path.display()).into_bytes());
        read(CONFIG, Some(context).filter(|name| !name.is_empty()), None, &file)
    }

    #[test]
    fn the_current_context_is_read_with_its_files() {
        let target = read_context("").unwrap();
        assert_eq!((&*target.context, &*target.server), ("a", "https://10.0.0.1:6443"));
        assert_eq!(target.ca_data, Some(STANDARD.encode("<ca.pem>")));
        assert_eq!(target.credentials, Credentials::Token("hunter2".into()));
        let files = read_context("files").unwrap().credentials;
        let (cert_data, key_data) = (STANDARD.encode("<c.pem>"), STANDARD.encode("<k.pem>"));
        assert_eq!(files, Credentials::Certificate { cert_data, key_data });
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let cases = [
            (
                "exec",
                "user \"exec\" gets credentials from a program (exec), which Fyr does not run",
            ),
            ("half", "user \"half\" has a client certificate and no client key"),
            ("gone", "it has no cluster \"two\"; there are one"),
            ("none", "it has no context \"none\"; there are a, exec, half, gone, files"),
        ];
        for (context, message) in cases {
            assert_eq!(read_context(context).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_token_from_elsewhere_takes_the_place_of_a_program() {
        let file = |_: &Path| Ok(Vec::new());
        let target = read(CONFIG, Some("exec"), Some("abc\n"), &file).unwrap();
        assert_eq!(target.credentials, Credentials::Token("abc".into()));
    }

    #[test]
    fn an_error_does_not_quote_the_file() {
        let file = |_: &Path| Ok(Vec::new());
        let error = read("users: {token: hunter2", None, None, &file).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let error = read("users: hunter2", None, None, &file).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
