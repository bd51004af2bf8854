//! One application: a task that looks at the newest state of everything it depends on, and brings
//! its cluster in line.
//!
//! A pass is resolve → render → observe → plan → record → write ahead → apply → record the outcome
//! → assess. Between passes the task sleeps until its fleet, its repository, its cluster or an
//! operator gives it a reason, or a backoff ends.

mod act;
mod build;
mod command;
mod decide;
mod details;
mod leave;
mod memory;
mod pass;
mod preview;
mod report;
pub(crate) mod source;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub(crate) use command::{Answer, Command, CommandError, Verb};
pub(crate) use memory::Memory;
pub(crate) use report::{Phase, Report};

use crate::context::Context;
use crate::registry::Handle;

/// Requests of operators that wait for one application; more are refused.
const COMMANDS_MAX: usize = 16;

/// A look without a reason. Nothing should depend on it; it bounds how long a lost wake-up, which
/// would be a fault, goes unnoticed.
const LOOK_ANYWAY: Duration = Duration::from_hours(1);

/// What a pass asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Nothing to do until something changes.
    Wait,
    /// Look again at this time even if nothing changes.
    At(Instant),
    /// The application is gone for good.
    End,
}

/// The task of one application.
pub(crate) struct ApplicationTask {
    context: Arc<Context>,
    name: String,
    wake: Arc<Notify>,
    commands: mpsc::Receiver<Command>,
    report: watch::Sender<Arc<Report>>,
    memory: Memory,
}

impl ApplicationTask {
    /// A task that has not begun, and the handle the rest of the daemon keeps of it.
    pub(crate) fn new(context: Arc<Context>, name: &str, memory: Memory) -> (Self, Handle) {
        let wake = Arc::new(Notify::new());
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (report, receiver) = watch::channel(Arc::new(Report::default()));
        let handle = Handle { wake: Arc::clone(&wake), commands: sender, report: receiver };
        (Self { context, name: name.to_owned(), wake, commands, report, memory }, handle)
    }

    /// Runs until the application is gone or the daemon stops.
    pub(crate) async fn run(mut self) {
        loop {
            // Outside the select: a pass is never cancelled half way.
            let again = match self.pass().await {
                Next::End => break,
                Next::Wait => Instant::now() + LOOK_ANYWAY,
                Next::At(time) => time,
            };
            tokio::select! {
                // Cancel-safe: a wake-up that is not taken stays.
                () = self.wake.notified() => {}
                // Cancel-safe: a command is received or still in the channel.
                command = self.commands.recv() => match command {
                    Some(command) => self.accept(command).await,
                    None => break,
                },
                // Cancel-safe: a timer.
                () = sleep_until(again) => {}
            }
        }
    }

    /// Publishes a report if it differs from the last one.
    fn publish(&self, report: Report) {
        let changed = self.report.send_if_modified(|known| {
            let changed = **known != report;
            if changed {
                *known = Arc::new(report);
            }
            changed
        });
        if changed {
            self.context.registry.announce(&self.name);
        }
    }
}
