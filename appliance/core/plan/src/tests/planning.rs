//! What is applied, in which order, and what is left alone.

use fyr_model::NamespaceMetadata;

use super::world::{World, config, configs, key, manifest, manual, text};
use crate::{Action, Blocker, ConditionKind, KindState, Manual, Policy, Trigger};

#[test]
fn a_synced_application_has_nothing_to_do() {
    let mut world = World::synced(configs(3));
    for trigger in [Trigger::Automated, Trigger::Heal, manual(true, true)] {
        let planned = world.run(&trigger);
        assert!(planned.plan.is_empty() && planned.held.is_empty(), "{trigger:?}");
    }
}

#[test]
fn kinds_are_applied_after_what_they_need() {
    let world = World::new(vec![
        manifest("ValidatingWebhookConfiguration", "hook", "", &[]),
        manifest("Deployment", "web", "", &[]),
        manifest("Db", "db", "", &[]),
        manifest("RoleBinding", "r", "", &[]),
        manifest("Role", "r", "", &[]),
        manifest("CustomResourceDefinition", "dbs", "", &[]),
        manifest("Namespace", "dest", "", &[]),
    ]);
    let mut world = world;
    world.live.kinds.insert(key("Db", "").group_kind(), KindState::Missing);
    assert_eq!(
        text(&world.plan(&Trigger::Automated)),
        [
            "create Namespace/dest",
            "create CustomResourceDefinition/dbs",
            "create Role/r",
            "create RoleBinding/r",
            "create Deployment/web",
            "create Db/db",
            "create ValidatingWebhookConfiguration/hook",
        ]
    );
}

#[test]
fn a_wave_begins_only_if_the_one_before_succeeded() {
    let world = World::new(vec![
        manifest("ConfigMap", "late", "", &[("sync-wave", "5")]),
        manifest("Deployment", "middle", "", &[]),
        manifest("ConfigMap", "middle", "", &[]),
        manifest("ConfigMap", "early", "", &[("sync-wave", "-1")]),
    ]);
    assert_eq!(
        text(&world.plan(&Trigger::Automated)),
        [
            "create ConfigMap/early",
            "| create ConfigMap/middle",
            "create Deployment/middle",
            "| create ConfigMap/late",
        ]
    );
}

#[test]
fn a_namespace_and_a_definition_move_up_to_the_first_who_needs_them() {
    let mut world = World::new(vec![
        manifest("Namespace", "dest", "", &[]),
        manifest("CustomResourceDefinition", "dbs", "", &[("sync-wave", "3")]),
        manifest("Db", "db", "", &[("sync-wave", "-2")]),
    ]);
    world.live.kinds.insert(key("Db", "").group_kind(), KindState::Missing);
    let expected = ["create Namespace/dest", "create CustomResourceDefinition/dbs", "create Db/db"];
    assert_eq!(text(&world.plan(&Trigger::Automated)), expected);
}

#[test]
fn the_namespace_is_made_first_once_and_never_tracked() {
    let mut world = World::new(vec![config("a")]);
    world.options(&["CreateNamespace=true"]);
    let planned = world.run(&Trigger::Automated);
    assert_eq!(text(&planned), ["make Namespace/dest", "create ConfigMap/a"]);
    let Action::CreateNamespace { body } = &planned.plan.stages[0].steps[0].action else {
        panic!("the first step makes the namespace");
    };
    assert_eq!(&**body, r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"dest"}}"#);
    assert!(!world.inventory.contains_key(&key("Namespace", "dest")));
    assert!(world.plan(&Trigger::Heal).plan.is_empty());
    world.want(vec![config("a"), manifest("Namespace", "dest", "", &[])]);
    assert_eq!(text(&world.plan(&Trigger::Automated)), ["adopt Namespace/dest"]);
}

