use std::os::unix::fs::symlink;

use super::*;

const OWN: Extent<'_> = Extent { deep: false, application: None };
const DEEP: Extent<'_> = Extent { deep: true, application: None };

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        "repo/base/kustomization.yaml",
        "{resources: [a.yaml], configMapGenerator: [{files: [x=./../shared/x.yaml]}]}",
    );
    write(root, "repo/base/a.yaml", "a: 1");
    write(root, "repo/shared/x.yaml", "x: 1");
    write(root, "repo/unrelated/big.bin", "big");
    write(root, "repo/overlays/prod/kustomization.yaml", "resources: [../../base]");
    write(root, "secret", "s");
    folder
}

fn paths(folder: &SourceFolder) -> Vec<&str> {
    folder.tree.under("").map(|(path, _)| path).collect()
}

#[test]
fn what_is_referred_to_is_read_and_nothing_else() {
    let folder = sample();
    let read = read(&folder.path().join("repo/overlays/prod"), OWN, TreeLimits::default()).unwrap();
    assert_eq!(
        paths(&read),
        [
            "base/a.yaml",
            "base/kustomization.yaml",
            "overlays/prod/kustomization.yaml",
            "shared/x.yaml"
        ]
    );
    assert_eq!(read.path, "overlays/prod");
}

#[test]
fn the_root_is_that_of_the_repository_and_it_is_not_left() {
    let folder = sample();
    let root = folder.path();
    write(root, "repo/.git/HEAD", "");
    write(root, "repo/overlays/prod/kustomization.yaml", "resources: [../../../secret]");
    let read = read(&root.join("repo/overlays/prod"), OWN, TreeLimits::default()).unwrap();
    assert_eq!(paths(&read), ["overlays/prod/kustomization.yaml"]);
}

#[test]
fn a_link_is_read_with_its_target_and_is_an_error_only_for_who_follows_it_out() {
    let folder = sample();
    let root = folder.path().canonicalize().unwrap().join("repo");
    write(&root, ".git/HEAD", "");
    let dir = root.join("overlays/prod");
    let links = "resources: [shared/x.yaml, absolute, etc]";
    write(&root, "overlays/prod/kustomization.yaml", links);
    symlink("../../shared", dir.join("shared")).unwrap();
    symlink(root.join("base"), dir.join("absolute")).unwrap();
    symlink("/etc", dir.join("etc")).unwrap();
    let read = read(&dir, OWN, TreeLimits::default()).unwrap();
    assert!(paths(&read).contains(&"base/a.yaml"), "{:?}", paths(&read));
    assert_eq!(read.tree.resolve("overlays/prod/shared/x.yaml").unwrap(), "shared/x.yaml");
    assert_eq!(read.tree.resolve("overlays/prod/absolute").unwrap(), "base");
    assert!(read.tree.resolve("overlays/prod/etc").is_err());
}

#[test]
fn what_the_file_of_a_plugin_mentions_is_read_from_the_folder_of_the_kustomization() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "a/kustomization.yaml", "{transformers: [../plugins], generators: [g.yaml]}");
    write(root, "plugins/kustomization.yaml", "resources: [t.yaml]");
    write(root, "plugins/t.yaml", "{kind: PatchTransformer, path: p.yaml}");
    write(root, "a/p.yaml", "p: 1");
    write(root, "a/g.yaml", "{kind: ConfigMapGenerator, files: [k=f.txt]}");
    write(root, "a/f.txt", "f");
    let read = read(&root.join("a"), OWN, TreeLimits::default()).unwrap();
    assert!(read.tree.get("a/p.yaml").is_some() && read.tree.get("a/f.txt").is_some());
}

#[test]
fn of_a_folder_without_a_kustomization_its_own_files_are_read_or_all_below_it() {
    let folder = sample();
    let own = read(&folder.path().join("repo/shared"), OWN, TreeLimits::default()).unwrap();
    assert_eq!(paths(&own), ["x.yaml"]);
    let none = read(&folder.path().join("repo"), OWN, TreeLimits::default()).unwrap();
    assert_eq!(paths(&none), [""; 0]);
    let all = read(&folder.path().join("repo"), DEEP, TreeLimits::default()).unwrap();
    assert!(paths(&all).contains(&"unrelated/big.bin"), "{:?}", paths(&all));
}

#[test]
fn a_folder_that_is_mentioned_and_is_no_kustomization_is_known_for_a_folder() {
    let folder = sample();
    let root = folder.path();
    write(root, "repo/overlays/prod/kustomization.yaml", "resources: [../../unrelated]");
    let read = read(&root.join("repo/overlays/prod"), OWN, TreeLimits::default()).unwrap();
    assert!(read.tree.is_folder("unrelated"));
}

#[test]
fn links_without_an_end_are_left_to_the_renderer() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "kustomization.yaml", "resources: [x/y]");
    symlink("z", root.join("x")).unwrap();
    symlink("x", root.join("z")).unwrap();
    let read = read(root, OWN, TreeLimits::default()).unwrap();
    assert!(read.tree.resolve("x/y").is_err());
}

#[test]
fn limits_end_the_reading() {
    let folder = sample();
    let few = TreeLimits { files_max: 2, ..TreeLimits::default() };
    let error = read(folder.path(), DEEP, few).unwrap_err();
    assert!(matches!(error, FolderError::TooManyFiles { .. }), "{error}");
    let small = TreeLimits { bytes_max: 20, ..TreeLimits::default() };
    let error = read(folder.path(), DEEP, small).unwrap_err();
    assert!(matches!(error, FolderError::TooManyBytes { .. }), "{error}");
    let error = read(&folder.path().join("repo/overlays/prod"), OWN, few).unwrap_err();
    assert!(matches!(error, FolderError::TooManyFiles { .. }), "{error}");
    let flat = TreeLimits { depth_max: 1, ..TreeLimits::default() };
    let error = read(folder.path(), DEEP, flat).unwrap_err();
    assert!(matches!(error, FolderError::TooDeep { .. }), "{error}");
    let file = read(&folder.path().join("secret"), OWN, TreeLimits::default()).unwrap_err();
    assert!(matches!(file, FolderError::NotAFolder { .. }), "{file}");
}
