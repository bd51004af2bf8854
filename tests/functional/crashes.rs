//! `fyrd` killed at random moments, and what has to hold whatever the moment was.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fyr_test_cluster::{AuditEvent, AuditPosition, ControlPlane, Proxy, wait_until};
use fyr_tests::{World, config_map, own_cluster, run, tracked, writes_since};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";
const NAME: &str = "crashes";

/// Times that the daemon is killed.
const KILLS: u32 = 50;
/// Times that the auditor is killed.
const AUDITOR_KILLS: u32 = 20;
/// It converges and is looked at after this many; in between it is killed on its way.
const KILLS_A_LOOK: u32 = 5;
/// Longest time between a commit and the kill: enough for a whole sync, so that kills hit
/// every part of it.
const KILL_WITHIN_MS: u64 = 400;
/// How long every byte to and from the API server takes: a plan of some steps lasts a good tenth of
/// a second then, so that kills find it under way.
const DELAY: Duration = Duration::from_millis(15);
/// Files that a commit changes at most.
const CHANGES_MAX: u64 = 8;
/// Kills that have to find a plan under way, or the test proves little; a third of them do.
const MIDDLE_MIN: usize = 5;
/// Objects that are always left: an application that loses all of them is a case of its own.
const OBJECTS_MIN: usize = 6;

/// Numbers that look random and are the same for the same seed (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_of<'a>(&mut self, names: &'a BTreeMap<String, String>) -> &'a str {
        let count = u64::try_from(names.len()).expect("a few");
        let index = usize::try_from(self.below(count)).expect("a few");
        names.keys().nth(index).expect("it is below the count")
    }
}

/// What Git has, and the numbers that decide what becomes of it.
struct Story {
    random: Random,
    wanted: BTreeMap<String, String>,
    commit: String,
    names: u32,
}

impl Story {
    fn new(seed: u64) -> Self {
        let (wanted, commit) = (BTreeMap::new(), String::new());
        Self { random: Random(seed.max(1)), wanted, commit, names: 0 }
    }

    fn add(&mut self, world: &World) {
        let name = format!("c{:03}", self.names);
        self.names += 1;
        self.write(world, name);
    }

    fn write(&mut self, world: &World, name: String) {
        let value = self.random.below(1_000_000).to_string();
        world.infra.write(&format!("app/{name}.yaml"), config_map(&name, &value)).expect("a file");
        self.wanted.insert(name, value);
    }

    /// Adds, changes and removes some files.
    fn commit(&mut self, world: &World) {
        for _ in 0..=self.random.below(CHANGES_MAX) {
            match self.random.below(3) {
                0 => self.add(world),
                1 => {
                    let name = self.random.one_of(&self.wanted).to_owned();
                    self.write(world, name);
                }
                _ if self.wanted.len() > OBJECTS_MIN => {
                    let name = self.random.one_of(&self.wanted).to_owned();
                    world.infra.remove(&format!("app/{name}.yaml")).expect("a file");
                    self.wanted.remove(&name);
                }
                _ => self.add(world),
            }
        }
        self.commit = world.infra.commit("A chapter").expect("a commit");
        world.infra.push().expect("a push");
    }

    /// Deletes or changes an object behind the daemon's back; it may not be there yet.
    async fn meddle(&mut self, cluster: &ControlPlane) {
        let name = self.random.one_of(&self.wanted);
        let path = format!("/api/v1/namespaces/{NAME}/configmaps/{name}");
        let by_hand = json!({"data": {"value": "by hand"}});
        let answer = match self.random.below(2) {
            0 => cluster.kube().delete(&path).await,
            _ => cluster.kube().patch(&path, MERGE, &by_hand).await,
        };
        answer.expect("the API server answers");
    }

    /// Has Git looked at, and ends at a moment that is drawn: no wait for anything.
    async fn until_a_moment(&mut self, world: &World) {
        let moment = Duration::from_millis(self.random.below(KILL_WITHIN_MS));
        let refresh = world.daemons.ask("POST", "/api/v1/applications/crashes/refresh");
        tokio::join!(tokio::time::sleep(moment), async {
            // Whatever it says, and whether it says it in time.
            let _ = tokio::time::timeout(moment, refresh).await;
        });
    }

    /// Waits until all is in sync, and sees for itself: what is there because of an application is
    /// what Git has, no less and no more.
    async fn is_told(&self, world: &World, cluster: &ControlPlane) {
        world.synced_at(NAME, &self.commit).await;
        assert_eq!(tracked(cluster.kube()).await, self.wanted);
    }
}

