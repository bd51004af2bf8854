//! What operators ask of an application.

use std::time::SystemTime;

use fyr_audit::{Actor, Entry, EntryKind, Intent};
use fyr_model::{Chain, Digest};
use fyr_plan::Planned;
use fyr_store::{Order, OrderTerms, Pause, Pin};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::ApplicationTask;
use super::report::{Operation, Phase};

/// A request of an operator; answered once it is recorded and taken on.
#[derive(Debug)]
pub(crate) struct Command {
    /// Who asks.
    pub(crate) actor: Actor,
    /// Why, in their words.
    pub(crate) reason: String,
    /// For what.
    pub(crate) verb: Verb,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Result<Answer, CommandError>>,
}

/// What was taken on.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// For a sync or rollback: what it will change, and what it leaves out.
    pub(crate) planned: Option<Planned>,
    /// Number of the operation to wait for; none if nothing will be done.
    pub(crate) operation: Option<u64>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    /// Bring the cluster in line once.
    Sync {
        /// What exactly.
        terms: OrderTerms,
        /// Only say what would be done.
        dry_run: bool,
        /// Do it only if it is exactly this plan.
        expected: Option<Digest>,
    },
    /// Leave the cluster alone.
    Pause,
    /// Follow Git again.
    Resume,
    /// Go to an earlier state and stay there.
    Rollback {
        /// Where to.
        pin: Pin,
        /// Only say what would be done.
        dry_run: bool,
        /// Do it only if it is exactly this plan.
        expected: Option<Digest>,
    },
}

/// Why a request is not taken on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CommandError {
    /// The audit log cannot take it.
    #[error("nothing is done without an audit record, and the log does not take one: {reason}")]
    NotRecorded {
        /// Why.
        reason: String,
    },
    /// Another sync is under way.
    #[error("a sync is waiting or under way already")]
    Busy,
    /// The plan is another one by now.
    #[error("the plan is {now} by now, not {expected}: look at it again")]
    Stale {
        /// What was expected.
        expected: Digest,
        /// What it is.
        now: Digest,
    },
    /// It cannot be said what would be done.
    #[error("it cannot be planned now: {reason}")]
    NotPlanned {
        /// Why.
        reason: String,
    },
    /// It is not paused.
    #[error("{name} is not paused")]
    NotPaused {
        /// The application.
        name: String,
    },
    /// The state on disk could not be written.
    #[error("the request could not be stored: {reason}")]
    NotStored {
        /// Why.
        reason: String,
    },
}

impl ApplicationTask {
    /// Takes on a request, once the audit log holds it.
    pub(super) async fn accept(&mut self, command: Command) {
        let Command { actor, reason, verb, answer } = command;
        let result = self.take_on(actor, reason, verb).await;
        // Whoever asked may have gone away; the request stands all the same.
        let _ = answer.send(result);
    }

    async fn take_on(
        &mut self,
        actor: Actor,
        reason: String,
        verb: Verb,
    ) -> Result<Answer, CommandError> {
        self.check(&verb)?;
        let planned = match verb.order() {
            Some(terms) => Some(self.preview(&terms).await?),
            None => None,
        };
        let (dry_run, expected) = verb.terms();
        if let (Some(planned), Some(expected)) = (&planned, expected)
            && planned.plan.digest() != expected
        {
            return Err(CommandError::Stale { expected, now: planned.plan.digest() });
        }
        if dry_run {
            return Ok(Answer { planned, operation: None });
        }
        self.record_request(&actor, &reason, &verb).await?;
        self.put_into_effect(actor.clone(), reason, verb);
        self.remember().await.map_err(|reason| CommandError::NotStored { reason })?;
        let operation = planned.as_ref().map(|planned| self.take_on_operation(planned, actor));
        Ok(Answer { planned, operation })
    }

    /// Shows the operation before it begins, so that whoever asked finds the number they are
    /// given; returns that number.
    fn take_on_operation(&mut self, planned: &Planned, actor: Actor) -> u64 {
        self.memory.operation = Operation {
            sequence: self.memory.operation.next_sequence(),
            phase: Phase::Planned,
            plan: Some(planned.plan.digest()),
            revision: planned.plan.revision.clone(),
            actor: Some(actor),
            progress: (0, planned.plan.steps().count()),
            ..Operation::default()
        };
        self.show_operation();
        self.memory.operation.sequence
    }

