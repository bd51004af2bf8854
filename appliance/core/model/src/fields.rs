//! Reads foreign JSON field by field, so that nothing in it is lost without a word.
//!
//! Argo CD's schemas are foreign: a cluster's API server would drop their unknown fields in
//! silence. Here every mapping is read through [`Fields`], which remembers the names it was asked
//! for. What remains at the end is reported as [`Unsupported`] with its path; a value of the wrong
//! type is a [`FieldError`] with its path. `null` counts as absent, as it does in Kubernetes, and
//! so does an empty string, as it does in Go.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Object;

/// A part of a manifest that has no effect, and why. Shown to people as a warning.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Unsupported {
    /// Where it is, for example `spec.syncPolicy.automted`.
    pub path: String,
    /// Why it has no effect, and where possible what to write instead.
    pub why: String,
}

impl Unsupported {
    /// Reports `path`.
    pub fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), why: why.into() }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// A field of the wrong type. Never shows the value, which may be secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path} must be {expected}, not {found}")]
pub struct FieldError {
    /// Where it is.
    pub path: String,
    /// What it must be.
    pub expected: &'static str,
    /// What it is.
    pub found: &'static str,
}

/// One mapping, its path, and the names asked for so far.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Reads `map`, which stands at `path`; empty for the root of a document.
    pub(crate) fn new(map: &'a Map<String, Value>, path: impl Into<String>) -> Self {
        Self { map, path: path.into(), known: Vec::new() }
    }

    /// Reads a whole object.
    pub(crate) fn of(object: &'a Object) -> Self {
        Self::new(object.value().as_object().expect("an Object is a mapping"), "")
    }

    /// Where this mapping stands.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its fields.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Any value but `null`.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A string; `None` when absent or empty.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, FieldError> {
        let text = self.typed(name, "a string", Value::as_str)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A boolean.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, FieldError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// An integer.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, FieldError> {
        self.typed(name, "an integer", Value::as_i64)
    }

    /// A mapping, to be read in the same way.
    pub(crate) fn mapping(&mut self, name: &'static str) -> Result<Option<Self>, FieldError> {
        let map = self.typed(name, "a mapping", Value::as_object)?;
        Ok(map.map(|map| Self::new(map, self.path_of(name))))
    }

    /// A list, empty when absent.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<&'a [Value], FieldError> {
        let list = self.typed(name, "a list", Value::as_array)?;
        Ok(list.map_or(&[], Vec::as_slice))
    }

    /// A list of strings, empty when absent.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, FieldError> {
        let path = self.path_of(name);
        let text = |(index, value): (usize, &Value)| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| wrong(format!("{path}[{index}]"), "a string", value))
        };
        self.list(name)?.iter().enumerate().map(text).collect()
    }

    /// A list of mappings, empty when absent.
    pub(crate) fn mappings(&mut self, name: &'static str) -> Result<Vec<Self>, FieldError> {
        let path = self.path_of(name);
        let fields = |(index, value): (usize, &'a Value)| {
            let path = format!("{path}[{index}]");
            match value.as_object() {
                Some(map) => Ok(Self::new(map, path)),
                None => Err(wrong(path, "a mapping", value)),
            }
        };
        self.list(name)?.iter().enumerate().map(fields).collect()
    }

    /// A mapping of names to strings, empty when absent.
    pub(crate) fn text_map(
        &mut self,
        name: &'static str,
    ) -> Result<BTreeMap<String, String>, FieldError> {
        let path = self.path_of(name);
        let Some(map) = self.typed(name, "a mapping", Value::as_object)? else {
            return Ok(BTreeMap::new());
        };
        let entry = |(key, value): (&String, &Value)| match value.as_str() {
            Some(text) => Ok((key.clone(), text.to_owned())),
            None => Err(wrong(format!("{path}.{key}"), "a string", value)),
        };
        map.iter().map(entry).collect()
    }

    /// Reports `name`, if it is there and not empty, as known but without effect.
    pub(crate) fn without_effect(
        &mut self,
        name: &'static str,
        why: &str,
        unsupported: &mut Vec<Unsupported>,
    ) {
        if self.value(name).is_some_and(|value| !is_empty(value)) {
            unsupported.push(Unsupported::new(self.path_of(name), why));
        }
    }

    /// Accepts `names` without reading them: written by controllers, or irrelevant to Fyr.
    pub(crate) fn skip(&mut self, names: &[&'static str]) {
        self.known.extend_from_slice(names);
    }

    /// Reports every field that was never asked for.
    pub(crate) fn finish(self, unsupported: &mut Vec<Unsupported>) {
        for name in self.map.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let why = match nearest(name, &self.known) {
                Some(known) => {
                    format!("no field of this name, so it has no effect; did you mean {known}?")
                }
                None => "no field of this name, so it has no effect".to_owned(),
            };
            unsupported.push(Unsupported::new(self.path_of(name), why));
        }
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match read(value) {
            Some(typed) => Ok(Some(typed)),
            None => Err(wrong(self.path_of(name), expected, value)),
        }
    }
}

