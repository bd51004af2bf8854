//! How an application stands, with a reason for every verdict.

use std::time::SystemTime;

use fyr_model::ObjectKey;
use serde::{Deserialize, Serialize};

use crate::plan::shared_conditions;
use crate::{
    Comparison, Condition, ConditionKind, Difference, Health, HealthStatus, Outcome, Planned, Row,
};

/// Whether a cluster holds what Git has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SyncStatus {
    /// It does.
    Synced,
    /// It does not.
    OutOfSync,
    /// It cannot be known.
    Unknown,
}

/// How one object stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResourceStatus {
    /// Which object.
    pub key: ObjectKey,
    /// Whether the cluster holds what Git has of it.
    pub sync: SyncStatus,
    /// How it does; `None` when there is nothing to judge it by.
    pub health: Option<Health>,
    /// Why it is not in sync, or what the last try said; empty when there is nothing to say.
    pub message: String,
    /// Its sync wave.
    pub wave: i32,
    /// Git no longer has it.
    pub requires_pruning: bool,
}

/// How an application stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Assessment {
    /// Whether the cluster holds what Git has.
    pub sync: SyncStatus,
    /// How it does: as the worst of its objects.
    pub health: Health,
    /// The objects, in the order of their keys.
    pub resources: Vec<ResourceStatus>,
    /// What its owner has to know; sorted, each once.
    pub conditions: Vec<Condition>,
    /// When the cluster was last heard of, if it cannot be reached now: everything above is
    /// Unknown since then.
    pub unknown_since: Option<SystemTime>,
}

/// What an application is judged by.
#[derive(Clone, Debug)]
pub struct AssessInput<'a> {
    /// What is compared; `None` when nothing was ever rendered or the cluster was never seen.
    pub comparison: Option<Comparison<'a>>,
    /// Why the cluster cannot be reached, if it cannot.
    pub unreachable: Option<&'a str>,
    /// The newest plan, for what it leaves out.
    pub planned: Option<&'a Planned>,
    /// What became of the last plan that was carried out at this desired state.
    pub outcome: Option<&'a Outcome>,
    /// What else is known, above all why rendering failed.
    pub conditions: &'a [Condition],
}

/// Judges an application.
pub fn assess(input: &AssessInput<'_>) -> Assessment {
    let mut conditions = input.conditions.to_vec();
    conditions.extend(input.planned.iter().flat_map(|planned| planned.conditions.clone()));
    conditions.extend(input.outcome.and_then(failure));
    let mut resources = Vec::new();
    if let Some(comparison) = &input.comparison {
        let rows = comparison.rows();
        conditions.extend(comparison.desired.conditions.clone());
        conditions.extend(shared_conditions(comparison.application, &rows));
        resources = rows.iter().map(|row| resource(input, row)).collect();
    }
    conditions.sort();
    conditions.dedup();
    let unknown_since =
        input.unreachable.and(input.comparison.as_ref().map(|known| known.live.seen_at));
    let uncounted = |resource: &ResourceStatus| {
        let comparison = input.comparison.as_ref();
        comparison.is_some_and(|comparison| ignores_extraneous(comparison, resource))
    };
    let sync = sync_status(input, &conditions, &resources, uncounted);
    let health = health(input, &resources);
    Assessment { sync, health, resources, conditions, unknown_since }
}

fn resource(input: &AssessInput<'_>, row: &Row<'_>) -> ResourceStatus {
    let Row { key, wanted, entry, difference, .. } = row;
    let (mut sync, mut message) = verdict(difference);
    let failed = input.outcome.and_then(|outcome| {
        outcome.failures().find(|(failed, _)| failed == key).map(|(_, error)| &error.message)
    });
    let held = input.planned.and_then(|planned| planned.held.get(*key));
    if *difference != Difference::InSync
        && let Some(why) = failed.or(held)
    {
        message.clone_from(why);
    }
    let mut health = object_health(row);
    if let Some(reason) = input.unreachable {
        sync = SyncStatus::Unknown;
        health = health.map(|_| Health::new(HealthStatus::Unknown, reason));
    }
    ResourceStatus {
        key: (*key).clone(),
        sync,
        health,
        message,
        wave: wanted.map(|object| object.wave).or(entry.map(|entry| entry.wave)).unwrap_or(0),
        requires_pruning: *difference == Difference::Extra,
    }
}

