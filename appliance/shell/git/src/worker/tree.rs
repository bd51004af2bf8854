//! Reads commits and trees, and believes none of them.
//!
//! Neither gix nor git checks on reading that an object is what its id says, so it is checked here:
//! what is handed on is bound to the commit's id by every hash on the way. Names are checked too,
//! since a tree can hold any bytes as a name. Limits are checked before an object is unpacked.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};

use fyr_model::{CommitId, Revision, TreeLimits};
use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::{CommitRef, Kind, TagRef, TreeRefIter};

use crate::wire::{
    self, Failure, FailureKind, PATH_BYTES_MAX, ReadScope, Reply, TAG_FILE, TAG_LINK,
    TAG_SUBMODULE, TAG_TOO_LARGE,
};

/// Tags that point to tags, followed to the commit.
const TAGS_MAX: u32 = 8;

/// Largest tree or commit object. A folder of 50,000 files is about 4 MiB.
const NODE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest subject kept, in characters.
const SUBJECT_CHARACTERS_MAX: usize = 120;

/// Candidates named when a short id is ambiguous.
const CANDIDATES_MAX: usize = 5;

/// Writes the tree of `commit` as entry frames.
pub(super) fn read(
    repository: &gix::Repository,
    commit: &CommitId,
    limits: &TreeLimits,
    scope: &ReadScope,
    out: &mut impl Write,
) -> Result<Reply, Failure> {
    let (id, data) = find_commit(repository, commit)?;
    let root = parse_commit(repository, id, &data)?.tree();
    let mut walk = Walk { repository, limits, scope, out, files: 0, folders: 0, bytes: 0 };
    let mut folders = vec![(String::new(), root, 0)];
    while let Some((path, id, depth)) = folders.pop() {
        walk.folder(&path, id, depth, &mut folders)?;
    }
    Ok(Reply::Done)
}

/// Says what a commit is.
pub(super) fn commit_info(
    repository: &gix::Repository,
    commit: &CommitId,
) -> Result<Reply, Failure> {
    let (id, data) = find_commit(repository, commit)?;
    let parsed = parse_commit(repository, id, &data)?;
    let bad = |error| corrupt(id, &error);
    let author = parsed.author().map_err(bad)?;
    let subject = parsed.message().summary().to_str_lossy().into_owned();
    Ok(Reply::Revision(Revision {
        commit: commit_id(id)?,
        tree: commit_id(parsed.tree())?,
        subject: printable(&subject).chars().take(SUBJECT_CHARACTERS_MAX).collect(),
        author: printable(&format!("{} <{}>", author.name, author.email)),
        committed_at: parsed.committer().map_err(bad)?.seconds(),
    }))
}

/// Finds the one commit whose id begins with `prefix`.
pub(super) fn find_by_prefix(repository: &gix::Repository, prefix: &str) -> Result<Reply, Failure> {
    let parsed = gix::hash::Prefix::from_hex(prefix)
        .map_err(|error| Failure::new(FailureKind::Internal, error))?;
    let mut found = HashSet::new();
    repository
        .objects
        .lookup_prefix(parsed, Some(&mut found))
        .map_err(|error| Failure::mirror(&error))?;
    let is_commit = |id: &ObjectId| {
        repository
            .try_find_header(*id)
            .is_ok_and(|found| found.is_some_and(|header| header.kind() == Kind::Commit))
    };
    let commits: BTreeSet<ObjectId> = found.into_iter().filter(is_commit).collect();
    match commits.first() {
        Some(only) if commits.len() == 1 => Ok(Reply::Commit(commit_id(*only)?)),
        Some(_) => {
            let candidates = commits.iter().take(CANDIDATES_MAX).map(ToString::to_string).collect();
            Err(Failure::new(FailureKind::Ambiguous { candidates }, prefix))
        }
        None => {
            let kind = FailureKind::NoSuchObject { id: prefix.to_owned() };
            Err(Failure::new(kind, "no commit begins like this"))
        }
    }
}

struct Walk<'a, W> {
    repository: &'a gix::Repository,
    limits: &'a TreeLimits,
    scope: &'a ReadScope,
    out: &'a mut W,
    files: u32,
    folders: u32,
    bytes: u64,
}

