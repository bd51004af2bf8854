//! The mirror's folder: a bare repository that only workers touch.
//!
//! Writers hold a lock on a file in it, so that there is one at a time even if two daemons are
//! started on one folder. What a killed writer left behind is removed by the next one.
//!
//! Order of an update, each step durable before the next: pack, `packed-refs`, `HEAD`. After a crash
//! between two of them the mirror is the one of before, and the next fetch finishes the work.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fyr_model::CommitId;
use nix::fcntl::{Flock, FlockArg};

use crate::refs::MirrorRefs;
use crate::wire::{Failure, FailureKind, Reply, WorkerLimits};

/// File whose lock makes a writer the only one.
const LOCK: &str = "fyr.lock";
const PACKED_REFS: &str = "packed-refs";
const HEAD: &str = "HEAD";
/// Suffix of a file that takes the place of another once it is whole.
const NEW: &str = ".new";
/// Bytes of `packed-refs` or `HEAD`; 100,000 references with long names are 20 MiB.
const REFS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A mirror's folder, open for one operation.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    limits: WorkerLimits,
    /// Held for as long as something may be written.
    _lock: Option<Flock<File>>,
}

impl Store {
    pub(super) fn for_reading(folder: &Path, limits: &WorkerLimits) -> Self {
        Self { folder: folder.to_owned(), limits: *limits, _lock: None }
    }

