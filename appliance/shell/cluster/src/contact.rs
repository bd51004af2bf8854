//! Whether the cluster answers: one state, one probe, and a circuit that opens when it does not.
//!
//! Requests report, the probe decides. A request that gets no answer only asks for a probe now; a
//! slow webhook or one reset connection therefore opens nothing. Two probes in a row without an
//! answer open the circuit: requests in flight and new ones fail at once, watches let go, and
//! nothing is sent but the probe itself, with backoff, until it is answered.
//!
//! A frozen API server is noticed after at most [`PROBE_IDLE`] plus two [`PROBE_DEADLINE`]: 16 s.
//!
//! ```text
//!   Connecting ──answer──▶ Connected ◀──answer── Unreachable
//!        │                     │                     ▲ │ no answer: backoff × 2
//!        └────two probes without an answer───────────┘◀┘
//! ```

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::requests::{Probed, Requests};

/// A cluster that said nothing for this long is asked whether it is still there. One small
/// request each time, and only when nothing else is going on.
pub const PROBE_IDLE: Duration = Duration::from_secs(8);

/// How long a probe waits for its answer. `/readyz` is answered from memory in milliseconds; this
/// leaves room for a busy server far away.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(4);

/// Probes without an answer until the cluster counts as unreachable: one may be bad luck.
const PROBES_TO_OPEN: u32 = 2;

/// First and longest wait between probes of an unreachable cluster.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How Fyr stands with a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Connectivity {
    /// Nothing has been heard of it yet.
    Connecting,
    /// It answers.
    Connected {
        /// Its Kubernetes version, for example `v1.37.2`; `unknown` when it does not say.
        version: String,
    },
    /// It does not answer, is not ready, or does not accept the credentials.
    Unreachable {
        /// Since when.
        since: SystemTime,
        /// Why, for people.
        reason: String,
        /// When it is tried again.
        next_try: SystemTime,
    },
}

/// The state of one cluster's connection, shared by everything that talks to it.
#[derive(Debug)]
pub(crate) struct Contact {
    state: watch::Sender<Connectivity>,
    last: Mutex<Option<(Instant, SystemTime)>>,
    suspicion: Notify,
}

impl Contact {
    pub(crate) fn new() -> Self {
        let (state, _) = watch::channel(Connectivity::Connecting);
        Self { state, last: Mutex::new(None), suspicion: Notify::new() }
    }

    /// The cluster answered something.
    pub(crate) fn touch(&self) {
        *self.lock_last() = Some((Instant::now(), SystemTime::now()));
    }

    /// A request got no answer: the probe shall look now.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// When the cluster last answered.
    pub(crate) fn last(&self) -> Option<SystemTime> {
        self.lock_last().map(|(_, wall)| wall)
    }

