//! Files that were read for a render, kept for the next one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fyr_render::{ParsedFile, ParsedFiles, ParsedKey};

/// Bytes of memory that kept files may take, as they estimate it: about 5 MiB of manifests. What is
/// rendered again and again are the files of the few applications that change.
const WEIGHT_MAX: usize = 32 * 1024 * 1024;

/// Keeps files until there are too many; those that were not asked for longest go first.
#[derive(Debug, Default)]
pub(crate) struct Parsed(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<ParsedKey, (u64, Arc<ParsedFile>)>,
    /// Keys by when they were last asked for.
    ages: BTreeMap<u64, ParsedKey>,
    weight: usize,
    clock: u64,
}

impl Kept {
    fn find(&mut self, key: &ParsedKey) -> Option<Arc<ParsedFile>> {
        let (age, file) = self.files.get_mut(key)?;
        self.ages.remove(age);
        self.clock += 1;
        *age = self.clock;
        self.ages.insert(self.clock, *key);
        Some(Arc::clone(file))
    }

    fn keep(&mut self, key: ParsedKey, file: Arc<ParsedFile>, weight_max: usize) {
        if file.weight() > weight_max {
            return;
        }
        self.forget(&key);
        self.clock += 1;
        self.weight += file.weight();
        self.ages.insert(self.clock, key);
        self.files.insert(key, (self.clock, file));
        while self.weight > weight_max {
            let Some((_, oldest)) = self.ages.first_key_value() else { break };
            let oldest = *oldest;
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &ParsedKey) {
        if let Some((age, file)) = self.files.remove(key) {
            self.ages.remove(&age);
            self.weight -= file.weight();
        }
    }
}

impl ParsedFiles for Parsed {
    fn find(&self, key: &ParsedKey) -> Option<Arc<ParsedFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).find(key)
    }

    fn keep(&self, key: ParsedKey, file: Arc<ParsedFile>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(key, file, WEIGHT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use fyr_model::{BlobId, BuildEnvironment, DirectoryOptions, SourceTree, Tool};
    use fyr_render::{LoadRestrictor, Request, render};

    use super::*;

    /// A keeper of so many bytes.
    #[derive(Debug)]
    struct Small(Mutex<Kept>, usize);

    impl ParsedFiles for Small {
        fn find(&self, key: &ParsedKey) -> Option<Arc<ParsedFile>> {
            self.0.lock().unwrap().find(key)
        }

        fn keep(&self, key: ParsedKey, file: Arc<ParsedFile>) {
            self.0.lock().unwrap().keep(key, file, self.1);
        }
    }

    fn small(weight_max: usize) -> Small {
        Small(Mutex::default(), weight_max)
    }

    /// Renders one file whose id says `id`; gives the value in it.
    fn rendered(parsed: &Small, id: u8, value: &str) -> String {
        let mut tree = SourceTree::default();
        let text = format!("apiVersion: v1\nkind: A\nmetadata: {{name: a}}\nvalue: {value}\n");
        tree.insert_blob("a.yaml", text.into_bytes(), BlobId::new(&[id; 20]).unwrap()).unwrap();
        let request = Request {
            tree: &tree,
            path: "",
            tool: &Tool::Directory(DirectoryOptions::default()),
            environment: &BuildEnvironment::default(),
            application: None,
            load_restrictor: LoadRestrictor::RootOnly,
            parsed: Some(parsed),
            stop: None,
        };
        let rendered = render(&request).unwrap();
        rendered.objects[0].value()["value"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_kept_and_found_and_a_false_id_gives_nothing_away() {
        let parsed = small(usize::MAX);
        assert_eq!(rendered(&parsed, 1, "x"), "x");
        assert_eq!(rendered(&parsed, 1, "x"), "x");
        assert_eq!(parsed.0.lock().unwrap().files.len(), 1);
        assert_eq!(rendered(&parsed, 1, "other"), "other");
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let parsed = small(usize::MAX);
        rendered(&parsed, 1, "x");
        let weight = parsed.0.lock().unwrap().weight;
        let parsed = small(2 * weight);
        for id in [1, 2, 1, 3] {
            rendered(&parsed, id, "x");
        }
        let kept = parsed.0.lock().unwrap();
        assert_eq!((kept.files.len(), kept.ages.len(), kept.weight), (2, 2, 2 * weight));
        let ids: Vec<bool> =
            kept.files.keys().map(|key| format!("{key:?}").contains("2, 2")).collect();
        assert_eq!(ids, [false, false]);
    }

    #[test]
    fn a_file_that_is_larger_than_all_that_is_kept_is_not_kept() {
        let parsed = small(10);
        assert_eq!(rendered(&parsed, 1, "x"), "x");
        assert_eq!(parsed.0.lock().unwrap().weight, 0);
    }
}
