//! Does what a recorded plan says: stage after stage, the steps of a stage side by side.
//!
//! No choices are made here but one: a plan is given up once the cluster is unreachable, so that
//! its remaining steps do not each wait for the same thing.

use futures::stream;
use futures::{FutureExt, StreamExt};
use fyr_audit::Recorded;
use fyr_plan::{ErrorClass, Outcome, Plan, Stage, Step, StepOutcome, StepResult};

use crate::cluster::Cluster;
use crate::step;

/// Most writes a cluster is sent at once. An API server with two cores is busy with eight; more
/// only queue there, where they use up its own limits (priority and fairness) for other clients.
pub const WRITES_MAX: usize = 8;

impl Cluster {
    /// Carries out a plan, calling `progress` after each step.
    ///
    /// Every step has an outcome, in the plan's order. Steps of an unreachable cluster fail at once
    /// with [`ErrorClass::Unreachable`]; the stages after them are not tried.
    pub async fn execute(
        &self,
        recorded: &Recorded<Plan>,
        progress: impl Fn(&StepOutcome) + Send + Sync,
    ) -> Outcome {
        let plan = recorded.value();
        debug_assert_eq!(plan.cluster, self.shared.name, "the caller picks the cluster by name");
        let mut outcome = Outcome::default();
        for stage in &plan.stages {
            let held_back = stage.needs_success && !outcome.succeeded();
            let results = if held_back || is_unreachable(&outcome) {
                stage.steps.iter().map(|_| StepResult::NotTried).collect()
            } else {
                self.stage(plan, stage, &progress).await
            };
            for (step, result) in stage.steps.iter().zip(results) {
                let not_tried = result == StepResult::NotTried;
                let step = StepOutcome { key: step.key.clone(), result };
                if not_tried {
                    progress(&step);
                }
                outcome.steps.push(step);
            }
        }
        outcome
    }

    /// The results of one stage, in the order of its steps.
    async fn stage(
        &self,
        plan: &Plan,
        stage: &Stage,
        progress: &(impl Fn(&StepOutcome) + Send + Sync),
    ) -> Vec<StepResult> {
        // Boxed one by one: a closure over borrowed steps would make the whole future one that the
        // compiler does not believe to be `Send`.
        let run = |index, step| self.step(index, plan, step, progress).boxed();
        let steps: Vec<_> = stage.steps.iter().enumerate().map(|(i, step)| run(i, step)).collect();
        let mut results: Vec<(usize, StepResult)> =
            stream::iter(steps).buffer_unordered(WRITES_MAX).collect().await;
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The result of one step, with its place in the stage.
    async fn step(
        &self,
        index: usize,
        plan: &Plan,
        step: &Step,
        progress: &(impl Fn(&StepOutcome) + Send + Sync),
    ) -> (usize, StepResult) {
        let result = step::run(&self.shared, &plan.application, step).await;
        let outcome = StepOutcome { key: step.key.clone(), result };
        progress(&outcome);
        (index, outcome.result)
    }
}

fn is_unreachable(outcome: &Outcome) -> bool {
    outcome.failures().any(|(_, error)| error.class == ErrorClass::Unreachable)
}
