//! One step of a plan against the API server.
//!
//! Every request is bounded in time and counted against the cluster's limit of concurrent writes.
//! Failures that pass (overload, webhooks that are starting) are tried again a few times here, so
//! that they do not fail a whole sync; everything that lasts is the caller's to decide.

mod apply;
mod body;
mod prune;
mod recreate;

use fyr_model::{GroupVersionKind, ObjectKey};
use fyr_plan::{Action, ErrorClass, Step, StepError, StepResult};
use http::Request;
use kube::client::Body;
use tokio::time::{Duration, sleep};

use crate::backoff::Backoff;
use crate::cluster::Shared;
use crate::refusal::step_error;
use crate::requests::{Answer, OBJECT_BYTES_MAX, RequestError};
use crate::resource::Resource;

/// Tries of one request, while it fails for a reason that passes.
const TRIES_MAX: u32 = 3;

/// First and longest wait between them. A webhook's pod is replaced in a second or two.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// A request that may be refused, as seen by the step that sent it.
type Sent = Result<Answer, RequestError>;

/// Does one step and says what became of it.
pub(crate) async fn run(shared: &Shared, application: &str, step: &Step) -> StepResult {
    let work = Work { shared, application, key: &step.key, gvk: &step.gvk };
    let result = match &step.action {
        Action::Apply { reason: _, body, rendered: _, uid, adopt_fields, recreate } => {
            let options = apply::Options {
                uid: uid.as_deref(),
                adopt_fields: *adopt_fields,
                recreate: *recreate,
            };
            work.apply(body, options).await
        }
        Action::CreateNamespace { body } => work.create_namespace(body).await,
        Action::Prune { uid, resource_version, propagation } => {
            work.prune(uid, resource_version, *propagation).await
        }
    };
    result.unwrap_or_else(StepResult::Failed)
}

/// One object and the means to change it.
#[derive(Clone, Copy)]
struct Work<'a> {
    shared: &'a Shared,
    application: &'a str,
    key: &'a ObjectKey,
    gvk: &'a GroupVersionKind,
}

impl Work<'_> {
    /// Where the object lives; asks the cluster again before giving up.
    async fn resource(&self) -> Result<Resource, StepError> {
        if let Some(resource) = self.shared.discovery.served().resource(self.gvk) {
            return Ok(resource.clone());
        }
        if let Some(reason) = self.shared.contact.open() {
            return Err(self.error(&RequestError::CircuitOpen { reason }));
        }
        if let Err(error) = self.shared.discovery.refresh().await {
            return Err(StepError { class: ErrorClass::Transient, message: error.to_string() });
        }
        let served = self.shared.discovery.served();
        if let Some(resource) = served.resource(self.gvk) {
            return Ok(resource.clone());
        }
        let kind = self.gvk.group_kind();
        let message = match served.versions(&kind).as_slice() {
            [] => format!("the cluster does not serve {kind}"),
            versions => format!(
                "the cluster serves {kind} as {}, not as {}",
                versions.join(" and "),
                self.gvk.version,
            ),
        };
        Err(StepError { class: ErrorClass::NoSuchKind, message })
    }

    fn path(&self, resource: &Resource) -> Result<String, StepError> {
        resource.object(&self.key.namespace, &self.key.name).map_err(|error| invalid(&error))
    }

    fn error(&self, error: &RequestError) -> StepError {
        step_error(error, self.key)
    }

    /// Sends a request, again while it fails for a reason that passes.
    async fn send(
        &self,
        request: impl Fn() -> Result<Request<Body>, RequestError> + Send + Sync,
    ) -> Sent {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut tries = 1;
        loop {
            let answer = self.send_once(request()?).await;
            let wait = match &answer {
                Err(error) if tries < TRIES_MAX && self.passes(error) => {
                    asked_wait(error).unwrap_or_else(|| backoff.next())
                }
                _ => return answer,
            };
            tries += 1;
            // The permit is free meanwhile: waiting holds nobody back.
            sleep(wait).await;
        }
    }

    async fn send_once(&self, request: Request<Body>) -> Sent {
        let _permit = self.shared.writes.acquire().await.expect("the semaphore is never closed");
        self.shared.requests.send(request, OBJECT_BYTES_MAX).await
    }

    /// Whether trying again soon may help. A request that was not answered in time is not tried
    /// again here: it held a permit for long enough.
    fn passes(&self, error: &RequestError) -> bool {
        match error {
            RequestError::Refused(_) | RequestError::Gateway { .. } => {
                match self.error(error).class {
                    ErrorClass::Transient => true,
                    // Discovery offers the kind, so its endpoint is about to be there.
                    ErrorClass::NoSuchKind => {
                        self.shared.discovery.served().resource(self.gvk).is_some()
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// The wait the API server asked for, if it is short enough to keep a step waiting.
fn asked_wait(error: &RequestError) -> Option<Duration> {
    let RequestError::Refused(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()).min(RETRY.1))
}

fn invalid(error: &dyn std::error::Error) -> StepError {
    StepError { class: ErrorClass::Invalid, message: error.to_string() }
}
