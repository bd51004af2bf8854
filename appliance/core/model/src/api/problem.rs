//! Errors as the API and the command line show them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind of error, for example `E0301`: see [`ErrorCode`].
    pub code: String,
    /// What failed on what, for people.
    pub message: String,
    /// Why, from the nearest cause to the deepest.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without causes and hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: code.to_string(), message: message.into(), causes: Vec::new(), hint: None }
    }

    /// With the causes of an error: its source and the sources of that.
    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut cause = error.source();
        while let Some(error) = cause {
            self.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Kinds of errors. The number is for searching and for `fyr explain`; it never changes meaning.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ErrorCode {
    /// The request cannot be understood.
    InvalidRequest,
    /// The request is larger than is read.
    RequestTooLarge,
    /// The user may not do this.
    NotAllowed,
    /// There is no application of this name.
    NoSuchApplication,
    /// The application's history has no such entry.
    NoSuchHistoryEntry,
    /// The API has no such path.
    NoSuchPath,
    /// No repository of this URL is in use.
    NoSuchRepository,
    /// The plan is not the one that was shown.
    StalePlan,
    /// Another operation runs on the application.
    Busy,
    /// The application is not in a state that allows this.
    WrongState,
    /// A managed cluster cannot be reached.
    ClusterUnreachable,
    /// A Git repository cannot be read.
    RepositoryUnreachable,
    /// The audit log takes no record, so nothing is done.
    AuditUnavailable,
    /// The answer took too long.
    DeadlineExceeded,
    /// Too many requests at once.
    Overloaded,
    /// What is asked for is not known yet.
    NotReady,
    /// The manifests cannot be rendered or applied as they are.
    InvalidManifests,
    /// A fault of the program.
    Internal,
    /// The daemon cannot be reached.
    DaemonUnreachable,
    /// The daemon's answer cannot be understood.
    BadAnswer,
    /// A file or folder cannot be read or written.
    File,
    /// A folder cannot be rendered.
    Render,
    /// A person has to confirm and there is none.
    ConfirmationNeeded,
    /// The kubeconfig does not describe a cluster that can be added.
    Kubeconfig,
    /// What was waited for did not happen in time.
    WaitedTooLong,
    /// The daemons do not run.
    Daemons,
    /// An operation ended and not everything was done.
    OperationFailed,
}

/// What is known of each code: its number, the HTTP status of an answer with it, and what it means
/// and what to do, in a few sentences. In the order of the numbers.
const CODES: [(ErrorCode, u16, u16, &str); 27] = [
    (
        ErrorCode::InvalidRequest,
        101,
        400,
        "The request cannot be understood: a field is unknown or has the wrong type. \
         A command line and a daemon of different versions may cause it.",
    ),
    (
        ErrorCode::RequestTooLarge,
        102,
        413,
        "The request is larger than the daemon reads. Compare fewer objects at once.",
    ),
    (
        ErrorCode::NotAllowed,
        201,
        403,
        "The daemon knows the user of each connection from the kernel, and this one is \
         neither root, nor the daemon's own user, nor one of the users it was started to \
         allow.",
    ),
    (
        ErrorCode::NoSuchApplication,
        301,
        404,
        "No application of this name is in the fleet repository at the revision that is \
         in force. `fyr app list` shows all; `fyr app refresh --fleet` looks for a new \
         commit.",
    ),
    (
        ErrorCode::NoSuchHistoryEntry,
        302,
        404,
        "The history of the application has no entry of this number, or it was removed \
         because it was too old. `fyr app history` shows all.",
    ),
    (ErrorCode::NoSuchPath, 303, 404, "The API of this version of the daemon has no such path."),
    (
        ErrorCode::NoSuchRepository,
        304,
        404,
        "No repository of this URL is mirrored. Only repositories are that the fleet or an \
         Application in it uses; `fyr repo list` shows all.",
    ),
    (
        ErrorCode::StalePlan,
        401,
        409,
        "Git or the cluster has changed since the plan was shown, so carrying it out \
         would do something else than was confirmed. Look at the new plan.",
    ),
    (
        ErrorCode::Busy,
        402,
        409,
        "Another operation runs on the application. Wait for it with \
         `fyr app wait --operation`, or end it with `fyr app terminate`.",
    ),
    (
        ErrorCode::WrongState,
        403,
        409,
        "The application is not in a state that allows this; the message says which. \
         `fyr app get` shows it.",
    ),
    (
        ErrorCode::ClusterUnreachable,
        501,
        502,
        "The API server of the cluster does not answer or refuses the credentials. \
         `fyr cluster list` shows since when. Everything on other clusters goes on.",
    ),
    (
        ErrorCode::RepositoryUnreachable,
        502,
        502,
        "The Git repository cannot be fetched. What was fetched before stays in force, \
         and clusters are still healed. `fyr repo list` shows the last error.",
    ),
    (
        ErrorCode::AuditUnavailable,
        503,
        503,
        "The audit log takes no record, and nothing is done that is not recorded before. \
         Look at the service fyr-auditor and at the space on its disk.",
    ),
    (
        ErrorCode::DeadlineExceeded,
        504,
        504,
        "The answer took longer than the deadline of the request. What was begun goes on.",
    ),
    (
        ErrorCode::Overloaded,
        505,
        503,
        "The daemon answers as many requests as it may at once. Try again.",
    ),
    (
        ErrorCode::NotReady,
        506,
        503,
        "What is asked for is not known yet: the daemon has just started, or the fleet \
         repository was never read. `fyr status` shows what it waits for.",
    ),
    (
        ErrorCode::InvalidManifests,
        507,
        422,
        "The manifests in Git cannot be rendered or cannot be applied as they are. The \
         causes name the file and the field.",
    ),
    (
        ErrorCode::Internal,
        599,
        500,
        "A fault of the program. Please report it with the daemon's log.",
    ),
    (
        ErrorCode::DaemonUnreachable,
        701,
        500,
        "Nothing answers at the socket of the daemon. `systemctl status fyrd` shows \
         whether it runs; FYR_SOCKET or --socket names another socket.",
    ),
    (
        ErrorCode::BadAnswer,
        702,
        500,
        "The daemon's answer cannot be understood. A command line and a daemon of \
         different versions may cause it.",
    ),
    (ErrorCode::File, 703, 500, "A file or a folder cannot be read or written."),
    (
        ErrorCode::Render,
        704,
        422,
        "The folder cannot be rendered. The causes name the file and the field.",
    ),
    (
        ErrorCode::ConfirmationNeeded,
        705,
        500,
        "The command would delete objects, and no person is there to confirm it. Look at \
         the plan with --dry-run and give its digest: --plan DIGEST --yes.",
    ),
    (
        ErrorCode::Kubeconfig,
        706,
        422,
        "The kubeconfig does not describe a cluster that can be added as it is.",
    ),
    (ErrorCode::WaitedTooLong, 707, 504, "What was waited for did not happen before the timeout."),
    (ErrorCode::Daemons, 708, 500, "The daemons could not be started, or one of them ended."),
    (
        ErrorCode::OperationFailed,
        709,
        500,
        "The operation ended and not every object was brought to its desired state. \
         `fyr app get` says why for each.",
    ),
];

impl ErrorCode {
    /// Every code, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.iter().map(|(code, ..)| *code)
    }

    /// The HTTP status of an answer with this code.
    pub fn http_status(self) -> u16 {
        self.entry().2
    }

    /// What it means and what to do, in a few sentences.
    pub fn explanation(self) -> &'static str {
        self.entry().3
    }

    /// Reads `E0301`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|code| code.to_string().eq_ignore_ascii_case(text))
    }

    fn entry(self) -> &'static (Self, u16, u16, &'static str) {
        CODES.iter().find(|(code, ..)| *code == self).expect("a test finds every code in the table")
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.entry().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::as_conversions, reason = "the position of the last variant is wanted")]
    fn codes_are_unique_in_order_and_read_back() {
        for pair in CODES.windows(2) {
            // Numbers follow the order of the enum, and no code is left out between two.
            assert!(pair[0].1 < pair[1].1 && pair[0].0 < pair[1].0, "{pair:?}");
        }
        let last = ErrorCode::OperationFailed as usize;
        assert_eq!(CODES.len(), last + 1, "a code is not in the table");
        for code in ErrorCode::all() {
            assert_eq!(ErrorCode::parse(&code.to_string()), Some(code));
            assert!(code.http_status() >= 400);
        }
        assert_eq!(ErrorCode::parse("E9999"), None);
    }

    #[test]
    fn causes_are_listed_from_the_nearest_to_the_deepest() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner(#[source] fmt::Error);
        let problem = Problem::new(ErrorCode::Internal, "outer").because(&Outer(Inner(fmt::Error)));
        assert_eq!(problem.causes, ["inner".to_owned(), fmt::Error.to_string()]);
    }
}