/// The number that everything in the story follows from: `FYR_TEST_SEED` replays a failure.
fn seed() -> u64 {
    let given = std::env::var("FYR_TEST_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        u64::from(now.subsec_nanos())
    })
}

/// A cluster, a slow line to it, and an application of two dozen objects that is in sync.
async fn beginning(seed: u64) -> (ControlPlane, Proxy, World, Story) {
    let cluster = own_cluster().await;
    let proxy = Proxy::start(cluster.address()).expect("a proxy");
    proxy.set_delay(DELAY);
    let world = World::behind(&cluster, &proxy).await;
    let mut story = Story::new(seed);
    for _ in 0..4 * OBJECTS_MIN {
        story.add(&world);
    }
    story.commit(&world);
    world.register(&world.application(NAME, "app").pruned_in_the_background()).await;
    story.is_told(&world, &cluster).await;
    (cluster, proxy, world, story)
}

async fn killed_again_and_again(seed: u64) {
    let (cluster, _proxy, mut world, mut story) = beginning(seed).await;
    for kill in 1..=KILLS {
        // Every fourth kill hits a daemon that is busy with the last one only.
        if story.random.below(4) > 0 {
            story.commit(&world);
        }
        story.meddle(&cluster).await;
        story.until_a_moment(&world).await;
        world.daemons.kill_fyrd();
        world.daemons.start_fyrd();
        if kill % KILLS_A_LOOK == 0 {
            world.daemons.answering().await;
            story.is_told(&world, &cluster).await;
        }
    }
    assert_eq!(world.get(NAME).await["resourceCount"], story.wanted.len());
    kills_came_in_the_middle(&world).await;
    every_write_had_its_intent(&world, &cluster).await;
    the_log_is_intact(&mut world).await;
}

/// Kills the auditor and not the daemon, which holds outcomes back until the log takes them.
async fn auditor_killed_again_and_again(seed: u64) {
    let (cluster, _proxy, mut world, mut story) = beginning(seed).await;
    for kill in 1..=AUDITOR_KILLS {
        story.commit(&world);
        story.meddle(&cluster).await;
        story.until_a_moment(&world).await;
        world.daemons.kill_auditor();
        story.until_a_moment(&world).await;
        world.daemons.start_auditor();
        if kill % KILLS_A_LOOK == 0 {
            story.is_told(&world, &cluster).await;
        }
    }
    wait_until(Duration::from_secs(30), "the log taking records again", async || {
        world.status().await["audit"]["writable"] == true
    })
    .await;
    every_write_had_its_intent(&world, &cluster).await;
    every_write_is_in_an_outcome(&world, &cluster).await;
    the_log_is_intact(&mut world).await;
}

/// All records of the audit log, oldest first.
async fn records(world: &World) -> Vec<Value> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let from = after.to_string();
        let query = ["audit", "list", "--after", &from, "--limit", "500", "-o", "json"];
        let page = world.daemons.fyr(query).await.success().json();
        let page = page.as_array().expect("a list of records");
        let Some(last) = page.last() else { return records };
        after = last["sequence"].as_u64().expect("a number");
        records.extend(page.iter().cloned());
    }
}

/// A time of RFC 3339 in UTC in a form whose order is that of the times: fractions of a second
/// come with none to six digits.
fn in_order(time: &str) -> String {
    let time = time.trim_end_matches('Z');
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{seconds}.{fraction:0<6}")
}

/// Kind, namespace and name of the object that a request is about.
fn object_of(event: &AuditEvent) -> [String; 3] {
    let path = event.uri.split('?').next().expect("the first part of a split is always there");
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let object = match parts.as_slice() {
        ["api", "v1", "namespaces", namespace, "configmaps", name] => {
            ["ConfigMap", namespace, name]
        }
        ["api", "v1", "namespaces", name] => ["Namespace", "", name],
        _ => panic!("an application of ConfigMaps leads to {event:?}"),
    };
    object.map(str::to_owned)
}

/// A plan that was killed has no outcome.
async fn kills_came_in_the_middle(world: &World) {
    let records = records(world).await;
    let count = |kind: &str| records.iter().filter(|one| one["kind"] == kind).count();
    let (begun, ended) = (count("intent"), count("outcome"));
    assert!(
        begun >= ended + MIDDLE_MIN,
        "hardly a kill came in the middle: {begun} intents, {ended} outcomes"
    );
}

