//! Names of generated objects end in a hash of their content, so that what uses them restarts when
//! the content changes.
//!
//! The hash has to be kustomize's to the letter: with another one, a change of tools would restart
//! every workload.

use std::collections::BTreeMap;

use fyr_model::Digest;
use serde_json::Value;

use super::resource::Resource;

/// Digits of a hash.
const LENGTH: usize = 10;

/// Gives every object that needs it a name with the hash of its content.
pub(crate) fn append(resources: &mut [Resource]) -> Result<(), String> {
    for resource in resources.iter_mut().filter(|resource| resource.needs_hash) {
        let hash = suffix(&resource.value)?;
        resource.remember();
        let name = format!("{}-{hash}", resource.name());
        resource.set_name(name);
    }
    Ok(())
}

/// The hash of a config map's or a secret's content. Its name, namespace, labels and annotations
/// do not count.
pub(crate) fn suffix(value: &Value) -> Result<String, String> {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    let mut fields = BTreeMap::from([
        ("kind", Value::from(kind)),
        // kustomize means the name, asks for a field that never exists and gets this.
        ("name", Value::from("")),
        ("data", field(value, "data")?),
    ]);
    let optional = match kind {
        "ConfigMap" => "binaryData",
        "Secret" => {
            fields.insert("type", field(value, "type")?);
            "stringData"
        }
        _ => return Err(format!("a {kind:?} was generated, and its name cannot get a hash")),
    };
    let more = field(value, optional)?;
    if more.is_object() {
        fields.insert(optional, more);
    }
    let json = serde_json::to_string(&fields).map_err(|error| error.to_string())?;
    let digest = Digest::of(go_escaped(&json).as_bytes()).to_string();
    Ok(digest.chars().take(LENGTH).map(without_bad_words).collect())
}

/// A field; empty text if it is missing.
fn field(value: &Value, name: &str) -> Result<Value, String> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(Value::from("")),
        Some(Value::Array(_)) => Err(format!("{name} is a list, and a mapping is expected")),
        Some(value) => Ok(value.clone()),
    }
}

/// JSON as Go writes it: safe to put into HTML and JavaScript. Outside of text, none of these
/// characters occurs.
fn go_escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

/// Kubernetes spells hashes without vowels and what looks like them.
fn without_bad_words(digit: char) -> char {
    match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Every hash here is what kustomize 5.8.1 prints.

    #[test]
    fn config_maps_hash_as_in_kustomize() {
        let hash = |value| suffix(&value).unwrap();
        assert_eq!(hash(json!({"kind": "ConfigMap"})), "6ct58987ht");
        let plain = json!({"kind": "ConfigMap", "data": {"a": "1", "b": "x y"}});
        assert_eq!(hash(plain), "8h58kkhgh4");
        let odd = json!({
            "kind": "ConfigMap",
            "data": {"weird.txt": "a<b>&c \u{2028}"},
            "binaryData": {"k": "//4AYmlu"},
        });
        assert_eq!(hash(odd), "t2g772bc85");
    }

    #[test]
    fn secrets_hash_as_in_kustomize() {
        let hash = |value| suffix(&value).unwrap();
        let empty = json!({"kind": "Secret", "type": "Opaque", "data": {}});
        assert_eq!(hash(empty), "46f8b28mk5");
        let tls = json!({
            "kind": "Secret", "type": "kubernetes.io/tls", "data": {"tls.key": "eA=="},
        });
        assert_eq!(hash(tls), "95th5f5gk9");
    }

    #[test]
    fn names_do_not_count_and_other_kinds_have_no_hash() {
        let named = json!({"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}});
        assert_eq!(suffix(&named).unwrap(), "6ct58987ht");
        assert!(suffix(&json!({"kind": "Pod"})).is_err());
    }
}
