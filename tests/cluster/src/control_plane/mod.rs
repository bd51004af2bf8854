//! A Kubernetes control plane of real programs on loopback.
//!
//! With the default options it is etcd and an API server, ready in about four seconds. Controllers
//! and nodes are added on request; nodes and pods then become Ready without a kubelet (kwok).
//!
//! Limits: everything is one replica; service accounts get no token in their pods unless the
//! controllers run; the kubernetes Service has no endpoints.

mod arguments;
mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::audit_log::{self, AuditEvent, AuditPosition};
use crate::authority::CertificateError;
use crate::folder::FolderError;
use crate::kube::{Identity, Kube, KubeError};
use crate::port::PortError;
use crate::process::{Process, ProcessError};
use crate::programs::{Programs, ProgramsError};
use files::Files;

/// Connections of [`ControlPlane::kube`]: enough for a test, few enough not to hide queueing.
const CONNECTIONS: usize = 8;
/// How long one look at a starting API server may take.
const LOOK_DEADLINE: Duration = Duration::from_secs(2);
/// Pause between two looks at a starting API server.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What a control plane consists of. The default is etcd and the API server alone.
#[derive(Clone, Debug)]
pub struct ControlPlaneOptions {
    /// Runs the controller manager and the scheduler, and the `ServiceAccount` admission plugin,
    /// which cannot work without the former.
    pub controllers: bool,
    /// Nodes to make, each of 256 CPUs, 1 TiB and 10,000 pods. With any, kwok runs and makes nodes
    /// and the pods bound to them Ready.
    pub nodes: u32,
    /// Writes every request to the audit log, for [`ControlPlane::audit_events`].
    pub audit_log: bool,
    /// Makes etcd wait for the disk. Only a power cut of the machine shows the difference: what a
    /// killed process wrote is in the kernel.
    pub fsync: bool,
    /// Where to keep the data; an earlier run's is taken up, with its certificates and, where
    /// they are free, its ports. A temporary folder if not given.
    pub folder: Option<PathBuf>,
    /// How long everything may take to become ready. Twenty times what an idle machine needs.
    pub ready_within: Duration,
    /// Told of each step of starting.
    pub progress: Option<fn(&str)>,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self {
            controllers: false,
            nodes: 0,
            audit_log: false,
            fsync: false,
            folder: None,
            ready_within: Duration::from_mins(2),
            progress: None,
        }
    }
}