/// Holds the API server's log of requests against our audit log.
///
/// For each object, in the order of time: when the daemons' n-th successful write request came in
/// at the API server, our log held at least n intents that list the object as one of their steps;
/// and when any of their write requests came in, successful or not, at least one. So no change
/// lives off the intent of an earlier one. Both clocks are this machine's. Ours has milliseconds,
/// cut off and not rounded, so an intent may be up to a millisecond younger than it says: the only
/// tolerance there is.
async fn every_write_had_its_intent(world: &World, cluster: &ControlPlane) {
    let mut intended: BTreeMap<[String; 3], Vec<String>> = BTreeMap::new();
    let records = records(world).await;
    for intent in records.iter().filter(|one| one["kind"] == "intent") {
        let at = in_order(intent["at"].as_str().expect("a time"));
        for step in intent["details"]["steps"]["items"].as_array().expect("the steps") {
            let text = |field: &str| step["key"][field].as_str().unwrap_or_default().to_owned();
            let object = ["kind", "namespace", "name"].map(text);
            intended.entry(object).or_default().push(at.clone());
        }
    }
    let mut writes = writes_since(cluster, cluster.kube(), AuditPosition::default()).await;
    writes.sort_by_key(|event| in_order(&event.received));
    assert!(writes.len() > 50, "the daemons did something: {}", writes.len());
    let mut done: BTreeMap<[String; 3], usize> = BTreeMap::new();
    for event in writes {
        let object = object_of(&event);
        let received = in_order(&event.received);
        let times = intended.get(&object).map_or(&[][..], Vec::as_slice);
        let earlier = times.iter().filter(|at| **at <= received).count();
        let done = done.entry(object).or_default();
        *done += usize::from(event.status.is_some_and(|status| status < 300));
        assert!(earlier >= (*done).max(1), "write {done} of {event:?}, intents at {times:?}");
    }
}

/// The daemon lived through it all, so what it did is told in full: the objects that outcomes
/// count as applied or pruned are as many as its successful requests to change a `ConfigMap`. An
/// outcome whose receipt was lost with the auditor is told again, under the number of its intent.
async fn every_write_is_in_an_outcome(world: &World, cluster: &ControlPlane) {
    let writes = writes_since(cluster, cluster.kube(), AuditPosition::default()).await;
    let changed = |event: &&AuditEvent| {
        event.uri.contains("/configmaps/") && event.status.is_some_and(|status| status < 300)
    };
    let changed = u64::try_from(writes.iter().filter(changed).count()).expect("it fits");
    let mut told = 0;
    wait_until(Duration::from_secs(30), "the outcome of the last plan", async || {
        let records = records(world).await;
        let outcomes = records.iter().filter(|record| record["kind"] == "outcome");
        let details = outcomes.map(|outcome| &outcome["details"]);
        let by_intent: BTreeMap<u64, &Value> = details
            .map(|one| (one["intent"].as_u64().expect("a number"), &one["results"]))
            .collect();
        let count = |one: &Value, what: &str| one[what].as_u64().unwrap_or_default();
        let objects = |one: &&Value| count(one, "applied") + count(one, "pruned");
        told = by_intent.values().map(objects).sum();
        told >= changed
    })
    .await;
    assert_eq!(told, changed);
}

async fn the_log_is_intact(world: &mut World) {
    world.daemons.stop_fyrd();
    world.daemons.stop_auditor();
    let database = world.daemons.audit_database();
    let database = database.to_str().expect("a path of ours is UTF-8");
    let verified = run("fyr-auditor", ["verify", "--database", database]).await;
    assert!(verified.success().stdout.starts_with("intact: "));
}

/// Tells a story on a thread of its own, so that whatever fails in it is followed by the seed.
fn tell<S: Future<Output = ()>>(story: impl FnOnce(u64) -> S + Send + 'static) {
    let seed = seed();
    let telling = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(story(seed));
    });
    assert!(telling.join().is_ok(), "with FYR_TEST_SEED={seed}");
}

#[test]
fn a_daemon_killed_at_fifty_random_moments_converges_orphans_nothing_and_says_all_before() {
    tell(killed_again_and_again);
}

#[test]
fn an_auditor_killed_at_random_moments_loses_no_record_and_lets_nothing_through_unrecorded() {
    tell(auditor_killed_again_and_again);
}
