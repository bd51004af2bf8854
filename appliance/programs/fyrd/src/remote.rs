//! From what a fleet says of a repository to what Git needs. One of the few places that read a
//! secret's plaintext: to hand it to Git.

use fyr_git::{Credentials, Remote, RemoteError, RemoteOptions};
use fyr_model::{Plaintext, RepositoryAccess};

/// Makes a remote of `url`, already rewritten, with what the fleet says of it.
pub(crate) fn remote(
    url: &str,
    access: &RepositoryAccess,
    allow_file: bool,
) -> Result<Remote, RemoteError> {
    let given = &access.credentials;
    let copy = |secret: &Plaintext| Plaintext::new(secret.expose().to_vec());
    // SSH takes a key and HTTPS the rest; a Secret that has both serves both kinds of URL.
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    let credentials = match (&given.ssh_private_key, &given.bearer_token, &given.password) {
        (Some(key), ..) if !is_http => Credentials::SshKey(copy(key)),
        (_, Some(token), _) if is_http => Credentials::Bearer(copy(token)),
        (_, _, Some(password)) if is_http => Credentials::Basic {
            user: given.username.clone().unwrap_or_default(),
            password: copy(password),
        },
        _ => Credentials::None,
    };
    let transport = &access.transport;
    let options = RemoteOptions {
        credentials,
        ca_pem: transport.ca_pem.as_deref().map(str::to_owned),
        insecure: transport.insecure,
        proxy: transport.proxy.as_deref().map(copy),
        known_hosts: transport.known_hosts.as_deref().map(str::to_owned),
        allow_file,
    };
    Remote::new(url, options)
}
