//! Smart HTTP over TLS.
//!
//! Certificates are checked by the system's trust store, or by the repository's own certificates
//! alone. gix ignores most of its HTTP settings with this backend, so that all of them are made
//! where the client is built. Credentials are sent with the first request, which saves one, and
//! never follow a redirect to another host.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fyr_model::Plaintext;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::TransportWithoutIO as _;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http::{self, reqwest::Remote};
use reqwest::blocking::ClientBuilder;
use zeroize::Zeroizing;

use crate::wire::{Connection, Failure, FailureKind, Login};

/// Until a host has to have answered a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Silence within a request after which it is given up.
const SILENT_FOR: Duration = Duration::from_secs(30);

pub(super) fn connect(
    connection: &Connection,
    secrets: &[Plaintext],
) -> Result<Box<dyn Transport + Send>, Failure> {
    let internal = |detail: &dyn std::fmt::Display| Failure::new(FailureKind::Internal, detail);
    // Only an error if somebody else installed one, which then is ring as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = gix::url::parse(plain_url(connection).as_str()).map_err(|error| internal(&error))?;
    let mut transport = http::connect::<Remote>(url, Protocol::V2, false);
    let mut options = http::Options::default();
    let secret = || {
        let text = secrets.first().and_then(Plaintext::expose_text);
        text.ok_or_else(|| internal(&"the password or token is not text"))
    };
    match &connection.login {
        Login::Nobody => {}
        Login::Basic { user } => {
            let identity = gix::sec::identity::Account {
                username: user.clone(),
                password: secret()?.to_owned(),
                oauth_refresh_token: None,
            };
            transport.set_identity(identity).map_err(|error| internal(&error))?;
        }
        Login::Bearer => {
            options.extra_headers.push(format!("Authorization: Bearer {}", secret()?));
        }
    }
    let settings = Settings::new(connection, secrets)?;
    let backend = http::reqwest::Options {
        configure_client: Some(Box::new(move |builder| {
            settings.apply(builder).map_err(gix::Error::from_error)
        })),
        configure_request: None,
    };
    options.backend = Some(Arc::new(Mutex::new(backend)));
    transport.configure(&options).map_err(|error| internal(&error))?;
    Ok(Box::new(transport))
}

/// The address without the user's name, which gix would take for part of the credentials.
fn plain_url(connection: &Connection) -> String {
    let mut address = connection.address.clone();
    if let crate::address::Address::Https { user, .. } = &mut address {
        *user = None;
    }
    address.to_string()
}

struct Settings {
    certificates: Option<Vec<reqwest::Certificate>>,
    insecure: bool,
    proxy: Option<Zeroizing<String>>,
}

impl Settings {
    fn new(connection: &Connection, secrets: &[Plaintext]) -> Result<Self, Failure> {
        let bundle = |pem: &String| reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        let certificates = connection.ca_pem.as_ref().map(bundle).transpose().map_err(|error| {
            Failure::new(
                FailureKind::Tls,
                format_args!("the CA certificate cannot be read: {error}"),
            )
        })?;
        let proxy = secrets.last().filter(|_| connection.proxy).and_then(Plaintext::expose_text);
        Ok(Self {
            certificates,
            insecure: connection.insecure,
            proxy: proxy.map(|text| Zeroizing::new(text.to_owned())),
        })
    }

    fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, reqwest::Error> {
        let mut builder = builder.connect_timeout(CONNECT_WITHIN).timeout(SILENT_FOR);
        builder = match &self.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.as_str())?),
            None => builder.no_proxy(),
        };
        if let Some(certificates) = &self.certificates {
            builder = builder.tls_certs_only(certificates.clone());
        }
        if self.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(builder)
    }
}
