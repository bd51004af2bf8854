//! Builds one folder with upstream kustomize and with Fyr.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fyr_model::SourceTree;
use serde_json::Value;

/// What a build prints, or why it prints nothing.
type Built = Result<String, String>;

/// Files by path, and where they are on disk.
pub(crate) struct Files {
    root: PathBuf,
    tree: SourceTree,
}

impl Files {
    /// Reads everything below a folder.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = SourceTree::default();
        insert(root, root, &mut tree);
        Self { root: root.to_owned(), tree }
    }

    /// Writes files into an empty folder.
    pub(crate) fn write(root: &Path, files: &BTreeMap<String, String>) -> Self {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
            fs::write(path, text).unwrap();
        }
        Self::read(root)
    }

    /// Folders that can be built: those with a kustomization that is no component.
    pub(crate) fn targets(&self) -> Vec<String> {
        let kustomizations = self.tree.under("").filter_map(|(path, _)| {
            let folder = path.strip_suffix("kustomization.yaml")?;
            let text = fs::read_to_string(self.root.join(path)).unwrap();
            (!text.contains("kind: Component")).then(|| folder.trim_end_matches('/').to_owned())
        });
        kustomizations.collect()
    }

    /// Builds `folder` with both.
    pub(crate) fn build(&self, folder: &str) -> Both {
        Both { upstream: upstream(&self.root.join(folder)), ours: ours(&self.tree, folder) }
    }
}

fn insert(root: &Path, folder: &Path, tree: &mut SourceTree) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            insert(root, &path, tree);
        } else {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
            tree.insert_bytes(relative, fs::read(&path).unwrap()).unwrap();
        }
    }
}

fn upstream(folder: &Path) -> Built {
    let program = std::env::var_os("FYR_KUSTOMIZE")
        .expect("FYR_KUSTOMIZE has to name kustomize: `tests/run compat` installs it and sets it");
    let output = Command::new(&program)
        .arg("build")
        .arg(folder)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn ours(tree: &SourceTree, folder: &str) -> Built {
    fyr_render::build(tree, folder).map_err(|error| error.to_string())
}

fn parse(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What both make of one folder.
pub(crate) struct Both {
    pub(crate) upstream: Built,
    pub(crate) ours: Built,
}

impl Both {
    /// In what they differ, if they do: in objects, or else in bytes. Both refusing is the same,
    /// whatever they say.
    pub(crate) fn difference(&self) -> Option<String> {
        match (&self.upstream, &self.ours) {
            (Err(_), Err(_)) => None,
            (Ok(_), Err(why)) => Some(format!("only upstream builds it; ours says: {why}")),
            (Err(why), Ok(_)) => Some(format!("only ours builds it; upstream says: {why}")),
            (Ok(upstream), Ok(ours)) if upstream == ours => None,
            (Ok(upstream), Ok(ours)) => objects_differ(&parse(upstream), &parse(ours))
                .or_else(|| Some(lines_differ(upstream, ours))),
        }
    }
}

fn objects_differ(upstream: &[Value], ours: &[Value]) -> Option<String> {
    let names = |objects: &[Value]| objects.iter().map(name).collect::<Vec<_>>();
    let (upstream_names, our_names) = (names(upstream), names(ours));
    if upstream_names != our_names {
        return Some(format!("upstream gives {upstream_names:#?}\nours gives {our_names:#?}"));
    }
    upstream
        .iter()
        .zip(ours)
        .find_map(|(upstream, ours)| Some((name(ours), values_differ(upstream, ours, "")?)))
        .map(|(name, difference)| format!("{name}: {difference}"))
}

/// The first line in which two texts differ, with what stands before it.
fn lines_differ(upstream: &str, ours: &str) -> String {
    let same = upstream.lines().zip(ours.lines()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| {
        text.lines().skip(same.saturating_sub(3)).take(6).collect::<Vec<_>>().join("\n    ")
    };
    format!("printed otherwise:\n  upstream\n    {}\n  ours\n    {}", from(upstream), from(ours))
}

fn name(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let [kind, namespace, name] =
        [text("/kind"), text("/metadata/namespace"), text("/metadata/name")];
    format!("{kind} {namespace}/{name}")
}

/// The first place where two values differ.
fn values_differ(upstream: &Value, ours: &Value, place: &str) -> Option<String> {
    match (upstream, ours) {
        (Value::Object(left), Value::Object(right)) if left.keys().eq(right.keys()) => left
            .iter()
            .find_map(|(key, value)| values_differ(value, &right[key], &format!("{place}/{key}"))),
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .find_map(|(index, (a, b))| values_differ(a, b, &format!("{place}/{index}"))),
        (left, right) if left == right => None,
        (left, right) => Some(format!("{place}:\n  upstream {left}\n  ours     {right}")),
    }
}

#[test]
fn a_difference_is_found_wherever_it_is() {
    let pod = |image: &str| {
        Ok(format!("kind: Pod\nmetadata:\n  name: a\nspec:\n  images:\n  - {image}\n"))
    };
    let both = |upstream: Built, ours: Built| Both { upstream, ours }.difference();
    let why = || Err("no".to_owned());
    let nothing = || Ok(String::new());
    assert_eq!(both(pod("a"), pod("a")), None);
    assert_eq!(both(why(), why()), None);
    let difference = both(pod("a"), pod("b")).unwrap();
    assert!(difference.contains("Pod -/a: /spec/images/0"), "{difference}");
    let difference = both(pod("a"), pod("'a'")).unwrap();
    assert!(difference.contains("printed otherwise"), "{difference}");
    assert!(both(pod("a"), nothing()).is_some());
    assert!(both(nothing(), why()).is_some());
    assert!(both(why(), nothing()).is_some());
}
