//! Decides what to change on a cluster, and says how an application stands. Pure: the caller
//! brings the desired objects, what is known of the cluster, and the clock.
//!
//! ```text
//!   rendered ──Desired::prepare──▶ Desired ─┐
//!                      LiveState, Inventory ─┼─Comparison─────▶ rows ──────plan──▶ Plan
//!                                            │                    └──────assess──▶ Assessment
//!   before_apply, after, observe ──▶ Inventory
//! ```

mod assess;
mod backoff;
mod compare;
mod condition;
mod desired;
mod fight;
mod health;
mod inventory;
mod kinds;
mod live;
mod managed_fields;
mod normalize;
mod outcome;
mod plan;
mod policy;
mod prune;
mod steps;
#[cfg(test)]
mod tests;
mod tracking;

pub use assess::{AssessInput, Assessment, ResourceStatus, SyncStatus, assess};
pub use backoff::{HealBackoff, NextTry, next_try};
pub use compare::{Comparison, Difference, Row};
pub use condition::{Condition, ConditionKind};
pub use desired::{Desired, DesiredContext, DesiredObject, Retention};
pub use fight::Fights;
pub use health::{Health, HealthStatus, has_health_rules, health_of};
pub use inventory::{EntryState, Inventory, InventoryEntry, after, before_apply, observe};
pub use kinds::Scope;
pub use live::{KindState, LiveObject, LiveState};
pub use managed_fields::{
    FIELD_MANAGER, NAMESPACE_FIELD_MANAGER, adoption_patch, is_adoptable, other_managers,
    own_fields_digest,
};
pub use outcome::{Change, ErrorClass, Outcome, StepError, StepOutcome, StepResult};
pub use plan::{Manual, PlanInput, Planned, Trigger, interest, plan};
pub use policy::{Flag, Permission, Policy, SyncOptions};
pub use prune::Blocker;
pub use steps::{Action, ApplyReason, ClusterName, Plan, Propagation, Stage, Step};
pub use tracking::{TRACKING_ANNOTATION, TrackingId};
