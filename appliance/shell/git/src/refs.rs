//! The branches and tags of a repository, and the file they are kept in.
//!
//! A mirror has no loose references. All of them are in `packed-refs`, which is replaced as a whole
//! by a rename: an update is atomic however many references change, none of them is ever half
//! there, and a branch `a/b` that becomes `a` leaves no folder in the way. gix and git read that
//! file natively. What `HEAD` means at the Git host is kept in the mirror's own `HEAD`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fyr_model::CommitId;
use serde::{Deserialize, Serialize};

const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";
/// Namespace of pins: revisions that maintenance keeps whatever the Git host does.
const PINS: &str = "refs/fyr/applied/";

/// What a tag names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tag {
    /// The object the reference holds: a tag object, or the commit of a lightweight tag.
    pub object: CommitId,
    /// What is found once all tag objects are peeled off: nearly always a commit.
    pub commit: CommitId,
}

/// The branches and tags of a repository at one moment.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RemoteRefs {
    /// Short name of the branch that `HEAD` points to; none if it is detached.
    pub default_branch: Option<String>,
    /// The commit of `HEAD`; none in an empty repository.
    pub head: Option<CommitId>,
    /// Branches by short name.
    pub branches: BTreeMap<String, CommitId>,
    /// Tags by short name.
    pub tags: BTreeMap<String, Tag>,
}

impl RemoteRefs {
    /// Number of branches and tags.
    pub fn len(&self) -> usize {
        self.branches.len() + self.tags.len()
    }

    /// Whether there is neither branch nor tag.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.tags.is_empty()
    }

    /// Files a reference under its full name; other namespaces are not kept.
    pub(crate) fn insert(&mut self, full_name: &str, object: CommitId, peeled: Option<CommitId>) {
        if let Some(name) = full_name.strip_prefix(BRANCHES) {
            self.branches.insert(name.to_owned(), object);
        } else if let Some(name) = full_name.strip_prefix(TAGS) {
            let commit = peeled.unwrap_or_else(|| object.clone());
            self.tags.insert(name.to_owned(), Tag { object, commit });
        }
    }

    /// Every reference by full name, with the object it holds.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (String, &CommitId)> {
        let branches = self.branches.iter().map(|(name, id)| (format!("{BRANCHES}{name}"), id));
        let tags = self.tags.iter().map(|(name, tag)| (format!("{TAGS}{name}"), &tag.object));
        branches.chain(tags)
    }
}

/// All references of a mirror: those of the Git host and our pins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct MirrorRefs {
    pub(crate) remote: RemoteRefs,
    /// Pinned commits by name.
    pub(crate) pins: BTreeMap<String, CommitId>,
}

/// A line of `packed-refs` or `HEAD` that we did not write.
#[derive(Debug, thiserror::Error)]
#[error("{line:?} is not a line of a reference file")]
pub(crate) struct ParseRefsError {
    line: String,
}

impl MirrorRefs {
    /// Reads the text of `packed-refs` and `HEAD`.
    pub(crate) fn parse(packed: &str, head: &str) -> Result<Self, ParseRefsError> {
        let mut refs = Self::default();
        let mut pending: Option<(&str, CommitId)> = None;
        for line in packed.lines().filter(|line| !line.starts_with('#')) {
            let bad = || ParseRefsError { line: line.chars().take(200).collect() };
            if let Some(peeled) = line.strip_prefix('^') {
                let (name, object) = pending.take().ok_or_else(bad)?;
                refs.insert(name, object, Some(peeled.parse().map_err(|_| bad())?));
                continue;
            }
            let (id, name) = line.split_once(' ').ok_or_else(bad)?;
            let id = id.parse().map_err(|_| bad())?;
            if let Some((name, object)) = pending.replace((name, id)) {
                refs.insert(name, object, None);
            }
        }
        if let Some((name, object)) = pending {
            refs.insert(name, object, None);
        }
        refs.remote.set_head(head.trim())?;
        Ok(refs)
    }

    fn insert(&mut self, name: &str, object: CommitId, peeled: Option<CommitId>) {
        match name.strip_prefix(PINS) {
            Some(pin) => drop(self.pins.insert(decode(pin), object)),
            None => self.remote.insert(name, object, peeled),
        }
    }

