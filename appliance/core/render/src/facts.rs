//! What a render looked at, so that it need not be done again while all of that is the same.
//!
//! A render is a function of its request, and of a tree it sees only a small part of. What it asked
//! of the tree is written down with the answers; another tree that gives the same answers to the
//! same questions renders alike, whatever else is different in it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use fyr_model::{BlobId, BuildEnvironment, Digest, File, Hasher, SourceTree, SourceTreeError};

/// The answers that a render got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    entries: BTreeMap<String, Entry>,
    folders: BTreeMap<String, bool>,
    listings: BTreeMap<(String, bool), Digest>,
    environment: Option<BuildEnvironment>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Nothing,
    Content(BlobId),
    Link(String),
    /// Everything that cannot be told apart by an id: never the same again.
    Other,
}

impl Facts {
    /// Whether a render of `tree` would get the same answers.
    pub fn hold(&self, tree: &SourceTree, environment: &BuildEnvironment) -> bool {
        self.environment.as_ref().is_none_or(|known| known == environment)
            && self
                .entries
                .iter()
                .all(|(path, known)| *known != Entry::Other && *known == Entry::of(tree, path))
            && self.folders.iter().all(|(path, known)| tree.is_folder(path) == *known)
            && self
                .listings
                .iter()
                .all(|((folder, deep), known)| digest(&list(tree, folder, *deep)) == *known)
    }
}

impl Entry {
    fn of(tree: &SourceTree, path: &str) -> Self {
        match tree.get(path) {
            None => Self::Nothing,
            Some(File::Bytes(_)) => tree.id(path).map_or(Self::Other, Self::Content),
            Some(File::Link(target) | File::LinkOutside(target)) => Self::Link(target.clone()),
            Some(File::TooLarge { .. } | File::Submodule) => Self::Other,
        }
    }
}

/// A source tree that writes down what it is asked.
#[derive(Debug)]
pub(crate) struct Files<'t> {
    tree: &'t SourceTree,
    facts: RefCell<Facts>,
}

impl<'t> Files<'t> {
    pub(crate) fn new(tree: &'t SourceTree) -> Self {
        Self { tree, facts: RefCell::default() }
    }

    /// The entry at exactly this path, links not followed.
    pub(crate) fn get(&self, path: &str) -> Option<&'t File> {
        self.look(path);
        self.tree.get(path)
    }

    /// Git's id of the content of the file at exactly this path.
    pub(crate) fn id(&self, path: &str) -> Option<BlobId> {
        self.tree.id(path)
    }

    /// Whether a folder of this path holds anything.
    pub(crate) fn is_folder(&self, path: &str) -> bool {
        let found = self.tree.is_folder(path);
        self.facts.borrow_mut().folders.insert(path.to_owned(), found);
        found
    }

    /// The paths of the files in a folder, and with `deep` of those in folders within it.
    pub(crate) fn list(&self, folder: &str, deep: bool) -> Vec<&'t str> {
        let paths = list(self.tree, folder, deep);
        let listing = (folder.to_owned(), deep);
        self.facts.borrow_mut().listings.insert(listing, digest(&paths));
        paths
    }

    /// Follows every link on the way to `path`; the answer need not exist.
    pub(crate) fn resolve(&self, path: &str) -> Result<String, SourceTreeError> {
        self.tree.resolve_seen(path, &mut |seen| self.look(seen))
    }

    /// Remembers that the result depends on the variables of the build.
    pub(crate) fn use_environment(&self, environment: &BuildEnvironment) {
        self.facts.borrow_mut().environment = Some(environment.clone());
    }

    /// Everything that was asked.
    pub(crate) fn into_facts(self) -> Facts {
        self.facts.into_inner()
    }

    fn look(&self, path: &str) {
        let mut facts = self.facts.borrow_mut();
        if !facts.entries.contains_key(path) {
            facts.entries.insert(path.to_owned(), Entry::of(self.tree, path));
        }
    }
}

