//! Which fields refer to which objects by name: the table of kustomize 5.8.
//!
//! What it lacks is as much a part of it as what it has. Replica sets and pod templates refer to
//! config maps and not to service accounts, replication controllers the other way round, and
//! nothing refers to an `IngressClass`: kustomize's entry for that names a group that does not
//! exist. References that it does not follow have to stay as they are here, too.

/// A kind of objects, and the fields that hold names of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// API group; empty matches every group.
    pub(crate) group: &'static str,
    /// API version; empty matches every version.
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    /// Fields of a pod's specification.
    pub(crate) pod_fields: &'static [&'static str],
    /// The kinds that hold such a specification, and where.
    pub(crate) pods: &'static [(&'static str, &'static str)],
    /// All other fields.
    pub(crate) fields: &'static [Field],
}

/// A field that refers: its object's group, empty for every group, its object's kind, its path.
pub(crate) type Field = (&'static str, &'static str, &'static str);

const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Where config maps and secrets are used.
const CONFIGURED: &[(&str, &str)] = &[
    ("Pod", "spec"),
    ("PodTemplate", "template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// Where everything else is used that pods refer to.
const PLACED: &[(&str, &str)] = &[
    ("Pod", "spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
];

const SCALED: &[Field] = &[("", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name")];

const NOTHING: Target =
    Target { group: "", version: "", kind: "", pod_fields: &[], pods: &[], fields: &[] };

/// The table. Its order counts where one field can refer to several kinds.
pub(crate) const TARGETS: [Target; 15] = [
    Target { kind: "Deployment", fields: SCALED, ..NOTHING },
    Target { kind: "ReplicationController", fields: SCALED, ..NOTHING },
    Target { kind: "ReplicaSet", fields: SCALED, ..NOTHING },
    Target { kind: "StatefulSet", fields: SCALED, ..NOTHING },
    Target {
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
    Target {
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
            ("", "ServiceAccount", "imagePullSecrets/name"),
            ("", "StorageClass", "parameters/secretName"),
            ("", "StorageClass", "parameters/adminSecretName"),
            ("", "StorageClass", "parameters/userSecretName"),
            ("", "StorageClass", "parameters/secretRef"),
            ("", "Role", "rules/resourceNames"),
            ("", "ClusterRole", "rules/resourceNames"),
            (
                "serving.knative.dev",
                "Service",
                "spec/template/spec/containers/env/valueFrom/secretKeyRef/name",
            ),
            ("", "PersistentVolume", "spec/azureFile/secretName"),
        ],
        ..NOTHING
    },
    Target {
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
    Target {
        kind: "Role",
        group: RBAC,
        fields: &[(RBAC, "RoleBinding", "roleRef/name")],
        ..NOTHING
    },
    Target {
        kind: "ClusterRole",
        group: RBAC,
        fields: &[
            (RBAC, "RoleBinding", "roleRef/name"),
            (RBAC, "ClusterRoleBinding", "roleRef/name"),
        ],
        ..NOTHING
    },
    Target {
        kind: "ServiceAccount",
        version: "v1",
        pods: PLACED,
        pod_fields: &["serviceAccountName"],
        fields: &[(RBAC, "RoleBinding", "subjects"), (RBAC, "ClusterRoleBinding", "subjects")],
        ..NOTHING
    },
    Target {
        kind: "PersistentVolumeClaim",
        version: "v1",
        pods: PLACED,
        pod_fields: &["volumes/persistentVolumeClaim/claimName"],
        ..NOTHING
    },
    Target {
        kind: "PersistentVolume",
        version: "v1",
        fields: &[
            ("", "PersistentVolumeClaim", "spec/volumeName"),
            ("", "ClusterRole", "rules/resourceNames"),
        ],
        ..NOTHING
    },
    Target {
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
    Target {
        kind: "PriorityClass",
        group: "scheduling.k8s.io",
        version: "v1",
        pods: PLACED,
        pod_fields: &["priorityClassName"],
        ..NOTHING
    },
    Target {
        kind: "ValidatingAdmissionPolicy",
        group: ADMISSION,
        fields: &[(ADMISSION, "ValidatingAdmissionPolicyBinding", "spec/policyName")],
        ..NOTHING
    },
];
