//! How errors are shown, and what a loop does about them.

use std::error::Error;
use std::fmt;

/// Writes an error and all its causes on one line. The only way errors are shown.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// What a reconcile loop does about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// The commit or the configuration is wrong: trying again without a change is pointless.
    Input,
    /// The world is wrong: try again later.
    Outside,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read a.yaml")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn a_chain_says_each_cause_once() {
        let text = Chain(&Outer(fmt::Error)).to_string();
        assert_eq!(text, format!("cannot read a.yaml: {}", fmt::Error));
    }
}
