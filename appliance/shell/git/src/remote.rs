//! A repository to fetch from: its address, who we are there, and how we know it is it.

use fyr_model::Plaintext;

use crate::address::{Address, AddressError};

/// What an unencrypted OpenSSH key begins with once the PEM armour is off: magic, cipher `none`.
const OPENSSH_UNENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ";

/// User name sent along with a password or token when neither Secret nor address has one.
/// GitHub, GitLab, Gitea and Bitbucket take any name beside a token.
const USER_DEFAULT: &str = "git";

/// Who we are at a Git host.
#[derive(Debug, Default)]
pub enum Credentials {
    /// Nobody: public repositories over HTTPS, and files.
    #[default]
    None,
    /// User name and password (or token) over HTTPS.
    Basic {
        /// User name; empty takes the address's, or `git`.
        user: String,
        /// Password or token.
        password: Plaintext,
    },
    /// A token sent as `Authorization: Bearer`. Redirects are then refused.
    Bearer(Plaintext),
    /// An SSH private key, unencrypted PEM.
    SshKey(Plaintext),
}

/// All that is known about reaching a repository beside its address.
#[derive(Debug, Default)]
pub struct RemoteOptions {
    /// Who we are.
    pub credentials: Credentials,
    /// Certificates (PEM) that vouch for an HTTPS host, in place of the system's.
    pub ca_pem: Option<String>,
    /// Takes any HTTPS certificate. Has no effect over SSH: host keys are always checked.
    pub insecure: bool,
    /// HTTP proxy (`http://…` or `https://…`), for HTTPS only. A secret: it may hold a password.
    pub proxy: Option<Plaintext>,
    /// Host keys in the format of a `known_hosts` file; needed for SSH.
    pub known_hosts: Option<String>,
    /// Allows repositories on this machine: for tests and offline use.
    pub allow_file: bool,
}

/// A repository that can be fetched from. Holding one proves that its parts fit together.
#[derive(Debug)]
pub struct Remote {
    pub(crate) address: Address,
    pub(crate) options: RemoteOptions,
}

/// A repository that cannot be fetched from as configured.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Files are for tests and offline use.
    #[error("{address} is a repository on the appliance itself, which is not allowed here")]
    FileNotAllowed {
        /// The address.
        address: Address,
    },
    /// SSH without known host keys.
    #[error(
        "no host key is known for {address}; add the output of `ssh-keyscan {host}`, once compared \
         with what the host publishes, to the known hosts of the repository"
    )]
    NoKnownHosts {
        /// The address.
        address: Address,
        /// The host whose key is missing.
        host: String,
    },
    /// SSH without a key.
    #[error("{address} needs an SSH private key in its repository Secret (sshPrivateKey)")]
    NoSshKey {
        /// The address.
        address: Address,
    },
    /// A key that needs a passphrase, or no key at all.
    #[error("the SSH private key for {address} {problem}")]
    BadSshKey {
        /// The address.
        address: Address,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key for HTTPS, a password for SSH, either for a file.
    #[error("{address} cannot be reached with {what}")]
    WrongCredentials {
        /// The address.
        address: Address,
        /// What was given.
        what: &'static str,
    },
    /// A certificate that is none.
    #[error("the CA certificate for {address} is not PEM (no -----BEGIN CERTIFICATE-----)")]
    BadCertificate {
        /// The address.
        address: Address,
    },
    /// A proxy that cannot be used.
    #[error("the proxy for {address} is not an http:// or https:// address")]
    BadProxy {
        /// The address.
        address: Address,
    },
}

impl Remote {
    /// Parses `url` and checks that `options` can reach it.
    ///
    /// Rewrites (see [`crate::rewrite_url`]) have been applied before.
    pub fn new(url: &str, options: RemoteOptions) -> Result<Self, RemoteError> {
        let address = Address::parse(url)?;
        match &address {
            Address::Https { .. } => check_https(&address, &options)?,
            Address::Ssh { host, .. } => check_ssh(&address, host, &options)?,
            Address::File { .. } if options.allow_file => {
                if let Some(what) = given(&options.credentials) {
                    return Err(RemoteError::WrongCredentials { address, what });
                }
            }
            Address::File { .. } => return Err(RemoteError::FileNotAllowed { address }),
        }
        Ok(Self { address, options })
    }

    /// Where the repository is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// User name of an HTTPS login, if there is one.
    pub(crate) fn basic_user(&self) -> Option<&str> {
        let Credentials::Basic { user, .. } = &self.options.credentials else { return None };
        let inside = match &self.address {
            Address::Https { user, .. } => user.as_deref(),
            Address::Ssh { .. } | Address::File { .. } => None,
        };
        Some(if user.is_empty() { inside.unwrap_or(USER_DEFAULT) } else { user })
    }
}

fn given(credentials: &Credentials) -> Option<&'static str> {
    match credentials {
        Credentials::None => None,
        Credentials::Basic { .. } => Some("a user name and password"),
        Credentials::Bearer(_) => Some("a bearer token"),
        Credentials::SshKey(_) => Some("an SSH key"),
    }
}