#[test]
fn what_changed_in_git_is_updated_and_what_changed_on_the_cluster_is_healed() {
    let mut world = World::synced(vec![config("a"), config("b"), config("c"), config("d")]);
    world.want(vec![manifest("ConfigMap", "a", "2", &[]), config("b"), config("c"), config("d")]);
    world.object(&key("ConfigMap", "b")).own_fields = None;
    world.live.objects.remove(&key("ConfigMap", "c"));
    let uid = "another".to_owned();
    world.object(&key("ConfigMap", "d")).uid = uid;
    assert_eq!(
        text(&world.run(&Trigger::Heal)),
        ["update ConfigMap/a", "heal ConfigMap/b", "heal ConfigMap/c", "heal ConfigMap/d"]
    );
    assert!(world.plan(&Trigger::Heal).plan.is_empty());
}

#[test]
fn nobody_is_healed_or_synced_without_wanting_it() {
    let mut world = World::new(vec![config("a")]);
    world.policy = Policy::default();
    for (trigger, blocker) in
        [(Trigger::Automated, Blocker::NotAutomated), (Trigger::Heal, Blocker::NoSelfHeal)]
    {
        let planned = world.plan(&trigger);
        assert!(planned.plan.is_empty());
        assert_eq!(planned.blockers, [blocker]);
    }
    assert_eq!(text(&world.plan(&manual(false, false))), ["create ConfigMap/a"]);
}

#[test]
fn a_selection_is_all_that_is_synced() {
    let mut world = World::synced(vec![config("gone"), config("lost")]);
    world.want(vec![config("a"), config("b")]);
    let selected = [key("ConfigMap", "b"), key("ConfigMap", "gone")].into_iter().collect();
    let trigger =
        Trigger::Manual(Manual { prune: true, selected: Some(selected), ..Manual::default() });
    assert_eq!(text(&world.plan(&trigger)), ["create ConfigMap/b", "| prune ConfigMap/gone"]);
}

#[test]
fn what_exists_already_is_adopted_with_the_fields_of_its_old_manager() {
    let mut world = World::new(vec![config("a")]);
    world.put(&key("ConfigMap", "a"), None, None).adoptable = true;
    let adopts =
        |world: &World| match &world.plan(&Trigger::Automated).plan.stages[0].steps[0].action {
            Action::Apply { adopt_fields, uid, .. } => (*adopt_fields, uid.is_some()),
            other => panic!("{other:?}"),
        };
    assert_eq!(text(&world.plan(&Trigger::Automated)), ["adopt ConfigMap/a"]);
    assert_eq!(adopts(&world), (true, true));
    world.options(&["ClientSideApplyMigration=false"]);
    assert_eq!(adopts(&world), (false, true));
}

#[test]
fn recreation_needs_consent_and_never_touches_data() {
    let recreates = |object, options: &[&str], force| {
        let mut world = World::new(vec![object]);
        world.options(options);
        let trigger = Trigger::Manual(Manual { force, ..Manual::default() });
        match world.plan(&trigger).plan.stages[0].steps[0].action {
            Action::Apply { recreate, .. } => recreate,
            ref other => panic!("{other:?}"),
        }
    };
    let web = |notes: &[(&str, &str)]| manifest("Deployment", "web", "", notes);
    assert!(!recreates(web(&[]), &[], false));
    assert!(recreates(web(&[]), &[], true));
    assert!(recreates(web(&[]), &["Replace=true"], false));
    assert!(recreates(web(&[("sync-options", "Force=true")]), &[], false));
    assert!(!recreates(web(&[("sync-options", "Replace=false")]), &["Replace=true"], false));
    for kind in ["PersistentVolumeClaim", "Namespace", "CustomResourceDefinition"] {
        assert!(!recreates(manifest(kind, "x", "", &[]), &["Replace=true"], true), "{kind}");
    }
}

#[test]
fn an_object_of_another_application_is_left_alone_with_a_warning() {
    let mut world = World::new(vec![config("a"), config("b"), config("c")]);
    world.claimed.insert(key("ConfigMap", "a"), "other".to_owned());
    world.put(&key("ConfigMap", "b"), Some("other:/ConfigMap:dest/b".to_owned()), None);
    let planned = world.plan(&Trigger::Automated);
    assert_eq!(text(&planned), ["create ConfigMap/c"]);
    assert_eq!(planned.held.len(), 2);
    let kinds: Vec<_> = planned.conditions.iter().map(|condition| condition.kind).collect();
    assert_eq!(kinds, [ConditionKind::SharedResourceWarning; 2]);
    world.options(&["FailOnSharedResource=true"]);
    let planned = world.plan(&Trigger::Automated);
    assert!(planned.plan.is_empty());
    assert_eq!(planned.blockers, [Blocker::Shared { objects: 2 }]);
}

