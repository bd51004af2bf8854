use fyr_model::Digest;
use fyr_plan::{Health, HealthStatus};

use super::*;

fn key(name: &str) -> ObjectKey {
    let [group, kind, namespace, name] = ["", "ConfigMap", "shop", name].map(str::to_owned);
    ObjectKey { group, kind, namespace, name }
}

fn coverage() -> Coverage {
    Coverage { kind: GroupKind::new("", "ConfigMap"), namespace: None }
}

fn live(uid: &str, version: u64) -> LiveObject {
    LiveObject {
        uid: uid.to_owned(),
        resource_version: version.to_string(),
        tracking_id: None,
        own_fields: Some(Digest::of(b"ours")),
        adoptable: false,
        owned: false,
        deleting: false,
        health: None,
    }
}

fn tracked(uid: &str, version: u64, id: &str) -> LiveObject {
    LiveObject { tracking_id: Some(id.to_owned()), ..live(uid, version) }
}

/// A synced store with the object `a` at version 10, in which `web` is interested.
fn store() -> Store {
    let mut store = Store::default();
    store.set_interest("web", &BTreeSet::from([key("a")]));
    store.replace(&coverage(), BTreeMap::from([(key("a"), live("u1", 10))]), "12");
    store.take_dirty();
    store
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_version_alone_wakes_nobody_and_is_still_remembered() {
    let mut store = store();
    store.observe(&coverage(), key("a"), live("u1", 13));
    assert_eq!(store.take_dirty(), names(&[]));
    assert_eq!(store.get(&key("a")).unwrap().resource_version, "13");
}

#[test]
fn what_an_application_acts_on_wakes_it() {
    let health = Some(Health::new(HealthStatus::Degraded, ""));
    let changes = [
        LiveObject { own_fields: None, ..live("u1", 13) },
        LiveObject { health, ..live("u1", 13) },
        LiveObject { deleting: true, ..live("u1", 13) },
        live("u2", 13),
    ];
    for change in changes {
        let mut store = store();
        store.observe(&coverage(), key("a"), change.clone());
        assert_eq!(store.take_dirty(), names(&["web"]), "{change:?}");
    }
}

#[test]
fn deletion_wakes_those_interested_though_the_object_names_nobody() {
    let mut store = store();
    store.vanished(&coverage(), &key("a"), &live("u1", 14));
    assert_eq!(store.take_dirty(), names(&["web"]));
    assert!(store.get(&key("a")).is_none());
}

#[test]
fn what_vanished_while_nobody_watched_is_gone_after_the_next_listing() {
    let mut store = store();
    store.replace(&coverage(), BTreeMap::new(), "20");
    assert!(store.get(&key("a")).is_none());
    assert_eq!(store.take_dirty(), names(&["web"]));
}

#[test]
fn our_own_write_is_seen_at_once_and_no_older_event_undoes_it() {
    let mut store = store();
    let healed = LiveObject { own_fields: Some(Digest::of(b"new")), ..live("u1", 15) };
    store.wrote(key("a"), healed.clone(), "web");
    assert_eq!(store.take_dirty(), names(&[]), "the writer knows");
    store.observe(&coverage(), key("a"), LiveObject { own_fields: None, ..live("u1", 14) });
    assert_eq!(store.get(&key("a")), Some(&healed));
    assert_eq!(store.take_dirty(), names(&[]));
    store.observe(&coverage(), key("a"), healed);
    assert_eq!(store.take_dirty(), names(&[]), "the event of our own write is no news");
}

#[test]
fn a_write_wakes_the_other_application_that_wants_the_object() {
    let mut store = store();
    store.set_interest("other", &BTreeSet::from([key("a")]));
    store.wrote(key("a"), LiveObject { own_fields: None, ..live("u1", 15) }, "web");
    assert_eq!(store.take_dirty(), names(&["other"]));
}

#[test]
fn an_answer_that_the_watch_has_overtaken_brings_nothing_back() {
    let mut store = store();
    store.vanished(&coverage(), &key("a"), &live("u1", 16));
    store.wrote(key("a"), live("u1", 15), "web");
    assert!(store.get(&key("a")).is_none());
}

#[test]
fn a_listing_older_than_our_write_does_not_undo_it() {
    let mut store = store();
    store.wrote(key("b"), live("u2", 18), "web");
    store.replace(&coverage(), BTreeMap::from([(key("a"), live("u1", 10))]), "17");
    assert!(store.get(&key("b")).is_some());
}

#[test]
fn a_cluster_restored_from_a_backup_is_believed() {
    let mut store = store();
    store.wrote(key("b"), live("u2", 18), "web");
    store.replace(&coverage(), BTreeMap::from([(key("a"), live("u1", 5))]), "6");
    assert!(store.get(&key("b")).is_none());
    assert_eq!(store.get(&key("a")).unwrap().resource_version, "5");
}

#[test]
fn our_own_deletion_is_seen_at_once_and_no_late_event_brings_the_object_back() {
    let mut store = store();
    store.deleted(&key("a"), "u1", "web");
    store.observe(&coverage(), key("a"), live("u1", 13));
    assert!(store.get(&key("a")).is_none());
    store.vanished(&coverage(), &key("a"), &live("u1", 14));
    store.observe(&coverage(), key("a"), live("u2", 15));
    assert_eq!(store.get(&key("a")).unwrap().uid, "u2", "its successor is another object");
}

#[test]
fn the_deletion_of_a_predecessor_does_not_remove_its_successor() {
    let mut store = store();
    store.wrote(key("a"), live("u2", 15), "web");
    store.vanished(&coverage(), &key("a"), &live("u1", 14));
    assert_eq!(store.get(&key("a")).unwrap().uid, "u2");
}

#[test]
fn an_object_is_found_by_its_annotation_only_if_that_speaks_of_the_object_itself() {
    let mut store = store();
    store.observe(&coverage(), key("b"), tracked("u2", 13, "web:/ConfigMap:shop/b"));
    store.observe(&coverage(), key("c"), tracked("u3", 14, "web:/ConfigMap:shop/b"));
    assert_eq!(store.take_dirty(), names(&["web"]));
    let state = store.live("web", &BTreeSet::new(), SystemTime::UNIX_EPOCH);
    assert_eq!(state.objects.keys().collect::<Vec<_>>(), [&key("b")]);
    assert!(state.complete());
}

#[test]
fn an_object_that_changes_hands_wakes_both_and_leaves_the_first() {
    let mut store = store();
    store.set_interest("other", &BTreeSet::new());
    store.observe(&coverage(), key("b"), tracked("u2", 13, "web:/ConfigMap:shop/b"));
    store.take_dirty();
    store.observe(&coverage(), key("b"), tracked("u2", 14, "other:/ConfigMap:shop/b"));
    assert_eq!(store.take_dirty(), names(&["other", "web"]));
    let of = |application| store.live(application, &BTreeSet::new(), SystemTime::UNIX_EPOCH);
    assert!(of("web").objects.is_empty());
    assert_eq!(of("other").objects.len(), 1);
}

#[test]
fn text_in_a_cluster_wakes_no_application_that_is_not_ours() {
    let mut store = store();
    store.observe(&coverage(), key("b"), tracked("u2", 13, "stranger:/ConfigMap:shop/b"));
    assert_eq!(store.take_dirty(), names(&[]));
}

#[test]
fn a_kind_is_as_well_known_as_the_least_known_of_its_namespaces() {
    let mut store = Store::default();
    let kind = GroupKind::new("", "ConfigMap");
    let of =
        |namespace: &str| Coverage { kind: kind.clone(), namespace: Some(namespace.to_owned()) };
    store.replace(&of("shop"), BTreeMap::from([(key("a"), live("u1", 10))]), "12");
    store.set_state(&of("bank"), KindState::Listing);
    let state = || KindState::Listing;
    assert_eq!(store.kind_states().get(&kind), Some(&state()));
    store.replace(&of("bank"), BTreeMap::new(), "13");
    assert_eq!(store.kind_states().get(&kind), Some(&KindState::Synced));
    assert!(store.get(&key("a")).is_some(), "a listing speaks of its own namespace only");
}

#[test]
fn a_kind_that_nobody_watches_is_never_complete() {
    let store = Store::default();
    let state = store.live("web", &BTreeSet::from([key("a")]), SystemTime::UNIX_EPOCH);
    assert!(!state.complete());
}

#[test]
fn a_kind_that_becomes_known_wakes_those_that_wait_for_it() {
    let mut store = Store::default();
    store.set_interest("web", &BTreeSet::from([key("a")]));
    store.set_interest("other", &BTreeSet::new());
    store.set_unwatched(&coverage().kind, KindState::Missing);
    assert_eq!(store.take_dirty(), names(&["web"]));
    store.replace(&coverage(), BTreeMap::new(), "1");
    assert_eq!(store.take_dirty(), names(&["web"]));
}

#[test]
fn a_dropped_watch_leaves_nothing_behind() {
    let mut store = store();
    store.observe(&coverage(), key("b"), tracked("u2", 13, "web:/ConfigMap:shop/b"));
    store.drop_coverage(&coverage());
    assert_eq!(store.len(), 0);
    assert!(store.tracked.is_empty() && store.buried.is_empty());
}

#[tokio::test]
async fn woken_applications_are_handed_over_once_and_together() {
    let records = Records::default();
    records.update(|store| {
        store.set_interest("web", &BTreeSet::from([key("a")]));
        store.set_interest("other", &BTreeSet::from([key("a")]));
        store.observe(&coverage(), key("a"), live("u1", 1));
    });
    assert_eq!(records.woken().await, names(&["other", "web"]));
    let again = tokio::time::timeout(std::time::Duration::ZERO, records.woken());
    assert!(again.await.is_err());
}
