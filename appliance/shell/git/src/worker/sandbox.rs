//! What a worker may do, which is little.
//!
//! Three kinds of worker, each with the least it needs:
//!
//! | | mirror | elsewhere | network | programs | system calls |
//! |---|---|---|---|---|---|
//! | reader | read | nothing | none | none | allow list |
//! | writer | read, write | nothing | none | none | allow list |
//! | fetcher | read, write | what TLS, name resolution and ssh read | the host's port | ssh, git | deny list |
//!
//! All: no new privileges, no core dump, not to be traced, limits on memory, processor time, file
//! size and open files, dead when the daemon is. Landlock is best effort, since the kernel may be
//! older than it; the rest is required. Landlock holds for the calling thread and those it starts,
//! so all of this comes first.

use std::path::Path;

use fyr_model::Plaintext;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::address::Address;
use crate::wire::{Connection, Operation, Request, Sandbox};

/// Open files. A mirror has at most a few dozen packs, ssh and TLS need a handful.
const OPEN_FILES_MAX: u64 = 256;

/// Names are also asked for over TCP when an answer is long.
const DNS_PORT: u16 = 53;

/// What the interpreter, libraries and settings of ssh, git and TLS are read from.
const SYSTEM_FOLDERS: [&str; 8] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc",
    "/nix/store",
    "/run/systemd/resolve",
    "/dev/urandom",
];

