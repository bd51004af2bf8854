//! The inventory: nothing of ours is forgotten, whatever happens in between.

use super::world::{World, config, configs, key, manifest, text};
use crate::{
    EntryState, ErrorClass, KindState, Outcome, StepError, StepOutcome, StepResult, Trigger, after,
    observe,
};

#[test]
fn the_intent_is_written_before_and_completed_after() {
    let mut world = World::new(vec![manifest(
        "ConfigMap",
        "a",
        "",
        &[("sync-wave", "3"), ("sync-options", "Prune=false")],
    )]);
    let planned = world.plan(&Trigger::Automated);
    assert_eq!(world.write_ahead(&planned), [key("ConfigMap", "a")]);
    let entry = &world.inventory[&key("ConfigMap", "a")];
    assert_eq!((entry.state, entry.uid.as_ref(), entry.wave), (EntryState::Intent, None, 3));
    let outcome = world.execute(&planned.plan);
    let changed = after(&mut world.inventory, &planned.plan, &outcome);
    assert_eq!(changed, [key("ConfigMap", "a")]);
    let entry = &world.inventory[&key("ConfigMap", "a")];
    assert_eq!(entry.state, EntryState::Applied);
    assert_eq!(entry.rendered, Some(world.desired.objects[&key("ConfigMap", "a")].rendered));
    assert!(entry.uid.is_some() && entry.own_fields.is_some());
}

#[test]
fn after_a_crash_the_object_is_applied_again_and_stays_prunable() {
    let mut world = World::new(configs(2));
    let planned = world.plan(&Trigger::Automated);
    world.write_ahead(&planned);
    world.execute(&planned.plan);
    assert_eq!(
        text(&world.plan(&Trigger::Automated)),
        ["adopt ConfigMap/c000", "adopt ConfigMap/c001"]
    );
    world.want(configs(1));
    let expected = ["adopt ConfigMap/c000", "| prune ConfigMap/c001"];
    assert_eq!(text(&world.plan(&Trigger::Automated)), expected);
}

#[test]
fn an_object_that_was_deleted_and_made_anew_before_a_crash_stays_prunable() {
    let mut world = World::synced(configs(2));
    world.live.objects.remove(&key("ConfigMap", "c001"));
    let planned = world.plan(&Trigger::Heal);
    world.write_ahead(&planned);
    world.execute(&planned.plan);
    world.want(configs(1));
    assert_eq!(text(&world.plan(&Trigger::Automated)), ["| prune ConfigMap/c001"]);
}

#[test]
fn healing_the_same_object_needs_nothing_written_before() {
    let mut world = World::synced(configs(2));
    let drifted = world.live.objects.get_mut(&key("ConfigMap", "c000")).unwrap();
    drifted.own_fields = None;
    let planned = world.plan(&Trigger::Heal);
    assert_eq!(text(&planned), ["heal ConfigMap/c000"]);
    let before = world.inventory.clone();
    assert!(world.write_ahead(&planned).is_empty());
    assert_eq!(world.inventory, before);
}

#[test]
fn an_update_whose_end_is_unknown_is_made_again_even_if_git_goes_back() {
    let mut world = World::synced(vec![config("a")]);
    world.want(vec![manifest("ConfigMap", "a", "2", &[])]);
    let planned = world.plan(&Trigger::Automated);
    world.write_ahead(&planned);
    world.want(vec![config("a")]);
    assert_eq!(text(&world.plan(&Trigger::Automated)), ["update ConfigMap/a"]);
}

#[test]
fn what_failed_keeps_its_intent_and_what_was_gone_is_forgotten() {
    let mut world = World::synced(configs(3));
    world.want(vec![manifest("ConfigMap", "c000", "2", &[]), config("c001")]);
    let planned = world.plan(&Trigger::Automated);
    world.write_ahead(&planned);
    assert_eq!(world.inventory[&key("ConfigMap", "c002")].state, EntryState::Deleting);
    let error = StepError { class: ErrorClass::Transient, message: String::new() };
    let step = |name: &str, result| StepOutcome { key: key("ConfigMap", name), result };
    let steps =
        vec![step("c000", StepResult::Failed(error)), step("c002", StepResult::AlreadyGone)];
    let changed = after(&mut world.inventory, &planned.plan, &Outcome { steps });
    assert_eq!(changed, [key("ConfigMap", "c002")]);
    assert_eq!(world.inventory[&key("ConfigMap", "c000")].state, EntryState::Intent);
    assert!(!world.inventory.contains_key(&key("ConfigMap", "c002")));
}

#[test]
fn only_what_is_surely_gone_and_unwanted_is_forgotten() {
    let mut world = World::synced(configs(2));
    world.want(configs(1));
    world.live.objects.clear();
    let kind = key("ConfigMap", "").group_kind();
    for state in [KindState::Listing, KindState::Failed { reason: String::new() }] {
        world.live.kinds.insert(kind.clone(), state);
        assert!(observe(&mut world.inventory, "app", &world.desired, &world.live).is_empty());
    }
    world.live.kinds.insert(kind, KindState::Synced);
    let forgotten = observe(&mut world.inventory, "app", &world.desired, &world.live);
    assert_eq!(forgotten, [key("ConfigMap", "c001")]);
    assert!(world.inventory.contains_key(&key("ConfigMap", "c000")));
}

#[test]
fn what_another_application_took_over_is_forgotten() {
    let mut world = World::synced(configs(2));
    let taken = key("ConfigMap", "c001");
    world.object(&taken).tracking_id = Some("other:/ConfigMap:dest/c001".to_owned());
    assert!(observe(&mut world.inventory, "app", &world.desired, &world.live).is_empty());
    world.want(configs(1));
    assert_eq!(observe(&mut world.inventory, "app", &world.desired, &world.live), [taken]);
}
