//! A process that is killed while it writes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use fyr_plan::{EntryState, Inventory};
use fyr_store::Store;

use crate::samples::{Folder, entry, key};

/// Tells the child which database to write.
const DATABASE: &str = "FYR_TEST_STATE_DATABASE";

/// How often a process is killed; each time after a different number of writes.
const ROUNDS: usize = 15;

/// The number that a round stored in both entries, or 0 before the first.
fn stored(inventory: &Inventory) -> u64 {
    let numbers = inventory.values().map(|entry| entry.version.parse());
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().expect("rounds store numbers");
    match numbers.as_slice() {
        [] => 0,
        [first, second] => {
            assert_eq!(first, second, "half of a transaction is in the database");
            *first
        }
        more => panic!("{} entries", more.len()),
    }
}

#[test]
#[ignore = "the process that the test below kills; it writes until then"]
fn a_process_that_writes_until_it_is_killed() {
    let Some(database) = std::env::var_os(DATABASE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(database.as_ref()).unwrap();
        let begin = stored(&store.inventory("shop", "prod").await.unwrap());
        for number in begin + 1.. {
            let mut entry = entry(EntryState::Intent);
            entry.version = number.to_string();
            let changes = ["a", "b"].map(|name| (key(name), Some(entry.clone()))).to_vec();
            store.apply_inventory("shop", "prod", changes).await.unwrap();
            let mut out = std::io::stdout().lock();
            // Fails only once the parent is gone, and then so are we.
            writeln!(out, "stored {number}").and_then(|()| out.flush()).unwrap();
        }
    });
}

#[test]
fn what_was_answered_survives_a_kill_and_nothing_is_half_there() {
    let folder = Folder::new();
    let mut answered = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::a_process_that_writes_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(DATABASE, folder.database())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers = lines.map_while(Result::ok).filter_map(|line| {
            line.split_once("stored ").and_then(|(_, number)| number.parse::<u64>().ok())
        });
        answered = numbers.take(1 + round * 7).last().expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async {
            let store = folder.open();
            let found = stored(&store.inventory("shop", "prod").await.unwrap());
            store.close().await;
            found
        });
        assert!(found >= answered, "{answered} was answered, {found} is stored");
    }
    assert!(answered >= 7, "every round went on where the one before it was killed");
}
