//! The proof that an intent is in the audit log.

use fyr_model::Digest;
use serde::{Deserialize, Serialize};

/// The auditor's answer to an appended record: where it stands in the log.
///
/// Arrives only over the auditor's socket; `tests/tidy.rs` checks that nothing else makes one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// Number of the record, from 1.
    pub sequence: u64,
    /// Hash of the record, which covers all records before it.
    pub hash: Digest,
    /// Digest of what the record is about, as the log holds it.
    pub subject: Digest,
}

/// Something that may be done only after the log holds the intent to do it.
pub trait Intent {
    /// Identifies exactly what would be done.
    fn digest(&self) -> Digest;
}

/// A value whose intent the audit log holds.
///
/// Code that acts takes a `Recorded<T>`, so acting without a record does not compile.
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
    receipt: Receipt,
}

/// The receipt belongs to another intent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit log recorded {recorded} as record {sequence}, not {wanted}")]
pub struct WrongReceipt {
    sequence: u64,
    recorded: Digest,
    wanted: Digest,
}

impl<T: Intent> Recorded<T> {
    /// Joins a value to the receipt of its own intent; with another receipt it comes back.
    pub fn new(value: T, receipt: Receipt) -> Result<Self, (T, WrongReceipt)> {
        let wanted = value.digest();
        if receipt.subject != wanted {
            let (sequence, recorded) = (receipt.sequence, receipt.subject);
            return Err((value, WrongReceipt { sequence, recorded, wanted }));
        }
        Ok(Self { value, receipt })
    }
}

impl<T> Recorded<T> {
    /// What was recorded.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Where it was recorded.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cut(&'static str);

    impl Intent for Cut {
        fn digest(&self) -> Digest {
            Digest::of(self.0.as_bytes())
        }
    }

    #[test]
    fn a_receipt_for_another_intent_is_refused() {
        let receipt = |text: &str| Receipt {
            sequence: 7,
            hash: Digest::of(b"record"),
            subject: Digest::of(text.as_bytes()),
        };
        assert!(Recorded::new(Cut("a"), receipt("a")).is_ok());
        assert!(Recorded::new(Cut("a"), receipt("b")).is_err());
    }
}
