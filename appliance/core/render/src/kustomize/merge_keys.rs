//! Which lists of the built-in kinds are merged item by item, and by which keys. Facts of the
//! Kubernetes 1.21 schema, which kustomize 5 merges by.

use serde_json::Value;

use super::openapi::{Found, OpenApi};
use super::resource::Id;

/// The schemas that objects are merged by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schemas<'a> {
    /// Those of this table.
    BuiltIn,
    /// Those of a document of the kustomization's.
    Own(&'a OpenApi),
}

impl<'a> Schemas<'a> {
    /// That of an object.
    pub(crate) fn of(self, id: &Id) -> Schema<'a> {
        let found = match self {
            Self::BuiltIn => {
                let version = |known: &(&str, &str)| known.0 == id.group && known.1 == id.version;
                let row = KINDS.iter().find(|(versions, kinds, _)| {
                    kinds.contains(&id.kind.as_str()) && versions.iter().any(version)
                });
                row.map(|(.., fields)| Schema::Fields(fields))
            }
            Self::Own(api) => match api.of(id) {
                Some(schema) => Some(Schema::Own(api, schema)),
                None if api.has_built_in() => match Self::BuiltIn.of(id) {
                    Schema::Unknown(_) => None,
                    known => Some(known),
                },
                None => None,
            },
        };
        found.unwrap_or(Schema::Unknown(self))
    }
}

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema<'a> {
    /// Nothing: it belongs to a kind that these do not have.
    Unknown(Schemas<'a>),
    /// Its fields are known.
    Fields(&'static Fields),
    /// It is a list whose items are merged: those that agree in these keys, or, without a key,
    /// those that are equal. All other lists are replaced.
    Items(&'static [&'static str], &'static Fields),
    /// What a document says.
    Own(&'a OpenApi, &'a Value),
}

/// The fields that have merged lists in them. A field that is not named has none.
#[derive(Debug)]
pub(crate) struct Fields(&'static [(&'static str, Schema<'static>)]);

impl<'a> Schema<'a> {
    /// That of a field of a mapping.
    pub(crate) fn field(self, name: &str) -> Self {
        match self {
            Self::Unknown(schemas) => Self::Unknown(schemas),
            Self::Items(..) => Self::Unknown(Schemas::BuiltIn),
            Self::Fields(Fields(fields)) => {
                let found = fields.iter().find(|(known, _)| *known == name);
                found.map_or(Self::Fields(&PLAIN), |(_, schema)| *schema)
            }
            Self::Own(api, schema) => Self::found(api, api.field(schema, name)),
        }
    }

    /// If it is that of a list whose items are merged: the keys of the items, and their schema.
    pub(crate) fn items(self) -> Option<(Vec<&'a str>, Self)> {
        match self {
            Self::Items(keys, fields) => Some((keys.to_vec(), Self::Fields(fields))),
            Self::Own(api, schema) => {
                let (keys, items) = api.items(schema)?;
                Some((keys, Self::found(api, items)))
            }
            Self::Unknown(_) | Self::Fields(_) => None,
        }
    }

    fn found(api: &'a OpenApi, found: Option<Found<'a>>) -> Self {
        let built_in = |name: &str| DEFINITIONS.iter().find(|(known, _)| *known == name);
        match found {
            Some(Found::Own(schema)) => Self::Own(api, schema),
            Some(Found::BuiltIn(name)) => {
                built_in(name).map_or(Self::Fields(&PLAIN), |(_, fields)| Self::Fields(fields))
            }
            None => Self::Unknown(Schemas::Own(api)),
        }
    }
}

static PLAIN: Fields = Fields(&[]);
static META: Fields = Fields(&[
    ("finalizers", Schema::Items(&[], &PLAIN)),
    ("ownerReferences", Schema::Items(&["uid"], &PLAIN)),
]);
static OBJECT: Fields = Fields(&[("metadata", Schema::Fields(&META))]);
static CONDITIONS: Fields = Fields(&[("conditions", Schema::Items(&["type"], &PLAIN))]);
static WITH_STATUS: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("status", Schema::Fields(&CONDITIONS))]);

