//! Colour, and text that cannot do anything to a terminal.
//!
//! Everything can be understood without colour: it only underlines words that are there anyway.

use fyr_model::api::{HealthStatus, OperationPhase, SyncStatus};

/// Adds formatted text to a string.
macro_rules! push {
    ($text:expr, $($format:tt)*) => {{
        use std::fmt::Write as _;
        $text.write_fmt(format_args!($($format)*)).expect("a string takes everything");
    }};
}
pub(crate) use push;

/// What a colour stands for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Paint {
    /// No colour.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// On its way, or to know.
    Warn,
    /// Needs somebody.
    Bad,
    /// Beside the point.
    Dim,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Dim => "2",
        }
    }

    /// The colour of a sync status.
    pub(crate) fn of_sync(status: SyncStatus) -> Self {
        match status {
            SyncStatus::Synced => Self::Good,
            SyncStatus::OutOfSync => Self::Warn,
            SyncStatus::Unknown => Self::Bad,
        }
    }

    /// The colour of a health.
    pub(crate) fn of_health(status: HealthStatus) -> Self {
        match status {
            HealthStatus::Healthy => Self::Good,
            HealthStatus::Suspended => Self::Dim,
            HealthStatus::Progressing => Self::Warn,
            HealthStatus::Missing | HealthStatus::Degraded | HealthStatus::Unknown => Self::Bad,
        }
    }

    /// The colour of an operation.
    pub(crate) fn of_phase(phase: OperationPhase) -> Self {
        match phase {
            OperationPhase::Idle => Self::Dim,
            OperationPhase::Planned | OperationPhase::Applying => Self::Warn,
            OperationPhase::Succeeded => Self::Good,
            OperationPhase::Failed => Self::Bad,
        }
    }
}

/// Text in a colour, if there are any.
pub(crate) fn painted(text: &str, paint: Paint, colours: bool) -> String {
    match paint.code() {
        code if colours && !code.is_empty() && !text.is_empty() => {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        }
        _ => text.to_owned(),
    }
}

/// Text on one line, without characters that move a terminal's cursor or change its state: it may
/// come from a commit or from an API server.
pub(crate) fn clean(text: &str) -> String {
    let printable = |letter: char| match letter {
        '\n' | '\r' | '\t' => ' ',
        letter if is_steering(letter) => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    text.chars().map(printable).collect()
}

/// Whether a character steers a terminal, or the direction of text, and shows nothing itself.
pub(crate) fn is_steering(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The short form of a commit id or digest.
pub(crate) fn short(id: &str) -> String {
    clean(&id.chars().take(SHORT_CHARS).collect::<String>())
}

/// Characters of an id that are shown. Git's own default for repositories of this size.
const SHORT_CHARS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d"), "a\u{fffd}[31mb c\u{fffd}d");
        assert_eq!(clean("größer ✓"), "größer ✓");
    }

    #[test]
    fn colours_are_there_only_when_wanted() {
        assert_eq!(painted("x", Paint::Bad, false), "x");
        assert_eq!(painted("x", Paint::Bad, true), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(painted("x", Paint::Plain, true), "x");
    }
}
