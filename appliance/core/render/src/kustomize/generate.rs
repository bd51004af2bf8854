//! Config maps and secrets from literals and files.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::file::{Behavior, Generator};
use super::resource::{Resource, mapping};
use crate::RenderError;
use crate::reader::Reader;

/// kustomize breaks longer base64 into lines of this many characters; the breaks are a part of the
/// value, and of the hash.
const BASE64_LINE: usize = 70;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The config map of an entry of `configMapGenerator`; `file` is the kustomization's.
pub(crate) fn config_map(
    reader: &mut Reader<'_>,
    folder: &str,
    file: &str,
    generator: &Generator,
) -> Result<Resource, RenderError> {
    let (mut texts, mut binaries) = (Map::new(), Map::new());
    for (key, content) in (Source { reader, folder, file, generator }).pairs()? {
        match String::from_utf8(content) {
            Ok(text) => texts.insert(key, Value::String(text)),
            Err(error) => binaries.insert(key, Value::String(base64(error.as_bytes()))),
        };
    }
    let mut resource = resource("ConfigMap", generator);
    let map = mapping(&mut resource.value);
    for (name, content) in [("data", texts), ("binaryData", binaries)] {
        if !content.is_empty() {
            map.insert(name.to_owned(), Value::Object(content));
        }
    }
    Ok(resource)
}

/// The secret of an entry of `secretGenerator`; `file` is the kustomization's.
pub(crate) fn secret(
    reader: &mut Reader<'_>,
    folder: &str,
    file: &str,
    generator: &Generator,
) -> Result<Resource, RenderError> {
    let pairs = (Source { reader, folder, file, generator }).pairs()?.into_iter();
    let data = pairs.map(|(key, content)| (key, Value::String(base64(&content))));
    let data = Value::Object(data.collect());
    let kind = match generator.secret_type.as_str() {
        "" => "Opaque",
        kind => kind,
    };
    let mut resource = resource("Secret", generator);
    let map = mapping(&mut resource.value);
    map.insert("type".to_owned(), Value::from(kind));
    map.insert("data".to_owned(), data);
    Ok(resource)
}

/// Adds a generated object, or puts it in the place of the one it is to change.
pub(crate) fn absorb(
    resources: &mut Vec<Resource>,
    generated: Resource,
    behavior: Behavior,
    file: &str,
) -> Result<(), RenderError> {
    let id = generated.id();
    let wrong = |why: String| RenderError::Build { file: file.to_owned(), why };
    let mut matches = resources.iter_mut().filter(|resource| resource.was(&id));
    match (matches.next(), behavior) {
        (None, Behavior::Create) => {
            drop(matches);
            resources.push(generated);
            Ok(())
        }
        (None, Behavior::Merge | Behavior::Replace) => {
            Err(wrong(format!("there is no {id} that the generator could merge into or replace")))
        }
        (Some(_), Behavior::Create) => Err(wrong(format!(
            "there is a {id} already: generate it with behavior merge or replace"
        ))),
        (Some(_), Behavior::Merge | Behavior::Replace) if matches.next().is_some() => {
            Err(wrong(format!("the generator of {id} could change several objects")))
        }
        (Some(known), Behavior::Merge | Behavior::Replace) => {
            supersede(known, generated, behavior == Behavior::Merge);
            Ok(())
        }
    }
}

/// Puts a generated object in the place of `known`, whose name, namespace, labels, annotations and
/// history stay. For a merge its data stays as well. All else is lost, in kustomize too: its type,
/// its `stringData`, that it is immutable; where it came from is lost only for a replacement.
fn supersede(known: &mut Resource, generated: Resource, merge: bool) {
    let both_hashed = known.needs_hash && generated.needs_hash;
    let mut old = std::mem::replace(&mut known.value, generated.value);
    known.needs_hash = both_hashed;
    if !merge {
        known.origin = generated.origin;
    }
    let old = mapping(&mut old);
    let new = mapping(&mut known.value);
    for field in if merge { ["data", "binaryData"].as_slice() } else { &[] } {
        keep(new, old, field);
        if new.get(*field).and_then(Value::as_object).is_some_and(Map::is_empty) {
            new.remove(*field);
        }
    }
    let new = mapping(new.entry("metadata").or_insert(Value::Null));
    let old = mapping(old.entry("metadata").or_insert(Value::Null));
    for field in ["labels", "annotations"] {
        keep(new, old, field);
    }
    for field in ["name", "namespace"] {
        match old.remove(field) {
            Some(value) => new.insert(field.to_owned(), value),
            None => new.remove(field),
        };
    }
}

