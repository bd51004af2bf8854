//! Commits, and the words people use for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a Git object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CommitId(String);

/// The text is not a full object id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a full commit id of 40 or 64 hexadecimal digits")]
pub struct ParseCommitIdError {
    text: String,
}

impl CommitId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 7 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl FromStr for CommitId {
    type Err = ParseCommitIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ParseCommitIdError { text: text.to_owned() })
        }
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CommitId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CommitId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One commit, resolved: a branch name travels no further than this.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revision {
    /// The commit.
    pub commit: CommitId,
    /// Its tree: equal trees render alike, whatever commit they are in.
    pub tree: CommitId,
    /// First line of the commit's message, at most 120 characters.
    pub subject: String,
    /// `Name <address>` of the commit's author.
    pub author: String,
    /// When it was committed, in seconds since the epoch.
    pub committed_at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_ids_are_commit_ids() {
        assert!("a".repeat(40).parse::<CommitId>().is_ok());
        assert!("A".repeat(64).parse::<CommitId>().is_ok());
        for text in ["", "main", "abc1234", &"g".repeat(40)] {
            assert!(text.parse::<CommitId>().is_err(), "{text}");
        }
    }
}
