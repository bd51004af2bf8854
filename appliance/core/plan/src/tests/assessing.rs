//! Sync status, health and their reasons.

use std::time::SystemTime;

use super::world::{World, config, configs, key, manifest};
use crate::{
    AssessInput, Assessment, Condition, ConditionKind, ErrorClass, Health, HealthStatus, KindState,
    Outcome, StepError, StepOutcome, StepResult, SyncStatus, Trigger, assess,
};

fn judge_with<'a>(world: &'a World, change: impl FnOnce(&mut AssessInput<'a>)) -> Assessment {
    let mut input = AssessInput {
        comparison: Some(world.comparison(&|_| true)),
        unreachable: None,
        planned: None,
        outcome: None,
        conditions: &[],
    };
    change(&mut input);
    assess(&input)
}

fn judge(world: &World) -> Assessment {
    judge_with(world, |_| {})
}

fn with_health(world: &mut World, name: &str, status: HealthStatus) {
    world.object(&key("Deployment", name)).health = Some(Health::new(status, "why"));
}

#[test]
fn an_application_is_synced_when_every_object_is() {
    let mut world = World::synced(configs(2));
    assert_eq!(judge(&world).sync, SyncStatus::Synced);
    world.object(&key("ConfigMap", "c000")).own_fields = None;
    let assessment = judge(&world);
    assert_eq!(assessment.sync, SyncStatus::OutOfSync);
    assert_eq!(assessment.resources[0].message, "it was changed on the cluster");
    assert_eq!(assessment.resources[1].sync, SyncStatus::Synced);
}

#[test]
fn an_extra_object_counts_unless_its_manifest_said_otherwise() {
    for (notes, expected) in [
        (&[][..], SyncStatus::OutOfSync),
        (&[("compare-options", "IgnoreExtraneous")][..], SyncStatus::Synced),
    ] {
        let mut world = World::synced(vec![config("a"), manifest("ConfigMap", "b", "", notes)]);
        world.want(vec![config("a")]);
        let assessment = judge(&world);
        assert_eq!(assessment.sync, expected);
        assert!(assessment.resources[1].requires_pruning);
    }
}

#[test]
fn health_is_that_of_the_worst_object_with_its_reason() {
    let mut world = World::synced(vec![
        manifest("Deployment", "a", "", &[]),
        manifest("Deployment", "b", "", &[]),
        manifest("Deployment", "ignored", "", &[("ignore-healthcheck", "true")]),
        config("without-rules"),
    ]);
    assert_eq!(judge(&world).health, Health::new(HealthStatus::Healthy, ""));
    with_health(&mut world, "a", HealthStatus::Progressing);
    with_health(&mut world, "b", HealthStatus::Degraded);
    with_health(&mut world, "ignored", HealthStatus::Unknown);
    let expected = Health::new(HealthStatus::Degraded, "Deployment dest/b: why");
    assert_eq!(judge(&world).health, expected);
}

#[test]
fn missing_objects_count_only_when_all_are() {
    let mut world = World::synced(configs(2));
    world.live.objects.remove(&key("ConfigMap", "c000"));
    assert_eq!(judge(&world).health.status, HealthStatus::Healthy);
    world.live.objects.clear();
    assert_eq!(judge(&world).health.status, HealthStatus::Missing);
    let kind = key("ConfigMap", "").group_kind();
    world.live.kinds.insert(kind, KindState::Listing);
    let assessment = judge(&world);
    assert_eq!(assessment.health.status, HealthStatus::Unknown);
    assert_eq!(assessment.sync, SyncStatus::Unknown);
    assert_eq!(judge(&World::new(Vec::new())).health.status, HealthStatus::Healthy);
}

#[test]
fn an_unreachable_cluster_shows_nothing_green() {
    let mut world = World::synced(vec![manifest("Deployment", "a", "", &[])]);
    with_health(&mut world, "a", HealthStatus::Healthy);
    let assessment = judge_with(&world, |input| input.unreachable = Some("no answer"));
    assert_eq!(assessment.sync, SyncStatus::Unknown);
    assert_eq!(assessment.health, Health::new(HealthStatus::Unknown, "no answer"));
    assert_eq!(assessment.resources[0].sync, SyncStatus::Unknown);
    assert_eq!(assessment.resources[0].health, Some(assessment.health));
    assert_eq!(assessment.unknown_since, Some(SystemTime::UNIX_EPOCH));
}

#[test]
fn a_failed_render_makes_the_sync_status_unknown_and_keeps_the_health() {
    let world = World::synced(configs(1));
    let conditions = [Condition::new(ConditionKind::ComparisonError, "cannot render")];
    let assessment = judge_with(&world, |input| input.conditions = &conditions);
    assert_eq!(assessment.sync, SyncStatus::Unknown);
    assert_eq!(assessment.health.status, HealthStatus::Healthy);
    let nothing = judge_with(&world, |input| input.comparison = None);
    assert_eq!(nothing.sync, SyncStatus::Unknown);
    assert_eq!(nothing.health.status, HealthStatus::Unknown);
}

#[test]
fn failures_and_held_objects_tell_their_reason() {
    let world = World::new(vec![config("a")]);
    let error = StepError { class: ErrorClass::Invalid, message: "spec.x: bad".to_owned() };
    let step = StepOutcome { key: key("ConfigMap", "a"), result: StepResult::Failed(error) };
    let outcome = Outcome { steps: vec![step] };
    let assessment = judge_with(&world, |input| input.outcome = Some(&outcome));
    assert_eq!(assessment.resources[0].message, "spec.x: bad");
    let message = "1 of 1 objects could not be synced; ConfigMap dest/a: spec.x: bad";
    assert_eq!(assessment.conditions, [Condition::new(ConditionKind::SyncError, message)]);

    let mut world = World::synced(configs(2));
    world.want(configs(1));
    world.policy.automated.as_mut().unwrap().prune = false;
    let planned = world.plan(&Trigger::Automated);
    let assessment = judge_with(&world, |input| input.planned = Some(&planned));
    assert!(assessment.resources[1].message.contains("needs a sync with prune"));
}
