//! What comes from outside Git: the bootstrap document and the files it names.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fyr_model::{
    Appliance, BuildEnvironment, Digest, DirectoryOptions, GitCredentials, GitTransport, Object,
    ParseApplianceError, Plaintext, RepositoryAccess, SecretSource, SourceTree, SourceTreeError,
    TextSource, Tool, canonical_repo_url,
};
use fyr_render::{LoadRestrictor, RenderError};

/// Largest file that is read: keys, certificates and Secrets are a few KiB each.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why the daemon does not know what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is too large.
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The bootstrap document is wrong.
    #[error("{}", path.display())]
    Appliance {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParseApplianceError,
    },
    /// The path of a file of Secrets cannot be used as one.
    #[error("{}", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SourceTreeError,
    },
    /// A file of Secrets is not YAML, or holds something that is no object.
    #[error("cannot use {}", path.display())]
    Secrets {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RenderError,
    },
}

/// The bootstrap document and where it is: the files it names are relative to its folder.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The document.
    pub(crate) appliance: Arc<Appliance>,
    folder: PathBuf,
}

impl Settings {
    /// Reads the bootstrap document.
    pub(crate) fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = read_text(path)?;
        let appliance = Appliance::parse(&text)
            .map_err(|source| SettingsError::Appliance { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { appliance: Arc::new(appliance), folder })
    }

    /// How to reach the fleet repository.
    pub(crate) fn fleet_access(&self) -> Result<RepositoryAccess, SettingsError> {
        let fleet = &self.appliance.fleet;
        let secret_file = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| self.read(path).map(trimmed_secret)).transpose()
        };
        let ssh_private_key = match &fleet.ssh_private_key {
            None => None,
            Some(SecretSource::Inline(key)) => Some(Plaintext::new(key.expose().to_vec())),
            Some(SecretSource::File(path)) => Some(Plaintext::from(self.read(path)?)),
        };
        let known_hosts = match &fleet.known_hosts {
            None => None,
            Some(TextSource::Inline(text)) => Some(text.clone()),
            Some(TextSource::File(path)) => Some(self.read(path)?),
        };
        let ca_pem = fleet.ca_file.as_ref().map(|path| self.read(path)).transpose()?;
        let credentials = GitCredentials {
            username: fleet.username.clone(),
            password: secret_file(&fleet.password_file)?,
            bearer_token: secret_file(&fleet.bearer_token_file)?,
            ssh_private_key,
            client_certificate: None,
        };
        let transport = GitTransport {
            known_hosts: known_hosts.map(Into::into),
            ca_pem: ca_pem.map(Into::into),
            ..GitTransport::default()
        };
        let canonical_url = canonical_repo_url(&fleet.repo_url);
        // The document is read once, so one digest stands for all of it.
        let digest = Digest::of(format!("fleet {canonical_url}").as_bytes());
        Ok(RepositoryAccess {
            canonical_url,
            credentials: Arc::new(credentials),
            transport,
            digest,
        })
    }

    /// The Secrets of the local files, read anew at each call so that a changed file counts.
    pub(crate) fn secrets(&self) -> Result<Vec<Object>, SettingsError> {
        let mut objects = Vec::new();
        for path in &self.appliance.secret_files {
            let path = self.folder.join(path);
            objects.append(&mut objects_of(&path)?);
        }
        Ok(objects)
    }

    fn read(&self, path: &Path) -> Result<String, SettingsError> {
        read_text(&self.folder.join(path))
    }
}

/// The objects of one file, read as the renderer reads a folder with this one file in it.
fn objects_of(path: &Path) -> Result<Vec<Object>, SettingsError> {
    let text = read_text(path)?;
    let mut tree = SourceTree::default();
    tree.insert_bytes("secrets.yaml", text.into_bytes())
        .map_err(|source| SettingsError::Path { path: path.to_owned(), source })?;
    let request = fyr_render::Request {
        tree: &tree,
        path: "",
        tool: &Tool::Directory(DirectoryOptions::default()),
        environment: &BuildEnvironment::default(),
        application: None,
        load_restrictor: LoadRestrictor::RootOnly,
        parsed: None,
        stop: None,
    };
    let rendered = fyr_render::render(&request)
        .map_err(|source| SettingsError::Secrets { path: path.to_owned(), source })?;
    Ok(rendered.objects)
}

/// Editors end files with a line feed, which is no part of a password or token.
fn trimmed_secret(text: String) -> Plaintext {
    let end = text.trim_end_matches(['\r', '\n']).len();
    let mut text = text;
    text.truncate(end);
    Plaintext::from(text)
}

fn read_text(path: &Path) -> Result<String, SettingsError> {
    let read = |source| SettingsError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(read)?;
    let mut text = String::new();
    // One byte more than allowed, so that "exactly the limit" and "over it" differ.
    let bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(read)?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        return Err(SettingsError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}
