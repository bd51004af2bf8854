//! Where the objects of a kind live on an API server: the paths of its REST interface.

use std::fmt::Write;

use fyr_model::{GroupKind, GroupVersionKind};

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster as a whole.
    Cluster,
}

/// One version of a kind, as an API server offers it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Resource {
    /// The kind and the version of this offer.
    pub(crate) gvk: GroupVersionKind,
    /// Its plural name in paths.
    pub(crate) plural: String,
    /// Where its objects live.
    pub(crate) scope: Scope,
    /// Whether it can be listed and watched.
    pub(crate) watchable: bool,
}

/// A name that cannot be part of a path. The API server would refuse it as well, but may never see
/// it: `..` is resolved on the way.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name:?} cannot be the name of an object or a namespace")]
pub(crate) struct NotAName {
    name: String,
}

impl Resource {
    pub(crate) fn kind(&self) -> GroupKind {
        self.gvk.group_kind()
    }

    /// The path of all objects, or of those in one namespace.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> Result<String, NotAName> {
        let GroupVersionKind { group, version, .. } = &self.gvk;
        let mut path = match group.as_str() {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        if let Some(namespace) = namespace {
            path.push_str("/namespaces/");
            push_segment(&mut path, namespace)?;
        }
        path.push('/');
        path.push_str(&self.plural);
        Ok(path)
    }

    /// The path of one object. `namespace` is ignored for kinds of the cluster as a whole.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> Result<String, NotAName> {
        let namespace = (self.scope == Scope::Namespaced).then_some(namespace);
        let mut path = self.collection(namespace)?;
        path.push('/');
        push_segment(&mut path, name)?;
        Ok(path)
    }
}

/// Appends one percent-encoded path segment.
///
/// The names refused are those of Kubernetes' `IsValidPathSegmentName`, and the empty one.
fn push_segment(path: &mut String, name: &str) -> Result<(), NotAName> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '%']) {
        return Err(NotAName { name: name.to_owned() });
    }
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                path.push(char::from(byte));
            }
            _ => write!(path, "%{byte:02X}").expect("writing to a String does not fail"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(group: &str, scope: Scope) -> Resource {
        let gvk = GroupVersionKind::from_api_version(
            &if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") },
            "Thing",
        );
        Resource { gvk, plural: "things".to_owned(), scope, watchable: true }
    }

    #[test]
    fn paths_are_those_of_the_kubernetes_api() {
        let core = resource("", Scope::Namespaced);
        assert_eq!(core.object("shop", "web").unwrap(), "/api/v1/namespaces/shop/things/web");
        assert_eq!(core.collection(None).unwrap(), "/api/v1/things");
        let roles = resource("rbac.authorization.k8s.io", Scope::Cluster);
        assert_eq!(
            roles.object("ignored", "system:node").unwrap(),
            "/apis/rbac.authorization.k8s.io/v1/things/system:node",
        );
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        let core = resource("", Scope::Namespaced);
        for name in ["", ".", "..", "a/b", "../secrets/a", "%2e%2e"] {
            assert!(core.object("shop", name).is_err(), "{name:?}");
            assert!(core.object(name, "web").is_err(), "{name:?}");
        }
        assert_eq!(
            core.object("shop", "a?b#c d").unwrap(),
            "/api/v1/namespaces/shop/things/a%3Fb%23c%20d",
        );
    }
}
