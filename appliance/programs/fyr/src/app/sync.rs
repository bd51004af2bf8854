//! `fyr app sync` and `fyr app rollback`: plan, confirm, begin, and follow to the end.

use std::time::Duration;

use clap::Args;
use fyr_model::api::{PlanPreview, ResourceRef, RollbackRequest, SyncAnswer, SyncRequest};
use serde::Serialize;

use super::{follow, resource};
use crate::client::application_path;
use crate::confirm::{ConfirmArguments, confirm};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::plan;
use crate::time;

/// Bring the cluster to the state that Git has
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr app sync web\n  \
    fyr app sync web --prune --dry-run\n  \
    fyr app sync web --prune --plan DIGEST --yes      # without a terminal\n  \
    fyr app sync web --resource Deployment.apps/shop/web")]
pub(crate) struct SyncArguments {
    /// The application
    name: String,
    /// Sync to this branch, tag or commit instead of what the application follows
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Delete what Git no longer has, after confirmation
    #[arg(long)]
    prune: bool,
    /// Delete and create again what has changes in immutable fields, after confirmation
    #[arg(long)]
    recreate: bool,
    /// Only these objects
    #[arg(long = "resource", value_name = "KIND[.GROUP]/[NAMESPACE/]NAME",
          value_parser = resource::parse)]
    resources: Vec<ResourceRef>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    run: RunArguments,
}

/// Go back to an earlier state: pin the application to it and pause automated sync
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr app history web\n  \
    fyr app rollback web 7 --reason \"the new image misbehaves\"\n  \
    fyr app resume web                                # follow Git again")]
pub(crate) struct RollbackArguments {
    /// The application
    name: String,
    /// The entry of its history to go back to
    #[arg(value_name = "ID")]
    id: u64,
    /// Why, for the audit log and for whoever wonders why it is paused
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    run: RunArguments,
}

/// How a plan is confirmed and carried out.
#[derive(Args, Debug)]
struct RunArguments {
    /// Only print the plan
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArguments,
    /// Do not wait for the end
    #[arg(long)]
    r#async: bool,
    /// Longest wait for the end, such as 30s or 10m
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = time::parse)]
    timeout: Duration,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &SyncArguments) -> Result<Exit, Failure> {
    let request = |dry_run, plan| SyncRequest {
        revision: arguments.revision.clone(),
        prune: arguments.prune,
        recreate: arguments.recreate,
        dry_run,
        resources: arguments.resources.clone(),
        reason: arguments.reason.clone(),
        plan,
    };
    let work = Work {
        name: &arguments.name,
        path: application_path(&arguments.name, "sync"),
        arguments: &arguments.run,
    };
    // What cannot delete anything needs no question, and so no plan to ask about.
    let look_first = arguments.prune || arguments.recreate;
    work.run(context, request, look_first, false).await
}

pub(crate) async fn run_rollback(
    context: &Context,
    arguments: &RollbackArguments,
) -> Result<Exit, Failure> {
    let request = |dry_run, plan| RollbackRequest {
        id: arguments.id,
        reason: arguments.reason.clone(),
        dry_run,
        plan,
    };
    let work = Work {
        name: &arguments.name,
        path: application_path(&arguments.name, "rollback"),
        arguments: &arguments.run,
    };
    work.run(context, request, true, true).await
}

/// A sync or a rollback of one application.
struct Work<'a> {
    name: &'a str,
    path: String,
    arguments: &'a RunArguments,
}

impl Work<'_> {
    /// With `look_first` the plan is shown before anything is done; with `always` it has to be
    /// confirmed even if it deletes nothing.
    async fn run<R: Serialize>(
        &self,
        context: &Context,
        request: impl Fn(bool, Option<String>) -> R,
        look_first: bool,
        always: bool,
    ) -> Result<Exit, Failure> {
        let RunArguments { dry_run, confirm: confirmation, output, .. } = self.arguments;
        let mut progress = context.progress(output.format);
        let mut confirmed = None;
        if look_first || *dry_run || confirmation.plan.is_some() {
            let request = request(true, None);
            let ask = context.client.post::<SyncAnswer>(&self.path, &request);
            let preview = progress.during("planning", ask).await?.plan;
            progress.end();
            if *dry_run {
                self.print(context, &preview)?;
                return Ok(Exit::Done);
            }
            confirm(context, confirmation, &preview, always).await?;
            confirmed = Some(preview.digest);
        }
        let request = request(false, confirmed);
        let ask = context.client.post::<SyncAnswer>(&self.path, &request);
        let answer = progress.during("beginning", ask).await?;
        self.follow(context, &answer, progress).await
    }

    async fn follow(
        &self,
        context: &Context,
        answer: &SyncAnswer,
        mut progress: crate::progress::Progress,
    ) -> Result<Exit, Failure> {
        let name = self.name;
        let Some(sequence) = answer.operation else {
            progress.end();
            let held = answer.plan.held.len() + answer.plan.blockers.len();
            if held > 0 {
                context.tell(&plan::text(&answer.plan, context.colours_on_stderr()));
            } else {
                context.tell_line(&format!("{name}: nothing to do"));
            }
            return Ok(Exit::Done);
        };
        if self.arguments.r#async {
            progress.end();
            context.tell_line(&format!(
                "begun: {}; `fyr app wait {name} --operation` waits for the end",
                plan::counts(&answer.plan, context.colours_on_stderr())
            ));
            return Ok(Exit::Done);
        }
        let end =
            follow::to_the_end(context, name, sequence, self.arguments.timeout, &mut progress);
        let operation = end.await?;
        if self.arguments.output.format.is_for_people() {
            let done = plan::counts(&answer.plan, context.colours_on_stderr());
            context.tell_line(&format!("{name}: {done}"));
        } else {
            show(
                self.arguments.output.format,
                &operation,
                |_| String::new(),
                || vec![format!("application/{name}")],
            )?;
        }
        Ok(Exit::Done)
    }

    fn print(&self, context: &Context, preview: &PlanPreview) -> Result<(), Failure> {
        let colours = context.colours();
        let table = |_| format!("{}digest {}\n", plan::text(preview, colours), preview.digest);
        show(self.arguments.output.format, preview, table, || {
            vec![format!("plan/{}", preview.digest)]
        })
    }
}
