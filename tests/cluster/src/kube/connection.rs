//! Connections: making them, and keeping those that are idle.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::TlsConnector;

use super::error::KubeError;

/// A connection over which one request at a time can be sent.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Who a client is to the server. All texts are PEM, but for the token.
#[derive(Clone)]
pub enum Identity {
    /// Whom the certificate names.
    Certificate {
        /// The certificate.
        certificate: String,
        /// Its private key.
        key: String,
    },
    /// Whom the bearer token names.
    Token(String),
    /// Nobody.
    Anonymous,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Certificate { .. } => "Certificate",
            Self::Token(_) => "Token",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// The connections of one client and its clones.
pub(super) struct Pool {
    address: String,
    host: HeaderValue,
    name: ServerName<'static>,
    tls: TlsConnector,
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pool").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(
        server: &str,
        ca_certificate: &str,
        identity: &Identity,
        connections: usize,
    ) -> Result<Self, KubeError> {
        let invalid = || KubeError::Server { server: server.to_owned() };
        let uri: Uri = server.parse().map_err(|_| invalid())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https"));
        let authority = authority.ok_or_else(invalid)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| invalid())?;
        let name = ServerName::try_from(authority.host().to_owned()).map_err(|_| invalid())?;
        let port = authority.port_u16().ok_or_else(invalid)?;
        let configuration = configuration(ca_certificate, identity)
            .map_err(|(what, source)| KubeError::Tls { what, server: server.to_owned(), source })?;
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            host,
            name,
            tls: TlsConnector::from(Arc::new(configuration)),
            places: Semaphore::new(connections),
            idle: Mutex::default(),
        })
    }

    /// The `Host` header.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Waits until one more connection may be used.
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("the semaphore is never closed")
    }

    /// An idle connection that still stands.
    pub(super) async fn take_idle(&self) -> Option<Connection> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = idle?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose answer has been read.
    pub(super) fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Opens a new connection.
    pub(super) async fn connect(&self) -> Result<Connection, KubeError> {
        let connecting = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            let stream = self.tls.connect(self.name.clone(), stream).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // An error of the connection reaches the request that is on it.
            tokio::spawn(connection);
            Ok(sender)
        };
        connecting
            .await
            .map_err(|source| KubeError::Connect { address: self.address.clone(), source })
    }
}

type NamedError = (&'static str, Box<dyn Error + Send + Sync>);

fn configuration(ca_certificate: &str, identity: &Identity) -> Result<ClientConfig, NamedError> {
    let authority = |error: Box<dyn Error + Send + Sync>| ("CA certificate", error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_certificate.as_bytes()) {
        let certificate = certificate.map_err(|error| authority(error.into()))?;
        roots.add(certificate).map_err(|error| authority(error.into()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| authority(error.into()))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of the default versions")
        .with_webpki_verifier(verifier);
    let Identity::Certificate { certificate, key } = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ("client certificate", error.into()))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| ("client key", error.into()))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| ("client certificate", error.into()))
}
