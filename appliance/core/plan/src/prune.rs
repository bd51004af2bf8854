//! Which objects may be deleted. Every rule here errs on the side of leaving too much.

use std::fmt;

use fyr_model::ObjectKey;

use crate::kinds::is_definition;
use crate::tracking::{Claim, claim};
use crate::{Comparison, LiveObject, Permission, Policy, Scope, Trigger};

/// A set of objects to delete that is larger than this is always a reason to ask a person...
const SHRINK_OBJECTS: usize = 10;
/// ...if it is also more than this part of everything the application has, in percent.
const SHRINK_PERCENT: usize = 30;

/// Why a plan leaves something out that it was made for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocker {
    /// The application is not synced by itself.
    NotAutomated,
    /// The application does not revert changes by itself.
    NoSelfHeal,
    /// Another application manages some of the objects, and `FailOnSharedResource=true`.
    Shared {
        /// How many.
        objects: usize,
    },
    /// Not everything on the cluster is known, so nothing is deleted.
    LiveIncomplete,
    /// Git has nothing left, so nothing is deleted.
    WipeOut,
    /// Git has lost a large part, so nothing is deleted without a person's consent.
    Shrunk {
        /// Objects to delete.
        extra: usize,
        /// Objects the application has.
        total: usize,
    },
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAutomated => f.write_str("automated sync is off"),
            Self::NoSelfHeal => f.write_str("self-healing is off"),
            Self::Shared { objects } => write!(
                f,
                "nothing is applied: other applications manage {objects} of the objects, and \
                 FailOnSharedResource is set"
            ),
            Self::LiveIncomplete => {
                f.write_str("nothing is deleted: not everything on the cluster is known yet")
            }
            // Argo CD's words, which people search for.
            Self::WipeOut => f.write_str(
                "nothing is deleted: auto-sync will wipe out all resources; set allowEmpty or \
                 confirm a sync with prune",
            ),
            Self::Shrunk { extra, total } => write!(
                f,
                "nothing is deleted: {extra} of {total} objects are no longer in Git, which needs \
                 a sync with prune by a person"
            ),
        }
    }
}

/// What keeps all deletions of a plan back, if anything.
pub(crate) fn guard(
    comparison: &Comparison<'_>,
    policy: &Policy,
    trigger: &Trigger,
    extra: usize,
) -> Option<Blocker> {
    if !comparison.live.complete() {
        return Some(Blocker::LiveIncomplete);
    }
    let (asked, confirmed) = match trigger {
        Trigger::Delete { .. } => return None,
        Trigger::Manual(manual) => (true, manual.confirmed),
        Trigger::Automated | Trigger::Heal => (false, false),
    };
    let allow_empty = policy.automated.is_some_and(|automated| automated.allow_empty);
    if comparison.desired.is_empty() && !allow_empty && !confirmed {
        return Some(Blocker::WipeOut);
    }
    let total = comparison.inventory.len().max(extra);
    let shrunk = extra > SHRINK_OBJECTS && extra * 100 > total * SHRINK_PERCENT;
    // `allowEmpty` consents to losing everything, so to losing a part as well.
    (shrunk && !asked && !(allow_empty && comparison.desired.is_empty()))
        .then_some(Blocker::Shrunk { extra, total })
}

/// Why this object is kept, if it is.
pub(crate) fn kept(
    comparison: &Comparison<'_>,
    policy: &Policy,
    trigger: &Trigger,
    permits: &dyn Fn(&ObjectKey, Scope) -> Result<(), String>,
    (key, live): (&ObjectKey, &LiveObject),
) -> Option<String> {
    let entry = comparison.inventory.get(key);
    let confirmed = trigger.confirmed();
    if is_definition(&key.group_kind()) {
        return Some("definitions are never deleted: all their objects would go too".to_owned());
    }
    if let Some(owner) = comparison.owner(key) {
        return Some(format!("it belongs to application {owner}"));
    }
    if claim(live.tracking_id.as_deref(), key) != Claim::Application(comparison.application) {
        return Some("it does not carry this application's tracking annotation".to_owned());
    }
    if live.owned {
        return Some("another object owns it".to_owned());
    }
    match entry {
        None if !confirmed || key.kind == "Namespace" => {
            let reason = "it carries the tracking annotation, but was not applied from here";
            return Some(reason.to_owned());
        }
        Some(entry) if entry.uid.as_ref().is_some_and(|uid| *uid != live.uid) => {
            return Some("another object has taken its place".to_owned());
        }
        None | Some(_) => {}
    }
    let (name, permission) = match trigger {
        Trigger::Delete { .. } => {
            ("Delete", entry.and_then(|entry| entry.retention.delete).or(policy.options.delete))
        }
        _ => ("Prune", entry.and_then(|entry| entry.retention.prune).or(policy.options.prune)),
    };
    match permission {
        Some(Permission::Never) => return Some(format!("{name}=false")),
        Some(Permission::Confirm) if !confirmed => {
            return Some(format!("{name}=confirm, and nobody has confirmed it"));
        }
        None | Some(Permission::Always | Permission::Confirm) => {}
    }
    let scope = if key.namespace.is_empty() { Scope::Cluster } else { Scope::Namespaced };
    permits(key, scope).err().map(|reason| format!("it is not permitted any more: {reason}"))
}