    pub(super) fn for_writing(folder: &Path, limits: &WorkerLimits) -> Result<Self, Failure> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK))
            .map_err(|error| Failure::file(LOCK, &error))?;
        // Waits for the writer before; the daemon's deadline ends that too.
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Failure::new(FailureKind::Mirror, errno))?;
        let store = Self { folder: folder.to_owned(), limits: *limits, _lock: Some(lock) };
        store.remove_leftovers()?;
        Ok(store)
    }

    pub(super) fn pack_folder(&self) -> PathBuf {
        self.folder.join("objects/pack")
    }

    pub(super) fn limits(&self) -> &WorkerLimits {
        &self.limits
    }

    /// Opens the mirror as a Git repository.
    pub(super) fn open(&self) -> Result<gix::Repository, Failure> {
        let options = gix::open::Options::isolated()
            .open_path_as_is(true)
            .with(gix::sec::Trust::Full)
            .strict_config(true)
            .config_overrides([format!(
                "gitoxide.objects.allocLimit={}",
                self.limits.object_bytes_max
            )]);
        gix::open_opts(&self.folder, options)
            .map_err(|error| Failure::new(FailureKind::Mirror, chain_of(&error)))
    }

    /// Opens the mirror, and makes it first if there is none, for ids of the given kind.
    pub(super) fn open_or_init(&self, hash: gix::hash::Kind) -> Result<gix::Repository, Failure> {
        if !self.folder.join(HEAD).exists() {
            self.init(hash).map_err(|error| Failure::file("make the mirror", &error))?;
        }
        let repository = self.open()?;
        if repository.object_hash() == hash {
            return Ok(repository);
        }
        let detail =
            format!("the mirror has {} ids, the Git host {hash}", repository.object_hash());
        Err(Failure::new(FailureKind::OtherHash, detail))
    }

    /// `HEAD` comes last: a folder without it is no mirror yet.
    fn init(&self, hash: gix::hash::Kind) -> std::io::Result<()> {
        for folder in ["objects/pack", "objects/info", "refs/heads"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let config = match hash {
            gix::hash::Kind::Sha1 => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
            _ => {
                "[core]\n\trepositoryformatversion = 1\n\tbare = true\n\
                 [extensions]\n\tobjectformat = sha256\n"
            }
        };
        self.replace("config", config)?;
        self.replace(HEAD, "ref: refs/heads/main\n")
    }

    /// All references of the mirror.
    pub(super) fn refs(&self) -> Result<MirrorRefs, Failure> {
        read_refs(&self.folder)
    }

    /// Makes these the references of the mirror, all at once.
    pub(super) fn write_refs(&self, refs: &MirrorRefs) -> Result<(), Failure> {
        self.replace(PACKED_REFS, &refs.packed())
            .and_then(|()| self.replace(HEAD, &refs.remote.head_text()))
            .map_err(|error| Failure::file("write the references", &error))
    }

    /// Pins a commit under a name, or takes the pin away.
    pub(super) fn pin(&self, name: &str, commit: Option<&CommitId>) -> Result<Reply, Failure> {
        let repository = self.open()?;
        let mut refs = self.refs()?;
        let before = refs.pins.get(name).cloned();
        match commit {
            Some(commit) => {
                let (id, _) = super::tree::find_commit(&repository, commit)?;
                refs.pins.insert(name.to_owned(), super::tree::commit_id(id)?);
            }
            None => drop(refs.pins.remove(name)),
        }
        if refs.pins.get(name) != before.as_ref() {
            self.write_refs(&refs)?;
        }
        Ok(Reply::Done)
    }

    /// Empties the folder but for the lock, which is held.
    pub(super) fn discard(&self) -> Result<Reply, Failure> {
        // First: without it the folder is no mirror, however far this gets.
        remove(&self.folder.join(HEAD))?;
        for path in files_of(&self.folder)? {
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(|error| Failure::file("discard", &error))?;
            } else if path.file_name() != Some(OsStr::new(LOCK)) {
                remove(&path)?;
            }
        }
        Ok(Reply::Done)
    }

    /// Number of packs.
    pub(super) fn packs(&self) -> Result<u32, Failure> {
        let files = files_of(&self.pack_folder())?;
        let packs = files.iter().filter(|path| path.extension() == Some(OsStr::new("pack")));
        Ok(u32::try_from(packs.count()).unwrap_or(u32::MAX))
    }

    /// Replaces a file as a whole and waits until that has reached the disk.
    fn replace(&self, name: &str, text: &str) -> std::io::Result<()> {
        let new = self.folder.join(format!("{name}{NEW}"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Makes files of the pack folder, and their names, durable.
    pub(super) fn sync_packs<'a>(
        &self,
        files: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<(), Failure> {
        files
            .into_iter()
            .try_for_each(|path| File::open(path)?.sync_all())
            .and_then(|()| File::open(self.pack_folder())?.sync_all())
            .map_err(|error| Failure::file("write the pack to disk", &error))
    }

    /// Removes what a writer that was killed left behind: unfinished packs, packs without their
    /// index, marks that keep packs from being consolidated.
    fn remove_leftovers(&self) -> Result<(), Failure> {
        for name in [PACKED_REFS, HEAD, "config"] {
            remove(&self.folder.join(format!("{name}{NEW}")))?;
        }
        if !self.pack_folder().exists() {
            return Ok(());
        }
        for path in files_of(&self.pack_folder())? {
            let extension = path.extension().and_then(OsStr::to_str);
            let is_pack = path
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.starts_with("pack-"));
            let whole = is_pack
                && match extension {
                    Some("pack") => path.with_extension("idx").exists(),
                    Some("idx" | "rev") => path.with_extension("pack").exists(),
                    _ => false,
                };
            if !whole {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Reads the references of a mirror in `folder`; none at all if it was never fetched into.
pub(crate) fn read_refs(folder: &Path) -> Result<MirrorRefs, Failure> {
    let read = |name: &str| {
        let path = folder.join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() <= REFS_BYTES_MAX => fs::read_to_string(&path),
            Ok(_) => Err(std::io::ErrorKind::FileTooLarge.into()),
            Err(error) => Err(error),
        }
        .map(Some)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(None),
            _ => Err(Failure::file(name, &error)),
        })
    };
    let Some(head) = read(HEAD)? else { return Ok(MirrorRefs::default()) };
    let packed = read(PACKED_REFS)?.unwrap_or_default();
    MirrorRefs::parse(&packed, &head).map_err(|error| Failure::new(FailureKind::Mirror, error))
}

pub(super) fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| Failure::file("list a folder", &error))
}

pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file(&path.display().to_string(), &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn chain_of(error: &dyn std::error::Error) -> String {
    fyr_model::Chain(error).to_string()
}
