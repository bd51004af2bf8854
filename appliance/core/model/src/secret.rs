//! Secrets as types that cannot be printed.

use std::fmt;

use zeroize::Zeroizing;

/// Plaintext of a secret. Has no `Display`, `Serialize` or `Clone`, and is wiped on drop.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes ownership of the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Every caller is listed by `tests/tidy.rs` for review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are UTF-8. Every caller is listed by `tests/tidy.rs`.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<String> for Plaintext {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_a_length_and_nothing_else() {
        let secret = Plaintext::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Plaintext(7 bytes)");
    }
}
