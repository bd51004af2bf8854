//! `REPO//PATH?ref=REVISION`: a folder of a repository, as kustomize writes it.

use std::path::Path;

use fyr_model::api::{ErrorCode, RenderQuery};

use crate::exit::Failure;

/// Reads what is no path of this machine; `None` if it is one.
pub(crate) fn parse(target: &Path) -> Result<Option<RenderQuery>, Failure> {
    let Some(text) = target.to_str().filter(|text| is_address(text)) else { return Ok(None) };
    if target.exists() {
        return Ok(None);
    }
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    // The slashes of the scheme do not separate.
    let start = address.find("://").map_or(0, |scheme| scheme + 3);
    let (repository, path) = match address.get(start..).and_then(|rest| rest.find("//")) {
        Some(place) => {
            let place = start + place;
            (address.get(..place), address.get(place + 2..))
        }
        None => (Some(address), None),
    };
    let mut revision = String::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some(("ref" | "version", wanted)) = parameter.split_once('=') else {
            let what = format!("{text:?}: {parameter:?} is not known; ref=REVISION is");
            return Err(Failure::new(ErrorCode::InvalidRequest, what));
        };
        wanted.clone_into(&mut revision);
    }
    Ok(Some(RenderQuery {
        repository: repository.unwrap_or_default().to_owned(),
        path: path.unwrap_or_default().to_owned(),
        revision,
        application: None,
    }))
}

/// A URL, the form of scp, `user@host:path` or `host:path//folder`, or anything with a revision.
fn is_address(text: &str) -> bool {
    let scp = || {
        let (host, path) = text.split_once(':')?;
        let is_host = !host.is_empty() && !host.contains('/');
        (is_host && (host.contains('@') || path.contains("//"))).then_some(())
    };
    let has_revision = ["?ref=", "?version="].iter().any(|query| text.contains(query));
    text.contains("://") || has_revision || scp().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<[String; 3]> {
        let query = parse(Path::new(text)).unwrap()?;
        Some([query.repository, query.path, query.revision])
    }

    #[test]
    fn repository_path_and_revision_are_told_apart() {
        let parts = |parts: [&str; 3]| Some(parts.map(str::to_owned));
        assert_eq!(
            read("https://git.example.org/org/infra.git//overlays/production?ref=v1.2"),
            parts(["https://git.example.org/org/infra.git", "overlays/production", "v1.2"])
        );
        assert_eq!(
            read("git@git.example.org:org/infra.git//base"),
            parts(["git@git.example.org:org/infra.git", "base", ""])
        );
        assert_eq!(read("host:x.git//base"), parts(["host:x.git", "base", ""]));
        assert_eq!(read("/srv/x.git//a?ref=main"), parts(["/srv/x.git", "a", "main"]));
        assert_eq!(read("ssh://git@host/x.git"), parts(["ssh://git@host/x.git", "", ""]));
    }

    #[test]
    fn a_path_of_this_machine_is_no_address() {
        for path in [".", "overlays//production", "/a/b", "a:b"] {
            assert_eq!(read(path), None, "{path}");
        }
    }

    #[test]
    fn a_parameter_that_is_not_known_is_an_error() {
        assert!(parse(Path::new("https://host/x.git//a?depth=1")).is_err());
    }
}
