//! How the program ends.

use std::error::Error;
use std::process::ExitCode;

use fyr_model::api::{ErrorCode, Problem};

use crate::style::{Paint, clean, painted, push};

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Done; or the answer is yes, or there is no difference.
    Done,
    /// The answer is no: it differs, it needs attention, it is degraded.
    No,
    /// There is no answer: wrong usage or input, or the daemon, a cluster or a network failed.
    NoAnswer,
    /// Not allowed.
    NotAllowed,
    /// Timed out.
    TimedOut,
    /// The plan is stale, or somebody else is applying.
    Conflict,
    /// Interrupted by Ctrl-C, as shells report it: 128 and the number of the signal.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::NoAnswer => 2,
            Exit::NotAllowed => 3,
            Exit::TimedOut => 4,
            Exit::Conflict => 5,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `None` when whoever reads standard output has gone, which is nobody's mistake.
    problem: Option<Box<Problem>>,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem: Some(Box::new(problem)) }
    }
}

impl Failure {
    /// A failure without causes.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Problem::new(code, message).into()
    }

    /// An error with its causes.
    pub(crate) fn of(code: ErrorCode, error: &dyn Error) -> Self {
        Problem::new(code, error.to_string()).because(error).into()
    }

    /// What failed, because of an error and its causes.
    pub(crate) fn caused(code: ErrorCode, message: impl Into<String>, error: &dyn Error) -> Self {
        let mut problem = Problem::new(code, message);
        problem.causes.push(error.to_string());
        problem.because(error).into()
    }

    /// Whoever reads standard output has gone.
    pub(crate) fn reader_gone() -> Self {
        Self { problem: None }
    }

    /// With what to do about it.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        let problem = self.problem.map(|problem| Box::new(problem.with_hint(hint)));
        Self { problem }
    }

    /// The kind of error; `None` when it is not one, or of a kind that is not known here.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        ErrorCode::parse(&self.problem.as_ref()?.code)
    }

    /// The exit code it leads to.
    pub(crate) fn exit(&self) -> Exit {
        if self.problem.is_none() {
            return Exit::Done;
        }
        match self.code() {
            Some(ErrorCode::OperationFailed) => Exit::No,
            Some(ErrorCode::NotAllowed) => Exit::NotAllowed,
            Some(ErrorCode::DeadlineExceeded | ErrorCode::WaitedTooLong) => Exit::TimedOut,
            Some(ErrorCode::StalePlan | ErrorCode::Busy) => Exit::Conflict,
            _ => Exit::NoAnswer,
        }
    }

    /// The lines that people read; nothing when there is nothing to say.
    pub(crate) fn text(&self, colours: bool) -> String {
        let Some(problem) = &self.problem else { return String::new() };
        let head = painted(&format!("error[{}]", clean(&problem.code)), Paint::Bad, colours);
        let mut text = format!("{head}: {}\n", clean(&problem.message));
        for cause in &problem.causes {
            push!(text, "  caused by: {}\n", clean(cause));
        }
        if let Some(hint) = &problem.hint {
            push!(text, "{}: {}\n", painted("hint", Paint::Good, colours), clean(hint));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_once_with_its_causes_and_a_hint() {
        let mut problem = Problem::new(
            ErrorCode::InvalidManifests,
            "cannot apply Deployment shop/web to prod-eu",
        );
        problem.causes = vec!["the API server refused it".into(), "spec.replicas: -1".into()];
        let failure = Failure::from(problem.with_hint("mend the manifest\u{1b}[2J"));
        assert_eq!(
            failure.text(false),
            "error[E0507]: cannot apply Deployment shop/web to prod-eu\n  \
             caused by: the API server refused it\n  \
             caused by: spec.replicas: -1\n\
             hint: mend the manifest\u{fffd}[2J\n"
        );
    }

    #[test]
    fn every_kind_of_error_has_the_exit_code_of_its_class() {
        let cases = [
            (ErrorCode::NoSuchApplication, Exit::NoAnswer),
            (ErrorCode::DaemonUnreachable, Exit::NoAnswer),
            (ErrorCode::NotAllowed, Exit::NotAllowed),
            (ErrorCode::WaitedTooLong, Exit::TimedOut),
            (ErrorCode::StalePlan, Exit::Conflict),
            (ErrorCode::Busy, Exit::Conflict),
            (ErrorCode::OperationFailed, Exit::No),
        ];
        for (code, exit) in cases {
            assert_eq!(Failure::new(code, "").exit(), exit, "{code}");
        }
        let unknown = Problem { code: "E9999".into(), ..Problem::new(ErrorCode::Internal, "") };
        assert_eq!(Failure::from(unknown).exit(), Exit::NoAnswer);
    }

    #[test]
    fn a_reader_who_leaves_is_no_error() {
        assert_eq!(Failure::reader_gone().exit(), Exit::Done);
        assert_eq!(Failure::reader_gone().text(false), "");
    }
}
