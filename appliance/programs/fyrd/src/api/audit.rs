//! Records of the audit log, for people.

use fyr_audit::Record;
use fyr_ipc::Query;
use fyr_model::api::{AuditPage, AuditQuery, AuditRecordView, ErrorCode, Problem};
use fyr_web::Answer;
use jiff::Timestamp;

use super::Api;

impl Api {
    /// The newest records, or those after a number.
    pub(super) async fn audit_page(&self, query: &AuditQuery) -> Answer<AuditPage> {
        let asked = Query {
            after: query.after.unwrap_or_default(),
            application: query.application.clone(),
            newest: query.after.is_none(),
            limit: query.effective_limit(),
            ..Query::default()
        };
        let unavailable = |error: fyr_ipc::AuditError| {
            Problem::new(ErrorCode::AuditUnavailable, "the audit log cannot be read")
                .because(&error)
                .with_hint("is fyr-auditor running?")
        };
        // Before the list: whoever goes on after this number must not miss a record that comes in
        // between the two.
        let head = self.context.audit.head().await.map_err(unavailable)?;
        let mut records = self.context.audit.list(asked).await.map_err(unavailable)?;
        // Whichever end they are from, people read downwards in time.
        records.sort_by_key(|record| record.sequence);
        let newest = records.last().map_or(0, |record| record.sequence);
        let records = records.iter().map(view).collect();
        Ok(AuditPage { records, last_sequence: head.sequence.max(newest) })
    }
}

fn view(record: &Record) -> AuditRecordView {
    let at = i64::try_from(record.at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let entry = &record.entry;
    AuditRecordView {
        sequence: record.sequence,
        at: at.unwrap_or_default(),
        kind: entry.kind.to_string(),
        actor: entry.actor.to_string(),
        application: entry.application.clone(),
        cluster: entry.cluster.clone(),
        revision: entry.revision.as_ref().map(ToString::to_string),
        reason: entry.reason.clone(),
        subject: entry.subject.to_string(),
        details: entry.details.clone(),
        hash: record.hash.to_string(),
    }
}
