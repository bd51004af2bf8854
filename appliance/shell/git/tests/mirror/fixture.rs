//! A repository made by git, and a mirror of it.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::time::Duration;

use fyr_git::{Fetched, Mirror, Remote, RemoteOptions, WorkerConfig, Workers};
use fyr_model::CommitId;
use tokio::time::Instant;

/// What a test is, once called.
pub(crate) type Run = Pin<Box<dyn Future<Output = ()>>>;

/// A working copy, whose branches are the "Git host", and room for mirrors.
pub(crate) struct Fixture {
    folder: tempfile::TempDir,
}

/// Far longer than anything here takes, so that no test fails because the machine is busy.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::create_dir(fixture.host()).expect("a folder");
        fixture.git(&["init", "-q", "-b", "main"]);
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host(&self) -> PathBuf {
        self.path("host")
    }

    /// Runs git in the repository of the host and returns what it says, trimmed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.host(), arguments, &[])
    }

    /// Stores an object of any content, however wrong, and returns its id.
    pub(crate) fn object(&self, kind: &str, content: &[u8]) -> String {
        let arguments = ["hash-object", "-t", kind, "-w", "--literally", "--stdin"];
        git_in(&self.host(), &arguments, content)
    }

    /// Makes a branch of one commit with this tree.
    pub(crate) fn branch_of_tree(&self, branch: &str, tree: &str) -> CommitId {
        let commit = self.git(&["commit-tree", tree, "-m", "made by hand"]);
        self.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
        commit.parse().expect("an id")
    }

    /// Writes a file and commits it.
    pub(crate) fn commit(&self, path: &str, content: &str) -> CommitId {
        let file = self.host().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, content).expect("a file");
        self.commit_all(&format!("change {path}"))
    }

    /// Commits everything in the working copy.
    pub(crate) fn commit_all(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.id("HEAD")
    }

    pub(crate) fn id(&self, revision: &str) -> CommitId {
        self.git(&["rev-parse", revision]).parse().expect("an id")
    }

    pub(crate) fn workers(&self) -> Workers {
        self.workers_with(|_| {})
    }

    pub(crate) fn workers_with(&self, change: fn(&mut WorkerConfig)) -> Workers {
        let mut config = WorkerConfig::new(self.path("scratch"));
        change(&mut config);
        Workers::new(config).expect("a scratch folder")
    }

    pub(crate) async fn mirror(&self) -> Mirror {
        self.mirror_with(&self.workers()).await
    }

    pub(crate) async fn mirror_with(&self, workers: &Workers) -> Mirror {
        Mirror::open_or_create(self.path("mirror"), workers).await.expect("a mirror")
    }

    pub(crate) fn remote(&self) -> Remote {
        remote_of(&self.host())
    }

    pub(crate) async fn fetch(&self, mirror: &Mirror) -> Fetched {
        mirror.fetch(&self.remote(), soon(), None).await.expect("a fetch")
    }

    /// A mirror of the host as it is now.
    pub(crate) async fn fetched(&self) -> Mirror {
        let mirror = self.mirror().await;
        self.fetch(&mirror).await;
        mirror
    }
}

pub(crate) fn remote_of(path: &Path) -> Remote {
    let options = RemoteOptions { allow_file: true, ..RemoteOptions::default() };
    Remote::new(path.to_str().expect("a path of text"), options).expect("a file")
}

/// Text of about 15 times `numbers` bytes that does not compress well.
pub(crate) fn digits(numbers: u64) -> String {
    let mut text = String::new();
    for number in 0..numbers {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        text.push_str(&mixed.to_string());
    }
    text
}

/// Runs git without the settings of whoever runs the tests.
pub(crate) fn git_in(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("git")
        .current_dir(folder)
        .args(["-c", "protocol.file.allow=always", "-c", "gc.auto=0"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Bob"), ("GIT_COMMITTER_EMAIL", "bob@example.com")])
        .env("GIT_COMMITTER_DATE", "1700000000 +0100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    child.stdin.take().expect("a pipe").write_all(input).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
