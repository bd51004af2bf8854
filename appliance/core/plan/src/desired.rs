//! What an application wants on its cluster, ready to be compared and sent.

mod hook;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fyr_model::{Digest, GroupKind, GroupVersionKind, Hasher, Object, ObjectKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::hook::Hook;
use crate::kinds::{is_definition, is_excluded};
use crate::normalize::normalize;
use crate::{
    Condition, ConditionKind, Flag, Permission, Scope, SyncOptions, TRACKING_ANNOTATION, TrackingId,
};

/// What a manifest says about going away; remembered in the inventory, because the manifest is
/// gone when it counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Retention {
    /// Whether it may be deleted when Git no longer has it; `None` leaves it to the application.
    pub prune: Option<Permission>,
    /// Whether it may be deleted with the application; `None` leaves it to the application.
    pub delete: Option<Permission>,
    /// It is deleted after everything else.
    pub prune_last: bool,
    /// It does not count as out of sync when Git no longer has it.
    pub ignore_extraneous: bool,
}

/// One object an application wants.
#[derive(Clone, Eq, PartialEq)]
pub struct DesiredObject {
    /// The kind and version of its manifest.
    pub gvk: GroupVersionKind,
    /// Its sync wave.
    pub wave: i32,
    /// Its own sync options.
    pub options: SyncOptions,
    /// What its manifest says about going away.
    pub retention: Retention,
    /// Its health does not count for the application's.
    pub ignore_health: bool,
    /// The kind it defines, if it is a custom resource definition.
    pub defines: Option<GroupKind>,
    /// The object as compact JSON with sorted keys, ready to send.
    pub body: Arc<str>,
    /// Digest of `body`.
    pub rendered: Digest,
}

/// What an application wants on its cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Desired {
    /// The objects that can be applied.
    pub objects: BTreeMap<ObjectKey, DesiredObject>,
    /// Objects that wait, with what for: the cluster does not serve their kind.
    pub pending: BTreeMap<ObjectKey, String>,
    /// Objects that may not be applied, with the reason.
    pub denied: BTreeMap<ObjectKey, String>,
    /// What the application's owner has to know; sorted, each once.
    pub conditions: Vec<Condition>,
    /// Digest of everything above but the conditions: equal digests want the same.
    pub digest: Digest,
}

/// What the rendered objects are prepared for.
#[derive(Clone, Copy)]
pub struct DesiredContext<'a> {
    /// The application's name in tracking annotations.
    pub application: &'a str,
    /// Namespace of namespaced objects that name none.
    pub destination_namespace: &'a str,
    /// The scope of a kind; `None` when the cluster does not serve it.
    pub scopes: &'a dyn Fn(&GroupKind) -> Option<Scope>,
    /// Whether the project permits an object; the error is for people.
    pub permits: &'a dyn Fn(&ObjectKey, Scope) -> Result<(), String>,
}

/// Without the body: it may be a Secret's.
impl fmt::Debug for DesiredObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DesiredObject")
            .field("gvk", &self.gvk)
            .field("wave", &self.wave)
            .field("rendered", &self.rendered)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DesiredContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DesiredContext").field("application", &self.application).finish()
    }
}

impl Default for Desired {
    /// Nothing is wanted.
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            pending: BTreeMap::new(),
            denied: BTreeMap::new(),
            conditions: Vec::new(),
            digest: Digest::of(b""),
        }
    }
}

impl Desired {
    /// Prepares rendered objects.
    ///
    /// Never fails as a whole: what is wrong with one object holds back that object, and a
    /// condition says so.
    pub fn prepare(rendered: Vec<Object>, context: &DesiredContext<'_>) -> Self {
        let defined = rendered.iter().filter_map(definition).collect();
        let mut preparation =
            Preparation { context, defined, seen: BTreeMap::new(), desired: Self::default() };
        for object in rendered {
            preparation.add(object);
        }
        preparation.finish()
    }

