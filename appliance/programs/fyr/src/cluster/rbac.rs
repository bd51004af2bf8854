//! What Fyr may do on a cluster, as a manifest with explanations.
//!
//! Fyr reads (`get`, `list`, `watch`), applies (`patch`; `create` when the object does not exist
//! yet) and prunes (`delete`). It needs nothing else: no `update`, no `deletecollection`, no
//! `bind`, `escalate` or `impersonate`.

use clap::ValueEnum;

/// How much Fyr may do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Rights {
    /// The kinds that workloads are made of
    #[default]
    Workloads,
    /// All kinds; as good as an administrator
    Admin,
}

/// Namespace of Fyr's identity.
const NAMESPACE: &str = "fyr-system";
const VERBS: &str = "[get, list, watch, create, patch, delete]";

/// The kinds that workloads are made of: API group and resources.
const WORKLOADS: [(&str, &str); 7] = [
    (
        "",
        "configmaps, secrets, services, serviceaccounts, persistentvolumeclaims, pods, \
         resourcequotas, limitranges",
    ),
    ("apps", "deployments, statefulsets, daemonsets"),
    ("batch", "jobs, cronjobs"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("networking.k8s.io", "ingresses, networkpolicies"),
    ("policy", "poddisruptionbudgets"),
    ("discovery.k8s.io", "endpointslices"),
];

/// The manifest: an identity, its token, and its rights; in `namespaces` only, unless that is
/// empty. `again` is the command that makes the cluster's Secret from the token.
pub(super) fn manifest(rights: Rights, namespaces: &[String], again: &str) -> String {
    let mut text = format!(
        "\
# Who Fyr is on the cluster and what it may do. Apply this as an administrator, with
#   kubectl apply -f FILE
# and give Fyr this identity instead of the administrator's:
#   kubectl -n {NAMESPACE} get secret fyr-token -o jsonpath='{{.data.token}}' | base64 -d > token
#   {again}
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: fyr
  namespace: {NAMESPACE}
# Nothing runs as it in the cluster.
automountServiceAccountToken: false
---
# A token that does not expire: delete this Secret to revoke it.
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata:
  name: fyr-token
  namespace: {NAMESPACE}
  annotations:
    kubernetes.io/service-account.name: fyr
"
    );
    if namespaces.is_empty() {
        text.push_str(&role("ClusterRole", None, &rules(rights, true)));
    }
    for namespace in namespaces {
        text.push_str(&role("Role", Some(namespace), &rules(rights, false)));
    }
    text
}

/// A role and its binding to Fyr's identity.
fn role(kind: &str, namespace: Option<&str>, rules: &str) -> String {
    let place = namespace.map(|name| format!("\n  namespace: {name}")).unwrap_or_default();
    format!(
        "\
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata:
  name: fyr{place}
rules:
{rules}---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata:
  name: fyr{place}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}
  name: fyr
subjects:
  - kind: ServiceAccount
    name: fyr
    namespace: {NAMESPACE}
"
    )
}

fn rules(rights: Rights, whole_cluster: bool) -> String {
    let rule = |group: &str, resources: &str, verbs: &str| {
        format!("  - apiGroups: [\"{group}\"]\n    resources: [{resources}]\n    verbs: {verbs}\n")
    };
    let mut text = String::new();
    match rights {
        Rights::Admin => {
            text.push_str(
                "  # All kinds. Whoever may create workloads of any kind is as good as an\n  \
                 # administrator.\n",
            );
            text.push_str(&rule("*", "\"*\"", VERBS));
        }
        Rights::Workloads => {
            text.push_str(
                "  # The kinds that workloads are made of; take away what you do not use.\n  \
                 # Secrets are watched as metadata, but Kubernetes has no right for that alone.\n",
            );
            for (group, resources) in WORKLOADS {
                text.push_str(&rule(group, resources, VERBS));
            }
            if whole_cluster {
                text.push_str(
                    "  # For CreateNamespace=true. Namespaces made so are never deleted; add delete\n  \
                     # if manifests in Git hold namespaces.\n",
                );
                text.push_str(&rule("", "namespaces", "[get, list, watch, create, patch]"));
                text.push_str(
                    "  # Not here: roles and bindings, custom resource definitions, webhooks. Add the\n  \
                     # groups of your custom resources, or use --rbac admin.\n",
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn documents(text: &str) -> Vec<Value> {
        serde_saphyr::from_multiple(text).unwrap()
    }

    fn kinds(text: &str) -> Vec<String> {
        documents(text).iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn without_namespaces_there_is_one_role_for_the_whole_cluster() {
        let text = manifest(Rights::Workloads, &[], "fyr cluster add");
        let expected =
            ["Namespace", "ServiceAccount", "Secret", "ClusterRole", "ClusterRoleBinding"];
        assert_eq!(kinds(&text), expected);
    }

    #[test]
    fn with_namespaces_nothing_is_permitted_outside_them() {
        let namespaces = ["shop".to_owned(), "pay".to_owned()];
        let text = manifest(Rights::Admin, &namespaces, "fyr cluster add");
        assert!(!text.contains("ClusterRole"), "{text}");
        let all = documents(&text);
        let roles: Vec<_> = all
            .iter()
            .filter(|one| one["kind"] == "Role")
            .map(|one| one["metadata"]["namespace"].as_str().unwrap())
            .collect();
        assert_eq!(roles, namespaces);
    }

    #[test]
    fn no_right_is_given_that_fyr_does_not_use() {
        let used = ["get", "list", "watch", "create", "patch", "delete"];
        for rights in [Rights::Workloads, Rights::Admin] {
            for one in documents(&manifest(rights, &[], "")) {
                for rule in one["rules"].as_array().into_iter().flatten() {
                    for verb in rule["verbs"].as_array().unwrap() {
                        assert!(used.contains(&verb.as_str().unwrap()), "{verb}");
                    }
                }
            }
        }
    }

    #[test]
    fn rights_on_workloads_do_not_reach_rights_themselves() {
        let text = manifest(Rights::Workloads, &[], "");
        for one in documents(&text).iter().filter(|one| one["kind"] == "ClusterRole") {
            for rule in one["rules"].as_array().unwrap() {
                assert_ne!(rule["apiGroups"][0], "rbac.authorization.k8s.io");
                assert_ne!(rule["apiGroups"][0], "*");
            }
        }
    }
}
