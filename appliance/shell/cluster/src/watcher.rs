//! One watch: list, then follow, then resume where it broke off.
//!
//! A listing is streamed (`sendInitialEvents`) where the server can, and paged where it cannot; it
//! is always consistent, so it is never older than what was known. A watch resumes from the last
//! version it saw; when the server no longer has that, everything is listed again, and what
//! vanished meanwhile is noticed.
//!
//! While the cluster is unreachable a watch holds no connection and its kind counts as failed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use fyr_model::{GroupKind, ObjectKey};
use fyr_plan::{KindState, LiveObject};
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::{Backoff, jitter};
use crate::discovery::Discovery;
use crate::lines::Lines;
use crate::reduce::reduce;
use crate::requests::{PAGE_BYTES_MAX, RequestError, Requests};
use crate::resource::{NotAName, Resource};
use crate::store::{Coverage, OBJECTS_PER_KIND_MAX, Records};

/// How long a watch may say nothing. API servers send a bookmark about every minute; a connection
/// that was cut without a word on the way is noticed after this.
const IDLE_MAX: Duration = Duration::from_secs(100);

/// How long a streamed listing may say nothing until it is given up for pages: servers whose etcd
/// cannot report its progress never finish one.
const LISTING_IDLE_MAX: Duration = Duration::from_secs(10);

/// How long a watch lives on the server, at least; up to twice as long, so that watches do not end
/// together. client-go's times.
const LIFETIME: Duration = Duration::from_mins(5);

/// A watch that ends sooner than this did not work, whatever the server says.
const LIFETIME_MIN: Duration = Duration::from_secs(1);

/// Objects in one page of a listing; client-go's value.
const PAGE: usize = 500;

/// First and longest wait after a failure. The first is short because a new kind is offered a few
/// milliseconds before it can be listed.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));

/// Failures in a row until the kind counts as unknown: an interruption is routine, and the third
/// try comes after about 150 ms.
const FAILURES_TO_TELL: u32 = 3;

const WHOLE: &str = "application/json";
pub(crate) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// What a watch looks at and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Spec {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<String>,
    /// Whole objects, for health; otherwise metadata only.
    pub(crate) whole: bool,
}

impl Spec {
    pub(crate) fn coverage(&self) -> Coverage {
        Coverage { kind: self.resource.kind(), namespace: self.namespace.clone() }
    }
}

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Name(#[from] NotAName),
    /// The server no longer has the version to go on from.
    #[error("the watch has to begin anew")]
    Expired,
    /// The server cannot stream a listing.
    #[error("the server does not stream listings")]
    NoStreaming,
    #[error("there are more than {OBJECTS_PER_KIND_MAX} objects of this kind")]
    TooMany,
}

