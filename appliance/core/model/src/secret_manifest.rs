//! Reads the entries of a Kubernetes `Secret` manifest without leaving copies behind.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroize;

use crate::fields::{FieldError, Fields, Unsupported};
use crate::{Object, Plaintext};

/// Label by which Argo CD tells what a Secret is for.
pub const SECRET_TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";

/// Why a Secret's entries cannot be read. Never shows a value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretManifestError {
    /// Another kind of object.
    #[error("it is a {kind}, not a Secret")]
    NotASecret {
        /// What it is.
        kind: String,
    },
    /// The label says something else.
    #[error("its label {SECRET_TYPE_LABEL} is {found:?}, not {expected}")]
    OtherType {
        /// What the label says; empty when there is none.
        found: String,
        /// What it must say.
        expected: &'static str,
    },
    /// `data` or `stringData` has the wrong shape.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// An entry of `data` is not base64.
    #[error("{path} is not base64; plain text belongs into stringData")]
    Base64 {
        /// The entry.
        path: String,
    },
    /// An entry that must be text is not UTF-8.
    #[error("{key} is not text")]
    NotText {
        /// The entry.
        key: &'static str,
    },
    /// A switch is neither `true` nor `false`.
    #[error("{key} must be \"true\" or \"false\"")]
    NotAFlag {
        /// The entry.
        key: &'static str,
    },
    /// An entry that must be PEM holds something else.
    #[error("{key} must be PEM text with a {label} block")]
    NotPem {
        /// The entry.
        key: String,
        /// The block that is missing.
        label: &'static str,
    },
}

/// The decoded entries of a Secret. Those that are never taken are reported at the end.
pub(crate) struct SecretManifest {
    entries: BTreeMap<String, Plaintext>,
}

impl SecretManifest {
    /// Decodes `data`, then `stringData`, which wins as it does in Kubernetes.
    pub(crate) fn read(object: &Object) -> Result<Self, SecretManifestError> {
        if object.gvk().api_version() != "v1" || object.kind() != "Secret" {
            return Err(SecretManifestError::NotASecret { kind: object.kind().to_owned() });
        }
        let mut root = Fields::of(object);
        let mut entries = BTreeMap::new();
        for (key, mut text) in root.text_map("data")? {
            // Go's decoder, which Kubernetes uses, passes over line breaks.
            text.retain(|letter| !matches!(letter, '\r' | '\n'));
            let decoded = STANDARD.decode(&text);
            text.zeroize();
            let path = format!("data.{key}");
            let bytes = decoded.map_err(|_| SecretManifestError::Base64 { path })?;
            entries.insert(key, Plaintext::new(bytes));
        }
        for (key, text) in root.text_map("stringData")? {
            entries.insert(key, Plaintext::from(text));
        }
        Ok(Self { entries })
    }

    /// An entry that is secret; `None` when absent or empty.
    pub(crate) fn take(&mut self, key: &str) -> Option<Plaintext> {
        self.entries.remove(key).filter(|value| !value.expose().is_empty())
    }

    /// An entry that is not secret, without white space around it; `None` when absent or empty.
    pub(crate) fn take_text(
        &mut self,
        key: &'static str,
    ) -> Result<Option<String>, SecretManifestError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let text = value.expose_text().ok_or(SecretManifestError::NotText { key })?.trim();
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// A switch; `false` when absent.
    pub(crate) fn take_flag(&mut self, key: &'static str) -> Result<bool, SecretManifestError> {
        match self.take_text(key)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(SecretManifestError::NotAFlag { key }),
        }
    }

    /// Reports every entry that nobody took.
    pub(crate) fn finish(self, unsupported: &mut Vec<Unsupported>) {
        let why = "no entry of this name is known, so it has no effect";
        unsupported.extend(self.entries.into_keys().map(|key| Unsupported::new(key, why)));
    }
}

/// Checks that `bytes` are PEM with a block whose label ends in `label`.
pub(crate) fn check_pem(
    key: &str,
    label: &'static str,
    bytes: &[u8],
) -> Result<(), SecretManifestError> {
    let found = std::str::from_utf8(bytes).is_ok_and(|text| {
        let mut lines = text.lines().map(str::trim);
        lines
            .any(|line| line.starts_with("-----BEGIN ") && line.ends_with(&format!("{label}-----")))
    });
    if found { Ok(()) } else { Err(SecretManifestError::NotPem { key: key.to_owned(), label }) }
}

/// Overwrites every string of a JSON value that held secrets.
///
/// The JSON parser's own buffers are out of reach; this shortens the time plaintext stays in
/// memory, it does not prove that there is none.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(value: Value) -> Object {
        let mut base = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        if let (Value::Object(base), Value::Object(more)) = (&mut base, value) {
            base.extend(more);
        }
        Object::parse(base).unwrap()
    }

    #[test]
    fn plain_text_wins_over_encoded_text() {
        let object = secret(json!({
            "data": {"a": "b2xk", "b": "Yi\n1vbmx5"},
            "stringData": {"a": " new "},
        }));
        let mut entries = SecretManifest::read(&object).unwrap();
        assert_eq!(entries.take_text("a").unwrap().as_deref(), Some("new"));
        assert_eq!(entries.take("b").unwrap().expose(), b"b-only");
        assert!(entries.take("c").is_none());
    }

    #[test]
    fn errors_name_the_entry_and_never_its_value() {
        let not_base64 = secret(json!({"data": {"password": "hunter2!"}}));
        let error = SecretManifest::read(&not_base64).err().unwrap().to_string();
        assert_eq!(error, "data.password is not base64; plain text belongs into stringData");
        let number = secret(json!({"stringData": {"password": 12345}}));
        let error = SecretManifest::read(&number).err().unwrap().to_string();
        assert_eq!(error, "stringData.password must be a string, not this number");
    }

    #[test]
    fn only_a_secret_is_read_as_one() {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}});
        let error = SecretManifest::read(&Object::parse(value).unwrap()).err().unwrap();
        assert_eq!(error.to_string(), "it is a ConfigMap, not a Secret");
    }

    #[test]
    fn entries_left_over_are_reported_by_name() {
        let object = secret(json!({"stringData": {"pasword": "hunter2"}}));
        let mut unsupported = Vec::new();
        SecretManifest::read(&object).unwrap().finish(&mut unsupported);
        assert_eq!(unsupported[0].path, "pasword");
        assert!(!unsupported[0].to_string().contains("hunter2"));
    }

    #[test]
    fn wiping_reaches_every_string() {
        let mut value = json!({"a": ["x", {"b": "y"}]});
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", {"b": ""}]}));
    }

    #[test]
    fn pem_needs_the_block_it_is_meant_to_hold() {
        let key = b"-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n";
        assert!(check_pem("key", "PRIVATE KEY", key).is_ok());
        assert!(check_pem("ca", "CERTIFICATE", key).is_err());
        assert!(check_pem("ca", "CERTIFICATE", b"garbage").is_err());
    }
}
