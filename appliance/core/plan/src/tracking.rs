//! The tracking annotation: which application an object belongs to.
//!
//! Its text is byte for byte Argo CD's (`util/argo/resource_tracking.go`), so that a cluster moves
//! from Argo CD to Fyr and back without a difference.

use std::fmt;

use fyr_model::ObjectKey;

/// Name of the tracking annotation.
pub const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";

/// The parsed tracking annotation: `<application>:<group>/<kind>:<namespace>/<name>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackingId {
    /// Name of the application; `<namespace>_<name>` when it lives outside Argo CD's namespace.
    pub application: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace of the object. Cluster-scoped objects carry the namespace of the application's
    /// destination here, as in Argo CD.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl TrackingId {
    /// The id of the object `key` in `application`.
    pub fn new(application: &str, key: &ObjectKey, destination_namespace: &str) -> Self {
        let namespace = match key.namespace.as_str() {
            "" => destination_namespace,
            namespace => namespace,
        };
        Self {
            application: application.to_owned(),
            group: key.group.clone(),
            kind: key.kind.clone(),
            namespace: namespace.to_owned(),
            name: key.name.clone(),
        }
    }

    /// Reads an annotation; `None` when it has another form.
    ///
    /// Names may hold colons (`system:node`), so only the first two separate.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let application = parts.next().filter(|name| !name.is_empty())?;
        let (group, kind) = pair(parts.next()?)?;
        let (namespace, name) = pair(parts.next()?)?;
        let [application, group, kind, namespace, name] =
            [application, group, kind, namespace, name].map(str::to_owned);
        Some(Self { application, group, kind, namespace, name })
    }

    /// Whether the annotation speaks of the object that carries it.
    ///
    /// Controllers copy objects with their annotations; such a copy belongs to nobody. The
    /// namespace of a cluster-scoped object says nothing, see [`TrackingId::namespace`].
    pub fn refers_to(&self, key: &ObjectKey) -> bool {
        self.group == key.group
            && self.kind == key.kind
            && self.name == key.name
            && (key.namespace.is_empty() || self.namespace == key.namespace)
    }
}

/// Who claims an object through its tracking annotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Claim<'a> {
    /// Nobody: no annotation, one of another form, or one copied from another object.
    Nobody,
    /// The application of this name.
    Application(&'a str),
}

/// Reads the claim on the object `key` from its annotation.
pub(crate) fn claim<'a>(annotation: Option<&'a str>, key: &ObjectKey) -> Claim<'a> {
    let Some(text) = annotation else { return Claim::Nobody };
    match TrackingId::parse(text) {
        Some(id) if id.refers_to(key) => Claim::Application(&text[..id.application.len()]),
        _ => Claim::Nobody,
    }
}

fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once('/').filter(|(_, second)| !second.is_empty() && !second.contains('/'))
}

impl fmt::Display for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { application, group, kind, namespace, name } = self;
        write!(f, "{application}:{group}/{kind}:{namespace}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectKey {
        let [group, kind, namespace, name] = [group, kind, namespace, name].map(str::to_owned);
        ObjectKey { group, kind, namespace, name }
    }

    #[test]
    fn the_text_is_the_one_argo_cd_writes() {
        let cases = [
            (key("apps", "Deployment", "shop", "web"), "app:apps/Deployment:shop/web"),
            (key("", "Service", "shop", "web"), "app:/Service:shop/web"),
            (
                key("rbac.authorization.k8s.io", "ClusterRole", "", "a:b"),
                "app:rbac.authorization.k8s.io/ClusterRole:dest/a:b",
            ),
        ];
        for (key, text) in cases {
            let id = TrackingId::new("app", &key, "dest");
            assert_eq!(id.to_string(), text);
            assert_eq!(TrackingId::parse(text), Some(id.clone()));
            assert!(id.refers_to(&key));
        }
    }

    #[test]
    fn text_of_another_form_is_no_tracking_id() {
        for text in
            ["", "app", "app:apps/Deployment", ":a/B:c/d", "a:b/C:d", "a:b:c/d", "a:b/C:d/e/f"]
        {
            assert_eq!(TrackingId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_copied_annotation_claims_nothing() {
        let original = key("", "Secret", "shop", "tls");
        let text = TrackingId::new("app", &original, "shop").to_string();
        assert_eq!(claim(Some(&text), &original), Claim::Application("app"));
        for copy in [key("", "Secret", "other", "tls"), key("", "Secret", "shop", "copy")] {
            assert_eq!(claim(Some(&text), &copy), Claim::Nobody);
        }
    }
}