static CONTAINER: Fields = Fields(&[
    ("env", Schema::Items(&["name"], &PLAIN)),
    ("ports", Schema::Items(&["containerPort", "protocol"], &PLAIN)),
    ("volumeDevices", Schema::Items(&["devicePath"], &PLAIN)),
    ("volumeMounts", Schema::Items(&["mountPath"], &PLAIN)),
]);
/// As other containers, but for its ports, which are replaced.
static EPHEMERAL_CONTAINER: Fields = Fields(&[
    ("env", Schema::Items(&["name"], &PLAIN)),
    ("volumeDevices", Schema::Items(&["devicePath"], &PLAIN)),
    ("volumeMounts", Schema::Items(&["mountPath"], &PLAIN)),
]);
static VOLUME: Fields = Fields(&[("ephemeral", Schema::Fields(&EPHEMERAL_VOLUME))]);
static EPHEMERAL_VOLUME: Fields = Fields(&[("volumeClaimTemplate", Schema::Fields(&OBJECT))]);
static POD_SPEC: Fields = Fields(&[
    ("containers", Schema::Items(&["name"], &CONTAINER)),
    ("ephemeralContainers", Schema::Items(&["name"], &EPHEMERAL_CONTAINER)),
    ("hostAliases", Schema::Items(&["ip"], &PLAIN)),
    ("imagePullSecrets", Schema::Items(&["name"], &PLAIN)),
    ("initContainers", Schema::Items(&["name"], &CONTAINER)),
    ("topologySpreadConstraints", Schema::Items(&["topologyKey", "whenUnsatisfiable"], &PLAIN)),
    ("volumes", Schema::Items(&["name"], &VOLUME)),
]);
static POD_STATUS: Fields = Fields(&[
    ("conditions", Schema::Items(&["type"], &PLAIN)),
    ("podIPs", Schema::Items(&["ip"], &PLAIN)),
]);
static POD: Fields = Fields(&[
    ("metadata", Schema::Fields(&META)),
    ("spec", Schema::Fields(&POD_SPEC)),
    ("status", Schema::Fields(&POD_STATUS)),
]);
static TEMPLATE: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("spec", Schema::Fields(&POD_SPEC))]);
static POD_TEMPLATE: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("template", Schema::Fields(&TEMPLATE))]);
static WORKLOAD_SPEC: Fields = Fields(&[("template", Schema::Fields(&TEMPLATE))]);
static WORKLOAD: Fields = Fields(&[
    ("metadata", Schema::Fields(&META)),
    ("spec", Schema::Fields(&WORKLOAD_SPEC)),
    ("status", Schema::Fields(&CONDITIONS)),
]);
static JOB_TEMPLATE: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("spec", Schema::Fields(&WORKLOAD_SPEC))]);
static CRON_JOB_SPEC: Fields = Fields(&[("jobTemplate", Schema::Fields(&JOB_TEMPLATE))]);
static CRON_JOB: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("spec", Schema::Fields(&CRON_JOB_SPEC))]);

static SERVICE_SPEC: Fields = Fields(&[("ports", Schema::Items(&["port", "protocol"], &PLAIN))]);
static SERVICE: Fields = Fields(&[
    ("metadata", Schema::Fields(&META)),
    ("spec", Schema::Fields(&SERVICE_SPEC)),
    ("status", Schema::Fields(&CONDITIONS)),
]);
static SERVICE_ACCOUNT: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("secrets", Schema::Items(&["name"], &PLAIN))]);
static WEBHOOKS: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("webhooks", Schema::Items(&["name"], &PLAIN))]);
static CSI_NODE_SPEC: Fields = Fields(&[("drivers", Schema::Items(&["name"], &PLAIN))]);
static CSI_NODE: Fields =
    Fields(&[("metadata", Schema::Fields(&META)), ("spec", Schema::Fields(&CSI_NODE_SPEC))]);
static NODE_SPEC: Fields = Fields(&[("podCIDRs", Schema::Items(&[], &PLAIN))]);
static NODE_STATUS: Fields = Fields(&[
    ("addresses", Schema::Items(&["type"], &PLAIN)),
    ("conditions", Schema::Items(&["type"], &PLAIN)),
]);
static NODE: Fields = Fields(&[
    ("metadata", Schema::Fields(&META)),
    ("spec", Schema::Fields(&NODE_SPEC)),
    ("status", Schema::Fields(&NODE_STATUS)),
]);
static COMPONENT_STATUS: Fields = Fields(&[
    ("conditions", Schema::Items(&["type"], &PLAIN)),
    ("metadata", Schema::Fields(&META)),
]);

/// Definitions of the built-in schema that a schema of one's own may refer to.
static DEFINITIONS: [(&str, &Fields); 9] = [
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", &META),
    ("io.k8s.api.core.v1.PodTemplateSpec", &TEMPLATE),
    ("io.k8s.api.core.v1.PodSpec", &POD_SPEC),
    ("io.k8s.api.core.v1.Container", &CONTAINER),
    ("io.k8s.api.core.v1.EphemeralContainer", &EPHEMERAL_CONTAINER),
    ("io.k8s.api.core.v1.Volume", &VOLUME),
    ("io.k8s.api.core.v1.ServiceSpec", &SERVICE_SPEC),
    ("io.k8s.api.apps.v1.DeploymentSpec", &WORKLOAD_SPEC),
    ("io.k8s.api.batch.v1.JobSpec", &WORKLOAD_SPEC),
];

