//! Decides what to change on a cluster, and says how an application stands. Pure: the caller
//! brings the desired objects, what is known of the cluster, and the clock.

mod health;
mod live;
mod outcome;
mod steps;

pub use health::{Health, HealthStatus};
pub use live::{KindState, LiveObject, LiveState};
pub use outcome::{Change, ErrorClass, Outcome, StepError, StepOutcome, StepResult};
pub use steps::{Action, ApplyReason, ClusterName, Plan, Propagation, Stage, Step};
