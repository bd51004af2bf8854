//! When two repository URLs mean the same repository.
//!
//! One function, [`canonical_repo_url`], decides it for mirrors, credentials and projects alike.
//! The canonical form is an identity, not an address: what is fetched is the URL as written.

/// The canonical form of a repository URL.
///
/// * `git@host:path` and `ssh://git@host/path` are the same, as are `git+ssh://` and `ssh://`.
/// * Scheme and host are compared without case; the path with it, because on most Git servers
///   it counts. (Argo CD lowers the path too.)
/// * The port is dropped where it is the scheme's own.
/// * The user, and a password, are dropped: who asks does not change what is asked for.
/// * `/` and `.git` at the end are dropped; for files only the `/`, since `x` and `x.git` may
///   stand beside each other.
/// * An absolute path and a `file://` URL are the same.
///
/// `git@host:path` and `git@host:/path` are taken for the same, as Git hosting services do. A
/// plain SSH account tells them apart; there, two such repositories need different paths.
pub fn canonical_repo_url(url: &str) -> String {
    let url = url.trim();
    let (scheme, rest) = split_scheme(url);
    if scheme == "file" {
        let path = rest.trim_end_matches('/');
        return format!("file://{}", if path.is_empty() { "/" } else { path });
    }
    if scheme.is_empty() {
        return rest;
    }
    let (authority, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        "ssh" => ":22",
        "git" => ":9418",
        _ => "",
    };
    let host = match host.strip_suffix(default_port) {
        Some(host) if !default_port.is_empty() => host,
        _ => &host,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") }
}

/// Whether a URL names files of this machine: `file://`, or a path.
pub fn is_file_url(url: &str) -> bool {
    let (scheme, _) = split_scheme(url.trim());
    scheme == "file" || scheme.is_empty()
}

/// Scheme in lower case, and the rest in the form `authority/path`. The scheme is empty when
/// the text is neither a URL nor the short form of SSH.
fn split_scheme(url: &str) -> (String, String) {
    if let Some((scheme, rest)) = url.split_once("://") {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "git+ssh" | "ssh+git" => "ssh".to_owned(),
            scheme => scheme.to_owned(),
        };
        return (scheme, rest.to_owned());
    }
    if url.starts_with('/') {
        return ("file".to_owned(), url.to_owned());
    }
    // As Git decides it: a colon before the first slash makes it SSH.
    let head = url.split('/').next().unwrap_or_default();
    if let Some((host, path)) = split_host(head, url) {
        return ("ssh".to_owned(), format!("{host}/{}", path.trim_start_matches('/')));
    }
    // `git@host` alone: the URL of a credential template.
    if head == url && url.contains('@') {
        return ("ssh".to_owned(), url.to_owned());
    }
    (String::new(), url.to_owned())
}

/// Splits `user@host:path`, where the host may be an IPv6 address in brackets.
fn split_host<'a>(head: &str, url: &'a str) -> Option<(&'a str, &'a str)> {
    let brackets_end = head.find(']').unwrap_or(0);
    let colon = head.get(brackets_end..)?.find(':')? + brackets_end;
    (colon > 0).then(|| (&url[..colon], &url[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_the_same() {
        let groups: [(&str, &[&str]); 5] = [
            (
                "ssh://gitlab.com/org/infra-repo",
                &[
                    "git@gitlab.com:org/infra-repo.git",
                    "git@gitlab.com:/org/infra-repo.git/",
                    "ssh://git@GitLab.com:22/org/infra-repo",
                    "git+ssh://gitlab.com/org/infra-repo.git",
                    "gitlab.com:org/infra-repo",
                ],
            ),
            (
                "https://git.example.com/Org/x",
                &[
                    "https://git.example.com/Org/x.git",
                    "HTTPS://user:secret@git.example.com:443/Org/x/",
                    "  https://git.example.com/Org/x  ",
                ],
            ),
            ("ssh://git.example.com:2222/x", &["ssh://git@git.example.com:2222/x.git"]),
            ("ssh://[::1]/x", &["git@[::1]:x", "ssh://[::1]:22/x.git"]),
            ("file:///srv/x.git", &["/srv/x.git", "file:///srv/x.git/"]),
        ];
        for (canonical, spellings) in groups {
            for spelling in spellings {
                assert_eq!(canonical_repo_url(spelling), canonical, "{spelling}");
            }
            assert_eq!(canonical_repo_url(canonical), canonical, "canonical twice");
        }
    }

    #[test]
    fn different_repositories_stay_different() {
        let urls = [
            "https://git.example.com/org/x",
            "https://git.example.com/Org/x",
            "http://git.example.com/org/x",
            "https://git.example.com:8443/org/x",
            "ssh://git.example.com/org/x",
            "https://git.example.com/org/x.git.git",
            "/org/x",
            "/org/x.git",
        ];
        let canonical: std::collections::BTreeSet<String> =
            urls.iter().map(|url| canonical_repo_url(url)).collect();
        assert_eq!(canonical.len(), urls.len());
    }

    #[test]
    fn patterns_and_hosts_alone_keep_their_meaning() {
        assert_eq!(canonical_repo_url("*"), "*");
        assert_eq!(canonical_repo_url("git@github.com:org/*"), "ssh://github.com/org/*");
        assert_eq!(canonical_repo_url("https://*.example.com/**"), "https://*.example.com/**");
        assert_eq!(canonical_repo_url("git@gitlab.com"), "ssh://gitlab.com");
        assert_eq!(canonical_repo_url("https://gitlab.com/"), "https://gitlab.com");
    }

    #[test]
    fn files_are_told_from_hosts() {
        for url in ["/srv/x", "file:///srv/x", "./x", "x"] {
            assert!(is_file_url(url), "{url}");
        }
        for url in ["git@host:x", "https://host/x", "ssh://host/x"] {
            assert!(!is_file_url(url), "{url}");
        }
    }
}
