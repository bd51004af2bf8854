//! From a cluster's entry to the two clients that talk to it.
//!
//! Requests get an answer or fail: their client gives up on a connection that says nothing. Watches
//! say nothing for minutes: their client waits, and the watch loop keeps its own deadline. kube
//! speaks HTTP/1.1, so every open watch is one connection.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fyr_model::{ClusterAccess, ClusterEntry};
use http::{HeaderValue, Uri, header};
use kube::Config;
use kube::client::ClientBuilder;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::requests::REQUEST_DEADLINE;

/// How long a TCP and TLS connection may take. Across the world it takes less than one second.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How an API server sees us in its logs.
const USER_AGENT: &str = concat!("fyr/", env!("CARGO_PKG_VERSION"));

/// Why a cluster's entry cannot be made into a client. Never shows a credential.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address of the API server or of the proxy.
    #[error("{what} of cluster {cluster:?} is not a URL")]
    Url {
        /// The cluster's name.
        cluster: String,
        /// Which address.
        what: &'static str,
        /// Why.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The certificates to trust.
    #[error("the CA of cluster {cluster:?} is not a list of PEM certificates")]
    Authority {
        /// The cluster's name.
        cluster: String,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A credential that is no text.
    #[error("{what} of cluster {cluster:?} is not UTF-8")]
    NotText {
        /// The cluster's name.
        cluster: String,
        /// Which credential.
        what: &'static str,
    },
    /// TLS or the proxy could not be set up.
    #[error("cannot set up the connection to cluster {cluster:?}")]
    Client {
        /// The cluster's name.
        cluster: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// The two clients of one cluster.
pub(crate) struct Clients {
    pub(crate) requests: kube::Client,
    pub(crate) watches: kube::Client,
}

/// Builds the clients. Sends nothing yet.
pub(crate) fn connect(entry: &ClusterEntry) -> Result<Clients, ConnectError> {
    let mut config = config(entry)?;
    let watches = client(entry, config.clone())?;
    config.read_timeout = Some(REQUEST_DEADLINE);
    // Otherwise the time a pooled connection was idle counts against the next request's answer.
    config.reset_reader_on_write = true;
    let requests = client(entry, config)?;
    Ok(Clients { requests, watches })
}

fn client(entry: &ClusterEntry, config: Config) -> Result<kube::Client, ConnectError> {
    ClientBuilder::try_from(config).map(ClientBuilder::build).map_err(|source| {
        ConnectError::Client { cluster: entry.name.clone(), source: Box::new(source) }
    })
}

fn config(entry: &ClusterEntry) -> Result<Config, ConnectError> {
    let access = &*entry.access;
    let mut config = Config::new(url(entry, "the server", &entry.server)?);
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.write_timeout = Some(REQUEST_DEADLINE);
    // Retries are ours: they depend on what was asked and on the circuit.
    config.default_retry = false;
    // Answers are small because only metadata is asked for; inflating them would cost more.
    config.disable_compression = true;
    config.accept_invalid_certs = access.insecure;
    config.tls_server_name.clone_from(&access.tls_server_name);
    let user_agent = (header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    config.headers.push(user_agent);
    if let Some(pem) = &access.ca_pem {
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
            .map(|certificate| certificate.map(|der| der.to_vec()))
            .collect();
        let unreadable = |source| ConnectError::Authority { cluster: entry.name.clone(), source };
        config.root_cert = Some(authorities.map_err(unreadable)?);
    }
    if let Some(proxy) = &access.proxy_url {
        let proxy = text(entry, "the proxy URL", proxy.expose_text())?;
        config.proxy_url = Some(url(entry, "the proxy", proxy)?);
    }
    credentials(entry, access, &mut config)?;
    Ok(config)
}

fn credentials(
    entry: &ClusterEntry,
    access: &ClusterAccess,
    config: &mut Config,
) -> Result<(), ConnectError> {
    if let Some(token) = &access.bearer_token {
        let token = text(entry, "the bearer token", token.expose_text())?;
        config.auth_info.token = Some(token.trim().to_owned().into());
    }
    if let Some(login) = &access.basic {
        let password = text(entry, "the password", login.password.expose_text())?;
        config.auth_info.username = Some(login.username.clone());
        config.auth_info.password = Some(password.to_owned().into());
    }
    if let Some(certificate) = &access.client_certificate {
        let encoded = STANDARD.encode(&certificate.certificate_pem);
        config.auth_info.client_certificate_data = Some(encoded);
        let key = STANDARD.encode(certificate.key_pem.expose());
        config.auth_info.client_key_data = Some(key.into());
    }
    Ok(())
}

fn url(entry: &ClusterEntry, what: &'static str, text: &str) -> Result<Uri, ConnectError> {
    text.parse().map_err(|source| ConnectError::Url { cluster: entry.name.clone(), what, source })
}

fn text<'a>(
    entry: &ClusterEntry,
    what: &'static str,
    text: Option<&'a str>,
) -> Result<&'a str, ConnectError> {
    text.ok_or_else(|| ConnectError::NotText { cluster: entry.name.clone(), what })
}
