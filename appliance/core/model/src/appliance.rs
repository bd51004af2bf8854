//! The bootstrap document: the only desired state that does not come from Git.
//!
//! `appliance.yaml`, kind `Appliance` of `fyr.dev/v1alpha1`, says where the fleet repository is and
//! how to get in. It is our own schema, so an unknown field is an error, with its line. Files are
//! only named here; relative names are relative to the document, which its reader resolves.
//! `provisioning/appliance.example.yaml` shows every field.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::Plaintext;
use crate::go_duration::{ParseDurationError, parse_go_duration};
use crate::repo_url::{canonical_repo_url, is_file_url};

/// What the appliance must know before it can read its fleet repository.
#[derive(Debug)]
pub struct Appliance {
    /// Name, for people.
    pub name: String,
    /// Where the fleet repository is.
    pub fleet: FleetSource,
    /// Files with the Secrets of clusters and repositories, as YAML.
    pub secret_files: Vec<PathBuf>,
    /// What to fetch instead of what is written, in the order of the document.
    pub url_rewrites: Vec<UrlRewrite>,
    /// How often repositories are asked for news.
    pub poll_interval: Duration,
    /// Whether repositories may be files of this machine.
    pub allow_file_repositories: bool,
}

/// The fleet repository and how to get in.
#[derive(Debug)]
pub struct FleetSource {
    /// Repository URL as written.
    pub repo_url: String,
    /// Branch, tag, SHA, semver constraint or `HEAD`.
    pub target_revision: String,
    /// Folder in the repository; `.` is its root.
    pub path: String,
    /// Private key for SSH.
    pub ssh_private_key: Option<SecretSource>,
    /// Lines of `known_hosts`.
    pub known_hosts: Option<TextSource>,
    /// User name for HTTPS.
    pub username: Option<String>,
    /// File with the password for HTTPS.
    pub password_file: Option<PathBuf>,
    /// File with a bearer token for HTTPS.
    pub bearer_token_file: Option<PathBuf>,
    /// File with authorities to trust over HTTPS, PEM.
    pub ca_file: Option<PathBuf>,
}

/// A secret: in the document, or in a file it names.
#[derive(Debug)]
pub enum SecretSource {
    /// The secret.
    Inline(Plaintext),
    /// The file that holds it.
    File(PathBuf),
}

/// Text that is no secret: in the document, or in a file it names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TextSource {
    /// The text.
    Inline(String),
    /// The file that holds it.
    File(PathBuf),
}

/// Git's `url.<base>.insteadOf`: URLs that begin with `instead_of` are fetched from `base`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlRewrite {
    /// What to put in its place.
    pub base: String,
    /// Beginning of the URLs that are rewritten.
    pub instead_of: String,
}

/// Why a text is not a bootstrap document. Never shows the text, which may hold a key.
#[derive(Debug, thiserror::Error)]
pub enum ParseApplianceError {
    /// Not YAML, or not of this schema. The text says where.
    #[error("not an Appliance document: {message}")]
    Shape {
        /// What and where.
        message: String,
    },
    /// Too long.
    #[error("the document is longer than {} bytes", Appliance::BYTES_MAX)]
    TooLong,
    /// Another kind of document.
    #[error(
        "apiVersion and kind must be fyr.dev/v1alpha1 and Appliance, not {api_version} and {kind}"
    )]
    OtherKind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// A field is missing or empty.
    #[error("{path} is required")]
    Missing {
        /// The field.
        path: &'static str,
    },
    /// Two fields that exclude each other.
    #[error("{first} and {second} exclude each other")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// One half of a pair.
    #[error("{present} needs {missing}")]
    Incomplete {
        /// The half that is there.
        present: &'static str,
        /// The half that is not.
        missing: &'static str,
    },
    /// SSH without a way to know the server.
    #[error(
        "spec.fleet.repoURL is reached over SSH, so spec.fleet.knownHosts or knownHostsFile is \
         required: host keys are always checked"
    )]
    NoKnownHosts,
    /// A file repository, without leave.
    #[error("spec.fleet.repoURL is a file, which needs spec.allowFileRepositories: true")]
    FileRepository,
    /// A path outside the repository.
    #[error("spec.fleet.path {path:?} must be relative and stay inside the repository")]
    Path {
        /// As written.
        path: String,
    },
    /// Not a duration.
    #[error("spec.poll.interval cannot be read")]
    Interval(#[source] ParseDurationError),
    /// A duration out of range.
    #[error(
        "spec.poll.interval is {} s; it must be {} s to {} s", got.as_secs(),
        Appliance::POLL_MIN.as_secs(), Appliance::POLL_MAX.as_secs()
    )]
    IntervalRange {
        /// As written.
        got: Duration,
    },
}

