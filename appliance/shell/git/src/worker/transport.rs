//! Opens the conversation with a Git host: one connection, protocol version 2.
//!
//! ssh and `git-upload-pack` are started here and not by gix: as one program with fixed arguments,
//! without a shell and without the environment. All of their settings are on their command line,
//! none comes from a file of the system or of a user.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fyr_model::Plaintext;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection as Pipe;

use super::http;
use crate::address::Address;
use crate::wire::{Connection, Failure, FailureKind, SshFiles};

/// Where `git-upload-pack` and the programs it starts are found.
const PROGRAM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Seconds until ssh gives up on a connection that is not answered.
const SSH_CONNECT_SECONDS: u32 = 10;

/// Seconds of silence until ssh asks whether the server is still there; it asks twice.
const SSH_ALIVE_SECONDS: u32 = 5;

/// How long a program may take to end once its pipes are closed. It has usually ended before: this
/// is for what it still has to say.
const PROGRAM_ENDS_WITHIN: Duration = Duration::from_millis(500);

/// Longest `ControlPath`: a socket's path is at most 107 bytes, and ssh adds 17 while it listens.
const SOCKET_PATH_BYTES_MAX: usize = 90;

/// The way to a Git host.
pub(super) struct Line {
    pub(super) transport: Box<dyn Transport + Send>,
    program: Option<Child>,
}

impl Line {
    pub(super) fn open(connection: &Connection, secrets: &[Plaintext]) -> Result<Self, Failure> {
        match &connection.address {
            Address::Https { .. } => {
                let transport = http::connect(connection, secrets)?;
                Ok(Self { transport, program: None })
            }
            Address::Ssh { user, host, port, path } => {
                let internal = || Failure::new(FailureKind::Internal, "no files for ssh");
                let files = connection.ssh.as_ref().ok_or_else(internal)?;
                Self::through(ssh(files, user, host, *port, path), path)
            }
            Address::File { path } => {
                let mut command = Command::new("git-upload-pack");
                command.args(["--timeout=0", path]);
                Self::through(command, path)
            }
        }
    }

    fn through(mut command: Command, path: &str) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(FailureKind::Unreachable, format_args!("cannot start {name}: {error}"))
        };
        let mut program = spawn(&mut command).map_err(|error| failed(&error))?;
        let pipes = program.stdout.take().zip(program.stdin.take());
        let (from, to) = pipes.ok_or_else(|| failed(&"it has no pipes"))?;
        let mode = ConnectMode::Process;
        let pipe = Pipe::new(from, to, Protocol::V2, path, None::<(&str, _)>, mode, false);
        Ok(Self { transport: Box::new(pipe), program: Some(program) })
    }

    /// Closes the line and lets the program say its last words on standard error, where the daemon
    /// hears them.
    pub(super) fn close(self) {
        let Self { transport, program } = self;
        drop(transport);
        let Some(mut program) = program else { return };
        let deadline = Instant::now() + PROGRAM_ENDS_WITHIN;
        while matches!(program.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn spawn(command: &mut Command) -> std::io::Result<Child> {
    command
        .env_clear()
        .env("PATH", PROGRAM_PATH)
        .env("LC_ALL", "C")
        .env("GIT_PROTOCOL", "version=2")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
}

fn ssh(files: &SshFiles, user: &str, host: &str, port: u16, path: &str) -> Command {
    let mut command = Command::new(&files.program);
    command.args(["-F", "none", "-T", "-x", "-a"]);
    let mut option = |name: &str, value: &dyn std::fmt::Display| {
        command.arg("-o").arg(format!("{name}={value}"));
    };
    option("BatchMode", &"yes");
    option("CheckHostIP", &"no");
    option("ClearAllForwardings", &"yes");
    option("ConnectTimeout", &SSH_CONNECT_SECONDS);
    option("GlobalKnownHostsFile", &"/dev/null");
    option("IdentitiesOnly", &"yes");
    option("IdentityAgent", &"none");
    option("LogLevel", &"ERROR");
    option("PermitLocalCommand", &"no");
    option("PreferredAuthentications", &"publickey");
    option("SendEnv", &"GIT_PROTOCOL");
    option("ServerAliveCountMax", &2);
    option("ServerAliveInterval", &SSH_ALIVE_SECONDS);
    option("StrictHostKeyChecking", &"yes");
    option("UpdateHostKeys", &"no");
    match files.shared.as_ref().filter(|shared| fits(&shared.socket)) {
        Some(shared) => {
            option("ControlMaster", &"auto");
            option("ControlPersist", &shared.idle_seconds);
            command.arg("-o").arg(path_option("ControlPath", &shared.socket));
        }
        None => option("ControlMaster", &"no"),
    }
    command.arg("-o").arg(path_option("IdentityFile", &files.identity));
    command.arg("-o").arg(path_option("UserKnownHostsFile", &files.known_hosts));
    command.args(["-p", &port.to_string(), "-l", user, "--", host]);
    command.arg(format!("git-upload-pack {}", quoted(path)));
    command
}

fn fits(socket: &Path) -> bool {
    socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

/// An option whose value is a path: in quotes because of spaces, `%` doubled because ssh expands it.
fn path_option(name: &str, path: &Path) -> OsString {
    let mut bytes = format!("{name}=\"").into_bytes();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b'%' {
            bytes.push(b'%');
        }
    }
    bytes.push(b'"');
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

/// A path as one word of the shell that the other side may run `git-upload-pack` with.
fn quoted(path: &str) -> String {
    // Git's own rule for sshd: `'` and `!` leave the quotes.
    let mut word = String::from("'");
    for character in path.chars() {
        if matches!(character, '\'' | '!') {
            word.push_str("'\\");
            word.push(character);
            word.push('\'');
        } else {
            word.push(character);
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_for_the_shell_of_the_server() {
        assert_eq!(quoted("org/x.git"), "'org/x.git'");
        assert_eq!(quoted("a'; id; '"), r"'a'\''; id; '\'''");
    }

    #[test]
    fn host_keys_are_always_checked_and_no_file_of_the_system_is_read() {
        let files = SshFiles {
            program: "/usr/bin/ssh".into(),
            folder: "/run/x".into(),
            identity: "/run/x y/100%".into(),
            known_hosts: "/run/x/known_hosts".into(),
            shared: None,
        };
        let command = ssh(&files, "git", "host", 2222, "org/x.git");
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let line = words.join(" ");
        for part in [
            "-F none",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "IdentityFile=\"/run/x y/100%%\"",
            "ControlMaster=no",
            "-p 2222 -l git -- host git-upload-pack 'org/x.git'",
        ] {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
    }
}
