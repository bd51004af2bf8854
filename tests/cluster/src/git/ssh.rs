//! A Git server over SSH: OpenSSH's `sshd`, as the current user, for one key.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};

use super::command::{ENVIRONMENT, GitAccess};
use super::server::{GitServerError, Repositories};
use crate::folder::Folder;
use crate::port::Port;
use crate::process::Process;

/// Must be called by its full path, as it calls itself again for each connection.
const SSHD: &str = "/usr/sbin/sshd";
/// Where an `sshd` that runs as root locks itself into; Debian makes it only with the service.
const PRIVILEGE_SEPARATION_FOLDER: &str = "/run/sshd";
/// How long it may take to accept connections; a hundred times what it needs.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks at a starting server.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A running server. Dropping it kills it with all its sessions.
#[derive(Debug)]
pub struct SshGitServer {
    process: Option<Process>,
    port: Port,
    user: String,
    host_key: String,
    repositories: Repositories,
    folder: Folder,
}

impl SshGitServer {
    /// Starts a server. With `folder`, an earlier run's repositories, keys and, if it is free, port
    /// are taken up; without, they are in a temporary folder. Blocks until it accepts.
    pub fn start(folder: Option<&Path>) -> Result<Self, GitServerError> {
        let folder = Folder::open(folder)?;
        let repositories = Repositories::open(&folder)?;
        let kept = folder.read("port")?.and_then(|number| number.trim().parse().ok());
        let port = Port::keep(kept)?;
        folder.write("port", port.number().to_string())?;
        make_key(&folder, "host_key")?;
        make_key(&folder, "identity")?;
        let authorized = read_public_key(&folder, "identity")?;
        folder.write("authorized_keys", authorized)?;
        let host_key = read_public_key(&folder, "host_key")?.trim().to_owned();
        let user = User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
        let user = user.unwrap_or_else(|| geteuid().to_string());
        let mut server = Self { process: None, port, user, host_key, repositories, folder };
        server.folder.write("known_hosts", format!("{}\n", server.known_hosts()))?;
        server.configure()?;
        server.restart()?;
        Ok(server)
    }

    /// Makes the bare repository `name` (as `team/shop.git`), unless it is there, and returns its
    /// URL.
    pub fn create_repository(&self, name: &str) -> Result<String, GitServerError> {
        self.repositories.create(name)?;
        Ok(self.url(name))
    }

    /// `ssh://USER@127.0.0.1:PORT/FOLDER/NAME`.
    pub fn url(&self, name: &str) -> String {
        self.url_at(self.address(), name)
    }

    /// The URL through a proxy at `address`. Its `known_hosts` line is another:
    /// [`Self::known_hosts_at`].
    pub fn url_at(&self, address: SocketAddr, name: &str) -> String {
        format!("{}/{name}", self.url_base_at(address))
    }

    /// What the URLs of all its repositories begin with.
    pub fn url_base(&self) -> String {
        self.url_base_at(self.address())
    }

    /// Where it listens, for a [`crate::Proxy`].
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The folder of its bare repositories.
    pub fn repositories_path(&self) -> &Path {
        self.repositories.path()
    }

    /// The folder of the repository `name` on the server's side.
    pub fn repository_path(&self, name: &str) -> PathBuf {
        self.repositories.repository(name)
    }

    /// The file with the private key it lets in, in OpenSSH's format.
    pub fn identity_path(&self) -> PathBuf {
        self.folder.join("identity")
    }