impl Appliance {
    /// Longest document: room for keys, host keys and a thousand rewrites.
    pub const BYTES_MAX: usize = 1024 * 1024;

    /// Time between two polls when the document says nothing: short enough that people wait for
    /// it, and a thousand repositories then mean 33 cheap requests a second.
    pub const POLL_DEFAULT: Duration = Duration::from_secs(30);

    /// Git hosts take more frequent polling for an attack.
    pub const POLL_MIN: Duration = Duration::from_secs(5);

    /// Above a day a typing error is more likely than a wish.
    pub const POLL_MAX: Duration = Duration::from_hours(24);

    /// Reads the document.
    pub fn parse(text: &str) -> Result<Self, ParseApplianceError> {
        if text.len() > Self::BYTES_MAX {
            return Err(ParseApplianceError::TooLong);
        }
        // Without snippets: the lines around an error may hold a private key.
        let options = serde_saphyr::options! { with_snippet: false };
        let raw: RawAppliance = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| ParseApplianceError::Shape { message: error.to_string() })?;
        if raw.api_version != "fyr.dev/v1alpha1" || raw.kind != "Appliance" {
            let (api_version, kind) = (raw.api_version, raw.kind);
            return Err(ParseApplianceError::OtherKind { api_version, kind });
        }
        let spec = raw.spec;
        let poll_interval = match spec.poll.interval {
            None => Self::POLL_DEFAULT,
            Some(text) => parse_go_duration(&text).map_err(ParseApplianceError::Interval)?,
        };
        if !(Self::POLL_MIN..=Self::POLL_MAX).contains(&poll_interval) {
            return Err(ParseApplianceError::IntervalRange { got: poll_interval });
        }
        for rewrite in &spec.url_rewrites {
            if rewrite.instead_of.is_empty() {
                return Err(ParseApplianceError::Missing { path: "spec.urlRewrites[].insteadOf" });
            }
        }
        let appliance = Self {
            name: raw.metadata.name,
            fleet: FleetSource::from_raw(spec.fleet)?,
            secret_files: spec.secrets.files,
            url_rewrites: spec.url_rewrites,
            poll_interval,
            allow_file_repositories: spec.allow_file_repositories,
        };
        appliance.check_fleet_url()?;
        Ok(appliance)
    }

    /// The URL to fetch for a URL as written: of the rewrites that apply, the one with the longest
    /// `insteadOf`, as in Git. Applied once, so rewrites cannot chase each other.
    pub fn rewrite(&self, url: &str) -> String {
        let applies =
            self.url_rewrites.iter().filter(|rewrite| url.starts_with(&rewrite.instead_of));
        match applies.max_by_key(|rewrite| rewrite.instead_of.len()) {
            Some(rewrite) => format!("{}{}", rewrite.base, &url[rewrite.instead_of.len()..]),
            None => url.to_owned(),
        }
    }

    /// Whether a URL, already rewritten, may be fetched at all.
    pub fn permits_url(&self, url: &str) -> bool {
        self.allow_file_repositories || !is_file_url(url)
    }

    fn check_fleet_url(&self) -> Result<(), ParseApplianceError> {
        let url = self.rewrite(&self.fleet.repo_url);
        if !self.permits_url(&url) {
            return Err(ParseApplianceError::FileRepository);
        }
        if canonical_repo_url(&url).starts_with("ssh://") && self.fleet.known_hosts.is_none() {
            return Err(ParseApplianceError::NoKnownHosts);
        }
        Ok(())
    }
}

