//! Server-side apply of one object, with what has to happen before and after it.

use fyr_model::GroupVersionKind;
use fyr_plan::{
    Change, ErrorClass, FIELD_MANAGER, LiveObject, NAMESPACE_FIELD_MANAGER, StepError, StepResult,
    adoption_patch, has_health_rules,
};
use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::{Duration, Instant, sleep};

use super::body::{has_own_metadata, with_uid};
use super::{Sent, Work, invalid};
use crate::backoff::Backoff;
use crate::immutable;
use crate::reduce::{metadata, reduce};
use crate::requests::{Answer, OBJECT_BYTES_MAX, RequestError, with_body};
use crate::watcher::{METADATA, is_definition};

/// How long a custom resource definition may take to be established. Takes under 100 ms; the
/// objects of its kind stay pending when it takes longer, and follow when it is there.
const ESTABLISHED_DEADLINE: Duration = Duration::from_secs(10);

/// Waits between looks at a new custom resource definition.
const ESTABLISHED_POLL: (Duration, Duration) =
    (Duration::from_millis(20), Duration::from_millis(500));

/// Tries of an adoption that others keep changing the object under.
const ADOPTIONS_MAX: u32 = 3;

const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";
pub(super) const JSON: &str = "application/json";

/// What an apply is asked to do beside applying.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    pub(super) uid: Option<&'a str>,
    pub(super) adopt_fields: bool,
    pub(super) recreate: bool,
}

