//! What is read from a commit, and what is not believed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use fyr_git::{Mirror, ReadError, ReadScope};
use fyr_model::{Blame, BlobId, CommitId, File, SourceTree, TreeLimits};

use crate::fixture::{Fixture, Run, digits, git_in, soon};

async fn read(mirror: &Mirror, commit: &CommitId) -> Result<SourceTree, ReadError> {
    read_within(mirror, commit, TreeLimits::default()).await
}

async fn read_within(
    mirror: &Mirror,
    commit: &CommitId,
    limits: TreeLimits,
) -> Result<SourceTree, ReadError> {
    mirror.read(commit, limits, &ReadScope::everything(), soon()).await
}

fn blob_id(text: &str) -> BlobId {
    let id = text.parse::<CommitId>().unwrap();
    let digits = id.as_str().as_bytes().chunks(2);
    let bytes: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    BlobId::new(&bytes).unwrap()
}

fn text(bytes: &str) -> File {
    File::Bytes(bytes.as_bytes().into())
}

pub(crate) fn a_tree_is_read_with_links_and_submodules_and_without_what_is_too_large(
    host: Fixture,
) -> Run {
    Box::pin(async move {
        let first = host.commit("base/a.yaml", "a");
        fs::write(host.host().join("large"), "x".repeat(2000)).unwrap();
        fs::create_dir_all(host.host().join("env")).unwrap();
        symlink("../base", host.host().join("env/base")).unwrap();
        host.git(&["add", "-A"]);
        let entry = format!("160000,{first},vendor/sub");
        host.git(&["update-index", "--add", "--cacheinfo", &entry]);
        host.git(&["commit", "-q", "-m", "everything"]);
        let mirror = host.fetched().await;
        let limits = TreeLimits { file_bytes_max: 1000, ..TreeLimits::default() };
        let tree = read_within(&mirror, &host.id("HEAD"), limits).await.unwrap();
        assert_eq!(tree.get("base/a.yaml"), Some(&text("a")));
        assert_eq!(
            tree.id("base/a.yaml"),
            Some(blob_id(&host.git(&["hash-object", "base/a.yaml"])))
        );
        assert_eq!(tree.get("env/base"), Some(&File::Link("../base".to_owned())));
        assert_eq!(tree.get("large"), Some(&File::TooLarge { bytes: 2000 }));
        assert_eq!(tree.get("vendor/sub"), Some(&File::Submodule));
        assert_eq!(tree.len(), 4);
        assert_eq!(read(&mirror, &first).await.unwrap().len(), 1);
    })
}

pub(crate) fn a_scope_reads_only_what_is_in_it(host: Fixture) -> Run {
    Box::pin(async move {
        for path in ["apps/web/a.yaml", "apps/web/deep/b.yaml", "apps/website/c.yaml", "base/d"] {
            host.commit(path, path);
        }
        let mirror = host.fetched().await;
        let scope = ReadScope::only(["apps/web", "base/d"]);
        let limits = TreeLimits { files_max: 8, ..TreeLimits::default() };
        let tree = mirror.read(&host.id("HEAD"), limits, &scope, soon()).await.unwrap();
        let paths: Vec<&str> = tree.under("").map(|(path, _)| path).collect();
        assert_eq!(paths, ["apps/web/a.yaml", "apps/web/deep/b.yaml", "base/d"]);
        let nothing = ReadScope::only(["nowhere"]);
        let tree = mirror.read(&host.id("HEAD"), limits, &nothing, soon()).await.unwrap();
        assert!(tree.is_empty());
    })
}

pub(crate) fn a_link_that_leaves_the_repository_spoils_nothing_but_itself(host: Fixture) -> Run {
    Box::pin(async move {
        for target in ["/etc/passwd", "../../outside"] {
            let link = host.host().join("link");
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            let commit = host.commit("a.yaml", target);
            let mirror = host.fetched().await;
            let tree = read(&mirror, &commit).await.unwrap();
            assert_eq!(tree.get("link"), Some(&File::LinkOutside(target.to_owned())));
            assert!(tree.resolve("link").is_err() && tree.resolve("a.yaml").is_ok());
        }
    })
}

pub(crate) fn limits_on_files_bytes_and_depth_hold(host: Fixture) -> Run {
    Box::pin(async move {
        for path in ["a", "b", "c/d/e/f"] {
            host.commit(path, "1234567890");
        }
        let (mirror, commit) = (host.fetched().await, host.id("HEAD"));
        let all = TreeLimits { files_max: 4, file_bytes_max: 10, bytes_max: 30, depth_max: 3 };
        read_within(&mirror, &commit, all).await.unwrap();
        for (limits, expected) in [
            (TreeLimits { files_max: 2, ..all }, "files"),
            (TreeLimits { bytes_max: 29, ..all }, "bytes in all files"),
            (TreeLimits { depth_max: 2, ..all }, "folders in folders"),
        ] {
            let error = read_within(&mirror, &commit, limits).await.unwrap_err();
            let ReadError::OverLimit { what, .. } = &error else { panic!("{error:?}") };
            assert!(what == expected || expected == "files" && what == "folders", "{what}");
        }
    })
}