    /// Whether nothing at all is wanted, not even what waits or is denied.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.pending.is_empty() && self.denied.is_empty()
    }

    /// Every object that is wanted, whether it can be applied or not.
    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys().chain(self.pending.keys()).chain(self.denied.keys())
    }

    /// Whether Git has this object, in whatever state.
    ///
    /// The namespace of an object that waits is not known yet, so there its name is enough.
    pub fn wants(&self, key: &ObjectKey) -> bool {
        let alike = |other: &ObjectKey| {
            (&other.group, &other.kind, &other.name) == (&key.group, &key.kind, &key.name)
        };
        self.objects.contains_key(key)
            || self.denied.contains_key(key)
            || self.pending.keys().any(alike)
    }

    /// The kinds that custom resource definitions among the objects define.
    pub fn defines(&self, kind: &GroupKind) -> bool {
        self.objects.values().any(|object| object.defines.as_ref() == Some(kind))
    }
}

struct Preparation<'a> {
    context: &'a DesiredContext<'a>,
    defined: BTreeMap<GroupKind, Scope>,
    /// How often each identity was rendered.
    seen: BTreeMap<ObjectKey, u32>,
    desired: Desired,
}

impl Preparation<'_> {
    fn add(&mut self, mut object: Object) {
        let gvk = object.gvk();
        let kind = gvk.group_kind();
        let mut key = object.key();
        if is_excluded(&kind) {
            let message = format!("{key} is not managed: {kind} is a kind that controllers write");
            return self.warn(ConditionKind::ExcludedResourceWarning, message);
        }
        match Hook::of(&object) {
            Hook::None => {}
            Hook::Skip => return,
            Hook::Unsupported(hook) => {
                let message = format!("{key} is not applied: hooks ({hook}) are not run yet");
                return self.warn(ConditionKind::UnsupportedWarning, message);
            }
        }
        if let Err(why) = object.has_version() {
            self.forget(&key);
            self.desired.pending.insert(key, why.to_string());
            return;
        }
        let Some(scope) = self.scope(&kind) else {
            self.forget(&key);
            let reason = format!("the cluster has no such kind: {} {kind}", gvk.api_version());
            self.desired.pending.insert(key, reason);
            return;
        };
        key.namespace = match scope {
            Scope::Cluster => String::new(),
            Scope::Namespaced => {
                object.namespace().unwrap_or(self.context.destination_namespace).to_owned()
            }
        };
        self.forget(&key);
        if let Err(reason) = self.permitted(&key, scope) {
            self.desired.denied.insert(key, reason);
            return;
        }
        object.set_namespace(Some(key.namespace.as_str()).filter(|name| !name.is_empty()));
        if is_definition(&kind) {
            // A rendered annotation would be somebody else's; ours is never put on definitions.
        } else {
            let context = self.context;
            let id = TrackingId::new(context.application, &key, context.destination_namespace);
            object.set_annotation(TRACKING_ANNOTATION, &id.to_string());
        }
        let prepared = self.prepare(&key, gvk, object);
        self.desired.objects.insert(key, prepared);
    }

    fn prepare(&mut self, key: &ObjectKey, gvk: GroupVersionKind, object: Object) -> DesiredObject {
        let (options, mut problems) = SyncOptions::parse(list(&object, "sync-options"));
        let (wave, problem) = wave(&object);
        problems.extend(problem);
        for problem in problems {
            self.warn(ConditionKind::UnsupportedWarning, format!("{key}: {problem}"));
        }
        // `helm.sh/resource-policy: keep` says of both ways to go what ours say one by one.
        let kept = (object.annotation("helm.sh/resource-policy") == Some("keep"))
            .then_some(Permission::Never);
        let retention = Retention {
            prune: options.prune.or(kept),
            delete: options.delete.or(kept),
            prune_last: options.has(Flag::PruneLast),
            ignore_extraneous: list(&object, "compare-options")
                .any(|option| option == "IgnoreExtraneous"),
        };
        let ignore_health =
            object.annotation("argocd.argoproj.io/ignore-healthcheck") == Some("true");
        let defines = definition(&object).map(|(kind, _)| kind);
        let mut value = object.into_value();
        normalize(&gvk.group, &gvk.kind, &mut value);
        let body: Arc<str> = value.to_string().into();
        let rendered = Digest::of(body.as_bytes());
        DesiredObject { gvk, wave, options, retention, ignore_health, defines, body, rendered }
    }

    /// A definition in the same render goes before what the cluster serves now.
    fn scope(&self, kind: &GroupKind) -> Option<Scope> {
        self.defined.get(kind).copied().or_else(|| (self.context.scopes)(kind))
    }

    fn permitted(&self, key: &ObjectKey, scope: Scope) -> Result<(), String> {
        if scope == Scope::Namespaced && key.namespace.is_empty() {
            let reason = "it has no namespace, and the application's destination names none";
            return Err(reason.to_owned());
        }
        (self.context.permits)(key, scope)
    }

    /// The last of several objects of one identity counts.
    fn forget(&mut self, key: &ObjectKey) {
        *self.seen.entry(key.clone()).or_default() += 1;
        self.desired.objects.remove(key);
        self.desired.pending.remove(key);
        self.desired.denied.remove(key);
    }

    fn warn(&mut self, kind: ConditionKind, message: String) {
        self.desired.conditions.push(Condition::new(kind, message));
    }

    fn finish(mut self) -> Desired {
        for (key, times) in std::mem::take(&mut self.seen) {
            if times > 1 {
                let message = format!("{key} is rendered {times} times; the last one counts");
                self.warn(ConditionKind::RepeatedResourceWarning, message);
            }
        }
        let Self { mut desired, .. } = self;
        for (key, reason) in &desired.pending {
            let condition =
                Condition::new(ConditionKind::PendingResourceWarning, format!("{key}: {reason}"));
            desired.conditions.push(condition);
        }
        for (key, reason) in &desired.denied {
            let condition =
                Condition::new(ConditionKind::DeniedResourceWarning, format!("{key}: {reason}"));
            desired.conditions.push(condition);
        }
        desired.conditions.sort();
        desired.conditions.dedup();
        desired.digest = total(&desired);
        desired
    }
}