    /// The `known_hosts` file with its host key.
    pub fn known_hosts_path(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The line of that file.
    pub fn known_hosts(&self) -> String {
        self.known_hosts_at(self.address())
    }

    /// That line as it must be for a client that goes through a proxy at `address`.
    pub fn known_hosts_at(&self, address: SocketAddr) -> String {
        format!("[{}]:{} {}", address.ip(), address.port(), self.host_key)
    }

    /// What a `git` client needs to be let in.
    pub fn access(&self) -> GitAccess {
        let command = format!(
            "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none \
             -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null \
             -o UserKnownHostsFile='{}' -i '{}'",
            self.known_hosts_path().display(),
            self.identity_path().display()
        );
        GitAccess::new(vec![("GIT_SSH_COMMAND", command)])
    }

    /// Kills the server and its sessions. The port refuses then.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts a stopped server again, on the same port and with the same keys. Blocks until it
    /// accepts.
    pub fn restart(&mut self) -> Result<(), GitServerError> {
        self.stop();
        let configuration = self.folder.join("sshd_config");
        let arguments = vec!["-D".into(), "-e".into(), "-f".into(), configuration.into()];
        let log = self.folder.join("sshd.log");
        let process = Process::start("sshd", Path::new(SSHD), arguments, log)?;
        let process = self.process.insert(process);
        let started = Instant::now();
        while TcpStream::connect(self.port.address()).is_err() {
            if let Some(status) = process.exited() {
                return Err(GitServerError::Ended { status, log: process.log_tail() });
            }
            let waited = started.elapsed();
            if waited > READY_WITHIN {
                return Err(GitServerError::NotReady { waited, log: process.log_tail() });
            }
            thread::sleep(LOOK_PAUSE);
        }
        Ok(())
    }

    fn url_base_at(&self, address: SocketAddr) -> String {
        format!("ssh://{}@{address}{}", self.user, self.repositories.path().display())
    }

    /// Writes the configuration, with the limits on failed logins lifted: tests fail on purpose.
    fn configure(&self) -> Result<(), GitServerError> {
        if geteuid().is_root() {
            fs::create_dir_all(PRIVILEGE_SEPARATION_FOLDER)
                .map_err(|source| GitServerError::Tool { program: SSHD, source })?;
        }
        let path = self.folder.write("sshd_config", self.configuration())?;
        // OpenSSH 9.8 and later shut out an address after failures; earlier ones do not know the
        // option and would not start with it.
        let lifted = format!("{}PerSourcePenalties no\n", self.configuration());
        let lifted_path = self.folder.write("sshd_config.penalties", lifted)?;
        if run(SSHD, Command::new(SSHD).arg("-t").arg("-f").arg(&lifted_path)).is_ok() {
            fs::rename(&lifted_path, &path)
                .map_err(|source| GitServerError::Tool { program: SSHD, source })?;
        }
        run(SSHD, Command::new(SSHD).arg("-t").arg("-f").arg(&path))
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        // Another home than the user's: bash reads its .bashrc for every command that sshd runs.
        let environment: Vec<String> = std::iter::once(format!("\"HOME={folder}\""))
            .chain(ENVIRONMENT.iter().map(|(name, value)| format!("\"{name}={value}\"")))
            .collect();
        format!(
            "ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
# The folder's parents may be open to others, as /tmp is.
StrictModes no
AuthenticationMethods publickey
PermitRootLogin prohibit-password
MaxStartups 1000
UseDNS no
PrintMotd no
PermitTTY no
AllowTcpForwarding no
# Carries the wish for version 2 of Git's protocol.
AcceptEnv GIT_PROTOCOL
SetEnv {environment}
",
            address = self.address(),
            environment = environment.join(" ")
        )
    }
}

/// Makes an Ed25519 key without a passphrase, unless it is there.
fn make_key(folder: &Folder, name: &str) -> Result<(), GitServerError> {
    if folder.read(name)?.is_some() && folder.read(&format!("{name}.pub"))?.is_some() {
        return Ok(());
    }
    // Left by a run that was killed in between; ssh-keygen would ask whether to replace it.
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(GitServerError::Tool { program: "ssh-keygen", source: error });
        }
        _ => {}
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "fyr-test", "-f"]).arg(folder.join(name));
    run("ssh-keygen", &mut command)
}

fn read_public_key(folder: &Folder, name: &str) -> Result<String, GitServerError> {
    Ok(folder.read(&format!("{name}.pub"))?.unwrap_or_default())
}

fn run(program: &'static str, command: &mut Command) -> Result<(), GitServerError> {
    let output = command.output().map_err(|source| GitServerError::Tool { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(GitServerError::ToolFailed { program, status: output.status, output: errors })
}
