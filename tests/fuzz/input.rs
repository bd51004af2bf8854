//! What the bytes of a fuzzer mean, for the fuzz targets and for the replay of their corpora.
//!
//! Nothing here may panic by itself: a panic is a finding.

use fyr_model::{File, SourceTree};

/// Begins a line that names the file which the lines after it are the content of. Two hyphens and
/// a bracket between two paths make the first one a link to the second.
const MARK: &[u8] = b"=== ";
const ARROW: &str = " -> ";

/// Longest output that is read back. A longer one takes too much of a fuzzer's time.
const READ_BACK_BYTES_MAX: usize = 256 * 1024;

/// Reads bytes as YAML: as objects, as a kustomization, as a patch and as values of a generator.
pub(crate) fn yaml(bytes: &[u8]) {
    let files = |kustomization: &[u8], name: &str| {
        let mut tree = SourceTree::default();
        insert(&mut tree, "kustomization.yaml", File::Bytes(kustomization.into()));
        insert(&mut tree, name, File::Bytes(bytes.into()));
        insert(&mut tree, "pod.yaml", File::Bytes(POD.into()));
        tree
    };
    let objects = fyr_render::build(&files(b"resources: [objects.yaml]\n", "objects.yaml"), "");
    if let Ok(text) = objects {
        reads_back(&text);
    }
    let patch = b"resources: [pod.yaml]\npatches: [{path: patch.yaml}]\n";
    let envs = b"configMapGenerator: [{name: a, envs: [values], files: [values]}]\n";
    // What is right or wrong with them is of no interest here, only that an answer comes.
    let _patched = fyr_render::build(&files(patch, "patch.yaml"), "");
    let _generated = fyr_render::build(&files(envs, "values"), "");
    let _kustomization = fyr_render::build(&files(bytes, "kustomization.yaml"), "");
}

const POD: &[u8] = b"{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {x: y}}, \
    spec: {containers: [{name: a, image: b, ports: [{containerPort: 1}]}]}}";

/// Builds the files that the bytes stand for: the folder of the first one.
pub(crate) fn tree(bytes: &[u8]) {
    let (tree, folder) = files(bytes);
    if let Ok(text) = fyr_render::build(&tree, &folder) {
        reads_back(&text);
    }
}

/// Objects in the order of their file.
const READ_BACK: &[u8] = b"{resources: [objects.yaml], sortOptions: {order: fifo}}";

/// What is printed has to mean the same to who reads it.
fn reads_back(text: &str) {
    // Kustomize prints the key `<<` without quotes, and whoever reads that merges. Characters that
    // are line breaks to some are printed as they are, and refused when they are read.
    let is_odd = text.contains("<<: ")
        || text.contains("<<:\n")
        || text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    if text.len() > READ_BACK_BYTES_MAX || is_odd {
        return;
    }
    let mut tree = SourceTree::default();
    insert(&mut tree, "kustomization.yaml", File::Bytes(READ_BACK.into()));
    insert(&mut tree, "objects.yaml", File::Bytes(text.as_bytes().into()));
    match fyr_render::build(&tree, "") {
        Ok(again) => assert!(again == text, "printed:\n{text}\nread back:\n{again}"),
        Err(error) => panic!("{error}: {:?}\n{text}", std::error::Error::source(&error)),
    }
}

/// The files that the bytes stand for, and the folder of the first one.
fn files(bytes: &[u8]) -> (SourceTree, String) {
    let mut tree = SourceTree::default();
    let mut folder = None;
    let mut path = "kustomization.yaml".to_owned();
    let mut content = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(next) = line.strip_prefix(MARK) else {
            content.extend_from_slice(line);
            continue;
        };
        let next = String::from_utf8_lossy(next).trim().to_owned();
        let before = std::mem::replace(&mut path, next);
        add(&mut tree, &mut folder, &before, std::mem::take(&mut content));
    }
    add(&mut tree, &mut folder, &path, content);
    (tree, folder.unwrap_or_default())
}

fn add(tree: &mut SourceTree, folder: &mut Option<String>, path: &str, content: Vec<u8>) {
    let (path, file) = match path.split_once(ARROW) {
        Some((path, target)) => (path, File::Link(target.to_owned())),
        // Nothing stands before the mark that begins most inputs.
        None if content.is_empty() && folder.is_none() && path == "kustomization.yaml" => return,
        None => (path, File::Bytes(content.into())),
    };
    folder.get_or_insert_with(|| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned());
    insert(tree, path, file);
}

fn insert(tree: &mut SourceTree, path: &str, file: File) {
    // A path that cannot be in a repository is left out, as the reader of repositories does.
    let _refused = tree.insert(path, file);
}
