//! What is deleted, and above all what is not.

use super::world::{World, config, configs, deletion, key, manifest, manual, text};
use crate::{Blocker, ConditionKind, KindState, Trigger};

fn without_the_last(count: usize) -> World {
    let mut world = World::synced(configs(count));
    world.want(configs(count - 1));
    world
}

fn held(world: &World, trigger: &Trigger) -> Vec<String> {
    let planned = world.plan(trigger);
    assert!(planned.plan.is_empty(), "{:?}", text(&planned));
    planned.held.into_values().collect()
}

#[test]
fn what_git_lost_is_pruned_after_everything_else() {
    let mut world = without_the_last(3);
    world.live.objects.remove(&key("ConfigMap", "c000"));
    let planned = world.run(&Trigger::Automated);
    assert_eq!(text(&planned), ["heal ConfigMap/c000", "| prune ConfigMap/c002"]);
    assert_eq!(world.inventory.len(), 2);
}

#[test]
fn without_prune_the_object_is_kept_and_the_reason_told() {
    let mut world = without_the_last(3);
    world.policy.automated.as_mut().unwrap().prune = false;
    let kept = held(&world, &Trigger::Automated);
    assert_eq!(kept, ["it is no longer in Git; deleting it needs a sync with prune"]);
    assert_eq!(held(&world, &manual(false, true)), kept);
    assert_eq!(text(&world.plan(&manual(true, false))), ["| prune ConfigMap/c002"]);
}

#[test]
fn a_partial_listing_of_any_kind_prunes_nothing() {
    let mut world = without_the_last(3);
    for state in [KindState::Listing, KindState::Failed { reason: String::new() }] {
        world.live.kinds.insert(key("Secret", "").group_kind(), state);
        for trigger in [Trigger::Automated, Trigger::Heal, manual(true, true), deletion()] {
            let planned = world.plan(&trigger);
            assert!(planned.plan.is_empty());
            assert_eq!(planned.blockers, [Blocker::LiveIncomplete]);
        }
    }
}

#[test]
fn an_empty_desired_state_wipes_out_nothing_unless_allowed() {
    let mut world = World::synced(configs(2));
    world.want(Vec::new());
    for trigger in [Trigger::Automated, Trigger::Heal, manual(true, false)] {
        let planned = world.plan(&trigger);
        assert!(planned.plan.is_empty());
        assert_eq!(planned.blockers, [Blocker::WipeOut]);
        assert_eq!(planned.conditions[0].kind, ConditionKind::SyncError);
        assert!(planned.conditions[0].message.contains("auto-sync will wipe out all resources"));
    }
    assert_eq!(world.plan(&manual(true, true)).plan.steps().count(), 2);
    world.policy.automated.as_mut().unwrap().allow_empty = true;
    assert_eq!(world.plan(&Trigger::Automated).plan.steps().count(), 2);
}

#[test]
fn a_large_loss_needs_a_person() {
    let lose = |count: usize, lost: usize| {
        let mut world = World::synced(configs(count));
        world.want(configs(count - lost));
        world
    };
    for (count, lost) in [(12, 10), (40, 12), (100, 30)] {
        let planned = lose(count, lost).plan(&Trigger::Automated);
        assert_eq!(planned.plan.steps().count(), lost, "{lost} of {count}");
    }
    for (count, lost) in [(12, 11), (40, 13), (100, 31)] {
        let world = lose(count, lost);
        let planned = world.plan(&Trigger::Automated);
        assert!(planned.plan.is_empty(), "{lost} of {count}");
        assert_eq!(planned.blockers, [Blocker::Shrunk { extra: lost, total: count }]);
        assert_eq!(world.plan(&manual(true, false)).plan.steps().count(), lost);
    }
}

#[test]
fn an_object_that_is_not_surely_ours_is_kept() {
    let lost = key("ConfigMap", "c002");
    let mut world = without_the_last(3);
    world.object(&lost).tracking_id = None;
    assert_eq!(
        held(&world, &Trigger::Automated),
        ["it does not carry this application's tracking annotation"]
    );
    let mut world = without_the_last(3);
    world.object(&lost).uid = "another".to_owned();
    assert_eq!(held(&world, &Trigger::Automated), ["another object has taken its place"]);
    let mut world = without_the_last(3);
    world.object(&lost).owned = true;
    assert_eq!(held(&world, &Trigger::Automated), ["another object owns it"]);
    let mut world = without_the_last(3);
    world.forbidden.push(lost.clone());
    let reason = "it is not permitted any more: not permitted in project p";
    assert_eq!(held(&world, &Trigger::Automated), [reason]);
}