/// Groups with their versions, the kinds all of these have, and what those have in them.
type Row = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static Fields);

static KINDS: [Row; 34] = [
    (&[("", "v1")], &["Pod"], &POD),
    (&[("", "v1")], &["PodTemplate"], &POD_TEMPLATE),
    (&[("", "v1")], &["ReplicationController"], &WORKLOAD),
    (&[("apps", "v1")], &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"], &WORKLOAD),
    (&[("batch", "v1")], &["Job"], &WORKLOAD),
    (&[("batch", "v1"), ("batch", "v1beta1")], &["CronJob"], &CRON_JOB),
    (&[("", "v1")], &["Service"], &SERVICE),
    (&[("", "v1")], &["ServiceAccount"], &SERVICE_ACCOUNT),
    (&[("", "v1")], &["Node"], &NODE),
    (&[("", "v1")], &["ComponentStatus"], &COMPONENT_STATUS),
    (&[("", "v1")], &["Namespace", "PersistentVolumeClaim"], &WITH_STATUS),
    (
        &[("", "v1")],
        &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolume",
            "ResourceQuota",
            "Secret",
        ],
        &OBJECT,
    ),
    (
        &[("admissionregistration.k8s.io", "v1"), ("admissionregistration.k8s.io", "v1beta1")],
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        &WEBHOOKS,
    ),
    (
        &[("apiextensions.k8s.io", "v1"), ("apiextensions.k8s.io", "v1beta1")],
        &["CustomResourceDefinition"],
        &OBJECT,
    ),
    (
        &[("apiregistration.k8s.io", "v1"), ("apiregistration.k8s.io", "v1beta1")],
        &["APIService"],
        &WITH_STATUS,
    ),
    (&[("apps", "v1")], &["ControllerRevision"], &OBJECT),
    (&[("autoscaling", "v1")], &["Scale"], &OBJECT),
    (
        &[("autoscaling", "v1"), ("autoscaling", "v2beta1"), ("autoscaling", "v2beta2")],
        &["HorizontalPodAutoscaler"],
        &OBJECT,
    ),
    (
        &[("certificates.k8s.io", "v1"), ("certificates.k8s.io", "v1beta1")],
        &["CertificateSigningRequest"],
        &OBJECT,
    ),
    (&[("coordination.k8s.io", "v1"), ("coordination.k8s.io", "v1beta1")], &["Lease"], &OBJECT),
    (&[("discovery.k8s.io", "v1"), ("discovery.k8s.io", "v1beta1")], &["EndpointSlice"], &OBJECT),
    (&[("events.k8s.io", "v1"), ("events.k8s.io", "v1beta1")], &["Event"], &OBJECT),
    (
        &[("flowcontrol.apiserver.k8s.io", "v1beta1")],
        &["FlowSchema", "PriorityLevelConfiguration"],
        &OBJECT,
    ),
    (
        &[("extensions", "v1beta1"), ("networking.k8s.io", "v1"), ("networking.k8s.io", "v1beta1")],
        &["Ingress"],
        &OBJECT,
    ),
    (&[("networking.k8s.io", "v1"), ("networking.k8s.io", "v1beta1")], &["IngressClass"], &OBJECT),
    (&[("networking.k8s.io", "v1")], &["NetworkPolicy"], &OBJECT),
    (&[("node.k8s.io", "v1"), ("node.k8s.io", "v1beta1")], &["RuntimeClass"], &OBJECT),
    (&[("policy", "v1"), ("policy", "v1beta1")], &["PodDisruptionBudget"], &WITH_STATUS),
    (
        &[("rbac.authorization.k8s.io", "v1"), ("rbac.authorization.k8s.io", "v1beta1")],
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        &OBJECT,
    ),
    (&[("scheduling.k8s.io", "v1"), ("scheduling.k8s.io", "v1beta1")], &["PriorityClass"], &OBJECT),
    (&[("policy", "v1beta1")], &["PodSecurityPolicy"], &OBJECT),
    (&[("storage.k8s.io", "v1"), ("storage.k8s.io", "v1beta1")], &["CSINode"], &CSI_NODE),
    (
        &[("storage.k8s.io", "v1"), ("storage.k8s.io", "v1beta1")],
        &["CSIDriver", "StorageClass", "VolumeAttachment"],
        &OBJECT,
    ),
    (&[("storage.k8s.io", "v1beta1")], &["CSIStorageCapacity"], &OBJECT),
];
