//! Decides what to change on a cluster, and says how an application stands. Pure: the caller
//! brings the desired objects, what is known of the cluster, and the clock.

mod health;
mod live;
mod managed_fields;
mod outcome;
mod steps;
mod tracking;

pub use health::{Health, HealthStatus, has_health_rules, health_of};
pub use live::{KindState, LiveObject, LiveState};
pub use managed_fields::{
    FIELD_MANAGER, NAMESPACE_FIELD_MANAGER, adoption_patch, is_adoptable, other_managers,
    own_fields_digest,
};
pub use outcome::{Change, ErrorClass, Outcome, StepError, StepOutcome, StepResult};
pub use steps::{Action, ApplyReason, ClusterName, Plan, Propagation, Stage, Step};
pub use tracking::{TRACKING_ANNOTATION, TrackingId};
