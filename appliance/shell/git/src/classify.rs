//! Tells the reasons of failures apart.
//!
//! Over ssh all that gix sees is that the line went dead: the reason is in what ssh and the Git host
//! wrote to standard error. The phrases are those of OpenSSH 8.4 to 10 and of GitHub, GitLab, Gitea,
//! Bitbucket and git itself; what matches none is shown as it is.

use std::path::Path;

use crate::address::Address;
use crate::error::{FetchError, MirrorError, ReadError, Said};
use crate::wire::{Failure, FailureKind};

/// Most of what was said that is kept, in characters.
const SAID_CHARACTERS_MAX: usize = 600;

const CHANGED: &[&str] = &["host identification has changed"];
const UNKNOWN: &[&str] =
    &["host key is known for", "host key verification failed", "no matching host key type"];
const REFUSED: &[&str] = &[
    "permission denied (",
    "authentication failed",
    "too many authentication failures",
    "access denied",
    "load key",
    "not allowed to read",
];
const MISSING: &[&str] = &[
    "repository not found",
    "does not appear to be a git repository",
    "the project you were looking for could not be found",
    "cannot find repository",
    "no such file or directory",
    "repository does not exist",
];
const UNREACHABLE: &[&str] = &[
    "could not resolve hostname",
    "connection refused",
    "connection timed out",
    "operation timed out",
    "no route to host",
    "network is unreachable",
    "connection reset",
    "connection closed",
    "broken pipe",
    "kex_exchange_identification",
    "timeout, server",
];

/// The error of a fetch from what the worker answered and what was written to standard error.
pub(crate) fn fetch_error(
    address: &Address,
    folder: &Path,
    failure: Failure,
    stderr: &str,
) -> FetchError {
    let address = address.clone();
    let detail = failure.detail.clone();
    let said = || Said(detail.clone());
    match failure.kind {
        FailureKind::Unauthenticated | FailureKind::HttpStatus(401 | 403) => {
            FetchError::AuthenticationRefused { address, source: said() }
        }
        FailureKind::HttpStatus(404 | 410) => FetchError::NotFound { address, source: said() },
        FailureKind::Tls => FetchError::Tls { address, source: said() },
        FailureKind::HttpStatus(500..) | FailureKind::Unreachable => {
            FetchError::Unreachable { address, source: said() }
        }
        FailureKind::RemoteOverLimit { what, max } => FetchError::OverLimit { address, what, max },
        FailureKind::OtherHash => FetchError::OtherHash { address, source: said() },
        FailureKind::Transport => from_words(address, &detail, stderr),
        FailureKind::Mirror => {
            let source = Box::new(mirror_error(folder, failure));
            FetchError::Mirror { address, source }
        }
        _ => FetchError::Transport { address, source: said() },
    }
}

fn from_words(address: Address, detail: &str, stderr: &str) -> FetchError {
    let words = shown(stderr);
    let lower = words.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    let source = Said(if words.is_empty() { detail.to_owned() } else { words.clone() });
    if says(CHANGED) {
        // The fingerprint is what has to be compared; the rest of ssh's warning is in our own words.
        let key = words.split_whitespace().find(|word| word.starts_with("SHA256:"));
        let source = key.map_or(source, |key| {
            Said(format!("it now shows a key with the fingerprint {}", key.trim_end_matches('.')))
        });
        FetchError::HostKeyChanged { address, source }
    } else if says(UNKNOWN) {
        FetchError::HostKeyUnknown { address, source }
    } else if says(REFUSED) {
        FetchError::AuthenticationRefused { address, source }
    } else if says(MISSING) {
        FetchError::NotFound { address, source }
    } else if says(UNREACHABLE) {
        FetchError::Unreachable { address, source }
    } else {
        let both = if words.is_empty() { detail.to_owned() } else { format!("{words}: {detail}") };
        FetchError::Transport { address, source: Said(both) }
    }
}

/// The error of a mirror from what the worker answered.
pub(crate) fn mirror_error(folder: &Path, failure: Failure) -> MirrorError {
    let folder = folder.to_owned();
    match failure.kind {
        FailureKind::NoSuchObject { id } | FailureKind::NotACommit { id, .. } => {
            MirrorError::NoSuchCommit { commit: id }
        }
        _ => MirrorError::Damaged { folder, source: Said(failure.detail) },
    }
}

/// The error of a reading from what the worker answered. `asked` is the id or its beginning.
pub(crate) fn read_error(folder: &Path, asked: &str, failure: Failure) -> ReadError {
    let source = Said(failure.detail.clone());
    let commit = asked.parse();
    match (failure.kind, commit) {
        (FailureKind::NoSuchObject { id }, _) => ReadError::NoSuchCommit { commit: id },
        (FailureKind::NotACommit { id, kind }, _) => ReadError::NotACommit { id, kind },
        (FailureKind::Ambiguous { candidates }, _) => {
            ReadError::Ambiguous { prefix: asked.to_owned(), candidates }
        }
        (FailureKind::TreeOverLimit { what, max }, Ok(commit)) => {
            ReadError::OverLimit { commit, what, max }
        }
        (FailureKind::BadName { path }, Ok(commit)) => ReadError::BadName { commit, path, source },
        (FailureKind::Corrupt { id }, _) => {
            ReadError::Corrupt { id, folder: folder.to_owned(), source }
        }
        (kind, _) => {
            let failure = Failure { kind, detail: failure.detail };
            ReadError::Mirror(Box::new(mirror_error(folder, failure)))
        }
    }
}

/// What was said, on one line and without the frames of `@` around ssh's warnings.
pub(crate) fn shown(stderr: &str) -> String {
    let lines = stderr.lines().map(|line| line.trim_matches(['@', ' ', '\r', '\t']));
    let words: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let printable = |one: char| if one.is_control() { ' ' } else { one };
    words.join(" ").chars().map(printable).take(SAID_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stderr: &str) -> FetchError {
        let address = Address::parse("git@host:x").unwrap();
        let failure = Failure { kind: FailureKind::Transport, detail: "the line is dead".into() };
        fetch_error(&address, Path::new("/m"), failure, stderr)
    }

    #[test]
    fn what_ssh_says_decides_over_a_dead_line() {
        let changed = "@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
            @@@@\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc+/1.\n\
            Host key verification failed.";
        let FetchError::HostKeyChanged { source, .. } = of(changed) else { panic!("{changed}") };
        assert_eq!(source.0, "it now shows a key with the fingerprint SHA256:abc+/1");
        let unknown = "No ED25519 host key is known for h and you have requested strict checking.\n\
            Host key verification failed.";
        assert!(matches!(of(unknown), FetchError::HostKeyUnknown { .. }));
        let refused = "git@h: Permission denied (publickey).";
        assert!(matches!(of(refused), FetchError::AuthenticationRefused { .. }));
        let missing = "ERROR: Repository not found.\nfatal: Could not read from remote.";
        assert!(matches!(of(missing), FetchError::NotFound { .. }));
        let down = "ssh: connect to host h port 22: Connection refused";
        assert!(matches!(of(down), FetchError::Unreachable { .. }));
    }

    #[test]
    fn words_nobody_foresaw_are_shown() {
        let error = of("fatal: the dog ate it");
        let FetchError::Transport { source, .. } = error else { panic!("{error:?}") };
        assert!(source.0.contains("the dog ate it") && source.0.contains("the line is dead"));
    }

    #[test]
    fn warnings_in_frames_come_out_on_one_line() {
        assert_eq!(shown("@@@@\n@  BAD  @\n\nagain\r\n"), "BAD again");
    }
}
