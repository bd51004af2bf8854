//! The whole appliance on one screen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ApplicationSummary, AuditState, HealthStatus, SyncStatus};

/// How everything stands.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The appliance's own name.
    pub name: String,
    /// Version of the daemon.
    pub version: String,
    /// When the daemon started.
    pub started_at: Option<Timestamp>,
    /// The repository that describes everything.
    pub fleet: FleetState,
    /// Applications, counted.
    pub counts: Counts,
    /// The managed clusters.
    pub clusters: Vec<ClusterSummary>,
    /// The repositories in use.
    pub repositories: Vec<RepositorySummary>,
    /// The audit log.
    pub audit: AuditState,
    /// What needs a person, most urgent first. Empty when all is well.
    pub attention: Vec<Attention>,
}

/// The repository that describes everything.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetState {
    /// The repository, without any password.
    pub repo_url: String,
    /// Folder in it.
    #[serde(default)]
    pub path: String,
    /// What it follows.
    #[serde(default)]
    pub target_revision: String,
    /// The full commit id that is in force; `null` when it was never read.
    pub revision: Option<String>,
    /// When that was read.
    pub read_at: Option<Timestamp>,
    /// What is wrong with it.
    #[serde(default)]
    pub problems: Vec<FleetProblemView>,
}

/// Something wrong in the fleet repository.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetProblemView {
    /// What it is about: an object, or empty for the repository as a whole.
    pub subject: String,
    /// Whether something is not in force because of it, and not merely to know.
    pub error: bool,
    /// What people read.
    pub message: String,
}

/// Applications, counted. A state that no application has is not there.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All of them.
    pub applications: u64,
    /// By sync status.
    pub sync: BTreeMap<SyncStatus, u64>,
    /// By health.
    pub health: BTreeMap<HealthStatus, u64>,
    /// By sync status and health.
    pub sync_and_health: BTreeMap<SyncStatus, BTreeMap<HealthStatus, u64>>,
    /// Those that are paused.
    pub paused: u64,
}

impl Counts {
    /// Counts applications.
    pub fn of<'a>(applications: impl IntoIterator<Item = &'a ApplicationSummary>) -> Self {
        let mut counts = Self::default();
        for application in applications {
            let (sync, health) = (application.sync.status, application.health.status);
            counts.applications += 1;
            *counts.sync.entry(sync).or_default() += 1;
            *counts.health.entry(health).or_default() += 1;
            *counts.sync_and_health.entry(sync).or_default().entry(health).or_default() += 1;
            counts.paused += u64::from(application.paused.is_some());
        }
        counts
    }
}

/// A managed cluster. Has no field that could hold a credential.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSummary {
    /// What people call it.
    pub name: String,
    /// Address of its API server.
    pub server: String,
    /// Whether `https://kubernetes.default.svc` means this one.
    #[serde(default)]
    pub in_cluster: bool,
    /// Whether its API server answers.
    pub reachable: bool,
    /// Version of its API server; empty when it was never heard.
    #[serde(default)]
    pub version: String,
    /// When it was last heard of.
    pub last_contact: Option<Timestamp>,
    /// Why it cannot be reached; empty when it can.
    #[serde(default)]
    pub message: String,
    /// Since when it cannot be reached.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again, if it cannot be reached.
    pub retry_at: Option<Timestamp>,
    /// Number of applications on it.
    #[serde(default)]
    pub applications: u64,
    /// What the operator should know, such as unverified TLS.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A Git repository. Has no field that could hold a credential.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySummary {
    /// Its URL, without any password.
    pub url: String,
    /// When it was last fetched or looked at with success.
    pub fetched_at: Option<Timestamp>,
    /// Why the last try failed; empty when it did not.
    #[serde(default)]
    pub message: String,
    /// Since when tries fail.
    pub failing_since: Option<Timestamp>,
    /// When it is looked at next.
    pub next_at: Option<Timestamp>,
    /// Bytes of its mirror on disk.
    #[serde(default)]
    pub bytes: u64,
    /// Number of applications that use it.
    #[serde(default)]
    pub applications: u64,
    /// What the operator should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Something that needs a person.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attention {
    /// What it is about: `application`, `cluster`, `repository`, `fleet` or `audit`.
    pub kind: String,
    /// Which one; empty for what there is only one of.
    #[serde(default)]
    pub name: String,
    /// What is wrong, for people.
    pub message: String,
    /// Since when, if that is known.
    pub since: Option<Timestamp>,
}

/// One line of the stream of events. Carries names only: whoever wants to know more asks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Event {
    /// An application came, changed or went.
    Application {
        /// Its name.
        name: String,
    },
    /// Events were lost, or the stream begins: look at everything anew.
    Resync,
    /// Nothing happened; the connection is alive.
    Heartbeat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_keyed_by_the_words_people_read() {
        let mut synced = ApplicationSummary::default();
        synced.sync.status = SyncStatus::Synced;
        synced.health.status = HealthStatus::Healthy;
        let counts = Counts::of([&synced, &synced, &ApplicationSummary::default()]);
        let json = serde_json::to_value(&counts).unwrap();
        assert_eq!(json["applications"], 3);
        assert_eq!(json["sync"]["Synced"], 2);
        assert_eq!(json["health"]["Unknown"], 1);
        assert_eq!(json["syncAndHealth"]["Synced"]["Healthy"], 2);
        assert_eq!(serde_json::from_value::<Counts>(json).unwrap(), counts);
    }

    #[test]
    fn an_event_names_its_kind() {
        let json = serde_json::to_string(&Event::Application { name: "a".to_owned() }).unwrap();
        assert_eq!(json, r#"{"kind":"application","name":"a"}"#);
        assert_eq!(serde_json::to_string(&Event::Resync).unwrap(), r#"{"kind":"resync"}"#);
    }
}