fn list<'t>(tree: &'t SourceTree, folder: &str, deep: bool) -> Vec<&'t str> {
    let below = if folder.is_empty() { 0 } else { folder.len() + 1 };
    let paths = tree.under(folder).map(|(path, _)| path);
    let wanted = |path: &&str| deep || path.get(below..).is_some_and(|rest| !rest.contains('/'));
    paths.filter(wanted).collect()
}

fn digest(paths: &[&str]) -> Digest {
    let mut hasher = Hasher::default();
    for path in paths {
        hasher.field(path.as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, u8)]) -> SourceTree {
        let mut tree = SourceTree::default();
        for (path, content) in files {
            let id = BlobId::new(&[*content; 20]).unwrap();
            tree.insert_blob(path, [*content], id).unwrap();
        }
        tree
    }

    /// What is known after these questions about the first tree.
    fn facts(tree: &SourceTree, ask: impl Fn(&Files<'_>)) -> Facts {
        let files = Files::new(tree);
        ask(&files);
        files.into_facts()
    }

    fn holds(facts: &Facts, files: &[(&str, u8)]) -> bool {
        facts.hold(&tree(files), &BuildEnvironment::default())
    }

    #[test]
    fn only_what_was_asked_for_counts() {
        let first = tree(&[("a/x", 1), ("b/y", 2)]);
        let facts = facts(&first, |files| assert!(files.get("a/x").is_some()));
        assert!(holds(&facts, &[("a/x", 1)]) && holds(&facts, &[("a/x", 1), ("b/y", 3)]));
        assert!(!holds(&facts, &[("a/x", 9), ("b/y", 2)]) && !holds(&facts, &[("b/y", 2)]));
    }

    #[test]
    fn what_was_missing_has_to_be_missing_still() {
        let first = tree(&[("a/x", 1)]);
        let facts = facts(&first, |files| {
            assert!(files.get("a/kustomization.yaml").is_none() && !files.is_folder("b"));
        });
        assert!(holds(&facts, &[("a/x", 7)]));
        assert!(!holds(&facts, &[("a/kustomization.yaml", 1)]) && !holds(&facts, &[("b/x", 1)]));
    }

    #[test]
    fn a_listing_is_of_the_folder_alone_unless_it_is_deep() {
        let first = tree(&[("a/x", 1), ("a/b/y", 2)]);
        let flat = facts(&first, |files| assert_eq!(files.list("a", false), ["a/x"]));
        let deep = facts(&first, |files| assert_eq!(files.list("a", true).len(), 2));
        let more = [("a/x", 1), ("a/b/y", 2), ("a/b/z", 3)];
        assert!(holds(&flat, &more) && !holds(&deep, &more));
        assert!(!holds(&flat, &[("a/x", 1), ("a/w", 1)]));
    }

    #[test]
    fn a_link_on_the_way_has_to_lead_to_the_same_place() {
        let linked = |target: &str| {
            let mut tree = tree(&[("base/x", 1), ("other/x", 1)]);
            tree.insert("env", File::Link(target.to_owned())).unwrap();
            tree
        };
        let facts =
            facts(&linked("base"), |files| assert_eq!(files.resolve("env/x").unwrap(), "base/x"));
        let environment = BuildEnvironment::default();
        assert!(facts.hold(&linked("base"), &environment));
        assert!(!facts.hold(&linked("other"), &environment));
    }

    #[test]
    fn content_without_an_id_is_never_the_same() {
        let mut first = SourceTree::default();
        first.insert_bytes("x", *b"1").unwrap();
        let facts = facts(&first, |files| assert!(files.get("x").is_some()));
        assert!(!facts.hold(&first, &BuildEnvironment::default()));
    }

    #[test]
    fn the_variables_of_the_build_count_only_if_they_were_used() {
        let environment = |revision: &str| {
            let variable = ("ARGOCD_APP_REVISION".to_owned(), revision.to_owned());
            BuildEnvironment { variables: BTreeMap::from([variable]) }
        };
        let first = SourceTree::default();
        let unused = facts(&first, |_| {});
        let used = facts(&first, |files| files.use_environment(&environment("1")));
        assert!(unused.hold(&first, &environment("2")));
        assert!(used.hold(&first, &environment("1")) && !used.hold(&first, &environment("2")));
    }
}