/// A control plane could not be started, or one of its programs not started again.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// The programs are not there and cannot be built.
    #[error("no programs for a control plane")]
    Programs(#[from] ProgramsError),
    /// Its folder cannot be used.
    #[error("no folder for the control plane's data")]
    Folder(#[from] FolderError),
    /// No certificates.
    #[error("no certificates for the control plane")]
    Certificate(#[from] CertificateError),
    /// No ports.
    #[error("no ports for the control plane")]
    Port(#[from] PortError),
    /// A program cannot be started.
    #[error("a program of the control plane did not start")]
    Process(#[from] ProcessError),
    /// A program ended while it was waited for.
    #[error("{name} ended ({status}); its log ends with:\n{log}")]
    Ended {
        /// The program.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It was not ready in time.
    #[error(
        "{what} was not so after {waited:?} (last answer: {answer}); the log of {name} ends with:\n{log}"
    )]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// The last answer.
        answer: String,
        /// The program whose log is shown.
        name: &'static str,
        /// The end of that log.
        log: String,
    },
    /// The API server refused something every control plane must have.
    #[error("the API server refused {what}: {answer}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its answer.
        answer: String,
    },
    /// A request failed.
    #[error("the control plane does not answer")]
    Kube(#[from] KubeError),
}

/// A running control plane. Dropping it kills everything.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order in which they must end: a client never outlives its server by much, and the
    // folder goes last.
    clients: Vec<Process>,
    api_server: Option<Process>,
    etcd: Option<Process>,
    kube: Kube,
    programs: Programs,
    options: ControlPlaneOptions,
    files: Files,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready for use: the API server's own checks
    /// pass, and with controllers or nodes, those work too.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        // The programs may have to be built, which takes minutes, and the caller may give up before.
        let preparing = tokio::task::spawn_blocking(move || {
            let programs = Programs::find()?;
            let files = Files::prepare(&options)?;
            Ok::<_, ControlPlaneError>((options, programs, files))
        });
        let (options, programs, files) = preparing
            .await
            .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        let kube = files.kube(CONNECTIONS)?;
        let mut plane = Self {
            clients: Vec::new(),
            api_server: None,
            etcd: None,
            kube,
            programs,
            options,
            files,
        };
        plane.start_etcd()?;
        plane.start_api_server().await?;
        if plane.options.controllers {
            plane
                .start_client("controller-manager", arguments::controller_manager(&plane.files))?;
            plane.start_client("scheduler", arguments::scheduler(&plane.files))?;
            plane.wait_for_controllers().await?;
        }
        if plane.options.nodes > 0 {
            plane.start_nodes().await?;
        }
        Ok(plane)
    }

    /// `https://127.0.0.1:PORT`.
    pub fn server(&self) -> String {
        self.files.server()
    }

    /// The address of the API server, for a [`crate::Proxy`].
    pub fn address(&self) -> std::net::SocketAddr {
        self.files.api_port.address()
    }

    /// The folder with the data and the logs.
    pub fn folder(&self) -> &Path {
        self.files.folder.path()
    }

    /// The administrator's kubeconfig, self-contained.
    pub fn kubeconfig(&self) -> PathBuf {
        self.files.folder.join(files::KUBECONFIG)
    }

    /// The text of a kubeconfig for `server`, which may be a proxy's address, with the certificate
    /// of a client (as from [`Self::client_certificate`]).
    pub fn kubeconfig_text(&self, server: &str, certificate: &str, key: &str) -> String {
        files::kubeconfig_text(server, self.ca_certificate(), certificate, key)
    }

    /// The certificate to trust, PEM.
    pub fn ca_certificate(&self) -> &str {
        self.files.authority.certificate()
    }

    /// The administrator's certificate, PEM.
    pub fn admin_certificate(&self) -> &str {
        &self.files.admin.certificate
    }

    /// The administrator's private key, PEM.
    pub fn admin_key(&self) -> &str {
        &self.files.admin.key
    }

    /// The administrator's client.
    pub fn kube(&self) -> &Kube {
        &self.kube
    }

    /// A client of `server` (this control plane's or a proxy's in front of it) for `identity` with
    /// at most `connections` connections.
    pub fn kube_with(
        &self,
        server: &str,
        identity: &Identity,
        connections: usize,
    ) -> Result<Kube, KubeError> {
        Kube::new(server, self.ca_certificate(), identity, connections)
    }

    /// The administrator, as [`Self::kube_with`] takes it.
    pub fn admin(&self) -> Identity {
        self.files.admin_identity()
    }

    /// Issues a certificate that makes its holder `user` and a member of `group`, without any
    /// rights of its own: (certificate, private key), PEM.
    pub fn client_certificate(
        &self,
        user: &str,
        group: Option<&str>,
    ) -> Result<(String, String), CertificateError> {
        let issued = self.files.authority.issue_client(user, group)?;
        Ok((issued.certificate, issued.key))
    }

    /// Makes the service account if it is missing and a bearer token for it, valid for `lifetime`
    /// (at least ten minutes: the API server's own lower limit).
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<String, ControlPlaneError> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace}});
        let answer = self.kube.apply(&path, &account).await?;
        accept(&path, answer)?;
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": lifetime.as_secs()}});
        let path = format!("{path}/token");
        let granted = accept(&path, self.kube.post(&path, &request).await?)?;
        match granted.pointer("/status/token").and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => Err(ControlPlaneError::Refused { what: path, answer: granted.to_string() }),
        }
    }

    /// Kills the API server as a power cut would. Idle connections end, the port refuses.
    pub fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server on the same data and port, unless it runs, and waits until it is
    /// ready.
    pub async fn start_api_server(&mut self) -> Result<(), ControlPlaneError> {
        if self.api_server.as_mut().is_none_or(|running| running.exited().is_some()) {
            let arguments = arguments::api_server(&self.files, &self.options);
            self.api_server = Some(self.launch("apiserver", arguments)?);
        }
        self.wait_for_answer("/readyz", |_| true).await?;
        // Made by the API server itself, but shortly after it calls itself ready.
        self.wait_for_answer("/api/v1/namespaces/default", |_| true).await
    }

    /// Kills etcd as a power cut of its machine would, but for what the kernel already holds.
    pub fn kill_etcd(&mut self) {
        self.etcd = None;
    }

    /// Starts etcd on the same data and port, unless it runs. The API server notices by itself;
    /// wait for that with [`Self::start_api_server`].
    pub fn start_etcd(&mut self) -> Result<(), ControlPlaneError> {
        if self.etcd.as_mut().is_none_or(|running| running.exited().is_some()) {
            self.etcd = Some(self.launch("etcd", arguments::etcd(&self.files, &self.options))?);
        }
        Ok(())
    }

    /// Stops the API server where it stands: its port accepts, its connections stay open, and
    /// nothing is answered.
    pub fn freeze(&self) {
        if let Some(api_server) = &self.api_server {
            api_server.freeze();
        }
    }

    /// Lets a frozen API server go on.
    pub fn thaw(&self) {
        if let Some(api_server) = &self.api_server {
            api_server.thaw();
        }
    }

    /// Kills everything; dropping does the same.
    pub fn stop(self) {
        drop(self);
    }

    /// The numbers of all running processes, the API server's and etcd's last.
    pub fn process_ids(&self) -> Vec<u32> {
        let servers = self.api_server.iter().chain(&self.etcd);
        self.clients.iter().chain(servers).map(Process::id).collect()
    }

    /// Fails if a program that nobody killed has ended.
    pub fn check(&mut self) -> Result<(), ControlPlaneError> {
        let servers = self.api_server.iter_mut().chain(&mut self.etcd);
        self.clients.iter_mut().chain(servers).try_for_each(check_process)
    }

    /// Where the audit log ends now.
    ///
    /// Needs [`ControlPlaneOptions::audit_log`]; without it this is an error of kind `NotFound`.
    pub fn audit_position(&self) -> io::Result<AuditPosition> {
        let length = self.files.folder.join(files::AUDIT_LOG).metadata()?.len();
        Ok(AuditPosition::new(length))
    }

    /// The requests written to the audit log after `since`.
    ///
    /// A request is written as it ends, which can be a moment after its client has the answer:
    /// wait for an expected one, and prove an absence by a later request that is there.
    pub fn audit_events(&self, since: AuditPosition) -> io::Result<Vec<AuditEvent>> {
        audit_log::read(&self.files.folder.join(files::AUDIT_LOG), since)
    }

    /// Those of [`Self::audit_events`] that could change what is stored, of any client: the control
    /// plane's own are told apart by [`AuditEvent::user`].
    pub fn write_requests(&self, since: AuditPosition) -> io::Result<Vec<AuditEvent>> {
        let mut events = self.audit_events(since)?;
        events.retain(AuditEvent::is_write);
        Ok(events)
    }

    fn say(&self, what: &str) {
        if let Some(progress) = self.options.progress {
            progress(what);
        }
    }

    fn launch(
        &self,
        name: &'static str,
        arguments: Vec<String>,
    ) -> Result<Process, ControlPlaneError> {
        self.say(&format!("starting {name}"));
        let program =
            if name == "kwok" { self.programs.kwok() } else { self.programs.control_plane() };
        let log = self.files.folder.join(&format!("{name}.log"));
        let arguments = arguments.into_iter().map(Into::into).collect();
        Ok(Process::start(name, &program, arguments, log)?)
    }

    fn start_client(
        &mut self,
        name: &'static str,
        arguments: Vec<String>,
    ) -> Result<(), ControlPlaneError> {
        let process = self.launch(name, arguments)?;
        self.clients.push(process);
        Ok(())
    }

    async fn wait_for_controllers(&mut self) -> Result<(), ControlPlaneError> {
        // No pod is admitted before its namespace's service account exists.
        self.wait_for_answer("/api/v1/namespaces/default/serviceaccounts/default", |_| true).await
    }

    async fn start_nodes(&mut self) -> Result<(), ControlPlaneError> {
        let arguments = arguments::kwok(&self.files, &self.programs);
        self.start_client("kwok", arguments)?;
        self.say(&format!("making nodes: {}", self.options.nodes));
        for number in 1..=self.options.nodes {
            let name = format!("node-{number}");
            let path = format!("/api/v1/nodes/{name}");
            accept(&path, self.kube.apply(&path, &node(&name)).await?)?;
        }
        let count = usize::try_from(self.options.nodes).expect("usize has 32 bits or more");
        self.wait_for_answer("/api/v1/nodes", move |nodes| {
            let nodes = nodes["items"].as_array().map_or(&[][..], Vec::as_slice);
            nodes.iter().filter(|node| is_usable(node)).count() >= count
        })
        .await
    }

    /// Waits until `path` is answered with 200 and something `expected`.
    async fn wait_for_answer(
        &mut self,
        path: &str,
        expected: impl Fn(&Value) -> bool,
    ) -> Result<(), ControlPlaneError> {
        self.say(&format!("waiting for {path}"));
        let kube = self.kube.clone().with_deadline(LOOK_DEADLINE);
        let started = Instant::now();
        loop {
            let answer = match kube.get(path).await {
                Ok((status, value)) if status == 200 && expected(&value) => return Ok(()),
                Ok((status, value)) => format!("{status} {value}"),
                Err(error) => error.chain(),
            };
            self.check()?;
            let waited = started.elapsed();
            if waited > self.options.ready_within {
                let suspect = self.clients.last().or(self.api_server.as_ref());
                return Err(ControlPlaneError::NotReady {
                    what: path.to_owned(),
                    waited,
                    answer,
                    name: suspect.map_or("no program", Process::name),
                    log: suspect.map_or_else(String::new, Process::log_tail),
                });
            }
            sleep(LOOK_PAUSE).await;
        }
    }
}

fn check_process(process: &mut Process) -> Result<(), ControlPlaneError> {
    match process.exited() {
        None => Ok(()),
        Some(status) => {
            Err(ControlPlaneError::Ended { name: process.name(), status, log: process.log_tail() })
        }
    }
}

fn accept(
    what: &str,
    (status, answer): (http::StatusCode, Value),
) -> Result<Value, ControlPlaneError> {
    if status.is_success() {
        return Ok(answer);
    }
    Err(ControlPlaneError::Refused { what: what.to_owned(), answer: format!("{status} {answer}") })
}

/// A node so large that no test fills it.
fn node(name: &str) -> Value {
    let resources = json!({"cpu": "256", "memory": "1Ti", "pods": "10000"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {"capacity": resources, "allocatable": resources},
    })
}

/// Whether pods can be bound to `node`: it is Ready and the controllers have taken the taints of a
/// new node off again.
fn is_usable(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let ready = conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True");
    ready && node["spec"]["taints"].as_array().is_none_or(Vec::is_empty)
}
