//! A Git server over HTTPS: `git http-backend` behind TLS of its own authority.
//!
//! It runs on its own thread, so it answers a test that blocks.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::cgi::{self, Body};
use super::command::GitAccess;
use super::server::{GitServerError, Repositories};
use crate::authority::Authority;
use crate::background::Background;
use crate::folder::Folder;
use crate::port::Port;

/// Whom the server lets in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Credentials {
    /// Everybody.
    #[default]
    None,
    /// Who has this name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Who has this token.
    Bearer(String),
}

impl Credentials {
    /// The `Authorization` header that is let in.
    fn authorization(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Self::Bearer(token) => Some(format!("Bearer {token}")),
        }
    }

    fn challenge(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "Bearer realm=\"git\"",
            Self::None | Self::Basic { .. } => "Basic realm=\"git\"",
        }
    }
}

/// A running server. Dropping it ends all its connections.
#[derive(Debug)]
pub struct HttpsGitServer {
    background: Option<Background>,
    service: Arc<Service>,
    tls: TlsAcceptorDebug,
    authority: Authority,
    port: Port,
    repositories: Repositories,
    folder: Folder,
}

/// `TlsAcceptor` has no `Debug`.
#[derive(Clone)]
struct TlsAcceptorDebug(TlsAcceptor);

impl std::fmt::Debug for TlsAcceptorDebug {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsAcceptor")
    }
}

/// What each connection needs.
#[derive(Debug)]
struct Service {
    credentials: Credentials,
    repositories: PathBuf,
    log: PathBuf,
    requests: Mutex<Vec<String>>,
}

impl HttpsGitServer {
    /// Starts a server with repositories in a temporary folder.
    pub fn start(credentials: Credentials) -> Result<Self, GitServerError> {
        let folder = Folder::open(None)?;
        let repositories = Repositories::open(&folder)?;
        let authority = Authority::generate()?;
        let certified = authority.issue_server(&["127.0.0.1", "localhost"])?;
        folder.write("ca.crt", authority.certificate())?;
        let tls = acceptor(&certified.certificate, &certified.key).map_err(GitServerError::Tls)?;
        let service = Arc::new(Service {
            credentials,
            repositories: repositories.path().to_owned(),
            log: folder.join("http-backend.log"),
            requests: Mutex::default(),
        });
        let port = Port::reserve()?;
        let tls = TlsAcceptorDebug(tls);
        let mut server =
            Self { background: None, service, tls, authority, port, repositories, folder };
        server.restart()?;
        Ok(server)
    }

    /// Makes the bare repository `name` (as `team/shop.git`), unless it is there, and returns its
    /// URL.
    pub fn create_repository(&self, name: &str) -> Result<String, GitServerError> {
        self.repositories.create(name)?;
        Ok(self.url(name))
    }

    /// `https://127.0.0.1:PORT/NAME`.
    pub fn url(&self, name: &str) -> String {
        self.url_at(self.address(), name)
    }

    /// The URL through a proxy at `address` of loopback, for which the certificate holds too.
    pub fn url_at(&self, address: SocketAddr, name: &str) -> String {
        format!("https://{address}/{name}")
    }

    /// Where it listens, for a [`crate::Proxy`].
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The folder of the repository `name` on the server's side.
    pub fn repository_path(&self, name: &str) -> PathBuf {
        self.repositories.repository(name)
    }

    /// The certificate to trust, PEM.
    pub fn ca_certificate(&self) -> &str {
        self.authority.certificate()
    }

    /// The file with that certificate.
    pub fn ca_certificate_path(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// What a `git` client needs to be let in.
    pub fn access(&self) -> GitAccess {
        let mut variables =
            vec![("GIT_SSL_CAINFO", self.ca_certificate_path().display().to_string())];
        if let Some(authorization) = self.service.credentials.authorization() {
            variables.push(("GIT_CONFIG_COUNT", "1".to_owned()));
            variables.push(("GIT_CONFIG_KEY_0", "http.extraHeader".to_owned()));
            variables.push(("GIT_CONFIG_VALUE_0", format!("Authorization: {authorization}")));
        }
        GitAccess::new(variables)
    }

    /// The requests since the start, refused ones too: method, path and query, with a space
    /// between method and path.
    pub fn requests(&self) -> Vec<String> {
        self.service.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the server and its connections. The port refuses then.
    pub fn stop(&mut self) {
        self.background = None;
    }

    /// Starts a stopped server again, on the same port and with the same certificate.
    pub fn restart(&mut self) -> Result<(), GitServerError> {
        self.stop();
        let address = self.address();
        let listen_error = |source| GitServerError::Listen { address, source };
        let background = Background::start("git-https").map_err(listen_error)?;
        let listener = std::net::TcpListener::bind(address).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        let listener = {
            let _runtime = background.handle().enter();
            TcpListener::from_std(listener).map_err(listen_error)?
        };
        let serving = serve(listener, self.tls.0.clone(), Arc::clone(&self.service));
        background.handle().spawn(serving);
        self.background = Some(background);
        Ok(())
    }
}

fn acceptor(
    certificate: &str,
    key: &str,
) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(configuration)))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, service: Arc<Service>) {
    loop {
        // A connection that ended before it was accepted concerns nobody.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(serve_connection(stream, tls.clone(), Arc::clone(&service)));
    }
}

async fn serve_connection(stream: TcpStream, tls: TlsAcceptor, service: Arc<Service>) {
    // A client that does not trust us ends here; that is for the client to report.
    let Ok(stream) = tls.accept(stream).await else { return };
    let answering = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(answer(&service, request).await) }
    });
    // A connection that breaks is what some tests want.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answering).await;
}

async fn answer(service: &Service, request: Request<Incoming>) -> Response<Body> {
    let line = format!("{} {}", request.method(), request.uri());
    service.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let wanted = service.credentials.authorization();
    if wanted.is_some() && given != wanted.as_deref().map(str::as_bytes) {
        let mut refused = plain(StatusCode::UNAUTHORIZED, "who are you?\n");
        let challenge = HeaderValue::from_static(service.credentials.challenge());
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return refused;
    }
    let log: &Path = &service.log;
    match cgi::run(&service.repositories, log, request).await {
        Ok(response) => response,
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = http_body_util::Full::new(text.to_owned().into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response
}