impl<W: Write> Walk<'_, W> {
    fn folder(
        &mut self,
        folder: &str,
        id: ObjectId,
        depth: u32,
        folders: &mut Vec<(String, ObjectId, u32)>,
    ) -> Result<(), Failure> {
        // Folders count as files do: a tree of nothing but folders has to end as well.
        self.folders += 1;
        over("folders", u64::from(self.folders), u64::from(self.limits.files_max))?;
        let data = verified(self.repository, id, Kind::Tree, NODE_BYTES_MAX)?;
        let mut names = HashSet::new();
        for entry in TreeRefIter::from_bytes(&data, self.repository.object_hash()) {
            let entry = entry.map_err(|error| corrupt(id, &error))?;
            let name = checked_name(folder, entry.filename)?;
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if !names.insert(name) || path.len() > PATH_BYTES_MAX {
                return Err(Failure::new(FailureKind::BadName { path }, "twice, or too long"));
            }
            if entry.mode.is_tree() {
                if self.scope.enters_folder(&path) {
                    over("folders in folders", u64::from(depth + 1), self.limits.depth_max.into())?;
                    folders.push((path, entry.oid.to_owned(), depth + 1));
                }
            } else if self.scope.takes_file(&path) {
                self.file(&path, entry.mode, entry.oid.to_owned())?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &str,
        mode: gix::objs::tree::EntryMode,
        id: ObjectId,
    ) -> Result<(), Failure> {
        self.files += 1;
        over("files", u64::from(self.files), u64::from(self.limits.files_max))?;
        if mode.is_commit() {
            return self.entry(TAG_SUBMODULE, path, &[]);
        }
        let size = header(self.repository, id)?.size();
        if size > self.limits.file_bytes_max {
            return self.entry(TAG_TOO_LARGE, path, &[&size.to_be_bytes()]);
        }
        self.bytes = self.bytes.saturating_add(size);
        over("bytes in all files", self.bytes, self.limits.bytes_max)?;
        let data = verified(self.repository, id, Kind::Blob, self.limits.file_bytes_max)?;
        if mode.is_link() {
            return self.entry(TAG_LINK, path, &[&data]);
        }
        let id = id.as_slice();
        // SHA-1 and SHA-256 are all there are.
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        self.entry(TAG_FILE, path, &[&[length], id, &data])
    }

    fn entry(&mut self, tag: u8, path: &str, payload: &[&[u8]]) -> Result<(), Failure> {
        wire::write_entry(self.out, tag, path, payload)
            .map_err(|error: io::Error| Failure::new(FailureKind::Internal, error))
    }
}

fn over(what: &str, count: u64, max: u64) -> Result<(), Failure> {
    if count <= max {
        return Ok(());
    }
    let kind = FailureKind::TreeOverLimit { what: what.to_owned(), max };
    Err(Failure::new(kind, format_args!("at least {count}")))
}

/// A name as a file may have it: text, one component, nothing that git itself would refuse.
fn checked_name<'a>(folder: &str, name: &'a BStr) -> Result<&'a str, Failure> {
    let bad = |why: &dyn std::fmt::Display| {
        let path = format!("{folder}/{}", name.to_str_lossy());
        Failure::new(FailureKind::BadName { path: printable(&path) }, why)
    };
    gix::validate::path::component(name, None, gix::validate::path::component::Options::default())
        .map_err(|error| bad(&error))?;
    let text = name.to_str().map_err(|error| bad(&error))?;
    if text.contains(['\0', '/']) || matches!(text, "." | "..") {
        return Err(bad(&"not one component"));
    }
    Ok(text)
}

/// Finds a commit, through tags if the id is a tag's, and checks that it is what its id says.
pub(super) fn find_commit(
    repository: &gix::Repository,
    commit: &CommitId,
) -> Result<(ObjectId, Vec<u8>), Failure> {
    let missing = || FailureKind::NoSuchObject { id: commit.to_string() };
    let mut id = ObjectId::from_hex(commit.as_str().as_bytes())
        .map_err(|error| Failure::new(missing(), error))?;
    if id.kind() != repository.object_hash() {
        return Err(Failure::new(missing(), "an id of another kind"));
    }
    for _ in 0..TAGS_MAX {
        let found = repository.try_find_header(id).map_err(|error| Failure::mirror(&error))?;
        let kind = found.ok_or_else(|| Failure::new(missing(), "not in the mirror"))?.kind();
        let data = verified(repository, id, kind, NODE_BYTES_MAX)?;
        match kind {
            Kind::Commit => return Ok((id, data)),
            Kind::Tag => {
                let tag = TagRef::from_bytes(&data, repository.object_hash());
                id = tag.map_err(|error| corrupt(id, &error))?.target();
            }
            Kind::Tree | Kind::Blob => {
                let kind =
                    FailureKind::NotACommit { id: commit.to_string(), kind: kind.to_string() };
                return Err(Failure::new(kind, id));
            }
        }
    }
    Err(Failure::new(missing(), "too many tags that point to tags"))
}

fn parse_commit<'a>(
    repository: &gix::Repository,
    id: ObjectId,
    data: &'a [u8],
) -> Result<CommitRef<'a>, Failure> {
    CommitRef::from_bytes(data, repository.object_hash()).map_err(|error| corrupt(id, &error))
}

fn header(repository: &gix::Repository, id: ObjectId) -> Result<gix::odb::find::Header, Failure> {
    repository.find_header(id).map_err(|error| Failure::mirror(&error))
}

/// Unpacks an object of at most `bytes_max` bytes and checks kind and id.
fn verified(
    repository: &gix::Repository,
    id: ObjectId,
    kind: Kind,
    bytes_max: u64,
) -> Result<Vec<u8>, Failure> {
    over("bytes of one object", header(repository, id)?.size(), bytes_max)?;
    let object = repository.find_object(id).map_err(|error| Failure::mirror(&error))?.detach();
    let hash = gix::objs::compute_hash(repository.object_hash(), object.kind, &object.data)
        .map_err(|error| corrupt(id, &error))?;
    if hash == id && object.kind == kind {
        return Ok(object.data);
    }
    let detail = format!("a {} of id {hash}", object.kind);
    Err(Failure::new(FailureKind::Corrupt { id: id.to_string() }, detail))
}

fn corrupt(id: ObjectId, error: &gix::Error) -> Failure {
    Failure::new(FailureKind::Corrupt { id: id.to_string() }, super::chain(error))
}

pub(super) fn commit_id(id: ObjectId) -> Result<CommitId, Failure> {
    id.to_string().parse().map_err(|error| Failure::new(FailureKind::Internal, error))
}

/// Text from a repository as it may be shown on one line.
fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}