/// Adds the entries of the old object's field that the new one's lacks.
fn keep(new: &mut Map<String, Value>, old: &mut Map<String, Value>, field: &str) {
    let Some(Value::Object(entries)) = old.remove(field) else { return };
    let kept = mapping(new.entry(field).or_insert(Value::Null));
    for (key, value) in entries {
        kept.entry(key).or_insert(value);
    }
}

/// The object, without data.
fn resource(kind: &str, generator: &Generator) -> Resource {
    let Generator { name, namespace, options, .. } = generator;
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), Value::from(name.as_str()));
    if !namespace.is_empty() {
        metadata.insert("namespace".to_owned(), Value::from(namespace.as_str()));
    }
    for (field, entries) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        if !entries.is_empty() {
            let entries = entries.iter().map(|(key, text)| (key.clone(), Value::from(&**text)));
            metadata.insert(field.to_owned(), Value::Object(entries.collect()));
        }
    }
    let mut value = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
    if options.immutable {
        mapping(&mut value).insert("immutable".to_owned(), Value::Bool(true));
    }
    let mut resource = Resource::of(value);
    resource.needs_hash = !options.without_hash;
    resource
}

fn base64(bytes: &[u8]) -> String {
    let line = STANDARD.encode(bytes);
    if line.len() < BASE64_LINE {
        return line;
    }
    let mut lines = String::with_capacity(line.len() + line.len() / BASE64_LINE + 1);
    let mut rest = line.as_str();
    while !rest.is_empty() {
        let (first, more) = rest.split_at_checked(BASE64_LINE).unwrap_or((rest, ""));
        lines.push_str(first);
        lines.push('\n');
        rest = more;
    }
    lines
}

/// Where the content of an entry comes from.
struct Source<'a, 't> {
    reader: &'a Reader<'t>,
    folder: &'a str,
    file: &'a str,
    generator: &'a Generator,
}

impl Source<'_, '_> {
    fn pairs(&self) -> Result<BTreeMap<String, Vec<u8>>, RenderError> {
        let mut pairs = BTreeMap::new();
        for path in &self.generator.envs {
            self.environment(path, &mut pairs)?;
        }
        for literal in &self.generator.literals {
            let pair = literal.split_once('=').filter(|(key, _)| !key.is_empty());
            let (key, text) = pair.ok_or_else(|| {
                self.wrong(&format!("the literal {literal:?} has to be of the form key=value"))
            })?;
            self.add(&mut pairs, key, unquoted(text).as_bytes().to_vec())?;
        }
        for entry in &self.generator.files {
            let (key, path) = self.key_and_path(entry)?;
            let content = self.read(path)?.to_vec();
            self.add(&mut pairs, key, content)?;
        }
        Ok(pairs)
    }

    /// `key=path`, or a path whose last name is the key.
    fn key_and_path<'e>(&self, entry: &'e str) -> Result<(&'e str, &'e str), RenderError> {
        match entry.split_once('=') {
            None => {
                let path = entry.trim_end_matches('/');
                Ok((path.rsplit_once('/').map_or(path, |(_, name)| name), entry))
            }
            Some((key, path)) if !key.is_empty() && !path.is_empty() && !path.contains('=') => {
                Ok((key, path))
            }
            Some(_) => {
                Err(self.wrong(&format!("the file {entry:?} has to be a path, or key=path")))
            }
        }
    }

    /// The lines of a file of environment variables. Quotes have no meaning there.
    fn environment(
        &self,
        path: &str,
        pairs: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<(), RenderError> {
        let content = self.read(path)?;
        let text = std::str::from_utf8(&content)
            .map_err(|_| self.wrong(&format!("the environment file {path:?} is not UTF-8")))?;
        for line in text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, text) = line.split_once('=').unwrap_or((line, ""));
            // A value without a key goes nowhere, without a word.
            if !key.is_empty() {
                self.add(pairs, key, text.as_bytes().to_vec())?;
            }
        }
        Ok(())
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, RenderError> {
        let place = self.reader.file_below(self.folder, path, self.file)?;
        self.reader.bytes(&place, self.file)
    }

    fn add(
        &self,
        pairs: &mut BTreeMap<String, Vec<u8>>,
        key: &str,
        content: Vec<u8>,
    ) -> Result<(), RenderError> {
        match pairs.insert(key.to_owned(), content) {
            None => Ok(()),
            Some(_) => Err(self.wrong(&format!("the key {key:?} is given twice"))),
        }
    }

    fn wrong(&self, why: &str) -> RenderError {
        let why = format!("generator of {:?}: {why}", self.generator.name);
        RenderError::Build { file: self.file.to_owned(), why }
    }
}

/// Text without the pair of quotes around it, if there is one.
fn unquoted(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests;