fn total(desired: &Desired) -> Digest {
    let mut hasher = Hasher::default();
    for object in desired.objects.values() {
        hasher.field(object.rendered.as_bytes());
    }
    for held in [&desired.pending, &desired.denied] {
        hasher.field(b"held");
        for (key, reason) in held {
            hasher.field(key.to_string().as_bytes());
            hasher.field(reason.as_bytes());
        }
    }
    hasher.finish()
}

/// The kind a custom resource definition defines, and its scope.
fn definition(object: &Object) -> Option<(GroupKind, Scope)> {
    if !is_definition(&object.gvk().group_kind()) {
        return None;
    }
    let text = |pointer| object.value().pointer(pointer).and_then(Value::as_str);
    let kind = GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?);
    let scope = match text("/spec/scope")? {
        "Namespaced" => Scope::Namespaced,
        _ => Scope::Cluster,
    };
    Some((kind, scope))
}

/// The sync wave, and what is wrong with it.
fn wave(object: &Object) -> (i32, Option<String>) {
    let text = object
        .annotation("argocd.argoproj.io/sync-wave")
        .or_else(|| object.annotation("helm.sh/hook-weight"));
    match text.map(|text| (text, text.trim().parse())) {
        None => (0, None),
        Some((_, Ok(wave))) => (wave, None),
        Some((text, Err(_))) => {
            (0, Some(format!("sync wave {text:?} is no whole number, so it is in wave 0")))
        }
    }
}

/// A list separated by commas in one of Argo CD's annotations.
fn list<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a str> {
    let text = object.annotation(&format!("argocd.argoproj.io/{name}")).unwrap_or_default();
    text.split(',').map(str::trim)
}