pub(crate) fn names_that_no_file_may_have_are_refused(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a", "a");
        let blob = host.git(&["rev-parse", "HEAD:a"]);
        let raw: Vec<u8> = (0..40)
            .step_by(2)
            .map(|at| u8::from_str_radix(&blob[at..at + 2], 16).unwrap())
            .collect();
        let entry = |name: &[u8]| [b"100644 ", name, b"\0", raw.as_slice()].concat();
        let names: [&[u8]; 7] =
            [b"..", b".", b".git", b".GIT", b"a/b", b"/etc/passwd", b"\xff\xfe"];
        let mut hostile: Vec<Vec<u8>> = names.map(entry).to_vec();
        hostile.push([entry(b"twice"), entry(b"twice")].concat());
        let mut commits = Vec::new();
        for (number, tree) in hostile.iter().enumerate() {
            let tree = host.object("tree", tree);
            commits.push(host.branch_of_tree(&format!("hostile-{number}"), &tree));
        }
        let mirror = host.fetched().await;
        for (number, commit) in commits.iter().enumerate() {
            let error = read(&mirror, commit).await.unwrap_err();
            assert!(matches!(error, ReadError::BadName { .. }), "{number}: {error:?}");
        }
    })
}

pub(crate) fn a_tree_that_multiplies_itself_ends_at_the_limit(host: Fixture) -> Run {
    Box::pin(async move {
        // 10 entries on 10 levels: 10^10 files in a few hundred bytes.
        let mut id = host.object("blob", b"bomb");
        for level in 0..10 {
            let (mode, kind) = if level == 0 { ("100644", "blob") } else { ("040000", "tree") };
            let lines: String = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
                .map(|number| format!("{mode} {kind} {id}\tf{number}\n"))
                .concat();
            id = git_in(&host.host(), &["mktree"], lines.as_bytes());
        }
        let bomb = host.branch_of_tree("bomb", &id);
        let mirror = host.fetched().await;
        let limits = TreeLimits { files_max: 5000, ..TreeLimits::default() };
        let error = read_within(&mirror, &bomb, limits).await.unwrap_err();
        assert!(matches!(error, ReadError::OverLimit { max: 5000, .. }), "{error:?}");
    })
}

/// Takes the mirror's packs apart into loose objects.
fn unpack(mirror: &Path) {
    for entry in fs::read_dir(mirror.join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "pack") {
            git_in(mirror, &["unpack-objects", "-q"], &content);
        }
    }
}

pub(crate) fn an_object_that_is_not_what_its_id_says_is_found_out(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("a.yaml", "replicas: 1");
        let mirror = host.fetched().await;
        unpack(mirror.folder());
        let loose = |id: &str| mirror.folder().join("objects").join(&id[..2]).join(&id[2..]);
        let genuine = host.git(&["rev-parse", "HEAD:a.yaml"]);
        read(&mirror, &commit).await.unwrap();
        let forged = git_in(mirror.folder(), &["hash-object", "-w", "--stdin"], b"replicas: 9");
        fs::rename(loose(&forged), loose(&genuine)).unwrap();
        let error = read(&mirror, &commit).await.unwrap_err();
        let ReadError::Corrupt { id, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*id, genuine);
        assert_eq!(error.blame(), Blame::Outside);
    })
}

pub(crate) fn a_truncated_pack_ends_the_worker_and_not_the_daemon(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("large", &digits(20_000));
        let mirror = host.fetched().await;
        for entry in fs::read_dir(mirror.folder().join("objects/pack")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "pack") {
                let mut permissions = fs::metadata(&path).unwrap().permissions();
                std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
                fs::set_permissions(&path, permissions).unwrap();
                fs::File::options().write(true).open(&path).unwrap().set_len(300).unwrap();
            }
        }
        let error = read(&mirror, &commit).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Outside, "{error:?}");
        mirror.discard(soon()).await.unwrap();
        host.fetch(&mirror).await;
        read(&mirror, &commit).await.unwrap();
    })
}

pub(crate) fn a_commit_is_described_on_one_line(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a", "a");
        let long = format!("{}\n\nbody", "s".repeat(200));
        host.git(&["commit", "-q", "--allow-empty", "-m", &long]);
        host.git(&["tag", "-a", "v1", "-m", "tag"]);
        let mirror = host.fetched().await;
        let info = mirror.commit_info(&host.id("v1"), soon()).await.unwrap();
        assert_eq!(info.commit, host.id("HEAD"));
        assert_eq!(info.tree, host.id("HEAD^{tree}"));
        assert_eq!(info.subject, "s".repeat(120));
        assert_eq!(info.author, "Ada <ada@example.com>");
        assert_eq!(info.committed_at, 1_700_000_000);
    })
}

pub(crate) fn the_beginning_of_an_id_finds_its_commit(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("a", "a");
        let mirror = host.fetched().await;
        for digits in [7, 12, 40] {
            let prefix = &commit.as_str()[..digits];
            assert_eq!(mirror.find_by_prefix(prefix, soon()).await.unwrap(), commit);
        }
        let tree = host.id("HEAD^{tree}");
        let error = mirror.find_by_prefix(tree.short(), soon()).await.unwrap_err();
        assert!(matches!(error, ReadError::NoSuchCommit { .. }), "{error:?}");
        for prefix in ["", "abc", "main123", &"a".repeat(65)] {
            let error = mirror.find_by_prefix(prefix, soon()).await.unwrap_err();
            assert!(matches!(error, ReadError::BadPrefix { .. }), "{error:?}");
        }
    })
}

pub(crate) fn what_is_no_commit_is_told_apart_from_what_is_not_there(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a", "a");
        let mirror = host.fetched().await;
        let error = read(&mirror, &host.id("HEAD:a")).await.unwrap_err();
        assert!(matches!(error, ReadError::NotACommit { .. }), "{error:?}");
        for id in ["1".repeat(40), "1".repeat(64)] {
            let error = read(&mirror, &id.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, ReadError::NoSuchCommit { .. }), "{error:?}");
        }
        let empty = Mirror::open_or_create(host.path("empty"), &host.workers()).await.unwrap();
        let error = read(&empty, &host.id("HEAD")).await.unwrap_err();
        assert!(matches!(error, ReadError::Mirror(_)), "{error:?}");
    })
}
