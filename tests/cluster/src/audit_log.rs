//! The API server's own account of its requests: what a test counts without touching the code
//! under test.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

/// Every request and who made it, without bodies.
pub(crate) const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [{"level": "Metadata"}]
}
"#;

/// A place in the audit log; what was written later lies behind it. The default is its start.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct AuditPosition {
    bytes: u64,
}

impl AuditPosition {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes }
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEvent {
    /// `ResponseComplete` for a request that was answered, `ResponseStarted` for a running watch,
    /// `Panic`.
    pub stage: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or the
    /// HTTP method in lower case where no resource is meant.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// Who asked, as the API server authenticated it.
    pub user: String,
    /// The client's `User-Agent`, empty when it sent none.
    pub user_agent: String,
    /// The HTTP status it was answered with.
    pub status: Option<u16>,
    /// When it came in, RFC 3339 with microseconds.
    pub received: String,
}

impl AuditEvent {
    /// Whether this is an answered request that could change what is stored. Dry runs cannot, nor
    /// can reviews of tokens and of access, which are "created" but kept nowhere.
    pub fn is_write(&self) -> bool {
        let mutating = matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        );
        let kept = !self.uri.contains("dryRun=All")
            && !self.uri.starts_with("/apis/authorization.k8s.io/")
            && !self.uri.starts_with("/apis/authentication.k8s.io/");
        mutating && kept && self.stage == "ResponseComplete"
    }
}

/// The fields of `audit.k8s.io/v1 Event` that are used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    response_status: Option<Status>,
    request_received_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

/// The events written to `path` after `since`. A last line that is not whole yet is left out.
pub(crate) fn read(path: &Path, since: AuditPosition) -> io::Result<Vec<AuditEvent>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(since.bytes))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
}

fn parse(line: &str) -> io::Result<AuditEvent> {
    let line: Line = serde_json::from_str(line)?;
    Ok(AuditEvent {
        stage: line.stage,
        verb: line.verb,
        uri: line.uri,
        user: line.user.username,
        user_agent: line.user_agent,
        status: line.response_status.and_then(|status| status.code),
        received: line.request_received_timestamp,
    })
}
