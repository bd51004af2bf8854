//! The audit log as the API shows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the audit log stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditState {
    /// Whether it takes records. If not, nothing is applied.
    pub writable: bool,
    /// Number of its last record, if that is known.
    pub last_sequence: Option<u64>,
    /// Why it takes no records; empty when it does.
    #[serde(default)]
    pub message: String,
}

/// Which records are wanted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditQuery {
    /// Only records after this number: the oldest of them first. Without it the newest records.
    pub after: Option<u64>,
    /// Only records about this application.
    pub application: Option<String>,
    /// Most records of one answer.
    pub limit: Option<u32>,
}

impl AuditQuery {
    /// Most records of one answer, whatever is asked for: some MiB of plans with many steps.
    pub const LIMIT_MAX: u32 = 500;
    /// Records of an answer when no limit is asked for.
    pub const LIMIT_DEFAULT: u32 = 50;

    /// The limit that counts.
    pub fn effective_limit(&self) -> u32 {
        self.limit.unwrap_or(Self::LIMIT_DEFAULT).clamp(1, Self::LIMIT_MAX)
    }
}

/// Some records, in the order of the log.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// The records, oldest first.
    pub records: Vec<AuditRecordView>,
    /// Number of the log's last record.
    pub last_sequence: u64,
}

/// One record.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecordView {
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What kind of thing happened: `intent`, `outcome`, `operation`, `denied` or `daemon`.
    pub kind: String,
    /// Who did it; `automation` when Fyr acted by itself.
    pub actor: String,
    /// The application concerned.
    pub application: Option<String>,
    /// The cluster concerned.
    pub cluster: Option<String>,
    /// The full commit id concerned.
    pub revision: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Identifies exactly what this is about: for intents and outcomes the plan's digest.
    #[serde(default)]
    pub subject: String,
    /// More: the steps of an intent, the results of an outcome.
    #[serde(default)]
    pub details: Value,
    /// Hash of the record, which covers all records before it.
    #[serde(default)]
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_gets_more_records_than_the_limit() {
        let limit = |limit| AuditQuery { limit, ..AuditQuery::default() }.effective_limit();
        assert_eq!(limit(None), AuditQuery::LIMIT_DEFAULT);
        assert_eq!(limit(Some(0)), 1);
        assert_eq!(limit(Some(u32::MAX)), AuditQuery::LIMIT_MAX);
    }
}
