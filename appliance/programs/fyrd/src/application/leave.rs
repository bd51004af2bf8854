//! An application that left the fleet: with the resources finalizer it takes its objects along,
//! without it they stay and are nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fyr_cluster::Cluster;
use fyr_model::{Cascade, Chain, GroupKind, ObjectKey};
use fyr_plan::{
    AssessInput, Comparison, Condition, ConditionKind, Desired, KindState, PlanInput, Policy,
    Propagation, Scope, Trigger, assess, observe, plan,
};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{ApplicationTask, Next, Report};

/// How soon a deletion is looked at again that something stands in the way of.
const RETRY: Duration = Duration::from_secs(10);

impl ApplicationTask {
    /// One pass of an application that is not in the fleet any more.
    pub(super) async fn leave(&mut self) -> Next {
        let (Some(name), Some(cascade)) = (self.memory.cluster.clone(), self.memory.cascade) else {
            return self.forget().await;
        };
        if self.memory.inventory.is_empty() {
            return self.forget().await;
        }
        let cluster = match self.context.clusters.get(&name) {
            Ok(cluster) => cluster,
            Err(reason) => return self.cannot_leave(&reason),
        };
        let keys: BTreeSet<ObjectKey> = self.memory.inventory.keys().cloned().collect();
        let kinds: BTreeSet<GroupKind> = keys.iter().map(ObjectKey::group_kind).collect();
        self.context.clusters.use_kinds(&name, &self.name, &kinds);
        cluster.set_interest(&self.name, &keys);
        self.delete(&cluster, &keys, cascade).await
    }

    async fn delete(
        &mut self,
        cluster: &Cluster,
        keys: &BTreeSet<ObjectKey>,
        cascade: Cascade,
    ) -> Next {
        let live = cluster.live(&self.name, keys);
        if live.kinds.values().any(|state| *state == KindState::Listing) {
            return Next::Wait;
        }
        let nothing = Desired::default();
        let forgotten = observe(&mut self.memory.inventory, &self.name, &nothing, &live);
        self.store_inventory(cluster.name(), forgotten).await;
        let propagation = match cascade {
            Cascade::Foreground => Propagation::Foreground,
            Cascade::Background => Propagation::Background,
        };
        let trigger = Trigger::Delete { propagation, confirmed: false };
        let claimed = BTreeMap::new();
        let exists = |name: &str| name != self.name && self.context.registry.contains(name);
        let comparison = Comparison {
            application: &self.name,
            desired: &nothing,
            live: &live,
            inventory: &self.memory.inventory,
            claimed: &claimed,
            exists: &exists,
        };
        let planned = plan(&PlanInput {
            cluster: cluster.name(),
            revision: None,
            policy: &Policy::default(),
            trigger: &trigger,
            destination_namespace: "",
            comparison,
            // The project permitted them when they were applied, and may be gone by now.
            permits: &|_: &ObjectKey, _: Scope| Ok(()),
            versions: &|kind: &GroupKind| cluster.version(kind),
            resting: &BTreeMap::new(),
        });
        let unreachable = None;
        let assessment = assess(&AssessInput {
            comparison: Some(comparison),
            unreachable,
            planned: Some(&planned),
            outcome: self.memory.outcome.as_ref(),
            conditions: &[],
        });
        if planned.plan.is_empty() {
            self.show_leaving(assessment);
            let finished = planned.is_finished();
            return if finished { self.forget().await } else { Next::At(Instant::now() + RETRY) };
        }
        self.show_leaving(assessment);
        let Some(done) = self.apply(cluster, &nothing, planned.plan, &trigger).await else {
            return Next::At(Instant::now() + RETRY);
        };
        let succeeded = done.outcome().succeeded();
        self.memory.outcome = Some(done.outcome().clone());
        self.conclude(done, None).await;
        Next::At(if succeeded { Instant::now() } else { Instant::now() + RETRY })
    }

    fn show_leaving(&self, assessment: fyr_plan::Assessment) {
        self.publish(Report {
            assessment,
            cluster: self.memory.cluster.clone(),
            operation: self.memory.operation.clone(),
            leaving: true,
            ..Report::default()
        });
    }

    fn cannot_leave(&self, reason: &str) -> Next {
        let message = format!("its objects cannot be deleted: {reason}");
        let conditions = [Condition::new(ConditionKind::DeletionError, message)];
        let assessment = assess(&AssessInput {
            comparison: None,
            unreachable: None,
            planned: None,
            outcome: None,
            conditions: &conditions,
        });
        self.show_leaving(assessment);
        Next::At(Instant::now() + RETRY)
    }

    /// Everything that is known of it goes, and so does its task.
    async fn forget(&mut self) -> Next {
        if let Err(error) = self.context.store.forget(&self.name).await {
            warn!(application = self.name, error = %Chain(&error), "it was not forgotten");
            return Next::At(Instant::now() + RETRY);
        }
        if let Some(cluster) = &self.memory.cluster {
            self.context.claims.keep_only(cluster, &self.name, |_| false);
            self.context.clusters.forget(cluster, &self.name);
        }
        info!(application = self.name, "left the fleet");
        self.context.registry.remove(&self.name);
        if let Some(cluster) = &self.memory.cluster {
            self.context.registry.wake_cluster(cluster);
        }
        Next::End
    }
}