/// The error of a value that is not what it must be.
pub(crate) fn wrong(path: String, expected: &'static str, value: &Value) -> FieldError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "this number",
        Value::String(_) => "this string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    FieldError { path, expected, found }
}

/// Whether a value says nothing: `null`, `""`, or lists and mappings of such values only.
/// Argo CD's tools write `directory: {jsonnet: {}}` and the like.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Object(map) => map.values().all(is_empty),
    }
}

/// The known name that `name` is probably a slip for: at most two letters differ. Names of three
/// letters and fewer are left alone, because two changes make any of them any other.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    const LETTERS_MAX: usize = 2;
    /// Longer names are no slips, and the distance takes time in proportion to their length.
    const NAME_BYTES_MAX: usize = 64;
    if !(4..=NAME_BYTES_MAX).contains(&name.len()) {
        return None;
    }
    let closest = known.iter().map(|known| (distance(name, known), *known)).min()?;
    (closest.0 <= LETTERS_MAX).then_some(closest.1)
}

/// Levenshtein's distance: letters to insert, remove or replace.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &Value) -> &Map<String, Value> {
        value.as_object().unwrap()
    }

    #[test]
    fn what_was_not_asked_for_is_reported_with_its_path_and_the_likely_name() {
        let value = json!({"prune": true, "selfHeel": true, "x": 1});
        let mut fields = Fields::new(map(&value), "spec.syncPolicy.automated");
        assert_eq!(fields.flag("prune"), Ok(Some(true)));
        assert_eq!(fields.flag("selfHeal"), Ok(None));
        let mut unsupported = Vec::new();
        fields.finish(&mut unsupported);
        let shown: Vec<String> = unsupported.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "spec.syncPolicy.automated.selfHeel: no field of this name, so it has no effect; \
                 did you mean selfHeal?",
                "spec.syncPolicy.automated.x: no field of this name, so it has no effect",
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_an_error_that_names_the_place_and_hides_the_value() {
        let value = json!({"a": "hunter2", "b": [1], "c": {"d": 2}, "e": [{}, "x"]});
        let mut fields = Fields::new(map(&value), "");
        let messages = [
            fields.flag("a").unwrap_err().to_string(),
            fields.texts("b").unwrap_err().to_string(),
            fields.text_map("c").unwrap_err().to_string(),
            fields.mappings("e").unwrap_err().to_string(),
        ];
        assert_eq!(
            messages,
            [
                "a must be true or false, not this string",
                "b[0] must be a string, not this number",
                "c.d must be a string, not this number",
                "e[1] must be a mapping, not this string",
            ]
        );
    }

    #[test]
    fn null_and_empty_text_count_as_absent() {
        let value = json!({"a": null, "b": ""});
        let mut fields = Fields::new(map(&value), "");
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.text("b"), Ok(None));
        assert!(fields.mapping("a").unwrap().is_none());
    }

    #[test]
    fn a_name_unlike_any_other_gets_no_advice() {
        assert_eq!(nearest("automted", &["automated", "retry"]), Some("automated"));
        assert_eq!(nearest("repoUrl", &["repoURL"]), Some("repoURL"));
        assert_eq!(nearest("colour", &["automated", "retry"]), None);
        assert_eq!(nearest("ab", &["ac"]), None);
    }
}
