//! Deletes an object and creates it again, because a field of it cannot be changed.
//!
//! The new manifest is proven valid first, by creating it under another name as a dry run: a typo
//! must not cost the live object. The API server checks such a creation in full, admission
//! included, and stores nothing.

use fyr_model::Digest;
use fyr_plan::{Change, ErrorClass, FIELD_MANAGER, Propagation, StepError, StepResult};
use http::Method;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::apply::{JSON, is_absent};
use super::body::renamed;
use super::{Work, invalid};
use crate::backoff::Backoff;
use crate::reduce::metadata;
use crate::requests::{RequestError, with_body};
use crate::resource::{Resource, Scope};
use crate::watcher::METADATA;

/// How long a deleted object may take to go. Its finalizers and dependents decide; after this the
/// next sync goes on where this one stopped.
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// Waits between looks whether it has gone.
const GONE_POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Longest name every kind accepts: that of a DNS label.
const NAME_CHARS_MAX: usize = 63;

impl Work<'_> {
    pub(super) async fn recreate(
        &self,
        resource: &Resource,
        body: &str,
        uid: Option<&str>,
        propagation: Propagation,
    ) -> Result<StepResult, StepError> {
        let path = self.path(resource)?;
        self.prove_valid(resource, body).await?;
        let uid = match uid {
            Some(uid) => uid.to_owned(),
            None => self.current_uid(&path).await?,
        };
        match self.delete(&path, &json!({"uid": uid}), propagation).await {
            Ok(answer) => self.note_deletion(&answer, &uid),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(self.error(&error)),
        }
        self.await_gone(&path, &uid).await?;
        let answer = self.patch(&path, body.as_bytes(), FIELD_MANAGER).await;
        let answer = answer.map_err(|error| self.error(&error))?;
        self.stored(&answer, |_| Change::Recreated)
    }

    async fn prove_valid(&self, resource: &Resource, body: &str) -> Result<(), StepError> {
        let namespaced = resource.scope == Scope::Namespaced;
        let namespace = namespaced.then_some(self.key.namespace.as_str());
        let path = resource.collection(namespace).map_err(|error| invalid(&error))?;
        let path = format!("{path}?dryRun=All&fieldManager={FIELD_MANAGER}&fieldValidation=Strict");
        let body = renamed(body, &trial_name(&self.key.name)).map_err(|error| invalid(&error))?;
        let sent = self.send(|| with_body(Method::POST, &path, JSON, METADATA, body.clone())).await;
        sent.map(drop).map_err(|error| self.error(&error))
    }

    async fn current_uid(&self, path: &str) -> Result<String, StepError> {
        let answer = self.metadata(path).await.map_err(|error| self.error(&error))?;
        let found = metadata(&answer.body).map_err(RequestError::Malformed);
        found.map(|found| found.uid).map_err(|error| self.error(&error))
    }

    async fn await_gone(&self, path: &str, uid: &str) -> Result<(), StepError> {
        let deadline = Instant::now() + GONE_DEADLINE;
        let mut poll = Backoff::new(GONE_POLL.0, GONE_POLL.1);
        while Instant::now() < deadline {
            match self.current_uid(path).await {
                Ok(found) if found != uid => return Ok(()),
                Ok(_) => sleep(poll.next()).await,
                // A GET of an absent object is what `Stale` means here.
                Err(error) if error.class == ErrorClass::Stale => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let message = format!(
            "it was deleted to be created again and is not gone after {} s",
            GONE_DEADLINE.as_secs(),
        );
        Err(StepError { class: ErrorClass::Transient, message })
    }
}

/// A name nobody uses, derived from the object's own so that it needs no randomness.
fn trial_name(name: &str) -> String {
    let suffix = Digest::of(name.as_bytes()).short();
    let kept: String = name.chars().take(NAME_CHARS_MAX - suffix.len() - 1).collect();
    format!("{}-{suffix}", kept.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_name_is_a_valid_name_and_another_one() {
        for name in ["web", &"a".repeat(63), &format!("{}-b", "a".repeat(49))] {
            let trial = trial_name(name);
            assert_ne!(trial, *name);
            assert!(trial.len() <= NAME_CHARS_MAX, "{trial}");
            assert!(!trial.contains("--"), "{trial}");
        }
    }
}
