//! Names for files of one object each, as `kustomize build -o FOLDER` gives them.

use std::collections::BTreeSet;

use fyr_model::Object;

use crate::kustomize::scope::is_cluster_scoped;

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// A name for the file of each object: `apps_v1_deployment_web.yaml`, with the namespace in front
/// where the objects are in several. Letters are small, so two objects may get one name.
pub fn file_names(objects: &[Object]) -> Vec<String> {
    let namespaces: BTreeSet<&str> = objects.iter().filter_map(namespace).collect();
    objects.iter().map(|object| file_name(object, namespaces.len() > 1)).collect()
}

/// Where an object lives, if it lives in a namespace.
fn namespace(object: &Object) -> Option<&str> {
    let gvk = object.gvk();
    let kind = [gvk.group.as_str(), gvk.version.as_str(), gvk.kind.as_str()];
    (!is_cluster_scoped(kind)).then(|| object.namespace().unwrap_or(DEFAULT_NAMESPACE))
}

fn file_name(object: &Object, with_namespace: bool) -> String {
    let gvk = object.gvk();
    let namespace = namespace(object).filter(|_| with_namespace).unwrap_or_default();
    let parts = [namespace, &gvk.group, &gvk.version, &gvk.kind, object.name()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    // Whatever a manifest says stays one name in its folder.
    format!("{}.yaml", parts.join("_").to_lowercase().replace(['/', '\0'], "_"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, name: &str, namespace: Option<&str>) -> Object {
        let metadata = json!({"name": name, "namespace": namespace});
        let metadata: serde_json::Map<_, _> = metadata
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Object::parse(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}))
            .unwrap()
    }

    #[test]
    fn the_namespace_is_in_front_where_there_are_several() {
        let mut objects = vec![
            object("v1", "ConfigMap", "A", None),
            object("v1", "ConfigMap", "c", Some("default")),
            object("rbac.authorization.k8s.io/v1", "ClusterRole", "system:web", None),
        ];
        let role = "rbac.authorization.k8s.io_v1_clusterrole_system:web.yaml";
        assert_eq!(file_names(&objects), ["v1_configmap_a.yaml", "v1_configmap_c.yaml", role]);
        objects.push(object("apps/v1", "Deployment", "web", Some("Shop")));
        assert_eq!(
            file_names(&objects),
            [
                "default_v1_configmap_a.yaml",
                "default_v1_configmap_c.yaml",
                role,
                "shop_apps_v1_deployment_web.yaml"
            ]
        );
    }

    #[test]
    fn a_name_does_not_leave_its_folder() {
        let names = file_names(&[object("v1", "ConfigMap", "../../etc/passwd", None)]);
        assert_eq!(names, ["v1_configmap_.._.._etc_passwd.yaml"]);
    }
}
