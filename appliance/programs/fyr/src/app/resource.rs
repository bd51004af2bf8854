//! How objects are named on the command line: `KIND[.GROUP]/[NAMESPACE/]NAME`.

use fyr_model::api::ResourceRef;

/// Reads `Deployment.apps/shop/web`, `ConfigMap/shop/settings`, `Namespace/shop`.
pub(crate) fn parse(text: &str) -> Result<ResourceRef, String> {
    let error =
        || format!("{text:?} is not KIND[.GROUP]/[NAMESPACE/]NAME, as Deployment.apps/shop/web");
    let parts: Vec<&str> = text.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(error());
    }
    let (kind, namespace, name) = match parts[..] {
        [kind, namespace, name] => (kind, namespace, name),
        [kind, name] => (kind, "", name),
        _ => return Err(error()),
    };
    let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
    if kind.is_empty() {
        return Err(error());
    }
    Ok(ResourceRef {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_kind_group_namespace_and_name() {
        let full = parse("Deployment.apps/shop/web").unwrap();
        assert_eq!((&*full.group, &*full.kind), ("apps", "Deployment"));
        assert_eq!((&*full.namespace, &*full.name), ("shop", "web"));
        assert_eq!(parse("Namespace/shop").unwrap().namespace, "");
        for wrong in ["web", "", "/web", "A/b/c/d", ".apps/web", "A//b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