    pub(crate) fn state(&self) -> Connectivity {
        self.state.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Connectivity> {
        self.state.subscribe()
    }

    /// Why nothing may be sent; `None` while the circuit is closed.
    pub(crate) fn open(&self) -> Option<String> {
        match &*self.state.borrow() {
            Connectivity::Unreachable { reason, .. } => Some(reason.clone()),
            Connectivity::Connecting | Connectivity::Connected { .. } => None,
        }
    }

    /// Ends when the circuit opens, and says why it did.
    pub(crate) async fn opened(&self) -> String {
        let mut state = self.state.subscribe();
        let is_open = |state: &Connectivity| matches!(state, Connectivity::Unreachable { .. });
        let reason = match state.wait_for(is_open).await.as_deref() {
            Ok(Connectivity::Unreachable { reason, .. }) => Some(reason.clone()),
            _ => None,
        };
        match reason {
            Some(reason) => reason,
            // The sender lives in `self`, so the state cannot end without opening.
            None => std::future::pending().await,
        }
    }

    /// Ends when the cluster has answered.
    pub(crate) async fn connected(&self) {
        let mut state = self.state.subscribe();
        let connected = |state: &Connectivity| matches!(state, Connectivity::Connected { .. });
        if state.wait_for(connected).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn lock_last(&self) -> MutexGuard<'_, Option<(Instant, SystemTime)>> {
        self.last.lock().expect("it is held for one copy or one assignment")
    }

    fn set(&self, next: Connectivity) {
        self.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next;
            changed
        });
    }

    fn opened_since(&self) -> Option<SystemTime> {
        match &*self.state.borrow() {
            Connectivity::Unreachable { since, .. } => Some(*since),
            Connectivity::Connecting | Connectivity::Connected { .. } => None,
        }
    }

    /// Ends when the cluster has been quiet for [`PROBE_IDLE`], or when a request got no answer.
    async fn quiet_or_suspicious(&self) {
        loop {
            let last = self.lock_last().map_or_else(Instant::now, |(at, _)| at);
            let quiet_at = last + PROBE_IDLE;
            if quiet_at <= Instant::now() {
                return;
            }
            tokio::select! {
                // Cancel-safe: a permit that is not taken stays.
                () = self.suspicion.notified() => return,
                // Cancel-safe: a timer.
                () = sleep_until(quiet_at) => {}
            }
        }
    }
}

/// Probes the cluster for as long as it is managed.
pub(crate) async fn watch_over(requests: &Requests, cluster: &str) {
    let contact = requests.contact();
    let mut failures = 0;
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut version = None;
    loop {
        match requests.probe().await {
            Probed::Ready => {
                failures = 0;
                backoff.reset();
                // Asked again after every interruption: the cluster may have been upgraded.
                if version.is_none() || contact.opened_since().is_some() {
                    version = requests.version().await;
                }
                let known = version.clone().unwrap_or_else(|| "unknown".to_owned());
                if contact.opened_since().is_some() {
                    tracing::info!(cluster, version = known, "the cluster answers again");
                }
                contact.set(Connectivity::Connected { version: known });
                contact.quiet_or_suspicious().await;
            }
            Probed::Failed(reason) => {
                failures += 1;
                if failures < PROBES_TO_OPEN {
                    continue;
                }
                if contact.opened_since().is_none() {
                    tracing::warn!(cluster, reason, "the cluster is unreachable");
                }
                let wait = backoff.next();
                let now = SystemTime::now();
                let since = contact.opened_since().unwrap_or(now);
                contact.set(Connectivity::Unreachable { since, reason, next_try: now + wait });
                sleep(wait).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a quiet spell lasts, in the paused time of these tests.
    async fn quiet(contact: &Contact) -> Duration {
        let begun = Instant::now();
        contact.quiet_or_suspicious().await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_is_probed_only_after_it_said_nothing_for_a_while() {
        let contact = Contact::new();
        contact.touch();
        sleep(PROBE_IDLE / 2).await;
        contact.touch();
        let waited = quiet(&contact).await;
        assert!(waited >= PROBE_IDLE, "{waited:?}");
        assert!(waited < PROBE_IDLE + Duration::from_secs(1), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_has_the_cluster_probed_at_once() {
        let contact = Contact::new();
        contact.touch();
        contact.suspect();
        assert_eq!(quiet(&contact).await, Duration::ZERO);
    }

    #[tokio::test]
    async fn an_open_circuit_says_why_to_those_who_ask_and_those_who_wait() {
        let contact = Contact::new();
        assert_eq!(contact.open(), None, "before the first answer requests may try");
        let now = SystemTime::now();
        contact.set(Connectivity::Unreachable {
            since: now,
            reason: "refused".to_owned(),
            next_try: now,
        });
        assert_eq!(contact.open().as_deref(), Some("refused"));
        assert_eq!(contact.opened().await, "refused");
        contact.set(Connectivity::Connected { version: "v1.37.2".to_owned() });
        contact.connected().await;
        assert_eq!(contact.open(), None);
    }
}