impl FleetSource {
    fn from_raw(raw: RawFleet) -> Result<Self, ParseApplianceError> {
        if raw.repo_url.trim().is_empty() {
            return Err(ParseApplianceError::Missing { path: "spec.fleet.repoURL" });
        }
        let path = raw.path.filter(|path| !path.is_empty()).unwrap_or_else(|| ".".to_owned());
        if path.starts_with('/') || crate::source_tree::join("", &path).is_none() {
            return Err(ParseApplianceError::Path { path });
        }
        let ssh_private_key = match (raw.ssh_private_key, raw.ssh_private_key_file) {
            (Some(_), Some(_)) => {
                let first = "spec.fleet.sshPrivateKey";
                let second = "spec.fleet.sshPrivateKeyFile";
                return Err(ParseApplianceError::Conflict { first, second });
            }
            (Some(RawSecret(key)), None) => Some(SecretSource::Inline(key)),
            (None, file) => file.map(SecretSource::File),
        };
        let known_hosts = match (raw.known_hosts, raw.known_hosts_file) {
            (Some(_), Some(_)) => {
                let (first, second) = ("spec.fleet.knownHosts", "spec.fleet.knownHostsFile");
                return Err(ParseApplianceError::Conflict { first, second });
            }
            (Some(lines), None) => Some(TextSource::Inline(lines)),
            (None, file) => file.map(TextSource::File),
        };
        if raw.password_file.is_some() && raw.bearer_token_file.is_some() {
            let (first, second) = ("spec.fleet.passwordFile", "spec.fleet.bearerTokenFile");
            return Err(ParseApplianceError::Conflict { first, second });
        }
        if raw.password_file.is_some() && raw.username.is_none() {
            let (present, missing) = ("spec.fleet.passwordFile", "spec.fleet.username");
            return Err(ParseApplianceError::Incomplete { present, missing });
        }
        let target_revision = raw.target_revision.filter(|revision| !revision.is_empty());
        Ok(Self {
            repo_url: raw.repo_url.trim().to_owned(),
            target_revision: target_revision.unwrap_or_else(|| "HEAD".to_owned()),
            path,
            ssh_private_key,
            known_hosts,
            username: raw.username,
            password_file: raw.password_file,
            bearer_token_file: raw.bearer_token_file,
            ca_file: raw.ca_file,
        })
    }
}