    /// The text of `packed-refs`: sorted, tags peeled, as git writes it.
    pub(crate) fn packed(&self) -> String {
        let pins = self.pins.iter().map(|(name, id)| (format!("{PINS}{}", encode(name)), id, None));
        let branches = &self.remote.branches;
        let branches = branches.iter().map(|(name, id)| (format!("{BRANCHES}{name}"), id, None));
        let tags = self.remote.tags.iter().map(|(name, tag)| {
            let peeled = (tag.object != tag.commit).then_some(&tag.commit);
            (format!("{TAGS}{name}"), &tag.object, peeled)
        });
        let mut lines: Vec<_> = pins.chain(branches).chain(tags).collect();
        lines.sort();
        let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
        for (name, object, peeled) in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{object} {name}");
            if let Some(peeled) = peeled {
                let _ = writeln!(text, "^{peeled}");
            }
        }
        text
    }
}

impl RemoteRefs {
    fn set_head(&mut self, head: &str) -> Result<(), ParseRefsError> {
        if let Some(branch) = head.strip_prefix("ref: refs/heads/") {
            self.head = self.branches.get(branch).cloned();
            self.default_branch = Some(branch.to_owned());
            return Ok(());
        }
        let bad = |_| ParseRefsError { line: head.chars().take(200).collect() };
        self.head = Some(head.parse().map_err(bad)?);
        Ok(())
    }

    /// The text of `HEAD`.
    pub(crate) fn head_text(&self) -> String {
        match (&self.default_branch, &self.head) {
            (Some(branch), _) => format!("ref: {BRANCHES}{branch}\n"),
            (None, Some(commit)) => format!("{commit}\n"),
            (None, None) => format!("ref: {BRANCHES}main\n"),
        }
    }
}

/// Makes any name one component of a reference name: everything but letters, digits, `-` and `_`
/// becomes `%xx`, so that `a` and `a/b` can both be pinned and no rule on names is broken.
fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

fn decode(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).unwrap_or_default();
        bytes.extend(u8::from_str_radix(digits, 16));
        rest = after.get(2..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn references_survive_the_file_they_are_kept_in() {
        let mut refs = MirrorRefs::default();
        refs.remote.insert("refs/heads/main", id('1'), None);
        refs.remote.insert("refs/heads/a/b", id('2'), None);
        refs.remote.insert("refs/tags/v1", id('3'), Some(id('4')));
        refs.remote.insert("refs/tags/light", id('5'), None);
        refs.remote.insert("refs/pull/1/head", id('6'), None);
        refs.remote.default_branch = Some("main".to_owned());
        refs.remote.head = Some(id('1'));
        refs.pins.insert("ns/app.lock".to_owned(), id('7'));
        refs.pins.insert("ns".to_owned(), id('8'));
        let packed = refs.packed();
        assert!(!packed.contains("pull"), "{packed}");
        assert_eq!(MirrorRefs::parse(&packed, &refs.remote.head_text()).unwrap(), refs);
    }

    #[test]
    fn a_detached_head_and_an_empty_repository_survive_too() {
        let mut refs = MirrorRefs::default();
        refs.remote.head = Some(id('1'));
        let text = refs.remote.head_text();
        assert_eq!(MirrorRefs::parse(&refs.packed(), &text).unwrap(), refs);
        let empty = MirrorRefs::parse("", "ref: refs/heads/main\n").unwrap();
        assert!(empty.remote.is_empty() && empty.remote.head.is_none());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_an_empty_repository() {
        assert!(MirrorRefs::parse("garbage", "ref: refs/heads/main").is_err());
        assert!(MirrorRefs::parse("^1111", "ref: refs/heads/main").is_err());
        assert!(MirrorRefs::parse("", "").is_err());
        let cut = format!("{} refs/heads/main", "1".repeat(39));
        assert!(MirrorRefs::parse(&cut, "ref: refs/heads/main").is_err());
    }

    #[test]
    fn names_of_pins_are_one_component_and_reversible() {
        for name in ["", "a", "a/b", "..", "x.lock", "é%", "argocd/my app@3"] {
            let encoded = encode(name);
            assert!(!encoded.contains(['/', '.', ' ', '@']), "{encoded}");
            assert_eq!(decode(&encoded), name);
        }
    }
}