#[test]
fn an_object_that_another_application_took_over_is_not_ours_any_more() {
    let lost = key("ConfigMap", "c002");
    let mut world = without_the_last(3);
    world.object(&lost).tracking_id = Some("other:/ConfigMap:dest/c002".to_owned());
    assert!(held(&world, &Trigger::Automated).is_empty());
    let mut world = without_the_last(3);
    world.claimed.insert(lost, "other".to_owned());
    assert!(held(&world, &Trigger::Automated).is_empty());
}

#[test]
fn an_object_known_by_its_annotation_alone_needs_a_person() {
    let mut world = World::synced(vec![config("a")]);
    world.put(&key("ConfigMap", "b"), Some("app:/ConfigMap:dest/b".to_owned()), None);
    assert_eq!(held(&world, &Trigger::Automated).len(), 1);
    assert_eq!(held(&world, &manual(true, false)).len(), 1);
    assert_eq!(text(&world.plan(&manual(true, true))), ["| prune ConfigMap/b"]);
    world.object(&key("ConfigMap", "b")).owned = true;
    assert!(world.plan(&manual(true, true)).plan.is_empty());
}

#[test]
fn manifests_have_the_last_word_on_being_pruned() {
    let pruned = |options: &str, trigger: &Trigger| {
        let notes = [("sync-options", options)];
        let mut world = World::synced(vec![config("a"), manifest("ConfigMap", "b", "", &notes)]);
        world.want(vec![config("a")]);
        !world.plan(trigger).plan.is_empty()
    };
    assert!(pruned("", &Trigger::Automated));
    assert!(!pruned("Prune=false", &Trigger::Automated));
    assert!(!pruned("Prune=false", &manual(true, true)));
    assert!(!pruned("Prune=confirm", &manual(true, false)));
    assert!(pruned("Prune=confirm", &manual(true, true)));
}

#[test]
fn definitions_are_never_deleted_and_forgotten_when_git_loses_them() {
    let mut world =
        World::synced(vec![config("a"), manifest("CustomResourceDefinition", "dbs", "", &[])]);
    world.want(vec![config("a")]);
    assert!(world.run(&Trigger::Automated).plan.is_empty());
    assert!(!world.inventory.contains_key(&key("CustomResourceDefinition", "dbs")));
    assert!(world.live.objects.contains_key(&key("CustomResourceDefinition", "dbs")));
}

#[test]
fn an_object_that_waits_for_its_kind_is_not_pruned() {
    let mut world =
        World::synced(vec![config("a"), manifest("CustomResourceDefinition", "dbs", "", &[])]);
    world.live.kinds.insert(key("Db", "").group_kind(), KindState::Synced);
    world.want(vec![
        config("a"),
        manifest("CustomResourceDefinition", "dbs", "", &[]),
        manifest("Db", "db", "", &[]),
    ]);
    world.run(&Trigger::Automated);
    world.want(vec![config("a"), manifest("Db", "db", "", &[])]);
    assert!(world.desired.pending.contains_key(&{
        let mut pending = key("Db", "db");
        pending.namespace = String::new();
        pending
    }));
    assert!(world.plan(&manual(true, true)).plan.is_empty());
}

#[test]
fn objects_are_pruned_in_the_reverse_order_and_prune_last_after_that() {
    let mut world = World::synced(vec![
        config("kept"),
        manifest("Namespace", "dest", "", &[]),
        manifest("Deployment", "web", "", &[]),
        manifest("ConfigMap", "late", "", &[("sync-wave", "7")]),
        manifest(
            "ConfigMap",
            "last",
            "",
            &[("sync-wave", "9"), ("sync-options", "PruneLast=true")],
        ),
    ]);
    world.want(vec![config("kept")]);
    assert_eq!(
        text(&world.plan(&Trigger::Automated)),
        [
            "| prune ConfigMap/late",
            "| prune Deployment/web",
            "| prune Namespace/dest",
            "| prune ConfigMap/last",
        ]
    );
}

#[test]
fn an_application_is_deleted_wave_by_wave_and_keeps_what_it_must() {
    let mut world = World::synced(vec![
        config("a"),
        manifest("Deployment", "web", "", &[("sync-wave", "2")]),
        manifest("ConfigMap", "kept", "", &[("sync-options", "Delete=false")]),
    ]);
    let trigger = deletion();
    let planned = world.plan(&trigger);
    assert_eq!(text(&planned), ["| prune Deployment/web"]);
    assert!(planned.waiting.contains(&key("ConfigMap", "a")));
    world.object(&key("Deployment", "web")).deleting = true;
    let planned = world.plan(&trigger);
    assert!(planned.plan.is_empty() && !planned.is_finished());
    world.live.objects.remove(&key("Deployment", "web"));
    assert_eq!(text(&world.run(&trigger)), ["| prune ConfigMap/a"]);
    let planned = world.plan(&trigger);
    assert!(planned.is_finished());
    assert_eq!(planned.held.values().collect::<Vec<_>>(), ["Delete=false"]);
}