fn verdict(difference: &Difference) -> (SyncStatus, String) {
    let out = |message: &str| (SyncStatus::OutOfSync, message.to_owned());
    match difference {
        Difference::InSync => (SyncStatus::Synced, String::new()),
        Difference::Missing => out("it does not exist"),
        Difference::Changed => out("its manifest has changed"),
        Difference::Drifted => out("it was changed on the cluster"),
        Difference::Adopt => out("it exists and was never applied from here"),
        Difference::Deleting => out("it is being deleted"),
        Difference::SharedWith(owner) => out(&format!("it belongs to application {owner}")),
        Difference::Denied(reason) | Difference::Pending(reason) => out(reason),
        Difference::Unknown(reason) => (SyncStatus::Unknown, reason.clone()),
        Difference::Extra => out("it is no longer in Git"),
    }
}

fn object_health(row: &Row<'_>) -> Option<Health> {
    match row.live {
        Some(live) if live.deleting => {
            Some(Health::new(HealthStatus::Progressing, "it is being deleted"))
        }
        Some(live) => live.health.clone(),
        None if row.difference == Difference::Missing => {
            Some(Health::new(HealthStatus::Missing, "it does not exist"))
        }
        None => None,
    }
}

fn sync_status(
    input: &AssessInput<'_>,
    conditions: &[Condition],
    resources: &[ResourceStatus],
    uncounted: impl Fn(&ResourceStatus) -> bool,
) -> SyncStatus {
    let blind = |condition: &Condition| {
        matches!(condition.kind, ConditionKind::ComparisonError | ConditionKind::InvalidSpecError)
    };
    if input.comparison.is_none() || input.unreachable.is_some() || conditions.iter().any(blind) {
        return SyncStatus::Unknown;
    }
    let any =
        |status| resources.iter().any(|resource| resource.sync == status && !uncounted(resource));
    if any(SyncStatus::Unknown) {
        SyncStatus::Unknown
    } else if any(SyncStatus::OutOfSync) {
        SyncStatus::OutOfSync
    } else {
        SyncStatus::Synced
    }
}

/// `IgnoreExtraneous` takes an object that Git no longer has out of the count.
fn ignores_extraneous(comparison: &Comparison<'_>, resource: &ResourceStatus) -> bool {
    let entry = comparison.inventory.get(&resource.key);
    resource.requires_pruning && entry.is_some_and(|entry| entry.retention.ignore_extraneous)
}

/// As healthy as the worst object that Git has. Objects that do not exist count only when none
/// does: until then the others tell how the application does.
fn health(input: &AssessInput<'_>, resources: &[ResourceStatus]) -> Health {
    if let Some(reason) = input.unreachable {
        return Health::new(HealthStatus::Unknown, reason);
    }
    let Some(comparison) = &input.comparison else {
        return Health::new(HealthStatus::Unknown, "nothing is known of it yet");
    };
    let wanted = |resource: &&ResourceStatus| {
        let object = comparison.desired.objects.get(&resource.key);
        object.is_some_and(|object| !object.ignore_health)
    };
    let exists = |key: &ObjectKey| comparison.live.objects.contains_key(key);
    if !comparison.desired.objects.is_empty() && !comparison.desired.objects.keys().any(exists) {
        let unknown = resources.iter().find(|resource| resource.sync == SyncStatus::Unknown);
        return match unknown {
            Some(resource) => Health::new(HealthStatus::Unknown, &*resource.message),
            None => Health::new(HealthStatus::Missing, "none of its objects exists"),
        };
    }
    let mut worst = Health::new(HealthStatus::Healthy, "");
    for resource in resources.iter().filter(wanted) {
        let Some(health) = &resource.health else { continue };
        if health.status > worst.status && health.status != HealthStatus::Missing {
            worst = Health::new(health.status, format!("{}: {}", resource.key, health.reason));
        }
    }
    worst
}

/// What failed in a sync, as one condition.
fn failure(outcome: &Outcome) -> Option<Condition> {
    let (key, error) = outcome.failures().next()?;
    let failed = outcome.failures().count();
    let total = outcome.steps.len();
    let message =
        format!("{failed} of {total} objects could not be synced; {key}: {}", error.message);
    Some(Condition::new(ConditionKind::SyncError, message))
}
