//! Which fields refer to which objects by name: the table of kustomize 5.8.
//!
//! What it lacks is as much a part of it as what it has. Replica sets and pod templates refer to
//! config maps and not to service accounts, replication controllers the other way round, and
//! nothing refers to an `IngressClass`: kustomize's entry for that names a group that does not
//! exist. References that it does not follow have to stay as they are here, too.

use std::borrow::Cow;

use super::fields::FieldSpec;

/// A kind of objects, and the fields that hold names of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// API group, version and kind; empty ones match everything.
    pub(crate) group: Cow<'static, str>,
    pub(crate) version: Cow<'static, str>,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) fields: Vec<FieldSpec>,
}

impl Target {
    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        self.group == other.group && self.version == other.version && self.kind == other.kind
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    /// Fields of a pod's specification.
    pod_fields: &'static [&'static str],
    /// The kinds that hold such a specification, where, and their version if it counts.
    pods: &'static [(&'static str, &'static str, &'static str)],
    /// All other fields.
    fields: &'static [Field],
}

/// A field that refers: its object's group, empty for every group, its object's kind, its path.
type Field = (&'static str, &'static str, &'static str);

/// The table, ready for use.
pub(crate) fn targets() -> Vec<Target> {
    ROWS.iter().map(target).collect()
}

fn target(row: &Row) -> Target {
    let mut fields = Vec::new();
    for (kind, place, version) in row.pods {
        let added = row.pod_fields.iter().map(|field| {
            let path = Cow::Owned(format!("{place}/{field}"));
            FieldSpec::new(["", version, kind].map(Cow::Borrowed), path, false)
        });
        fields.extend(added);
    }
    for (group, kind, path) in row.fields {
        // Only Knative's services say their version.
        let version = if *group == KNATIVE { "v1" } else { "" };
        fields.push(FieldSpec::of_table(&(group, version, kind, path, false)));
    }
    let [group, version, kind] = [row.group, row.version, row.kind].map(Cow::Borrowed);
    Target { group, version, kind, fields }
}

const KNATIVE: &str = "serving.knative.dev";
const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Where config maps and secrets are used.
const CONFIGURED: &[(&str, &str, &str)] = &[
    ("Pod", "spec", "v1"),
    ("PodTemplate", "template/spec", ""),
    ("Deployment", "spec/template/spec", ""),
    ("ReplicaSet", "spec/template/spec", ""),
    ("DaemonSet", "spec/template/spec", ""),
    ("StatefulSet", "spec/template/spec", ""),
    ("Job", "spec/template/spec", ""),
    ("CronJob", "spec/jobTemplate/spec/template/spec", ""),
];

/// Where everything else is used that pods refer to.
const PLACED: &[(&str, &str, &str)] = &[
    ("Pod", "spec", ""),
    ("StatefulSet", "spec/template/spec", ""),
    ("Deployment", "spec/template/spec", ""),
    ("ReplicationController", "spec/template/spec", ""),
    ("CronJob", "spec/jobTemplate/spec/template/spec", ""),
    ("Job", "spec/template/spec", ""),
    ("DaemonSet", "spec/template/spec", ""),
];

const SCALED: &[Field] = &[("", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name")];

const NOTHING: Row =
    Row { group: "", version: "", kind: "", pod_fields: &[], pods: &[], fields: &[] };

/// The table. Its order counts where one field can refer to several kinds.
const ROWS: [Row; 16] = [
    Row { kind: "Deployment", fields: SCALED, ..NOTHING },
    Row { kind: "ReplicationController", fields: SCALED, ..NOTHING },
    Row { kind: "ReplicaSet", fields: SCALED, ..NOTHING },
    Row { kind: "StatefulSet", fields: SCALED, ..NOTHING },
    Row {
        kind: "ConfigMap",
        version: "v1",
        pods: CONFIGURED,
        pod_fields: &[
            "volumes/configMap/name",
            "containers/env/valueFrom/configMapKeyRef/name",
            "initContainers/env/valueFrom/configMapKeyRef/name",
            "containers/envFrom/configMapRef/name",
            "initContainers/envFrom/configMapRef/name",
            "volumes/projected/sources/configMap/name",
        ],
        fields: &[
            ("", "Node", "spec/configSource/configMap"),
            ("", "Role", "rules/resourceNames"),
            ("", "ClusterRole", "rules/resourceNames"),
            (
                "",
                "Ingress",
                "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap",
            ),
        ],
        ..NOTHING
    },
    Row {
        kind: "Secret",
        version: "v1",
        pods: CONFIGURED,
        pod_fields: &[
            "volumes/secret/secretName",
            "containers/env/valueFrom/secretKeyRef/name",
            "initContainers/env/valueFrom/secretKeyRef/name",
            "containers/envFrom/secretRef/name",
            "initContainers/envFrom/secretRef/name",
            "imagePullSecrets/name",
            "volumes/projected/sources/secret/name",
        ],
        fields: &[
            ("", "Ingress", "spec/tls/secretName"),
            ("", "Ingress", "metadata/annotations/ingress.kubernetes.io\\/auth-secret"),
            ("", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret"),
            ("", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret"),
            ("", "Ingress", "spec/tls/secretName"),
            ("", "ServiceAccount", "imagePullSecrets/name"),
            ("", "StorageClass", "parameters/secretName"),
            ("", "StorageClass", "parameters/adminSecretName"),
            ("", "StorageClass", "parameters/userSecretName"),
            ("", "StorageClass", "parameters/secretRef"),
            ("", "Role", "rules/resourceNames"),
            ("", "ClusterRole", "rules/resourceNames"),
            (KNATIVE, "Service", "spec/template/spec/containers/env/valueFrom/secretKeyRef/name"),
            ("", "PersistentVolume", "spec/azureFile/secretName"),
        ],
        ..NOTHING
    },
    Row {
        kind: "Service",
        version: "v1",
        fields: &[
            ("apps", "StatefulSet", "spec/serviceName"),
            ("", "Ingress", "spec/rules/http/paths/backend/serviceName"),
            ("", "Ingress", "spec/backend/serviceName"),
            ("", "Ingress", "spec/rules/http/paths/backend/service/name"),
            ("", "Ingress", "spec/defaultBackend/service/name"),
            ("apiregistration.k8s.io", "APIService", "spec/service/name"),
            (ADMISSION, "ValidatingWebhookConfiguration", "webhooks/clientConfig/service"),
            (ADMISSION, "MutatingWebhookConfiguration", "webhooks/clientConfig/service"),
        ],
        ..NOTHING
    },
    Row { kind: "Role", group: RBAC, fields: &[(RBAC, "RoleBinding", "roleRef/name")], ..NOTHING },
    Row {
        kind: "ClusterRole",
        group: RBAC,
        fields: &[
            (RBAC, "RoleBinding", "roleRef/name"),
            (RBAC, "ClusterRoleBinding", "roleRef/name"),
        ],
        ..NOTHING
    },
    Row {
        kind: "ServiceAccount",
        version: "v1",
        pods: PLACED,
        pod_fields: &["serviceAccountName"],
        fields: &[(RBAC, "RoleBinding", "subjects"), (RBAC, "ClusterRoleBinding", "subjects")],
        ..NOTHING
    },
    Row {
        kind: "PersistentVolumeClaim",
        version: "v1",
        pods: PLACED,
        pod_fields: &["volumes/persistentVolumeClaim/claimName"],
        ..NOTHING
    },
    Row {
        kind: "PersistentVolume",
        version: "v1",
        fields: &[
            ("", "PersistentVolumeClaim", "spec/volumeName"),
            ("", "ClusterRole", "rules/resourceNames"),
        ],
        ..NOTHING
    },
    Row {
        kind: "StorageClass",
        group: "storage.k8s.io",
        version: "v1",
        fields: &[
            ("", "PersistentVolume", "spec/storageClassName"),
            ("", "PersistentVolumeClaim", "spec/storageClassName"),
            ("", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
        ],
        ..NOTHING
    },
    Row {
        kind: "PriorityClass",
        group: "scheduling.k8s.io",
        version: "v1",
        pods: PLACED,
        pod_fields: &["priorityClassName"],
        ..NOTHING
    },
    // Its group is a mistake of kustomize, so that nothing ever refers to one.
    Row {
        kind: "IngressClass",
        group: "networking.k8s.io/v1",
        version: "v1",
        fields: &[("", "Ingress", "spec/ingressClassName")],
        ..NOTHING
    },
    Row {
        kind: "ValidatingAdmissionPolicy",
        group: ADMISSION,
        fields: &[(ADMISSION, "ValidatingAdmissionPolicyBinding", "spec/policyName")],
        ..NOTHING
    },
];