    async fn record_request(
        &self,
        actor: &Actor,
        reason: &str,
        verb: &Verb,
    ) -> Result<(), CommandError> {
        let details = verb.details();
        let mut entry = Entry::new(EntryKind::Operation(verb.kind()), actor.clone(), reason);
        entry.application = Some(self.name.clone());
        entry.cluster.clone_from(&self.memory.cluster);
        entry.subject = Digest::of(format!("{} {details}", self.name).as_bytes());
        entry.details = details;
        let recorded = self.context.audit.append(entry).await;
        recorded
            .map(drop)
            .map_err(|error| CommandError::NotRecorded { reason: Chain(&error).to_string() })
    }

    fn check(&self, verb: &Verb) -> Result<(), CommandError> {
        match verb {
            Verb::Sync { .. } if self.memory.order.is_some() => Err(CommandError::Busy),
            Verb::Resume if self.memory.pause.is_none() && self.memory.pin.is_none() => {
                Err(CommandError::NotPaused { name: self.name.clone() })
            }
            Verb::Sync { .. } | Verb::Resume | Verb::Pause | Verb::Rollback { .. } => Ok(()),
        }
    }

    fn put_into_effect(&mut self, actor: Actor, reason: String, verb: Verb) {
        let pause = |reason: &str| {
            let (by, reason) = (actor.to_string(), reason.to_owned());
            Some(Pause { by, reason, at: SystemTime::now() })
        };
        match verb {
            Verb::Pause => self.memory.pause = pause(&reason),
            Verb::Resume => {
                self.memory.pause = None;
                self.memory.pin = None;
                // What was given up before is tried again: somebody looked after it.
                self.memory.heal.reset();
                self.memory.attempt = None;
            }
            Verb::Sync { terms, .. } => {
                self.memory.order = Some(Order { actor, reason, terms, at: SystemTime::now() });
            }
            Verb::Rollback { pin, .. } => {
                self.memory.pause = pause(&reason);
                let (terms, at) = (rollback_terms(&pin), SystemTime::now());
                self.memory.order = Some(Order { actor, reason, terms, at });
                self.memory.pin = Some(pin);
            }
        }
    }
}

/// The sync that goes to an earlier state. It prunes: what came later has to go.
fn rollback_terms(pin: &Pin) -> OrderTerms {
    let commits = Some(pin.revisions.clone());
    OrderTerms { prune: true, confirmed: true, commits, ..OrderTerms::default() }
}

impl Verb {
    /// The sync it comes down to, if it does.
    fn order(&self) -> Option<OrderTerms> {
        match self {
            Self::Sync { terms, .. } => Some(terms.clone()),
            Self::Rollback { pin, .. } => Some(rollback_terms(pin)),
            Self::Pause | Self::Resume => None,
        }
    }

    /// Whether only to say what would be done, and the plan it must be.
    fn terms(&self) -> (bool, Option<Digest>) {
        match self {
            Self::Sync { dry_run, expected, .. } | Self::Rollback { dry_run, expected, .. } => {
                (*dry_run, *expected)
            }
            Self::Pause | Self::Resume => (false, None),
        }
    }

    /// The word of the audit log for it.
    fn kind(&self) -> fyr_audit::Operation {
        match self {
            Self::Sync { .. } => fyr_audit::Operation::Sync,
            Self::Pause => fyr_audit::Operation::Pause,
            Self::Resume => fyr_audit::Operation::Resume,
            Self::Rollback { .. } => fyr_audit::Operation::Rollback,
        }
    }

    /// What the audit log says of it.
    fn details(&self) -> Value {
        match self {
            Self::Pause | Self::Resume => json!({}),
            Self::Sync { terms, .. } => json!({
                "prune": terms.prune,
                "force": terms.force,
                "selected": terms.selected,
                "commits": terms.commits,
            }),
            Self::Rollback { pin, .. } => json!({
                "historyId": pin.history_id,
                "commits": pin.revisions,
            }),
        }
    }
}
