//! The files of a control plane: certificates, kubeconfigs, ports.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{ControlPlaneError, ControlPlaneOptions};
use crate::audit_log;
use crate::authority::{self, Authority, Certified};
use crate::folder::{Folder, FolderError};
use crate::kube::{Identity, Kube, KubeError};
use crate::port::Port;

/// The administrator's kubeconfig.
pub(super) const KUBECONFIG: &str = "kubeconfig";
/// Where the API server writes its requests.
pub(super) const AUDIT_LOG: &str = "audit.log";
/// What it writes there.
pub(super) const AUDIT_POLICY: &str = "audit-policy.json";
/// The API server's Service is the first address of the range.
const NAMES: [&str; 6] = [
    "127.0.0.1",
    "localhost",
    "10.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// What the programs of one control plane read, and what its clients need to know.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) authority: Authority,
    pub(super) admin: Certified,
    pub(super) etcd_port: Port,
    pub(super) etcd_peer_port: Port,
    pub(super) api_port: Port,
    pub(super) folder: Folder,
}

impl Files {
    /// Writes them, keeping the identity that an earlier run in the same folder had.
    pub(super) fn prepare(options: &ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        let folder = Folder::open(options.folder.as_deref())?;
        let authority = keep_authority(&folder)?;
        keep_signing_key(&folder)?;
        let [etcd_port, etcd_peer_port, api_port] = keep_ports(&folder)?;
        let admin = authority.issue_client("admin", Some("system:masters"))?;
        let server = authority.issue_server(&NAMES)?;
        folder.write("server.crt", server.certificate)?;
        folder.write("server.key", server.key)?;
        folder.write(AUDIT_POLICY, audit_log::POLICY)?;
        let files = Self { authority, admin, etcd_port, etcd_peer_port, api_port, folder };
        files.write_kubeconfig(KUBECONFIG, &files.admin)?;
        // Each under its own name, so that the audit log tells them apart.
        for (name, user, group) in [
            ("controller-manager", "system:kube-controller-manager", None),
            ("scheduler", "system:kube-scheduler", None),
            ("kwok", "kwok", Some("system:masters")),
        ] {
            let client = files.authority.issue_client(user, group)?;
            files.write_kubeconfig(&client_kubeconfig(name), &client)?;
        }
        Ok(files)
    }

    /// The API server's URL.
    pub(super) fn server(&self) -> String {
        format!("https://{}", self.api_port.address())
    }

    /// A client of the administrator.
    pub(super) fn kube(&self, connections: usize) -> Result<Kube, KubeError> {
        let identity = self.admin_identity();
        Kube::new(&self.server(), self.authority.certificate(), &identity, connections)
    }

    /// The administrator.
    pub(super) fn admin_identity(&self) -> Identity {
        let Certified { certificate, key } = self.admin.clone();
        Identity::Certificate { certificate, key }
    }

    fn write_kubeconfig(&self, name: &str, client: &Certified) -> Result<(), FolderError> {
        let authority = self.authority.certificate();
        let text = kubeconfig_text(&self.server(), authority, &client.certificate, &client.key);
        self.folder.write(name, text)?;
        Ok(())
    }
}

/// The name of the kubeconfig of one of the control plane's own programs.
pub(super) fn client_kubeconfig(program: &str) -> String {
    format!("{program}.kubeconfig")
}

/// A kubeconfig that needs no other file. All arguments but `server` are PEM.
pub(super) fn kubeconfig_text(
    server: &str,
    authority: &str,
    certificate: &str,
    key: &str,
) -> String {
    let [authority, certificate, key] =
        [authority, certificate, key].map(|pem| STANDARD.encode(pem));
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: test
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: test
  context:
    cluster: test
    user: test
current-context: test
"
    )
}

fn keep_authority(folder: &Folder) -> Result<Authority, ControlPlaneError> {
    if let (Some(certificate), Some(key)) = (folder.read("ca.crt")?, folder.read("ca.key")?)
        && let Some(kept) = Authority::from_pem(certificate, &key)
    {
        return Ok(kept);
    }
    let authority = Authority::generate()?;
    // The certificate last: a run killed in between leaves none, and the next makes both anew.
    folder.write("ca.key", authority.key())?;
    folder.write("ca.crt", authority.certificate())?;
    Ok(authority)
}

/// Tokens that were given out stay valid over a restart.
fn keep_signing_key(folder: &Folder) -> Result<(), ControlPlaneError> {
    let kept = folder.read("sa.key")?.and_then(|private| authority::public_key(&private));
    let public = if let Some(public) = kept {
        public
    } else {
        let (private, public) = authority::signing_key()?;
        folder.write("sa.key", private)?;
        public
    };
    folder.write("sa.pub", public)?;
    Ok(())
}

/// A folder's ports stay the same while they can, so that what points at the API server from
/// outside still does after a restart.
fn keep_ports(folder: &Folder) -> Result<[Port; 3], ControlPlaneError> {
    let kept = folder.read("ports")?.unwrap_or_default();
    let mut kept = kept.split_whitespace().filter_map(|number| number.parse().ok());
    let mut next = || Port::keep(kept.next());
    let ports: [Port; 3] = [next()?, next()?, next()?];
    let text = ports.each_ref().map(|port| port.number().to_string()).join(" ");
    folder.write("ports", text)?;
    Ok(ports)
}
