//! Where a repository is: the forms Git accepts, parsed once.
//!
//! Accepted: `https://`, `ssh://`, `user@host:path` (scp form), `file://` and absolute paths. All
//! else is refused, `http://` and `git://` because nobody proves who answers there.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest address taken, in bytes. Git hosts stop far below; it bounds error messages and URLs.
const ADDRESS_BYTES_MAX: usize = 2048;

const HTTPS_PORT: u16 = 443;
const SSH_PORT: u16 = 22;

/// The parsed address of a repository.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Address {
    /// Smart HTTP over TLS.
    Https {
        /// User name in the address, if any.
        user: Option<String>,
        /// Host name or address, lower case, IPv6 without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// Path on the host, beginning with `/`.
        path: String,
    },
    /// Git over SSH.
    Ssh {
        /// User to log in as.
        user: String,
        /// Host name or address, lower case, IPv6 without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// Path as the server is asked for it: `/abs` or relative to the user's home.
        path: String,
    },
    /// A repository on this machine.
    File {
        /// Absolute path.
        path: String,
    },
}

/// The text is not an address that can be fetched from.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// A scheme that is not accepted.
    #[error("{address:?} uses {scheme}://; only https://, ssh://, user@host:path and file:// work")]
    Scheme {
        /// The address.
        address: String,
        /// Its scheme.
        scheme: String,
    },
    /// Not an address at all.
    #[error(
        "{address:?} is not a repository address; write https://host/path, ssh://user@host/path, \
         user@host:path or an absolute path"
    )]
    Shape {
        /// The address.
        address: String,
    },
    /// A password in the address would end up in logs and pages.
    #[error(
        "the address of the repository on {host} holds a password; put it into the repository's \
         Secret instead"
    )]
    PasswordInside {
        /// Host of the address. The address itself is not shown.
        host: String,
    },
}

impl Address {
    /// Parses an address as written in an Application or a repository Secret.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let shape = || AddressError::Shape { address: shown(text) };
        let forbidden = |character: char| character.is_control() || character.is_whitespace();
        if text.is_empty() || text.len() > ADDRESS_BYTES_MAX || text.contains(forbidden) {
            return Err(shape());
        }
        if text.starts_with('/') {
            return Ok(Self::File { path: text.to_owned() });
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return Self::parse_url(scheme, rest).unwrap_or_else(|| Err(shape()));
        }
        Self::parse_scp(text).ok_or_else(shape)
    }

    fn parse_url(scheme: &str, rest: &str) -> Option<Result<Self, AddressError>> {
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                return path.starts_with('/').then(|| Ok(Self::File { path: path.to_owned() }));
            }
            "https" | "ssh" | "git+ssh" | "ssh+git" => {}
            _ => {
                let address = format!("{scheme}://{}", without_user(rest));
                return Some(Err(AddressError::Scheme { address, scheme }));
            }
        }
        let (authority, path) = rest.split_at(rest.find('/')?);
        let (login, place) = authority.rsplit_once('@').map_or(("", authority), |split| split);
        let (host, port) = split_port(place)?;
        if login.contains(':') {
            return Some(Err(AddressError::PasswordInside { host }));
        }
        let user = (!login.is_empty()).then(|| login.to_owned());
        if path.len() < 2 || !user.as_deref().is_none_or(is_plain_word) {
            return None;
        }
        if scheme == "https" {
            let path = path.to_owned();
            return Some(Ok(Self::Https { user, host, port: port.unwrap_or(HTTPS_PORT), path }));
        }
        // Git's rule: `/~user/x` is sent as `~user/x`, all else as the absolute path it is.
        let path = path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(path);
        let user = user.unwrap_or_else(|| "git".to_owned());
        Some(Ok(Self::Ssh { user, host, port: port.unwrap_or(SSH_PORT), path: path.to_owned() }))
    }

    fn parse_scp(text: &str) -> Option<Self> {
        let (login, rest) = text.split_once('@').map_or(("git", text), |split| split);
        let (host, path) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => rest.split_once(':')?,
        };
        if !is_plain_word(login) || !is_host(host) || path.is_empty() || path.starts_with('-') {
            return None;
        }
        Some(Self::Ssh {
            user: login.to_owned(),
            host: host.to_ascii_lowercase(),
            port: SSH_PORT,
            path: path.to_owned(),
        })
    }

    /// Whether this names a repository on this machine.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// The form in which two addresses of one repository are equal; see [`canonical_url`].
    pub fn canonical(&self) -> String {
        let (scheme, host, port, default, path) = match self {
            Self::Https { host, port, path, .. } => ("https", host, *port, HTTPS_PORT, path),
            Self::Ssh { host, port, path, .. } => ("ssh", host, *port, SSH_PORT, path),
            Self::File { path } => return format!("file://{}", trimmed(path)),
        };
        let port = if port == default { String::new() } else { format!(":{port}") };
        format!("{scheme}://{}{port}/{}", bracketed(host), trimmed(path).trim_start_matches('/'))
    }
}

impl fmt::Display for Address {
    /// An address that parses back to the same value. There is never a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https { user, host, port, path } => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = if *port == HTTPS_PORT { String::new() } else { format!(":{port}") };
                write!(f, "https://{user}{}{port}{path}", bracketed(host))
            }
            Self::Ssh { user, host, port: SSH_PORT, path } if !path.starts_with('/') => {
                write!(f, "{user}@{}:{path}", bracketed(host))
            }
            Self::Ssh { user, host, port, path } => {
                let port = if *port == SSH_PORT { String::new() } else { format!(":{port}") };
                let slash = if path.starts_with('/') { "" } else { "/" };
                write!(f, "ssh://{user}@{}{port}{slash}{path}", bracketed(host))
            }
            Self::File { path } => f.write_str(path),
        }
    }
}

