//! What a `targetRevision` means, given what the Git host has.
//!
//! Pure, and the same for everybody: a full id first, then `HEAD`, full reference names, branches,
//! tags, version constraints, and last the beginning of an id. A branch comes before a tag of the
//! same name, with a warning; Argo CD takes whichever is listed first, which can change by itself.

use fyr_model::{Blame, CommitId};

use crate::constraint::{Constraint, parse_version};
use crate::refs::RemoteRefs;

/// Shortest beginning of an id that is looked up; what `git log --oneline` shows.
pub const SHORT_ID_DIGITS_MIN: usize = 7;

/// Names offered when nothing matches.
const SUGGESTIONS_MAX: usize = 5;
/// Names compared for suggestions; a repository with more is scanned only so far.
const SUGGESTIONS_SCANNED_MAX: usize = 10_000;

/// What a revision is, and what its author should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// What was meant.
    pub target: Target,
    /// Set when something else could have been meant.
    pub warning: Option<String>,
}

/// A commit, or what is needed to find it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// This commit. A full id is taken at its word: reading it says whether it exists.
    Commit(CommitId),
    /// The one commit whose id begins like this; see [`crate::Mirror::find_by_prefix`].
    ShortId(String),
}

/// A revision that means nothing in this repository.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// There is no commit at all.
    #[error("the repository has no default branch yet: nothing was pushed to it")]
    Empty,
    /// No version tag satisfies the constraint.
    #[error(
        "no tag satisfies the version constraint {constraint:?}; {}",
        match newest {
            Some(newest) => format!("the highest version tag is {newest}"),
            None => "there is no tag that is a version".to_owned(),
        }
    )]
    NoVersion {
        /// The constraint.
        constraint: String,
        /// The highest version tag there is.
        newest: Option<String>,
    },
    /// Nothing has that name.
    #[error(
        "there is no branch, tag or commit {revision:?} ({branches} branches, {tags} tags){}",
        if close.is_empty() { String::new() } else { format!("; similar: {}", close.join(", ")) }
    )]
    Unknown {
        /// The revision as written.
        revision: String,
        /// Names that look alike, at most five.
        close: Vec<String>,
        /// Number of branches there are.
        branches: usize,
        /// Number of tags there are.
        tags: usize,
    },
}

impl ResolveError {
    /// The revision is written down somewhere: only a push or an edit mends it.
    pub fn blame(&self) -> Blame {
        Blame::Input
    }
}

/// Says what `revision` means in a repository with these references.
pub fn resolve(revision: &str, refs: &RemoteRefs) -> Result<Resolved, ResolveError> {
    let revision = revision.trim();
    if let Ok(commit) = revision.parse() {
        return Ok(certain(commit));
    }
    if matches!(revision, "" | "HEAD") {
        return refs.head.clone().map(certain).ok_or(ResolveError::Empty);
    }
    if let Some(found) = by_name(revision, refs) {
        return Ok(found);
    }
    if let Some(constraint) = Constraint::parse(revision) {
        return by_version(revision, &constraint, refs);
    }
    let is_digits = revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digits && (SHORT_ID_DIGITS_MIN..64).contains(&revision.len()) {
        let target = Target::ShortId(revision.to_ascii_lowercase());
        return Ok(Resolved { target, warning: None });
    }
    Err(ResolveError::Unknown {
        revision: revision.to_owned(),
        close: similar(revision, refs),
        branches: refs.branches.len(),
        tags: refs.tags.len(),
    })
}

fn certain(commit: CommitId) -> Resolved {
    Resolved { target: Target::Commit(commit), warning: None }
}

fn by_name(name: &str, refs: &RemoteRefs) -> Option<Resolved> {
    let full = |prefix: &str| name.strip_prefix(prefix);
    if let Some(commit) = full("refs/heads/").and_then(|name| refs.branches.get(name)) {
        return Some(certain(commit.clone()));
    }
    if let Some(tag) = full("refs/tags/").and_then(|name| refs.tags.get(name)) {
        return Some(certain(tag.commit.clone()));
    }
    match (refs.branches.get(name), refs.tags.get(name)) {
        (Some(branch), Some(tag)) => {
            let warning = (*branch != tag.commit).then(|| {
                format!(
                    "{name} is a branch and a tag; the branch is used. Write refs/heads/{name} or \
                     refs/tags/{name} to say which is meant"
                )
            });
            Some(Resolved { target: Target::Commit(branch.clone()), warning })
        }
        (Some(branch), None) => Some(certain(branch.clone())),
        (None, Some(tag)) => Some(certain(tag.commit.clone())),
        (None, None) => None,
    }
}