impl From<serde_json::Error> for WatchError {
    fn from(error: serde_json::Error) -> Self {
        Self::Request(RequestError::Malformed(error))
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: EventKind,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum EventKind {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Bookmark {
    /// Whether it ends a streamed listing.
    fn ends_listing(&self) -> bool {
        self.metadata.annotations.as_ref().is_some_and(|annotations| {
            annotations.get("k8s.io/initial-events-end").is_some_and(|value| value == "true")
        })
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// One watch and where its news go.
pub(crate) struct Watcher {
    pub(crate) spec: Spec,
    pub(crate) watches: Requests,
    pub(crate) requests: Requests,
    pub(crate) records: Arc<Records>,
    pub(crate) discovery: Arc<Discovery>,
}

impl Watcher {
    /// Watches until it is aborted. A panic costs this kind a listing, and nobody else anything.
    pub(crate) async fn keep_running(self) {
        loop {
            let ended = AssertUnwindSafe(self.run()).catch_unwind().await;
            let Err(_) = ended;
            let coverage = self.spec.coverage();
            tracing::error!(kind = %coverage.kind, "a watch panicked");
            let state = KindState::Failed { reason: "the watch panicked".to_owned() };
            self.records.update(|store| store.set_state(&coverage, state));
            sleep(RETRY.1).await;
        }
    }

    async fn run(&self) -> Infallible {
        let coverage = self.spec.coverage();
        let mut position = Position { version: None, streaming: true };
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut failures = 0_u32;
        loop {
            self.requests.contact().connected().await;
            let begun = Instant::now();
            let ended = tokio::select! {
                // Nothing to keep when cancelled: `position` says where to go on, and the store
                // takes each event as a whole.
                ended = self.follow(&coverage, &mut position) => ended,
                // Cancel-safe: it only reads.
                reason = self.requests.contact().opened() => {
                    Err(RequestError::CircuitOpen { reason }.into())
                }
            };
            let lasted = begun.elapsed();
            let error = match ended {
                // The server ends every watch after its lifetime.
                Ok(()) if lasted >= LIFETIME_MIN => {
                    failures = 0;
                    backoff.reset();
                    continue;
                }
                Ok(()) => {
                    sleep(backoff.next()).await;
                    continue;
                }
                Err(WatchError::NoStreaming) => {
                    position.streaming = false;
                    continue;
                }
                Err(WatchError::Expired) if position.version.take().is_some() => {
                    // A server that forgets what it has just listed must not be asked in a loop.
                    if lasted < LIFETIME_MIN {
                        sleep(backoff.next()).await;
                    }
                    continue;
                }
                Err(error) => error,
            };
            if lasted > RETRY.1 {
                failures = 0;
                backoff.reset();
            }
            failures += 1;
            self.failed(&coverage, &error, failures);
            if !matches!(error, WatchError::Request(RequestError::CircuitOpen { .. })) {
                sleep(backoff.next()).await;
            }
        }
    }

    fn failed(&self, coverage: &Coverage, error: &WatchError, failures: u32) {
        let unreachable = matches!(error, WatchError::Request(RequestError::CircuitOpen { .. }));
        if let WatchError::Request(RequestError::Refused(status)) = error
            && status.code == 404
        {
            // The kind is gone; discovery will say so, and this watch will be stopped.
            self.discovery.definition_changed();
        }
        if failures >= FAILURES_TO_TELL || unreachable {
            let reason = error.to_string();
            tracing::debug!(kind = %coverage.kind, reason, "a watch failed");
            let state = KindState::Failed { reason };
            self.records.update(|store| store.set_state(coverage, state));
        }
    }

    /// Lists if need be, then takes events until the server ends the watch.
    async fn follow(&self, coverage: &Coverage, position: &mut Position) -> Result<(), WatchError> {
        if position.version.is_none() && !position.streaming {
            let version = self.list_pages(coverage).await?;
            position.version = Some(version);
            // The next listing tries to stream again: the server may have been slow, not old.
            position.streaming = true;
        }
        let mut listing = position.version.is_none().then(BTreeMap::new);
        let mut lines = Lines::new(self.open(position).await?);
        if listing.is_none() {
            self.records.update(|store| store.set_state(coverage, KindState::Synced));
        }
        loop {
            let idle_max = if listing.is_some() { LISTING_IDLE_MAX } else { IDLE_MAX };
            let line = match timeout(idle_max, lines.next()).await {
                Ok(line) => line?,
                Err(_) if listing.is_some() => return Err(WatchError::NoStreaming),
                Err(_) => return Ok(()),
            };
            let Some(line) = line else { return Ok(()) };
            self.watches.contact().touch();
            let event: Event<'_> = serde_json::from_slice(line)?;
            self.take(coverage, position, &mut listing, &event)?;
        }
    }

    fn take(
        &self,
        coverage: &Coverage,
        position: &mut Position,
        listing: &mut Option<BTreeMap<ObjectKey, LiveObject>>,
        event: &Event<'_>,
    ) -> Result<(), WatchError> {
        let json = event.object.get().as_bytes();
        match event.kind {
            EventKind::Added | EventKind::Modified | EventKind::Deleted => {
                let deleted = event.kind == EventKind::Deleted;
                let whole = self.spec.whole && !deleted;
                let (key, live) = reduce(&self.spec.resource.gvk, whole, json)?;
                let Some(listed) = listing else {
                    position.version = Some(live.resource_version.clone());
                    self.tell(coverage, deleted, key, live);
                    return Ok(());
                };
                if deleted {
                    listed.remove(&key);
                } else {
                    listed.insert(key, live);
                }
                if listed.len() > OBJECTS_PER_KIND_MAX {
                    return Err(WatchError::TooMany);
                }
            }
            EventKind::Bookmark => {
                let bookmark: Bookmark = serde_json::from_slice(json)?;
                let version = &bookmark.metadata.resource_version;
                match listing {
                    Some(_) if !bookmark.ends_listing() => return Ok(()),
                    Some(listed) => {
                        let listed = std::mem::take(listed);
                        *listing = None;
                        self.records.update(|store| store.replace(coverage, listed, version));
                    }
                    None => self.records.update(|store| store.saw(coverage, version)),
                }
                position.version = Some(version.clone());
            }
            EventKind::Error => {
                let status: Status = serde_json::from_slice(json)?;
                return Err(refused(RequestError::Refused(Box::new(status))));
            }
        }
        Ok(())
    }

    fn tell(&self, coverage: &Coverage, deleted: bool, key: ObjectKey, live: LiveObject) {
        let definition = is_definition(&coverage.kind);
        self.records.update(|store| {
            if deleted {
                store.vanished(coverage, &key, &live);
            } else {
                store.observe(coverage, key, live);
            }
        });
        if definition {
            self.discovery.definition_changed();
        }
    }

    async fn open(&self, position: &Position) -> Result<kube::client::Body, WatchError> {
        let lifetime = (LIFETIME + jitter(LIFETIME)).as_secs();
        let from = match &position.version {
            Some(version) => format!("&resourceVersion={version}"),
            // Without a version the listing is consistent: not older than this moment.
            None => "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
        };
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={lifetime}{from}",
            self.spec.resource.collection(self.spec.namespace.as_deref())?,
        );
        let accept = if self.spec.whole { WHOLE } else { METADATA };
        let opened = self.watches.stream(&path, accept).await;
        opened.map_err(|error| match &error {
            RequestError::Refused(status)
                if position.version.is_none() && matches!(status.code, 400 | 422) =>
            {
                WatchError::NoStreaming
            }
            _ => refused(error),
        })
    }

    /// Reads all pages and stores them; returns the version to watch from.
    async fn list_pages(&self, coverage: &Coverage) -> Result<String, WatchError> {
        let base = self.spec.resource.collection(self.spec.namespace.as_deref())?;
        let accept = if self.spec.whole { WHOLE } else { METADATA_LIST };
        let mut listed = BTreeMap::new();
        let mut next = String::new();
        loop {
            let path = match next.as_str() {
                "" => format!("{base}?limit={PAGE}"),
                token => format!("{base}?limit={PAGE}&continue={token}"),
            };
            let answer = self.requests.get(&path, accept, PAGE_BYTES_MAX).await.map_err(refused)?;
            let page: Page<'_> = answer.json()?;
            for item in page.items {
                let json = item.get().as_bytes();
                let (key, live) = reduce(&self.spec.resource.gvk, self.spec.whole, json)?;
                listed.insert(key, live);
            }
            if listed.len() > OBJECTS_PER_KIND_MAX {
                return Err(WatchError::TooMany);
            }
            if page.metadata.next.is_empty() {
                let version = page.metadata.resource_version;
                self.records.update(|store| store.replace(coverage, listed, &version));
                return Ok(version);
            }
            next = page.metadata.next;
        }
    }
}

/// Where a watch goes on.
struct Position {
    /// The last version seen; `None` to list first.
    version: Option<String>,
    /// Whether the next listing is streamed.
    streaming: bool,
}

/// Whether objects of this kind define kinds.
pub(crate) fn is_definition(kind: &GroupKind) -> bool {
    kind.group == "apiextensions.k8s.io" && kind.kind == "CustomResourceDefinition"
}

/// Tells "that version is gone" from other refusals.
///
/// A version the server has not reached yet means that it was restored from a backup.
fn refused(error: RequestError) -> WatchError {
    if let RequestError::Refused(status) = &error {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let from_the_future =
            causes.into_iter().any(|cause| cause.reason == "ResourceVersionTooLarge");
        if status.code == 410 || from_the_future {
            return WatchError::Expired;
        }
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_annotated_bookmark_ends_a_listing() {
        let bookmark = |annotations: serde_json::Value| -> Bookmark {
            let metadata = json!({"resourceVersion": "7", "annotations": annotations});
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        assert!(bookmark(json!({"k8s.io/initial-events-end": "true"})).ends_listing());
        assert!(!bookmark(json!({"k8s.io/initial-events-end": "false"})).ends_listing());
        assert!(!bookmark(json!(null)).ends_listing());
    }

    #[test]
    fn a_version_that_is_gone_or_from_the_future_begins_anew() {
        let refusal = |code: u16, reason: &str| {
            let status = json!({"code": code, "details": {"causes": [{"reason": reason}]}});
            refused(RequestError::Refused(serde_json::from_value(status).unwrap()))
        };
        assert!(matches!(refusal(410, ""), WatchError::Expired));
        assert!(matches!(refusal(504, "ResourceVersionTooLarge"), WatchError::Expired));
        assert!(matches!(refusal(403, ""), WatchError::Request(_)));
    }
}