fn check_https(address: &Address, options: &RemoteOptions) -> Result<(), RemoteError> {
    let address = || address.clone();
    if let Credentials::SshKey(_) = options.credentials {
        let what = "an SSH key";
        return Err(RemoteError::WrongCredentials { address: address(), what });
    }
    if options.ca_pem.as_ref().is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        return Err(RemoteError::BadCertificate { address: address() });
    }
    let is_http = |proxy: &Plaintext| {
        let text = proxy.expose_text().unwrap_or_default();
        text.starts_with("http://") || text.starts_with("https://")
    };
    if !options.proxy.as_ref().is_none_or(is_http) {
        return Err(RemoteError::BadProxy { address: address() });
    }
    Ok(())
}

fn check_ssh(address: &Address, host: &str, options: &RemoteOptions) -> Result<(), RemoteError> {
    let address = || address.clone();
    let key = match &options.credentials {
        Credentials::SshKey(key) => key,
        Credentials::None => return Err(RemoteError::NoSshKey { address: address() }),
        Credentials::Basic { .. } | Credentials::Bearer(_) => {
            let what = given(&options.credentials).unwrap_or_default();
            return Err(RemoteError::WrongCredentials { address: address(), what });
        }
    };
    if let Some(problem) = key_problem(key) {
        return Err(RemoteError::BadSshKey { address: address(), problem });
    }
    let is_entry = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !options.known_hosts.as_deref().unwrap_or_default().lines().any(is_entry) {
        return Err(RemoteError::NoKnownHosts { address: address(), host: host.to_owned() });
    }
    Ok(())
}

/// What keeps a private key from being used without asking anybody.
fn key_problem(key: &Plaintext) -> Option<&'static str> {
    let text = key.expose_text().unwrap_or_default();
    let Some(begin) = text.lines().find(|line| line.starts_with("-----BEGIN ")) else {
        return Some("is not PEM (no -----BEGIN … PRIVATE KEY-----)");
    };
    if !begin.contains("PRIVATE KEY-----") {
        return Some("is not a private key");
    }
    let encrypted = begin.contains("ENCRYPTED")
        || text.contains("Proc-Type: 4,ENCRYPTED")
        || begin.contains("OPENSSH") && !text.contains(OPENSSH_UNENCRYPTED);
    encrypted.then_some("has a passphrase; an appliance cannot type it, make a key without one")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
        -----END OPENSSH PRIVATE KEY-----\n";

    fn ssh(key: &str, known_hosts: Option<&str>) -> Result<Remote, RemoteError> {
        let options = RemoteOptions {
            credentials: Credentials::SshKey(key.to_owned().into()),
            known_hosts: known_hosts.map(str::to_owned),
            insecure: true,
            ..RemoteOptions::default()
        };
        Remote::new("git@host:x", options)
    }

    #[test]
    fn ssh_needs_known_hosts_even_when_insecure() {
        assert!(ssh(KEY, Some("host ssh-ed25519 AAAA")).is_ok());
        for none in [None, Some(""), Some("# a comment\n\n")] {
            let error = ssh(KEY, none).unwrap_err();
            assert!(matches!(error, RemoteError::NoKnownHosts { .. }), "{none:?}");
            assert!(error.to_string().contains("ssh-keyscan host"));
        }
    }

    #[test]
    fn a_key_with_a_passphrase_is_refused_before_anything_connects() {
        let hosts = Some("host ssh-ed25519 AAAA");
        let encrypted = KEY.replace("AAAABG5vbmU", "AAAACmFlczI");
        for key in [encrypted.as_str(), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "junk"] {
            let error = ssh(key, hosts).unwrap_err();
            assert!(matches!(error, RemoteError::BadSshKey { .. }), "{error}");
        }
    }

    #[test]
    fn files_are_refused_unless_allowed() {
        let error = Remote::new("/srv/x.git", RemoteOptions::default()).unwrap_err();
        assert!(matches!(error, RemoteError::FileNotAllowed { .. }));
        let options = RemoteOptions { allow_file: true, ..RemoteOptions::default() };
        assert!(Remote::new("file:///srv/x.git", options).is_ok());
    }

    #[test]
    fn credentials_of_the_other_transport_are_refused() {
        let basic = || Credentials::Basic { user: String::new(), password: "x".to_owned().into() };
        let options = RemoteOptions { credentials: basic(), ..RemoteOptions::default() };
        assert!(Remote::new("git@host:x", options).is_err());
        let key = Credentials::SshKey(KEY.to_owned().into());
        let options = RemoteOptions { credentials: key, ..RemoteOptions::default() };
        assert!(Remote::new("https://host/x", options).is_err());
        let options = RemoteOptions { credentials: basic(), ..RemoteOptions::default() };
        let remote = Remote::new("https://me@host/x", options).unwrap();
        assert_eq!(remote.basic_user(), Some("me"));
    }

    #[test]
    fn a_proxy_or_certificate_of_another_kind_is_refused() {
        let proxy = Some("socks5://h:1".to_owned().into());
        let options = RemoteOptions { proxy, ..RemoteOptions::default() };
        assert!(matches!(Remote::new("https://h/x", options), Err(RemoteError::BadProxy { .. })));
        let options = RemoteOptions { ca_pem: Some("x".into()), ..RemoteOptions::default() };
        let error = Remote::new("https://h/x", options).unwrap_err();
        assert!(matches!(error, RemoteError::BadCertificate { .. }));
    }
}
