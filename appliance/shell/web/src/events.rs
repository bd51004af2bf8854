//! The stream of events: one JSON line for each thing that changed.
//!
//! Lines carry names only. Readers look at what they are told of with requests of their own, so a
//! lost or merged line does no harm as long as one follows; a reader that fell behind is told so.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use fyr_model::api::Event;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// A stream is never silent for longer than this, so that each side notices when the other is
/// gone.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream of events to one reader.
pub(crate) struct Stream {
    pub(crate) changes: broadcast::Receiver<Arc<str>>,
    /// Only this application; `None` is all.
    pub(crate) application: Option<String>,
    /// Becomes true when the daemon stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Counts towards the limit of streams while this exists.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Stream {
    /// The body of the answer. Begins with [`Event::Resync`]: a reader that looks at things after
    /// that line misses nothing.
    pub(crate) fn into_body(self) -> Body {
        let first = Lines { stream: self, beat: Instant::now() + HEARTBEAT, begun: false };
        Body::from_stream(futures::stream::unfold(first, Lines::next))
    }
}

struct Lines {
    stream: Stream,
    /// When a heartbeat is due.
    beat: Instant,
    begun: bool,
}

impl Lines {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let events = if self.begun { self.events().await? } else { vec![Event::Resync] };
        self.begun = true;
        self.beat = Instant::now() + HEARTBEAT;
        let mut text = String::new();
        for event in &events {
            text.push_str(&serde_json::to_string(event).expect("an event has only string keys"));
            text.push('\n');
        }
        Some((Ok(text.into()), self))
    }

    /// What happened next, merged; `None` at the end of the stream.
    async fn events(&mut self) -> Option<Vec<Event>> {
        loop {
            tokio::select! {
                // Cancel-safe per the docs of `recv()`.
                change = self.stream.changes.recv() => match change {
                    Ok(name) => {
                        let events = self.merged(name);
                        if !events.is_empty() {
                            return Some(events);
                        }
                    }
                    Err(RecvError::Lagged(_)) => return Some(vec![Event::Resync]),
                    Err(RecvError::Closed) => return None,
                },
                // Cancel-safe: a timer.
                () = sleep_until(self.beat) => return Some(vec![Event::Heartbeat]),
                // Cancel-safe: it only looks.
                () = stopped(&mut self.stream.stopping) => return None,
            }
        }
    }

    /// One event for each application that is waiting to be told, however often it changed.
    fn merged(&mut self, first: Arc<str>) -> Vec<Event> {
        let mut names = BTreeSet::from([first]);
        loop {
            match self.stream.changes.try_recv() {
                Ok(name) => drop(names.insert(name)),
                Err(TryRecvError::Lagged(_)) => return vec![Event::Resync],
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let wanted = self.stream.application.as_deref();
        let names = names.iter().filter(|name| wanted.is_none_or(|wanted| ***name == *wanted));
        names.map(|name| Event::Application { name: name.as_ref().to_owned() }).collect()
    }
}

/// Completes when the daemon stops, or its server is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("application", &self.application)
            .field("permit", &self.permit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    struct Rig {
        changes: broadcast::Sender<Arc<str>>,
        stopping: watch::Sender<bool>,
        lines: Lines,
    }

    fn rig(application: Option<&str>) -> Rig {
        let changes = broadcast::channel(2).0;
        let (stopping, receiver) = watch::channel(false);
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let stream = Stream {
            changes: changes.subscribe(),
            application: application.map(str::to_owned),
            stopping: receiver,
            permit,
        };
        let lines = Lines { stream, beat: Instant::now() + HEARTBEAT, begun: false };
        Rig { changes, stopping, lines }
    }

    async fn line(rig: Rig) -> Option<(String, Rig)> {
        let (bytes, lines) = rig.lines.next().await?;
        let text = String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        Some((text, Rig { lines, ..rig }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_begins_with_resync_and_merges_what_happens_between_reads() {
        let (text, rig) = line(rig(None)).await.unwrap();
        assert_eq!(text, "{\"kind\":\"resync\"}\n");
        rig.changes.send("a".into()).unwrap();
        rig.changes.send("a".into()).unwrap();
        let (text, _rig) = line(rig).await.unwrap();
        assert_eq!(text, "{\"kind\":\"application\",\"name\":\"a\"}\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_fell_behind_is_told_to_look_at_everything() {
        let (_, rig) = line(rig(None)).await.unwrap();
        for name in ["a", "b", "c"] {
            rig.changes.send(name.into()).unwrap();
        }
        assert_eq!(line(rig).await.unwrap().0, "{\"kind\":\"resync\"}\n");
    }

    #[tokio::test(start_paused = true)]
    async fn other_applications_are_passed_over_and_do_not_put_off_the_heartbeat() {
        let (_, rig) = line(rig(Some("a"))).await.unwrap();
        rig.changes.send("b".into()).unwrap();
        let (text, rig) = line(rig).await.unwrap();
        assert_eq!(text, "{\"kind\":\"heartbeat\"}\n");
        rig.changes.send("a".into()).unwrap();
        assert!(line(rig).await.unwrap().0.contains("\"a\""));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_the_daemon_stops() {
        let (_, rig) = line(rig(None)).await.unwrap();
        rig.stopping.send(true).unwrap();
        assert!(line(rig).await.is_none());
    }
}
