//! Reads the fields of a kustomization file: what is not asked for is an error, but for the
//! configurations of plugins, where kustomize ignores it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::RenderError;

/// A mapping being read, with its place for messages.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    file: String,
    path: String,
    /// Whether fields that nobody reads are fine.
    lenient: bool,
}

impl Fields {
    /// Begins to read `value`, which stands at `path` in `file`. Nothing reads as an empty mapping.
    pub(crate) fn of(value: Value, file: &str, path: &str) -> Result<Self, RenderError> {
        let (file, path) = (file.to_owned(), path.to_owned());
        match value {
            Value::Object(map) => Ok(Self { map, file, path, lenient: false }),
            Value::Null => Ok(Self { map: Map::new(), file, path, lenient: false }),
            _ => Err(RenderError::Field { file, field: path, why: "a mapping is expected".into() }),
        }
    }

    /// The same, with unknown fields ignored in it and in everything within it.
    pub(crate) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Fields within these.
    fn inner(&self, value: Value, place: &str) -> Result<Self, RenderError> {
        Ok(Self { lenient: self.lenient, ..Self::of(value, &self.file, place)? })
    }

    pub(crate) fn place(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    pub(crate) fn error(&self, name: &str, why: impl Into<String>) -> RenderError {
        RenderError::Field { file: self.file.clone(), field: self.place(name), why: why.into() }
    }

    /// Takes a field that is set. Case does not count, as it does not in Go's JSON.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let exact = self.map.contains_key(name).then(|| name.to_owned());
        let same = |key: &&String| key.eq_ignore_ascii_case(name);
        let key = exact.or_else(|| self.map.keys().find(same).cloned())?;
        self.map.remove(&key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, RenderError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "text is expected")),
        }
    }

    pub(crate) fn text_or_empty(&mut self, name: &str) -> Result<String, RenderError> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, RenderError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.error(name, "true or false is expected")),
        }
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, RenderError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(name, "a whole number is expected")),
            },
        }
    }

    pub(crate) fn values(&mut self, name: &str) -> Result<Vec<Value>, RenderError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.error(name, "a list is expected")),
        }
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, RenderError> {
        let wrong = self.error(name, "a list of text is expected");
        let values = self.values(name)?.into_iter();
        let texts = values.map(|value| match value {
            Value::String(text) => Some(text),
            _ => None,
        });
        texts.collect::<Option<_>>().ok_or(wrong)
    }

    /// A mapping of text. Numbers and booleans are errors, as they are in kustomize.
    pub(crate) fn text_map(&mut self, name: &str) -> Result<BTreeMap<String, String>, RenderError> {
        let map = match self.take(name) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(self.error(name, "a mapping is expected")),
        };
        let pairs = map.into_iter().map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            Value::Null => Ok((key, String::new())),
            value => Err(self.error(&format!("{name}.{key}"), format!("{value} has to be quoted"))),
        });
        pairs.collect()
    }

    pub(crate) fn fields(&mut self, name: &str) -> Result<Option<Fields>, RenderError> {
        let place = self.place(name);
        self.take(name).map(|value| self.inner(value, &place)).transpose()
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Fields>, RenderError> {
        let place = self.place(name);
        let values = self.values(name)?.into_iter().enumerate();
        values.map(|(index, value)| self.inner(value, &format!("{place}[{index}]"))).collect()
    }

    /// Refuses a field that is set to something.
    pub(crate) fn refuse(&mut self, name: &str) -> Result<(), RenderError> {
        let empty = match self.take(name) {
            None | Some(Value::Bool(false)) => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        };
        if empty {
            return Ok(());
        }
        Err(RenderError::Unsupported { file: self.file.clone(), field: self.place(name) })
    }

    /// Whether every field was read; the first that was not is an error.
    pub(crate) fn finish(self) -> Result<(), RenderError> {
        match self.map.keys().next() {
            Some(name) if !self.lenient => Err(self.error(name, "there is no such field")),
            _ => Ok(()),
        }
    }
}
