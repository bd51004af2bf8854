//! The state on a real disk: what is stored comes back, also after the process was killed.

#[path = "state/crash.rs"]
mod crash;
#[path = "state/samples.rs"]
mod samples;

use std::collections::BTreeMap;
use std::error::Error;

use fyr_plan::EntryState;
use fyr_store::{
    ApplicationState, ClusterFacts, MirrorFacts, OutcomeRecord, Phase, Snapshot, Store, StoreError,
};
use samples::{Folder, deployment, entry, key, state, time};

#[tokio::test]
async fn an_inventory_comes_back_as_it_was_written() {
    let folder = Folder::new();
    let store = folder.open();
    let full = entry(EntryState::Applied);
    let mut bare = entry(EntryState::Intent);
    (bare.uid, bare.rendered, bare.own_fields) = (None, None, None);
    (bare.retention.prune, bare.retention.delete) = (None, None);
    let changes = vec![(key("a"), Some(full.clone())), (key("b"), Some(bare.clone()))];
    store.apply_inventory("shop", "prod", changes).await.unwrap();
    let expected = BTreeMap::from([(key("a"), full), (key("b"), bare)]);
    assert_eq!(store.inventory("shop", "prod").await.unwrap(), expected);
    assert_eq!(store.inventory("shop", "staging").await.unwrap(), BTreeMap::new());
}

#[tokio::test]
async fn changes_touch_what_they_name_and_nothing_else() {
    let folder = Folder::new();
    let store = folder.open();
    let applied = entry(EntryState::Applied);
    let three = ["a", "b", "c"].map(|name| (key(name), Some(applied.clone()))).to_vec();
    store.apply_inventory("shop", "prod", three).await.unwrap();
    let deleting = entry(EntryState::Deleting);
    let changes = vec![(key("a"), None), (key("b"), Some(deleting.clone()))];
    store.apply_inventory("shop", "prod", changes).await.unwrap();
    let expected = BTreeMap::from([(key("b"), deleting), (key("c"), applied)]);
    assert_eq!(store.inventory("shop", "prod").await.unwrap(), expected);
}

#[tokio::test]
async fn an_object_belongs_to_one_application_at_most() {
    let folder = Folder::new();
    let store = folder.open();
    let applied = entry(EntryState::Applied);
    store.apply_inventory("shop", "prod", vec![(key("a"), Some(applied.clone()))]).await.unwrap();
    let both = vec![(key("b"), Some(applied.clone())), (key("a"), Some(applied.clone()))];
    let error = store.apply_inventory("blog", "prod", both.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Claimed { .. }));
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "Deployment shop/a on cluster prod belongs to application shop");
    assert_eq!(store.inventory("blog", "prod").await.unwrap(), BTreeMap::new());

    // Nor can one application remove what another one has.
    store.apply_inventory("blog", "prod", vec![(key("a"), None)]).await.unwrap();
    let claims = store.all_claims("prod").await.unwrap();
    assert_eq!(claims, BTreeMap::from([(key("a"), "shop".to_owned())]));

    // The same name on another cluster is another object, and a claim ends.
    store.apply_inventory("blog", "staging", both.clone()).await.unwrap();
    store.forget("shop").await.unwrap();
    store.apply_inventory("blog", "prod", both).await.unwrap();
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = Folder::new();
    let store = folder.open();
    let outcome = OutcomeRecord {
        inventory: vec![(key("a"), Some(entry(EntryState::Applied)))],
        state: state(),
        deployment: Some(deployment(Phase::Succeeded)),
    };
    assert_eq!(store.record_outcome("shop", "prod", outcome).await.unwrap(), Some(1));
    let none = ApplicationState::default();
    store.save_application("blog", none.clone()).await.unwrap();
    let mirror = MirrorFacts {
        tried_at: time(9),
        fetched_at: Some(time(5)),
        failures: 2,
        error: Some("connection refused".to_owned()),
    };
    store.save_mirror("https://git.example/a", mirror.clone()).await.unwrap();
    let cluster = ClusterFacts { system_uid: "1-2-3".to_owned(), seen_at: time(7) };
    store.save_cluster("prod", cluster.clone()).await.unwrap();
    store.close().await;

    let store = folder.open();
    let inventory = BTreeMap::from([(key("a"), entry(EntryState::Applied))]);
    let expected = Snapshot {
        applications: BTreeMap::from([("shop".to_owned(), state()), ("blog".to_owned(), none)]),
        inventories: BTreeMap::from([(
            "shop".to_owned(),
            BTreeMap::from([("prod".to_owned(), inventory)]),
        )]),
        mirrors: BTreeMap::from([("https://git.example/a".to_owned(), mirror)]),
        clusters: BTreeMap::from([("prod".to_owned(), cluster)]),
    };
    assert_eq!(store.load_all().await.unwrap(), expected);
    let history = store.history("shop", 10).await.unwrap();
    assert_eq!(history[0].deployment, deployment(Phase::Succeeded));
}