#[test]
fn the_mark_of_an_application_that_is_gone_or_of_a_copy_holds_nobody_off() {
    let mut world = World::new(vec![config("a"), config("b")]);
    world.put(&key("ConfigMap", "a"), Some("former:/ConfigMap:dest/a".to_owned()), None);
    world.put(&key("ConfigMap", "b"), Some("other:/ConfigMap:elsewhere/b".to_owned()), None);
    let expected = ["adopt ConfigMap/a", "adopt ConfigMap/b"];
    assert_eq!(text(&world.plan(&Trigger::Automated)), expected);
}

#[test]
fn a_kind_that_is_not_known_holds_back_only_its_own_objects() {
    let mut world = World::new(vec![config("a"), manifest("Deployment", "web", "", &[])]);
    let kind = key("Deployment", "").group_kind();
    let failed = KindState::Failed { reason: "forbidden".to_owned() };
    for state in [KindState::Listing, KindState::Missing, failed] {
        world.live.kinds.insert(kind.clone(), state);
        let planned = world.plan(&Trigger::Automated);
        assert_eq!(text(&planned), ["create ConfigMap/a"]);
    }
}

#[test]
fn an_object_on_its_way_out_is_waited_for() {
    let mut world = World::synced(vec![config("a")]);
    world.object(&key("ConfigMap", "a")).deleting = true;
    let planned = world.plan(&Trigger::Heal);
    assert!(planned.plan.is_empty());
    assert!(planned.waiting.contains(&key("ConfigMap", "a")));
    world.live.objects.clear();
    assert_eq!(text(&world.plan(&Trigger::Heal)), ["heal ConfigMap/a"]);
}

#[test]
fn a_resting_object_is_not_healed_but_a_new_commit_is_applied() {
    let mut world = World::synced(vec![config("a")]);
    world.object(&key("ConfigMap", "a")).own_fields = None;
    world.resting.insert(key("ConfigMap", "a"), "fought over".to_owned());
    let planned = world.plan(&Trigger::Heal);
    assert!(planned.plan.is_empty());
    assert_eq!(planned.conditions[0].kind, ConditionKind::FightWarning);
    assert_eq!(text(&world.plan(&Trigger::Automated)), ["heal ConfigMap/a"]);
}

#[test]
fn who_rewrites_our_tracking_annotation_has_changed_a_field_of_ours() {
    let mut world = World::synced(vec![config("a")]);
    let object = world.object(&key("ConfigMap", "a"));
    object.tracking_id = Some("other:/ConfigMap:dest/a".to_owned());
    object.own_fields = None;
    assert_eq!(text(&world.run(&Trigger::Heal)), ["heal ConfigMap/a"]);
}

#[test]
fn labels_of_the_namespace_are_set_with_every_apply_and_when_asked() {
    let mut world = World::new(vec![config("a")]);
    world.options(&["CreateNamespace=true"]);
    let labels = [("team".to_owned(), "shop".to_owned())].into();
    world.policy.namespace_metadata =
        Some(NamespaceMetadata { labels, ..NamespaceMetadata::default() });
    let planned = world.run(&Trigger::Automated);
    let Action::CreateNamespace { body } = &planned.plan.stages[0].steps[0].action else {
        panic!("the first step makes the namespace");
    };
    assert!(body.contains(r#""labels":{"team":"shop"}"#) && !body.contains("annotations"));
    assert!(world.plan(&Trigger::Heal).plan.is_empty());
    assert_eq!(text(&world.plan(&manual(false, false))), ["make Namespace/dest"]);
}

#[test]
fn debug_output_shows_no_content_of_an_object() {
    let world = World::new(vec![manifest("ConfigMap", "a", "hunter2", &[])]);
    let planned = world.plan(&Trigger::Automated);
    assert!(!format!("{planned:?} {:?}", world.desired).contains("hunter2"));
}