impl Work<'_> {
    pub(super) async fn apply(
        &self,
        body: &str,
        options: Options<'_>,
    ) -> Result<StepResult, StepError> {
        let resource = self.resource().await?;
        let path = self.path(&resource)?;
        if options.adopt_fields {
            self.adopt(&path, options.uid).await?;
        }
        let sent = match options.uid {
            Some(uid) => with_uid(body, uid).map_err(|error| invalid(&error))?,
            None => body.as_bytes().to_vec(),
        };
        let before = self.shared.records.read(|store| store.get(self.key).cloned());
        match self.patch(&path, &sent, FIELD_MANAGER).await {
            Ok(answer) => {
                let change = |live: &LiveObject| change(answer.status, before.as_ref(), live);
                let result = self.stored(&answer, change)?;
                self.await_definition(&path).await;
                Ok(result)
            }
            Err(error) => {
                let error = self.error(&error);
                let kind = self.key.group_kind();
                match immutable::recreation(&kind) {
                    Some(propagation)
                        if error.class == ErrorClass::Immutable && options.recreate =>
                    {
                        self.recreate(&resource, body, options.uid, propagation).await
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Applies a body, forced: what Git says about a field is what holds.
    ///
    /// Validation is strict, as Argo CD's is: a misspelt field is an error and not silence.
    pub(super) async fn patch(&self, path: &str, body: &[u8], manager: &str) -> Sent {
        let path = format!("{path}?fieldManager={manager}&force=true&fieldValidation=Strict");
        let accept = self.representation();
        self.send(|| with_body(Method::PATCH, &path, APPLY, accept, body.to_vec())).await
    }

    /// Whole objects only where health is read from the answer.
    fn representation(&self) -> &'static str {
        if self.is_whole() { JSON } else { METADATA }
    }

    fn is_whole(&self) -> bool {
        has_health_rules(&self.key.group_kind())
    }

    /// Stores what the API server holds now, and says what it did.
    pub(super) fn stored(
        &self,
        answer: &Answer,
        change: impl FnOnce(&LiveObject) -> Change,
    ) -> Result<StepResult, StepError> {
        let live = self.reduced(answer).map_err(|error| self.error(&error))?;
        let result = StepResult::Applied {
            uid: live.uid.clone(),
            resource_version: live.resource_version.clone(),
            own_fields: live.own_fields,
            change: change(&live),
        };
        let key = self.key.clone();
        self.shared.records.update(|store| store.wrote(key, live, self.application));
        Ok(result)
    }

    fn reduced(&self, answer: &Answer) -> Result<LiveObject, RequestError> {
        let reduced = reduce(self.gvk, self.is_whole(), &answer.body);
        reduced.map(|(_, live)| live).map_err(RequestError::Malformed)
    }

    /// Moves the fields of the managers that are adopted to us.
    async fn adopt(&self, path: &str, uid: Option<&str>) -> Result<(), StepError> {
        for _ in 1..ADOPTIONS_MAX {
            match self.adopt_once(path, uid).await {
                // Somebody changed it between our reading and our writing, or it is another one.
                Err(error) if error.class == ErrorClass::Stale => {}
                ended => return ended,
            }
        }
        self.adopt_once(path, uid).await
    }

    async fn adopt_once(&self, path: &str, uid: Option<&str>) -> Result<(), StepError> {
        let answer = match self.metadata(path).await {
            Ok(answer) => answer,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(self.error(&error)),
        };
        let found =
            metadata(&answer.body).map_err(|error| self.error(&RequestError::Malformed(error)))?;
        if uid.is_some_and(|uid| uid != found.uid) {
            let message = "another object has taken its place".to_owned();
            return Err(StepError { class: ErrorClass::Stale, message });
        }
        let Some(owners) = adoption_patch(&found.managed_fields, &found.resource_version) else {
            return Ok(());
        };
        let owners = owners.to_string().into_bytes();
        let target = format!("{path}?fieldManager={FIELD_MANAGER}");
        let request = || with_body(Method::PATCH, &target, JSON_PATCH, METADATA, owners.clone());
        self.send(request).await.map(drop).map_err(|error| self.error(&error))
    }

    /// Reads the object's metadata.
    pub(super) async fn metadata(&self, path: &str) -> Sent {
        self.shared.requests.get(path, METADATA, OBJECT_BYTES_MAX).await
    }

    /// Waits until a custom resource definition is established and its kind is served, so that the
    /// objects in the next stage find it.
    async fn await_definition(&self, path: &str) {
        if !is_definition(&self.key.group_kind()) {
            return;
        }
        let deadline = Instant::now() + ESTABLISHED_DEADLINE;
        let mut poll = Backoff::new(ESTABLISHED_POLL.0, ESTABLISHED_POLL.1);
        while Instant::now() < deadline {
            let answer = self.shared.requests.get(path, JSON, OBJECT_BYTES_MAX).await;
            let definition = answer.and_then(|answer| answer.json::<Definition>());
            // What fails here is not this step's failure: the definition was applied.
            let Ok(definition) = definition else { return };
            if definition.is_established() && self.shared.discovery.refresh().await.is_ok() {
                let served = self.shared.discovery.served();
                if definition.kinds().all(|gvk| served.resource(&gvk).is_some()) {
                    return;
                }
            }
            sleep(poll.next()).await;
        }
    }

    /// Makes sure that a namespace exists. One that is there already is left as it is, unless the
    /// manifest has labels or annotations for it.
    pub(super) async fn create_namespace(&self, body: &str) -> Result<StepResult, StepError> {
        let resource = self.resource().await?;
        let path = self.path(&resource)?;
        if !has_own_metadata(body).map_err(|error| invalid(&error))?
            && let Ok(answer) = self.metadata(&path).await
        {
            let live = self.reduced(&answer).map_err(|error| self.error(&error))?;
            if live.deleting {
                let message = "the namespace is being deleted".to_owned();
                return Err(StepError { class: ErrorClass::NoNamespace, message });
            }
            return Ok(StepResult::NamespaceReady);
        }
        let answer = self.patch(&path, body.as_bytes(), NAMESPACE_FIELD_MANAGER).await;
        let answer = answer.map_err(|error| self.error(&error))?;
        self.stored(&answer, |_| Change::Created)?;
        Ok(StepResult::NamespaceReady)
    }
}

/// What an apply did. One that changes nothing leaves the `resourceVersion` as it was.
fn change(status: StatusCode, before: Option<&LiveObject>, after: &LiveObject) -> Change {
    if status == StatusCode::CREATED {
        return Change::Created;
    }
    let same = before.is_some_and(|before| {
        before.uid == after.uid && before.resource_version == after.resource_version
    });
    if same { Change::Unchanged } else { Change::Configured }
}

pub(super) fn is_absent(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(status) if status.code == 404)
}

/// A custom resource definition, as far as its being ready goes.
#[derive(Deserialize)]
struct Definition {
    spec: DefinitionSpec,
    #[serde(default)]
    status: DefinitionStatus,
}

#[derive(Deserialize)]
struct DefinitionSpec {
    group: String,
    names: Names,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Names {
    kind: String,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    #[serde(default)]
    served: bool,
}

#[derive(Default, Deserialize)]
struct DefinitionStatus {
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    name: String,
    status: String,
}

impl Definition {
    fn is_established(&self) -> bool {
        let conditions = self.status.conditions.iter().flatten();
        conditions.into_iter().any(|c| c.name == "Established" && c.status == "True")
    }

    fn kinds(&self) -> impl Iterator<Item = GroupVersionKind> {
        let served = self.spec.versions.iter().filter(|version| version.served);
        served.map(|version| GroupVersionKind {
            group: self.spec.group.clone(),
            version: version.name.clone(),
            kind: self.spec.names.kind.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(uid: &str, version: &str) -> LiveObject {
        LiveObject {
            uid: uid.to_owned(),
            resource_version: version.to_owned(),
            tracking_id: None,
            own_fields: None,
            adoptable: false,
            owned: false,
            deleting: false,
            health: None,
        }
    }

    #[test]
    fn an_apply_that_leaves_the_version_changed_nothing() {
        let after = live("u", "7");
        let of = |status, before: Option<&LiveObject>| change(status, before, &after);
        assert_eq!(of(StatusCode::CREATED, None), Change::Created);
        assert_eq!(of(StatusCode::OK, Some(&live("u", "7"))), Change::Unchanged);
        assert_eq!(of(StatusCode::OK, Some(&live("u", "6"))), Change::Configured);
        assert_eq!(of(StatusCode::OK, None), Change::Configured);
    }

    #[test]
    fn a_definition_is_ready_only_when_it_says_so_and_waits_for_served_versions_only() {
        let definition = |status: &str| -> Definition {
            serde_json::from_value(json!({
                "spec": {
                    "group": "example.org", "names": {"kind": "Widget"},
                    "versions": [{"name": "v1", "served": true}, {"name": "v0", "served": false}],
                },
                "status": {"conditions": [{"type": "Established", "status": status}]},
            }))
            .unwrap()
        };
        assert!(definition("True").is_established());
        assert!(!definition("False").is_established());
        let kinds: Vec<_> = definition("True").kinds().map(|gvk| gvk.api_version()).collect();
        assert_eq!(kinds, ["example.org/v1"]);
    }
}
