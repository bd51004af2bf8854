//! What the daemon and its Git worker say to each other.
//!
//! The worker gets, on its standard input, one frame of JSON and then the secrets as raw frames:
//! a secret is never part of a type that can be printed or serialized. It answers on its standard
//! output with any number of entry frames and one [`Answer`] frame, which ends the conversation.
//! A frame is a tag byte, a length of four bytes (big endian) and the payload.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use fyr_model::{BlobId, CommitId, Revision, TreeLimits};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::refs::RemoteRefs;

/// Largest JSON frame. The references of a repository at the default limit (100,000) take about
/// 20 MiB.
pub(crate) const JSON_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Longest path of an entry, in bytes: Linux's `PATH_MAX`.
pub(crate) const PATH_BYTES_MAX: usize = 4096;

pub(crate) const TAG_REQUEST: u8 = b'Q';
pub(crate) const TAG_SECRET: u8 = b'*';
pub(crate) const TAG_ANSWER: u8 = b'A';
pub(crate) const TAG_FILE: u8 = b'F';
pub(crate) const TAG_LINK: u8 = b'L';
pub(crate) const TAG_TOO_LARGE: u8 = b'B';
pub(crate) const TAG_SUBMODULE: u8 = b'M';

/// Bytes of a frame before its payload.
pub(crate) const HEADER_BYTES: usize = 5;

/// Limits a worker puts on itself. Each is a hard stop of one process.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WorkerLimits {
    /// Branches and tags of a repository.
    pub refs_max: u32,
    /// Bytes of one received pack; also the largest file a worker can write.
    pub pack_bytes_max: u64,
    /// Bytes of one object once unpacked. A pack of 16 KiB can hold an object of 4 GiB.
    pub object_bytes_max: u64,
    /// Bytes of heap. Packs are mapped, which this does not count.
    pub heap_bytes_max: u64,
    /// Seconds of processor time.
    pub cpu_seconds_max: u64,
}

impl Default for WorkerLimits {
    /// Room for the largest repositories of manifests and for application monorepos: the argo-cd
    /// repository has 1,369 references, a pack of 162 MB, and takes 210 MB and 8 s to fetch.
    fn default() -> Self {
        Self {
            refs_max: 100_000,
            pack_bytes_max: 2 * 1024 * 1024 * 1024,
            object_bytes_max: 256 * 1024 * 1024,
            heap_bytes_max: 1024 * 1024 * 1024,
            cpu_seconds_max: 600,
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Request {
    /// Folder of the mirror.
    pub(crate) mirror: PathBuf,
    pub(crate) limits: WorkerLimits,
    pub(crate) operation: Operation,
    /// Number of secret frames that follow.
    pub(crate) secrets: u8,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Operation {
    ListRefs(Connection),
    Fetch(Connection),
    Pin { name: String, commit: CommitId },
    Unpin { name: String },
    Maintain { packs_max: u32 },
    Discard,
    Read { commit: CommitId, limits: TreeLimits, scope: ReadScope },
    CommitInfo { commit: CommitId },
    FindByPrefix { prefix: String },
}

/// How a worker reaches a Git host.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Connection {
    pub(crate) address: Address,
    pub(crate) login: Login,
    pub(crate) ca_pem: Option<String>,
    pub(crate) insecure: bool,
    /// The last secret frame is the address of a proxy.
    pub(crate) proxy: bool,
    pub(crate) ssh: Option<SshFiles>,
}

/// Who to be over HTTPS; the password or token is the first secret frame.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Login {
    Nobody,
    Basic { user: String },
    Bearer,
}

/// The program and the files of an SSH connection.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SshFiles {
    pub(crate) program: PathBuf,
    /// Folder of the two files, removed by the daemon afterwards.
    pub(crate) folder: PathBuf,
    pub(crate) identity: PathBuf,
    pub(crate) known_hosts: PathBuf,
    pub(crate) shared: Option<SharedSsh>,
}

/// A connection that outlives one fetch, so that the next need not shake hands again.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SharedSsh {
    /// The socket, in a folder of its own.
    pub(crate) socket: PathBuf,
    /// Seconds that the connection stays open unused.
    pub(crate) idle_seconds: u64,
}

/// Which parts of a tree are read.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReadScope {
    /// Files and folders, relative to the root of the repository; empty reads everything.
    pub paths: Vec<String>,
}

impl ReadScope {
    /// Everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Only these files and folders.
    pub fn only(paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let clean = |path: String| path.trim_matches('/').trim_start_matches("./").to_owned();
        let paths: Vec<String> = paths.into_iter().map(|path| clean(path.into())).collect();
        // The root among the paths makes the others redundant.
        if paths.iter().any(|path| matches!(path.as_str(), "" | ".")) {
            return Self::everything();
        }
        Self { paths }
    }

    /// Whether a file of this path is read.
    pub(crate) fn takes_file(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|scope| is_within(path, scope))
    }

    /// Whether anything below a folder of this path can be in the scope.
    pub(crate) fn enters_folder(&self, path: &str) -> bool {
        self.takes_file(path) || self.paths.iter().any(|scope| is_within(scope, path))
    }
}

fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How much of the sandbox the kernel could enforce.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Sandbox {
    /// All of it.
    Full,
    /// A kernel without some of Landlock: limits and system call filter hold.
    Partial,
    /// A kernel without Landlock: limits and system call filter hold.
    NoLandlock,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    pub(crate) sandbox: Sandbox,
    pub(crate) result: Result<Reply, Failure>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Reply {
    Refs(RemoteRefs),
    Fetched { refs: RemoteRefs, changed: bool, objects: u32, packs: u32 },
    Maintained { packs_before: u32, packs_after: u32 },
    Revision(Revision),
    Commit(CommitId),
    Done,
}

/// Why a worker could not do what was asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The errors on the way, outermost first, on one line.
    pub(crate) detail: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum FailureKind {
    /// The Git host wants other credentials, or any.
    Unauthenticated,
    /// The Git host answered with this HTTP status.
    HttpStatus(u16),
    /// TLS could not be agreed on.
    Tls,
    /// No connection.
    Unreachable,
    /// The conversation with the Git host went wrong in another way.
    Transport,
    /// A limit on what is fetched.
    RemoteOverLimit {
        what: String,
        max: u64,
    },
    /// The mirror keeps ids of another kind than the Git host.
    OtherHash,
    /// The mirror's folder is damaged or cannot be used.
    Mirror,
    NoSuchObject {
        id: String,
    },
    NotACommit {
        id: String,
        kind: String,
    },
    Ambiguous {
        candidates: Vec<String>,
    },
    /// An object is not what its id says.
    Corrupt {
        id: String,
    },
    /// A tree breaks a limit.
    TreeOverLimit {
        what: String,
        max: u64,
    },
    /// A name that no file may have.
    BadName {
        path: String,
    },
    /// What cannot happen, and is reported rather than guessed at.
    Internal,
}

/// Writes one frame.
pub(crate) fn write_frame(out: &mut impl Write, tag: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame over 4 GiB"))?;
    out.write_all(&[tag])?;
    out.write_all(&length.to_be_bytes())?;
    parts.iter().try_for_each(|part| out.write_all(part))
}

/// Writes an entry frame: its path, then what belongs to it.
pub(crate) fn write_entry(
    out: &mut impl Write,
    tag: u8,
    path: &str,
    payload: &[&[u8]],
) -> io::Result<()> {
    let length = u16::try_from(path.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path over 64 KiB"))?;
    let length = length.to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![&length, path.as_bytes()];
    parts.extend(payload);
    write_frame(out, tag, &parts)
}

/// Splits what an entry frame of [`TAG_FILE`] holds beside its path: one byte with the length of
/// the file's id, the id, the content.
pub(crate) fn split_file(payload: &[u8]) -> Option<(BlobId, &[u8])> {
    let (length, rest) = payload.split_first()?;
    let (id, content) = rest.split_at_checked(usize::from(*length))?;
    Some((BlobId::new(id)?, content))
}

/// Splits the payload of an entry frame into path and content.
pub(crate) fn split_entry(payload: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = payload.split_first_chunk::<2>()?;
    let (path, content) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(path).ok()?, content))
}

/// Tag and length of a frame.
pub(crate) fn split_header(header: [u8; HEADER_BYTES]) -> (u8, u64) {
    let [tag, a, b, c, d] = header;
    (tag, u64::from(u32::from_be_bytes([a, b, c, d])))
}

/// Reads one frame of at most `bytes_max` bytes.
pub(crate) fn read_frame(source: &mut impl Read, bytes_max: u64) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; HEADER_BYTES];
    source.read_exact(&mut header)?;
    let (tag, length) = split_header(header);
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame over its limit"));
    }
    let mut payload = Vec::new();
    source.take(length).read_to_end(&mut payload)?;
    if u64::try_from(payload.len()).is_ok_and(|read| read == length) {
        Ok((tag, payload))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_wire_and_a_cut_one_is_an_error() {
        let mut bytes = Vec::new();
        write_entry(&mut bytes, TAG_FILE, "a/b.yaml", &[b"con", b"tent"]).unwrap();
        let (tag, payload) = read_frame(&mut bytes.as_slice(), 100).unwrap();
        assert_eq!(tag, TAG_FILE);
        assert_eq!(split_entry(&payload), Some(("a/b.yaml", b"content".as_slice())));
        assert!(read_frame(&mut &bytes[..bytes.len() - 1], 100).is_err());
        assert!(read_frame(&mut bytes.as_slice(), 5).is_err());
    }

    #[test]
    fn a_file_shorter_than_its_id_is_no_file() {
        let payload = [&[20][..], &[7; 20], b"content"].concat();
        let (id, content) = split_file(&payload).unwrap();
        assert_eq!((Some(id), content), (BlobId::new(&[7; 20]), b"content".as_slice()));
        assert_eq!(split_file(&payload[..20]), None);
        assert_eq!(split_file(&[0]), None);
    }

    #[test]
    fn an_entry_shorter_than_its_path_is_no_entry() {
        assert_eq!(split_entry(&[0, 9, b'a']), None);
        assert_eq!(split_entry(&[0]), None);
    }

    #[test]
    fn a_scope_takes_whole_components_and_enters_only_the_way_to_them() {
        let scope = ReadScope::only(["/apps/web/", "base"]);
        assert!(scope.takes_file("apps/web/a.yaml") && scope.takes_file("base"));
        assert!(!scope.takes_file("apps/website/a.yaml") && !scope.takes_file("apps/x"));
        assert!(scope.enters_folder("apps") && scope.enters_folder("apps/web/deep"));
        assert!(!scope.enters_folder("app") && !scope.enters_folder("apps/api"));
    }

    #[test]
    fn a_scope_with_the_root_in_it_is_everything() {
        assert_eq!(ReadScope::only(["a", "."]), ReadScope::everything());
        assert!(ReadScope::everything().takes_file("x"));
    }
}