/// The document as written: nothing believed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawAppliance {
    api_version: String,
    kind: String,
    metadata: RawMetadata,
    spec: RawSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSpec {
    fleet: RawFleet,
    #[serde(default)]
    secrets: RawSecrets,
    #[serde(default)]
    url_rewrites: Vec<UrlRewrite>,
    #[serde(default)]
    poll: RawPoll,
    #[serde(default)]
    allow_file_repositories: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawFleet {
    #[serde(rename = "repoURL")]
    repo_url: String,
    target_revision: Option<String>,
    path: Option<String>,
    ssh_private_key: Option<RawSecret>,
    ssh_private_key_file: Option<PathBuf>,
    known_hosts: Option<String>,
    known_hosts_file: Option<PathBuf>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    bearer_token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecrets {
    #[serde(default)]
    files: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPoll {
    interval: Option<String>,
}

/// A secret on its way from the document to its type.
struct RawSecret(Plaintext);

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Plaintext::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../provisioning/appliance.example.yaml");

    fn with(spec: &str) -> Result<Appliance, ParseApplianceError> {
        Appliance::parse(&format!(
            "apiVersion: fyr.dev/v1alpha1\nkind: Appliance\nmetadata: {{name: fyr}}\nspec:\n{spec}"
        ))
    }

    fn message(spec: &str) -> String {
        with(spec).unwrap_err().to_string()
    }

    #[test]
    fn the_example_in_the_tree_is_valid() {
        let appliance = Appliance::parse(EXAMPLE).unwrap();
        assert_eq!(appliance.name, "fyr");
        assert_eq!(appliance.fleet.repo_url, "git@gitlab.com:org/fleet.git");
        assert!(matches!(appliance.fleet.ssh_private_key, Some(SecretSource::File(_))));
        assert!(matches!(appliance.fleet.known_hosts, Some(TextSource::Inline(_))));
        assert_eq!(appliance.secret_files.len(), 2);
        assert_eq!(appliance.poll_interval, Appliance::POLL_DEFAULT);
        assert!(!appliance.allow_file_repositories);
        assert_eq!(
            appliance.rewrite("git@gitlab.com:org/infra-repo.git"),
            "ssh://git@mirror.internal.example/gitlab/org/infra-repo.git"
        );
    }

    #[test]
    fn little_is_needed_and_the_rest_has_defaults() {
        let appliance = with("  fleet: {repoURL: 'https://git.example.com/fleet'}").unwrap();
        let fleet = &appliance.fleet;
        assert_eq!((&*fleet.target_revision, &*fleet.path), ("HEAD", "."));
        assert!(appliance.secret_files.is_empty() && appliance.url_rewrites.is_empty());
        assert_eq!(appliance.poll_interval, Duration::from_secs(30));
    }

    #[test]
    fn a_misspelt_key_is_an_error_with_its_line_and_not_a_default() {
        let text = message("  fleet: {repoURL: 'https://git.example.com/fleet'}\n  pol: {}\n");
        assert!(text.contains("pol") && text.contains("line 6"), "{text}");
        let text = message("  fleet: {repoUrl: 'https://git.example.com/fleet'}");
        assert!(text.contains("repoUrl") && text.contains("line 5"), "{text}");
    }

    #[test]
    fn errors_do_not_quote_the_lines_around_them() {
        let text = message(
            "  fleet:\n    repoURL: 'git@h:x'\n    sshPrivateKey: hunter2\n    knowHosts: x\n",
        );
        assert!(text.contains("knowHosts") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_value_of_the_wrong_shape_is_located_and_not_quoted() {
        let cases = [
            "  fleet: hunter2",
            "  fleet: {repoURL: 'git@h:x', sshPrivateKey: [hunter2]}",
            "  fleet: {repoURL: 'git@h:x', sshPrivateKey: \"hunter2}",
            "  fleet: {repoURL: x}\n  allowFileRepositories: hunter2",
            "  fleet:\n    sshPrivateKey: |\n      hunter2\n  hunter2\n",
        ];
        for spec in cases {
            let text = message(spec);
            assert!(text.contains("line ") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_key_in_the_document_becomes_plaintext() {
        let appliance =
            with("  fleet: {repoURL: 'git@h:x', sshPrivateKey: hunter2, knownHosts: 'h k'}")
                .unwrap();
        let Some(SecretSource::Inline(key)) = &appliance.fleet.ssh_private_key else {
            panic!("no key");
        };
        assert_eq!(key.expose(), b"hunter2");
        assert!(!format!("{appliance:?}").contains("hunter2"));
    }

    #[test]
    fn contradictions_and_halves_are_refused() {
        let https = "repoURL: 'https://git.example.com/fleet'";
        let cases = [
            ("  fleet: {repoURL: ' '}".to_owned(), "spec.fleet.repoURL is required"),
            ("  fleet: {repoURL: 'git@h:x'}".to_owned(), "knownHostsFile is required"),
            ("  fleet: {repoURL: '/srv/x'}".to_owned(), "allowFileRepositories"),
            (format!("  fleet: {{{https}, path: ../x}}"), "must be relative"),
            (format!("  fleet: {{{https}, path: /x}}"), "must be relative"),
            (format!("  fleet: {{{https}, sshPrivateKey: a, sshPrivateKeyFile: b}}"), "exclude"),
            (format!("  fleet: {{{https}, knownHosts: a, knownHostsFile: b}}"), "exclude"),
            (format!("  fleet: {{{https}, passwordFile: a, bearerTokenFile: b}}"), "exclude"),
            (format!("  fleet: {{{https}, passwordFile: a}}"), "needs spec.fleet.username"),
            (format!("  fleet: {{{https}}}\n  poll: {{interval: 4s}}"), "it must be 5 s to"),
            (format!("  fleet: {{{https}}}\n  poll: {{interval: 25h}}"), "it must be 5 s to"),
            (format!("  fleet: {{{https}}}\n  poll: {{interval: soon}}"), "cannot be read"),
            (
                format!("  fleet: {{{https}}}\n  urlRewrites: [{{base: a, insteadOf: ''}}]"),
                "insteadOf is required",
            ),
        ];
        for (spec, expected) in cases {
            let text = message(&spec);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn other_documents_and_overlong_ones_are_refused() {
        let other =
            "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nspec: {fleet: {repoURL: x}}";
        let error = Appliance::parse(other).unwrap_err();
        assert!(matches!(error, ParseApplianceError::OtherKind { .. }), "{error}");
        let long = "#".repeat(Appliance::BYTES_MAX + 1);
        assert!(matches!(Appliance::parse(&long), Err(ParseApplianceError::TooLong)));
        assert!(matches!(Appliance::parse("- 1"), Err(ParseApplianceError::Shape { .. })));
    }

    #[test]
    fn the_longest_rewrite_wins_and_is_applied_once() {
        let appliance = with(concat!(
            "  fleet: {repoURL: 'git@h:fleet'}\n  allowFileRepositories: true\n",
            "  urlRewrites:\n",
            "    - {base: 'file:///srv/', insteadOf: 'git@h:'}\n",
            "    - {base: 'git@h:', insteadOf: 'git@h:org/'}\n",
        ))
        .unwrap();
        assert_eq!(appliance.rewrite("git@h:fleet"), "file:///srv/fleet");
        assert_eq!(appliance.rewrite("git@h:org/x"), "git@h:x");
        assert_eq!(appliance.rewrite("https://h/x"), "https://h/x");
    }

    #[test]
    fn files_are_fetched_only_with_leave() {
        let closed = with("  fleet: {repoURL: 'https://git.example.com/fleet'}").unwrap();
        assert!(!closed.permits_url("file:///srv/x") && !closed.permits_url("/srv/x"));
        assert!(closed.permits_url("git@h:x"));
        let open = with("  fleet: {repoURL: '/srv/x'}\n  allowFileRepositories: true").unwrap();
        assert!(open.permits_url("/srv/x"));
    }
}