#[tokio::test]
async fn forgetting_an_application_leaves_the_others_alone() {
    let folder = Folder::new();
    let store = folder.open();
    for (application, name) in [("shop", "a"), ("blog", "b")] {
        let outcome = OutcomeRecord {
            inventory: vec![(key(name), Some(entry(EntryState::Applied)))],
            state: state(),
            deployment: Some(deployment(Phase::Failed)),
        };
        store.record_outcome(application, "prod", outcome).await.unwrap();
    }
    store.forget("shop").await.unwrap();
    let left = store.load_all().await.unwrap();
    assert_eq!(left.applications.keys().collect::<Vec<_>>(), ["blog"]);
    assert_eq!(left.inventories.keys().collect::<Vec<_>>(), ["blog"]);
    assert_eq!(store.history("shop", 10).await.unwrap(), []);
    assert_eq!(store.history("blog", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_outcome_at_odds_with_a_claim_stores_nothing_of_it() {
    let folder = Folder::new();
    let store = folder.open();
    let mine = vec![(key("a"), Some(entry(EntryState::Applied)))];
    store.apply_inventory("shop", "prod", mine.clone()).await.unwrap();
    let deployment = Some(deployment(Phase::Succeeded));
    let outcome = OutcomeRecord { inventory: mine, state: state(), deployment };
    assert!(store.record_outcome("blog", "prod", outcome).await.is_err());
    assert_eq!(store.load_all().await.unwrap().applications, BTreeMap::new());
    assert_eq!(store.history("blog", 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_history_keeps_its_newest_thousand_and_never_uses_a_number_again() {
    let folder = Folder::new();
    let store = folder.open();
    let mut last = None;
    for _ in 0..1002 {
        let deployment = Some(deployment(Phase::Succeeded));
        let outcome = OutcomeRecord { inventory: Vec::new(), state: state(), deployment };
        last = store.record_outcome("shop", "prod", outcome).await.unwrap();
    }
    assert_eq!(last, Some(1002));
    let history = store.history("shop", 2000).await.unwrap();
    let numbers: Vec<u64> = history.iter().map(|deployed| deployed.id).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[999]), (1000, 1002, 3));
    assert_eq!(store.deployment("shop", 2).await.unwrap(), None);
    assert_eq!(store.deployment("shop", 3).await.unwrap().unwrap().id, 3);
}

#[tokio::test]
async fn many_applications_write_at_once_and_all_is_stored() {
    let folder = Folder::new();
    let store = folder.open();
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let application = format!("application-{number}");
                let changes = (0..4)
                    .map(|object| {
                        let name = format!("{application}-{object}");
                        (key(&name), Some(entry(EntryState::Intent)))
                    })
                    .collect();
                store.apply_inventory(&application, "prod", changes).await.unwrap();
                store.save_application(&application, state()).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let snapshot = store.load_all().await.unwrap();
    assert_eq!(snapshot.applications.len(), 1000);
    let objects: usize =
        snapshot.inventories.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
    assert_eq!(objects, 4000);
    assert_eq!(store.all_claims("prod").await.unwrap().len(), 4000);
}

#[tokio::test]
async fn a_second_process_cannot_open_the_state() {
    let folder = Folder::new();
    let store = folder.open();
    let error = Store::open(&folder.database()).unwrap_err();
    assert!(error.source().unwrap().to_string().ends_with("is in use by another process"));
    store.close().await;
    folder.open();
}
