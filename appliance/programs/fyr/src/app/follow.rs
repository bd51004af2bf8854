//! Follows an operation to its end.

use std::time::Duration;

use fyr_model::api::{ErrorCode, Event, Operation, OperationPhase, Problem};
use tokio::time::{Instant, sleep, timeout_at};

use crate::context::Context;
use crate::exit::Failure;
use crate::progress::Progress;

/// Pause before the daemon is asked again after it went away.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// Tries to reach a daemon that went away: it may be restarting.
const RECONNECTS_MAX: u32 = 20;

/// Calls `look` at once and whenever the application changes, until it gives an answer. A daemon
/// that restarts meanwhile is waited for. `None` when the time is up.
pub(crate) async fn until<T>(
    context: &Context,
    name: &str,
    deadline: Instant,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let watching = async {
        // A daemon that was never there is not waited for.
        let mut failures = RECONNECTS_MAX;
        loop {
            match watch(context, name, &mut failures, &mut look).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(failure) if failure.code() == Some(ErrorCode::DaemonUnreachable) => {
                    failures += 1;
                    if failures > RECONNECTS_MAX {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
            sleep(RECONNECT_AFTER).await;
        }
    };
    match timeout_at(deadline, watching).await {
        Ok(answer) => answer.map(Some),
        Err(_) => Ok(None),
    }
}

/// As [`until`], for one connection; `None` when it ends. Sets `failures` to 0 once it stands.
async fn watch<T>(
    context: &Context,
    name: &str,
    failures: &mut u32,
    look: &mut impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let mut events = context.client.events(Some(name)).await?;
    *failures = 0;
    while let Some(event) = events.next().await {
        if event == Event::Heartbeat {
            continue;
        }
        if let Some(answer) = look().await? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// Waits for the end of an operation and shows its steps. An operation that did not do all its
/// steps is a failure.
pub(crate) async fn to_the_end(
    context: &Context,
    name: &str,
    sequence: u64,
    patience: Duration,
    progress: &mut Progress,
) -> Result<Operation, Failure> {
    context.on_interrupt(format!(
        "what was begun goes on; `fyr app wait {name} --operation` waits for it"
    ));
    let deadline = Instant::now() + patience;
    let look = async || {
        let operation = context.client.application(name).await?.summary.operation;
        if operation.sequence < sequence {
            let message = format!("fyrd was restarted while the operation on {name} ran");
            let hint = format!("`fyr app get {name}` shows how it stands");
            return Err(Failure::new(ErrorCode::OperationFailed, message).with_hint(hint));
        }
        if operation.applied > 0 && operation.sequence == sequence {
            progress.step(&step(&operation));
        }
        let ended = operation.phase.is_at_rest() || operation.sequence > sequence;
        Ok(ended.then_some(operation))
    };
    let Some(operation) = until(context, name, deadline, look).await? else {
        let message = format!("the operation on {name} has not ended within {patience:?}");
        return Err(Failure::new(ErrorCode::WaitedTooLong, message).with_hint("it goes on"));
    };
    progress.end();
    if operation.sequence == sequence && operation.phase == OperationPhase::Failed {
        return Err(failed(name, &operation));
    }
    Ok(operation)
}

fn failed(name: &str, operation: &Operation) -> Failure {
    let Operation { applied, total, message, .. } = operation;
    let text = format!("the operation on {name} failed after {applied} of {total} steps");
    let mut problem = Problem::new(ErrorCode::OperationFailed, text)
        .with_hint(format!("`fyr app get {name}` says why for each object"));
    problem.causes.extend(Some(message.clone()).filter(|message| !message.is_empty()));
    problem.into()
}

/// `applied 3/12 Deployment/web`.
fn step(operation: &Operation) -> String {
    let last = operation.last.as_ref();
    let last = last.map(|last| format!(" {}/{}", last.kind, last.name)).unwrap_or_default();
    format!("applied {}/{}{last}", operation.applied, operation.total)
}

#[cfg(test)]
mod tests {
    use fyr_model::api::ResourceRef;

    use super::*;

    #[test]
    fn a_step_says_how_many_of_how_many_and_which() {
        let mut operation = Operation { applied: 3, total: 12, ..Operation::default() };
        assert_eq!(step(&operation), "applied 3/12");
        operation.last = Some(ResourceRef {
            kind: "Deployment".into(),
            name: "web".into(),
            ..ResourceRef::default()
        });
        assert_eq!(step(&operation), "applied 3/12 Deployment/web");
    }
}
