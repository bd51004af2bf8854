//! Laws that hold for every application, whatever state its cluster is in.

use fyr_audit::Intent;
use fyr_model::Object;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::proptest;
use proptest::strategy::Just;

use super::world::{World, deletion, key, manifest, manual};
use crate::{Action, KindState, Planned, Trigger};

const KINDS: [&str; 6] =
    ["ConfigMap", "Deployment", "Namespace", "Role", "RoleBinding", "ServiceAccount"];

fn rendered() -> impl Strategy<Value = Vec<Object>> {
    let object = (0..KINDS.len(), 0..4_u8, 0..2_u8, -1..2_i8);
    vec(object, 0..14).prop_map(|objects| {
        let object = |(kind, name, payload, wave): (usize, u8, u8, i8)| {
            let wave = wave.to_string();
            let payload = payload.to_string();
            manifest(KINDS[kind], &format!("n{name}"), &payload, &[("sync-wave", &wave)])
        };
        objects.into_iter().map(object).collect()
    })
}

/// What happens to an object on the cluster behind our back.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    None,
    Deleted,
    Drifted,
    Replaced,
    Owned,
    Deleting,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        3 => Just(Mishap::None),
        1 => Just(Mishap::Deleted),
        1 => Just(Mishap::Drifted),
        1 => Just(Mishap::Replaced),
        1 => Just(Mishap::Owned),
        1 => Just(Mishap::Deleting),
    ]
}

/// A world that was synced once, moved, and wants something else now.
fn world() -> impl Strategy<Value = World> {
    (rendered(), rendered(), vec(mishap(), 14), any::<[bool; 3]>()).prop_map(
        |(before, now, mishaps, [prune, self_heal, allow_empty])| {
            let mut world = World::synced(before);
            let keys: Vec<_> = world.live.objects.keys().cloned().collect();
            for (key, mishap) in keys.iter().zip(mishaps) {
                match mishap {
                    Mishap::None => {}
                    Mishap::Deleted => drop(world.live.objects.remove(key)),
                    Mishap::Drifted => world.object(key).own_fields = None,
                    Mishap::Replaced => "another".clone_into(&mut world.object(key).uid),
                    Mishap::Owned => world.object(key).owned = true,
                    Mishap::Deleting => world.object(key).deleting = true,
                }
            }
            let automated = world.policy.automated.as_mut().unwrap();
            (automated.prune, automated.self_heal, automated.allow_empty) =
                (prune, self_heal, allow_empty);
            world.want(now);
            world
        },
    )
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        Just(Trigger::Automated),
        Just(Trigger::Heal),
        any::<[bool; 2]>().prop_map(|[prune, confirmed]| manual(prune, confirmed)),
        Just(deletion()),
    ]
}

fn prunes(planned: &Planned) -> usize {
    planned.plan.steps().filter(|step| matches!(step.action, Action::Prune { .. })).count()
}

proptest! {
    #[test]
    fn the_same_input_gives_the_same_plan(world in world(), trigger in trigger()) {
        let (one, two) = (world.plan(&trigger), world.clone().plan(&trigger));
        assert_eq!(one.plan.digest(), two.plan.digest());
        assert_eq!(one, two);
    }

    #[test]
    fn nothing_is_pruned_unless_everything_is_known(world in world(), trigger in trigger()) {
        let mut world = world;
        world.live.kinds.insert(key("Secret", "").group_kind(), KindState::Listing);
        assert_eq!(prunes(&world.plan(&trigger)), 0);
    }

    #[test]
    fn an_empty_desired_state_prunes_nothing_by_itself(world in world()) {
        let mut world = world;
        world.want(Vec::new());
        world.policy.automated.as_mut().unwrap().allow_empty = false;
        for trigger in [Trigger::Automated, Trigger::Heal, manual(true, false)] {
            assert_eq!(prunes(&world.plan(&trigger)), 0);
        }
    }

    #[test]
    fn every_apply_comes_before_every_prune(world in world(), trigger in trigger()) {
        let planned = world.plan(&trigger);
        let actions: Vec<bool> =
            planned.plan.steps().map(|step| matches!(step.action, Action::Prune { .. })).collect();
        assert!(actions.is_sorted());
        for stage in &planned.plan.stages {
            let prune = |step: &crate::Step| matches!(step.action, Action::Prune { .. });
            assert!(stage.needs_success || !stage.steps.iter().any(prune));
            assert!(!stage.steps.is_empty());
            assert!(stage.steps.is_sorted_by(|a, b| a.key < b.key));
        }
    }

    #[test]
    fn only_our_own_object_of_the_same_uid_is_pruned(world in world(), trigger in trigger()) {
        for step in world.plan(&trigger).plan.steps() {
            if let Action::Prune { uid, .. } = &step.action {
                assert_eq!(world.inventory[&step.key].uid.as_ref(), Some(uid));
                assert!(!world.live.objects[&step.key].owned);
                assert!(!world.desired.wants(&step.key) || trigger == deletion());
            }
        }
    }

    #[test]
    fn a_sync_leaves_nothing_to_apply(world in world()) {
        let mut world = world;
        world.run(&manual(true, true));
        let left = world.plan(&manual(true, true));
        assert!(left.plan.is_empty(), "{:?}", left.plan);
    }
}
