//! The command lines of the control plane's programs.

use super::ControlPlaneOptions;
use super::files::{self, Files};
use crate::programs::Programs;

/// Requests a second that the controllers and the scheduler allow themselves. Their own defaults
/// (20 to 50) would be what a benchmark measures.
const CLIENT_QPS: &str = "1000";
const CLIENT_BURST: &str = "2000";
/// Objects of one kind that the controller manager works on at once (its default is 5).
const CONCURRENT_SYNCS: &str = "20";
/// MiB after which the API server starts a new audit log; readers know one file, so: never.
const AUDIT_LOG_MIB_MAX: &str = "100000";

pub(super) fn etcd(files: &Files, options: &ControlPlaneOptions) -> Vec<String> {
    let client = format!("http://{}", files.etcd_port.address());
    let peer = format!("http://{}", files.etcd_peer_port.address());
    let mut arguments = vec![
        "etcd".to_owned(),
        format!("--data-dir={}", files.folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ];
    if !options.fsync {
        arguments.push("--unsafe-no-fsync".to_owned());
    }
    arguments
}

pub(super) fn api_server(files: &Files, options: &ControlPlaneOptions) -> Vec<String> {
    let file = |name: &str| files.folder.join(name).display().to_string();
    let mut arguments = vec![
        "apiserver".to_owned(),
        format!("--etcd-servers=http://{}", files.etcd_port.address()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", files.api_port.number()),
        // Nothing connects to it (RFC 5737 keeps it free); without it the API server wants a
        // default route, which a machine without a network does not have.
        "--advertise-address=192.0.2.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--cert-dir={}", file("certificates")),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        // A /24 holds 254 Services, which a benchmark exceeds.
        "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
        "--allow-privileged".to_owned(),
    ];
    if !options.controllers {
        arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
    }
    if options.audit_log {
        arguments.push(format!("--audit-policy-file={}", file(files::AUDIT_POLICY)));
        arguments.push(format!("--audit-log-path={}", file(files::AUDIT_LOG)));
        arguments.push(format!("--audit-log-maxsize={AUDIT_LOG_MIB_MAX}"));
    }
    arguments
}

pub(super) fn controller_manager(files: &Files) -> Vec<String> {
    let file = |name: &str| files.folder.join(name).display().to_string();
    vec![
        "controller-manager".to_owned(),
        format!("--kubeconfig={}", file(&files::client_kubeconfig("controller-manager"))),
        format!("--service-account-private-key-file={}", file("sa.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // Pods have no network here, so nodes need no ranges of addresses.
        "--controllers=*,-node-ipam-controller".to_owned(),
        format!("--kube-api-qps={CLIENT_QPS}"),
        format!("--kube-api-burst={CLIENT_BURST}"),
        format!("--concurrent-deployment-syncs={CONCURRENT_SYNCS}"),
        format!("--concurrent-replicaset-syncs={CONCURRENT_SYNCS}"),
        format!("--concurrent-namespace-syncs={CONCURRENT_SYNCS}"),
    ]
}

pub(super) fn scheduler(files: &Files) -> Vec<String> {
    let kubeconfig = files.folder.join(&files::client_kubeconfig("scheduler"));
    vec![
        "scheduler".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--kube-api-qps={CLIENT_QPS}"),
        format!("--kube-api-burst={CLIENT_BURST}"),
    ]
}

pub(super) fn kwok(files: &Files, programs: &Programs) -> Vec<String> {
    let kubeconfig = files.folder.join(&files::client_kubeconfig("kwok"));
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", programs.stages().display()),
        "--manage-all-nodes=true".to_owned(),
        // The node controller gives a node up after this long without a sign of life.
        "--node-lease-duration-seconds=40".to_owned(),
    ]
}
