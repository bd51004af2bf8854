//! What an application's task knows across passes, and what of it survives a restart.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fyr_audit::Entry;
use fyr_model::{Cascade, CommitId, Digest};
use fyr_plan::{Fights, HealBackoff, Inventory, NextTry, Outcome};
use fyr_store::{ApplicationState, Applied, Order, Pause, Pin};

use super::build::Built;
use super::report::Operation;
use super::watched::Watched;

/// The last sync to a desired state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Attempt {
    /// The desired state.
    pub(crate) desired: Digest,
    /// The commits it came from.
    pub(crate) commits: Vec<CommitId>,
    /// Failed tries in a row; 0 when the last one succeeded.
    pub(crate) failures: u32,
    /// When to try again after a failure.
    pub(crate) next: Option<NextTry>,
    /// When it ended.
    pub(crate) at: SystemTime,
}

/// What an application's task knows across passes.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The cluster that `inventory` is about.
    pub(crate) cluster: Option<String>,
    /// What it has put there. On disk before every change.
    pub(crate) inventory: Inventory,
    /// How its objects go when it leaves the fleet. On disk, because the manifest is gone then.
    pub(crate) cascade: Option<Cascade>,
    /// Set when it is paused. On disk.
    pub(crate) pause: Option<Pause>,
    /// Set when it stays at a commit. On disk.
    pub(crate) pin: Option<Pin>,
    /// The last sync. On disk when it succeeded.
    pub(crate) attempt: Option<Attempt>,
    /// What it wants, from the last time it could be built.
    pub(crate) built: Option<Built>,
    /// What its cluster is watched for.
    pub(crate) watched: Option<Watched>,
    /// Failed heals.
    pub(crate) heal: HealBackoff,
    /// Objects that something else keeps changing back.
    pub(crate) fights: Fights,
    /// What an operator asked for and is not done. On disk.
    pub(crate) order: Option<Order>,
    /// What became of the last plan at this desired state.
    pub(crate) outcome: Option<Outcome>,
    /// What is being done, or was done last.
    pub(crate) operation: Operation,
    /// Why the last plan was not carried out: its intent could not be recorded or stored.
    pub(crate) blocked: Option<String>,
    /// Outcomes that the audit log could not take yet.
    pub(crate) owed: Vec<Entry>,
}

impl Memory {
    /// What was on disk at the start. The inventory belongs to the cluster that has most of it:
    /// an application that moved while the daemon was down begins anew on the other one.
    pub(crate) fn from_disk(
        state: ApplicationState,
        inventories: BTreeMap<String, Inventory>,
    ) -> Self {
        let largest = inventories.into_iter().max_by_key(|(_, inventory)| inventory.len());
        let (cluster, inventory) = match largest {
            Some((cluster, inventory)) => (Some(cluster), inventory),
            None => (None, Inventory::new()),
        };
        let attempt = state.applied.map(|applied| Attempt {
            desired: applied.digest,
            commits: applied.revisions,
            failures: 0,
            next: None,
            at: applied.at,
        });
        Self {
            cluster,
            inventory,
            attempt,
            cascade: state.cascade,
            pause: state.pause,
            pin: state.pin,
            order: state.order,
            ..Self::default()
        }
    }

    /// What has to be on disk of it, beside the inventory.
    pub(crate) fn state(&self) -> ApplicationState {
        let applied = self.attempt.as_ref().filter(|attempt| attempt.failures == 0);
        ApplicationState {
            applied: applied.map(|attempt| Applied {
                revisions: attempt.commits.clone(),
                digest: attempt.desired,
                at: attempt.at,
            }),
            pause: self.pause.clone(),
            pin: self.pin.clone(),
            cascade: self.cascade,
            order: self.order.clone(),
        }
    }

    /// Whether the desired state of this digest and these commits was synced with success.
    pub(crate) fn is_applied(&self, desired: &Digest, commits: &[CommitId]) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| {
            attempt.desired == *desired && attempt.commits == commits && attempt.failures == 0
        })
    }
}