/// A sandbox that could not be entered. The worker then does nothing at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum SandboxError {
    /// The daemon that started this worker is gone, or this is no worker of a daemon.
    #[error("this process was not started by the daemon, or the daemon is gone")]
    Orphan,
    /// A system call of the sandbox failed.
    #[error("cannot restrict the process ({what}): {errno}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        errno: nix::Error,
    },
    /// Landlock refused a rule.
    #[error("cannot restrict the process (Landlock): {0}")]
    Landlock(#[from] RulesetError),
    /// A folder that the worker needs cannot be opened.
    #[error("cannot restrict the process to a folder: {0}")]
    Folder(#[from] landlock::PathFdError),
    /// The filter of system calls could not be built or loaded.
    #[error("cannot restrict system calls: {0}")]
    Seccomp(String),
}

fn system<T>(what: &'static str, result: nix::Result<T>) -> Result<T, SandboxError> {
    result.map_err(|errno| SandboxError::System { what, errno })
}

/// Makes the kernel kill this process when the daemon ends, and keeps everyone else from looking
/// into it. `parent` is the daemon's process id, as it said on the command line.
pub(super) fn tie_to_parent(parent: Option<&str>) -> Result<(), SandboxError> {
    system("parent death signal", prctl::set_pdeathsig(Signal::SIGKILL))?;
    // The daemon may have ended before the line above; then somebody else is our parent by now.
    let parent = parent.and_then(|text| text.parse().ok()).map(Pid::from_raw);
    if parent != Some(getppid()) {
        return Err(SandboxError::Orphan);
    }
    system("dumpable", prctl::set_dumpable(false))?;
    system("no new privileges", prctl::set_no_new_privs())
}

/// Enters the sandbox for what was asked.
pub(super) fn enter(request: &Request, secrets: &[Plaintext]) -> Result<Sandbox, SandboxError> {
    let (writes, connection) = match &request.operation {
        Operation::ListRefs(connection) | Operation::Fetch(connection) => (true, Some(connection)),
        Operation::Pin { .. }
        | Operation::Unpin { .. }
        | Operation::Maintain { .. }
        | Operation::Discard => (true, None),
        Operation::Read { .. } | Operation::CommitInfo { .. } | Operation::FindByPrefix { .. } => {
            (false, None)
        }
    };
    let limits = &request.limits;
    limit("core size", Resource::RLIMIT_CORE, 0)?;
    limit("open files", Resource::RLIMIT_NOFILE, OPEN_FILES_MAX)?;
    limit("processor time", Resource::RLIMIT_CPU, limits.cpu_seconds_max)?;
    // Private writable memory. RLIMIT_AS would also count mapped packs, which may be large.
    limit("heap", Resource::RLIMIT_DATA, limits.heap_bytes_max)?;
    let file_bytes_max = if writes { limits.pack_bytes_max } else { 0 };
    limit("file size", Resource::RLIMIT_FSIZE, file_bytes_max)?;
    let status = landlock(&request.mirror, writes, connection, secrets)?;
    filter(writes, connection)?;
    Ok(match status {
        RulesetStatus::FullyEnforced => Sandbox::Full,
        RulesetStatus::PartiallyEnforced => Sandbox::Partial,
        RulesetStatus::NotEnforced => Sandbox::NoLandlock,
    })
}

/// Lowers a limit; one that is already lower stays.
fn limit(what: &'static str, resource: Resource, max: u64) -> Result<(), SandboxError> {
    let (_, hard) = system(what, getrlimit(resource))?;
    let max = max.min(hard);
    system(what, setrlimit(resource, max, max))
}

fn landlock(
    mirror: &Path,
    writes: bool,
    connection: Option<&Connection>,
    secrets: &[Plaintext],
) -> Result<RulesetStatus, SandboxError> {
    let abi = ABI::V6;
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let write: BitFlags<AccessFs> = AccessFs::from_all(abi) & !BitFlags::from(AccessFs::Execute);
    let execute: BitFlags<AccessFs> = read | AccessFs::Execute;
    let mut rules = vec![rule(mirror, if writes { write } else { read })?];
    let ports = connection.map(|connection| ports(connection, secrets));
    if let Some(connection) = connection {
        let programs = !matches!(connection.address, Address::Https { .. });
        let access = if programs { execute } else { read };
        let system = SYSTEM_FOLDERS.iter().map(Path::new).filter(|path| path.exists());
        for folder in system {
            rules.push(rule(
                folder,
                if folder.is_dir() { access } else { AccessFs::ReadFile.into() },
            )?);
        }
        rules.push(rule(Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?);
        if let Address::File { path } = &connection.address
            && Path::new(path).exists()
        {
            rules.push(rule(Path::new(path), read)?);
        }
        if let Some(ssh) = &connection.ssh {
            rules.push(rule(&ssh.folder, read)?);
            let socket = ssh.shared.as_ref().and_then(|shared| shared.socket.parent());
            if let Some(folder) = socket {
                rules.push(rule(folder, write)?);
            }
        }
    }
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?;
    // `None` inside: the port is not known here, so that none can be forbidden.
    let ports = ports.unwrap_or(Some(Vec::new()));
    if ports.is_some() {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    let open = ports.unwrap_or_default().into_iter();
    let open = open.map(|port| Ok::<_, RulesetError>(NetPort::new(port, AccessNet::ConnectTcp)));
    let created = ruleset.create()?.add_rules(rules.into_iter().map(Ok::<_, RulesetError>))?;
    Ok(created.add_rules(open)?.restrict_self()?.ruleset)
}

fn rule(path: &Path, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>, SandboxError> {
    Ok(PathBeneath::new(PathFd::new(path)?, access))
}

/// The TCP ports that a connection needs; `None` if that cannot be told.
fn ports(connection: &Connection, secrets: &[Plaintext]) -> Option<Vec<u16>> {
    if connection.proxy {
        let text = secrets.last().and_then(Plaintext::expose_text)?;
        let (scheme, rest) = text.split_once("://")?;
        let place = rest.split('/').next()?.rsplit('@').next()?;
        let default = if scheme == "https" { "443" } else { "80" };
        let port = place.rsplit_once(':').map_or(default, |(_, port)| port);
        return Some(vec![port.parse().ok()?, DNS_PORT]);
    }
    match &connection.address {
        Address::Https { port, .. } | Address::Ssh { port, .. } => Some(vec![*port, DNS_PORT]),
        Address::File { .. } => Some(Vec::new()),
    }
}

/// What reading objects needs: memory, files, threads, clocks.
const READER_CALLS: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_tgkill,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Calls of [`READER_CALLS`]' kind that only this architecture still has.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[libc::c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_stat,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[libc::c_long] = &[];

/// What writing to a mirror needs beside that.
const WRITER_CALLS: &[libc::c_long] = &[
    libc::SYS_copy_file_range,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_pwrite64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_umask,
    libc::SYS_unlinkat,
];
#[cfg(target_arch = "x86_64")]
const OLD_WRITER_CALLS: &[libc::c_long] = &[
    libc::SYS_chmod,
    libc::SYS_link,
    libc::SYS_mkdir,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_WRITER_CALLS: &[libc::c_long] = &[];

/// What neither fetching nor ssh ever needs, and what has let processes break out before.
const FETCHER_FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];
const EXECUTE_CALLS: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

fn filter(writes: bool, connection: Option<&Connection>) -> Result<(), SandboxError> {
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let mut calls: Vec<&[libc::c_long]> = Vec::new();
    let (listed, others) = match connection {
        None => {
            calls.extend([READER_CALLS, OLD_CALLS]);
            if writes {
                calls.extend([WRITER_CALLS, OLD_WRITER_CALLS]);
            }
            (SeccompAction::Allow, refuse)
        }
        Some(connection) => {
            calls.push(FETCHER_FORBIDDEN);
            if let Address::Https { .. } = connection.address {
                calls.push(EXECUTE_CALLS);
            }
            (refuse, SeccompAction::Allow)
        }
    };
    let rules = calls.into_iter().flatten().map(|call| (*call, Vec::new())).collect();
    let failed = |error: &dyn std::fmt::Display| SandboxError::Seccomp(error.to_string());
    let architecture = std::env::consts::ARCH.try_into().map_err(|error| failed(&error))?;
    let filter =
        SeccompFilter::new(rules, others, listed, architecture).map_err(|error| failed(&error))?;
    let program: BpfProgram = filter.try_into().map_err(|error| failed(&error))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| failed(&error))
}