fn by_version(
    text: &str,
    constraint: &Constraint,
    refs: &RemoteRefs,
) -> Result<Resolved, ResolveError> {
    let versions = || {
        refs.tags
            .iter()
            .filter_map(|(name, tag)| parse_version(name).map(|version| (version, name, tag)))
    };
    // `v1.2.0` and `1.2.0` are one version: the name decides, so that the answer is always the same.
    let highest = versions()
        .filter(|(version, ..)| constraint.matches(version))
        .max_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    match highest {
        Some((.., tag)) => Ok(certain(tag.commit.clone())),
        None => Err(ResolveError::NoVersion {
            constraint: text.to_owned(),
            newest: versions().max_by(|a, b| a.0.cmp(&b.0)).map(|(_, name, _)| name.clone()),
        }),
    }
}

/// Names that look like `wanted`: the closest first.
fn similar(wanted: &str, refs: &RemoteRefs) -> Vec<String> {
    let names = refs.branches.keys().chain(refs.tags.keys()).take(SUGGESTIONS_SCANNED_MAX);
    let lower = wanted.to_lowercase();
    let mut scored: Vec<(usize, &String)> = names
        .filter_map(|name| {
            let other = name.to_lowercase();
            if other.contains(&lower) || lower.contains(&other) {
                return Some((0, name));
            }
            let distance = edit_distance(&lower, &other);
            (distance <= (lower.len() / 2).clamp(1, 3)).then_some((distance, name))
        })
        .collect();
    scored.sort();
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(SUGGESTIONS_MAX).map(|(_, name)| name.clone()).collect()
}

/// Levenshtein distance; names that differ a lot in length are not worth computing.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn refs() -> RemoteRefs {
        let mut refs = RemoteRefs::default();
        for (name, digit) in [
            ("refs/heads/main", '1'),
            ("refs/heads/both", '2'),
            ("refs/tags/both", '3'),
            ("refs/tags/v1.2.0", '4'),
            ("refs/tags/v1.10.0", '5'),
            ("refs/tags/v2.0.0-rc.1", '6'),
            ("refs/heads/feature/login", '7'),
        ] {
            refs.insert(name, id(digit), None);
        }
        refs.insert("refs/tags/annotated", id('8'), Some(id('9')));
        refs.head = Some(id('1'));
        refs
    }

    fn commit(revision: &str) -> CommitId {
        match resolve(revision, &refs()).unwrap().target {
            Target::Commit(commit) => commit,
            Target::ShortId(short) => panic!("{short}"),
        }
    }

    #[test]
    fn each_kind_of_revision_finds_its_commit() {
        for (revision, digit) in [
            ("", '1'),
            ("HEAD", '1'),
            ("main", '1'),
            ("refs/heads/feature/login", '7'),
            ("refs/tags/both", '3'),
            ("annotated", '9'),
            ("v1.2.0", '4'),
            ("1.*", '5'),
            (">=1 <2", '5'),
            ("~1.2", '4'),
            (">=2.0.0-0", '6'),
        ] {
            assert_eq!(commit(revision), id(digit), "{revision}");
        }
        assert_eq!(commit(&"A".repeat(40)), id('a'));
    }

    #[test]
    fn a_branch_comes_before_a_tag_of_the_same_name_and_says_so() {
        let found = resolve("both", &refs()).unwrap();
        assert_eq!(found.target, Target::Commit(id('2')));
        assert!(found.warning.unwrap().contains("refs/tags/both"));
        assert_eq!(resolve("main", &refs()).unwrap().warning, None);
    }

    #[test]
    fn the_beginning_of_an_id_is_looked_up_from_seven_digits() {
        let found = resolve("ABCDEF1", &refs()).unwrap();
        assert_eq!(found.target, Target::ShortId("abcdef1".to_owned()));
        assert!(matches!(resolve("abcdef", &refs()), Err(ResolveError::Unknown { .. })));
    }

    #[test]
    fn a_constraint_nothing_satisfies_does_not_become_something_else() {
        let error = resolve("^3", &refs()).unwrap_err();
        assert!(error.to_string().contains("v2.0.0-rc.1"), "{error}");
        let mut none = refs();
        none.tags.clear();
        assert!(matches!(resolve("*", &none), Err(ResolveError::NoVersion { newest: None, .. })));
    }

    #[test]
    fn an_unknown_name_shows_what_looks_like_it() {
        let error = resolve("mian", &refs()).unwrap_err();
        assert!(error.to_string().contains("similar: main"), "{error}");
        let error = resolve("login", &refs()).unwrap_err();
        assert!(error.to_string().contains("feature/login"), "{error}");
        let ResolveError::Unknown { close, .. } = resolve("zzzzzz", &refs()).unwrap_err() else {
            panic!("not unknown")
        };
        assert!(close.is_empty());
    }

    #[test]
    fn an_empty_repository_says_that_nothing_was_pushed() {
        assert_eq!(resolve("", &RemoteRefs::default()), Err(ResolveError::Empty));
    }
}