/// The form in which two addresses of one repository are equal.
///
/// Host in lower case, no user, no default port, no `.git` and no `/` at the end, and
/// `user@host:path` equal to `ssh://user@host/path`. Text that is no address comes back trimmed,
/// so that it still equals itself.
pub fn canonical_url(url: &str) -> String {
    Address::parse(url).map_or_else(|_| trimmed(url.trim()).to_owned(), |parsed| parsed.canonical())
}

/// Serves addresses that begin with one text from another place: Git's `url.<base>.insteadOf`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UrlRewrite {
    /// What takes the place of `instead_of`.
    pub base: String,
    /// Beginning of the addresses that are rewritten.
    pub instead_of: String,
}

/// Rewrites `url` by the rule with the longest `instead_of` that it begins with.
///
/// Git's rule: one rewrite, the longest match, the first of equals.
pub fn rewrite_url(url: &str, rewrites: &[UrlRewrite]) -> String {
    let longest = rewrites
        .iter()
        .filter(|rule| !rule.instead_of.is_empty() && url.starts_with(&rule.instead_of))
        .rev()
        .max_by_key(|rule| rule.instead_of.len());
    match longest {
        Some(rule) => format!("{}{}", rule.base, &url[rule.instead_of.len()..]),
        None => url.to_owned(),
    }
}

fn split_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    is_host(host).then(|| (host.to_ascii_lowercase(), port))
}

/// Whether `host` can be handed to a program without being taken for an option.
fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    !host.is_empty() && !host.starts_with('-') && host.bytes().all(allowed)
}

fn is_plain_word(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+%".contains(&byte);
    !word.is_empty() && !word.starts_with('-') && word.bytes().all(allowed)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn trimmed(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/')
}

fn without_user(rest: &str) -> &str {
    rest.rsplit_once('@').map_or(rest, |(_, place)| place)
}

/// `text` as it may be shown: short, and without what stands before an `@`.
fn shown(text: &str) -> String {
    without_user(text).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ssh_forms_and_https_are_parsed() {
        let scp = Address::parse("git@GitLab.com:org/infra-repo.git").unwrap();
        let Address::Ssh { user, host, port, path } = &scp else { panic!("{scp:?}") };
        assert_eq!(
            (user.as_str(), host.as_str(), *port, path.as_str()),
            ("git", "gitlab.com", 22, "org/infra-repo.git")
        );
        let url = Address::parse("ssh://me@[::1]:2222/srv/x").unwrap();
        let Address::Ssh { user, host, port, path } = &url else { panic!("{url:?}") };
        assert_eq!(
            (user.as_str(), host.as_str(), *port, path.as_str()),
            ("me", "::1", 2222, "/srv/x")
        );
        let https = Address::parse("https://Host.example/a/b").unwrap();
        assert!(matches!(https, Address::Https { port: 443, .. }), "{https:?}");
    }

    #[test]
    fn what_nobody_vouches_for_is_refused() {
        for text in ["git://host/x", "http://host/x", "ext::sh -c id", "ftp://h/x", "rsync://h/x"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        for text in ["", "x", "./x", "-oProxyCommand=id:x", "git@-host:x", "ssh://-oX/x", "h:-x"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let error = Address::parse("https://me:hunter2@host/x").unwrap_err().to_string();
        assert!(error.contains("host") && !error.contains("hunter2"), "{error}");
        let error = Address::parse("http://me:hunter2@host/x").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_address_survives_its_text_form() {
        for text in [
            "git@gitlab.com:org/x.git",
            "https://u@host:8443/a.git",
            "ssh://git@h:2222/~me/x",
            "ssh://git@h/srv/x",
            "/srv/x.git",
            "git@[::1]:x",
        ] {
            let parsed = Address::parse(text).unwrap();
            assert_eq!(Address::parse(&parsed.to_string()).unwrap(), parsed, "{text}");
        }
    }

    #[test]
    fn addresses_of_one_repository_have_one_canonical_form() {
        for same in [
            "git@github.com:org/repo.git",
            "git@github.com:/org/repo",
            "ssh://git@GitHub.com/org/repo.git",
            "ssh://other@github.com:22/org/repo/",
            "github.com:org/repo.git/",
        ] {
            assert_eq!(canonical_url(same), "ssh://github.com/org/repo", "{same}");
        }
        assert_eq!(canonical_url("HTTPS://u@H:443/a.git/"), "https://h/a");
        assert_eq!(canonical_url("file:///srv/a.git"), canonical_url("/srv/a"));
        assert_ne!(canonical_url("https://h/A"), canonical_url("https://h/a"));
        assert_ne!(canonical_url("https://h:1/a"), canonical_url("https://h/a"));
    }

    #[test]
    fn the_longest_rewrite_wins_and_is_applied_once() {
        let rule = |base: &str, instead_of: &str| UrlRewrite {
            base: base.to_owned(),
            instead_of: instead_of.to_owned(),
        };
        let rules = [
            rule("git@a:", "https://x/"),
            rule("git@b:", "https://x/org/"),
            rule("git@c:", "git@b:"),
        ];
        assert_eq!(rewrite_url("https://x/org/r", &rules), "git@b:r");
        assert_eq!(rewrite_url("https://x/r", &rules), "git@a:r");
        assert_eq!(rewrite_url("https://y/r", &rules), "https://y/r");
        assert_eq!(rewrite_url("https://y/r", &[rule("z", "")]), "https://y/r");
    }
}
