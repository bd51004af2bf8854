//! `vars`: `$(NAME)` in some fields becomes what a field of another object says.
//!
//! Deprecated in kustomize and still common. Names are kept until everything else is done, so
//! that a variable that holds an object's name holds its final one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::Fields;
use super::fields::FieldSpec;
use super::resource::{Id, Resource};
use crate::RenderError;

/// One entry of `vars`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Variable {
    name: String,
    /// The object whose field it is; an empty namespace means any.
    object: Id,
    /// The field, with dots.
    path: String,
}

impl Variable {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let name = fields.text_or_empty("name")?;
        if name.is_empty() {
            return Err(fields.error("name", "it is required"));
        }
        let Some(mut object) = fields.fields("objref")? else {
            return Err(fields.error("objref", "it is required"));
        };
        let api_version = object.text_or_empty("apiVersion")?;
        let (group, version) = match api_version.split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), api_version),
        };
        let or = |field: Option<String>, other: String| field.unwrap_or(other);
        let id = Id {
            group: or(object.text("group")?, group),
            version: or(object.text("version")?, version),
            kind: object.text_or_empty("kind")?,
            namespace: object.text_or_empty("namespace")?,
            name: object.text_or_empty("name")?,
        };
        object.finish()?;
        let mut path = None;
        if let Some(mut field) = fields.fields("fieldref")? {
            path = field.text("fieldPath")?;
            field.finish()?;
        }
        fields.finish()?;
        let path = path.filter(|path| !path.is_empty());
        Ok(Self { name, object: id, path: path.unwrap_or_else(|| "metadata.name".to_owned()) })
    }

    fn is_of(&self, resource: &Resource) -> bool {
        let wanted = &self.object;
        let any_namespace = wanted.namespace.is_empty() && !wanted.is_cluster_scoped();
        let current = resource.id();
        resource.past.iter().chain([&current]).any(|id| {
            id.name == wanted.name
                && (&id.group, &id.version, &id.kind)
                    == (&wanted.group, &wanted.version, &wanted.kind)
                && (any_namespace || id.effective_namespace() == wanted.effective_namespace())
        })
    }
}

/// The variables of a kustomization and of everything it includes.
#[derive(Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, Variable>);

impl Variables {
    /// Adds those of a kustomization, once it has done its work on `resources`: what they refer to
    /// is looked for now, by the names that objects have and had.
    pub(crate) fn add(
        &mut self,
        variables: &[Variable],
        resources: &mut [Resource],
    ) -> Result<(), String> {
        for variable in variables {
            let mut found = resources.iter_mut().filter(|resource| variable.is_of(resource));
            if let Some(first) = found.next() {
                first.variables.push(variable.name.clone());
            }
            if found.next().is_some() {
                let (name, object) = (&variable.name, &variable.object);
                return Err(format!("vars: {name} can be of several objects {object}"));
            }
            self.insert(variable.clone())?;
        }
        Ok(())
    }

    /// Adds those of an included kustomization.
    pub(crate) fn include(&mut self, other: Self) -> Result<(), String> {
        other.0.into_values().try_for_each(|variable| self.insert(variable))
    }

    fn insert(&mut self, variable: Variable) -> Result<(), String> {
        let name = variable.name.clone();
        if self.0.insert(name.clone(), variable).is_some() {
            return Err(format!("vars: there are two called {name}"));
        }
        Ok(())
    }

    /// Replaces `$(NAME)` in the fields of `specs`.
    pub(crate) fn resolve(
        &self,
        resources: &mut [Resource],
        specs: &[FieldSpec],
    ) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let values = self.values(resources)?;
        for resource in resources {
            let original = resource.original();
            for spec in specs.iter().filter(|spec| spec.is_for(&original)) {
                spec.visit_found(&mut resource.value, &mut |place| replace_in(place, &values))
                    .map_err(|why| format!("{original}: {why}"))?;
            }
        }
        Ok(())
    }

    fn values(&self, resources: &[Resource]) -> Result<BTreeMap<&str, Value>, String> {
        let mut values = BTreeMap::new();
        for (name, variable) in &self.0 {
            let owner = resources.iter().find(|resource| resource.variables.contains(name));
            let Some(owner) = owner else {
                let object = &variable.object;
                return Err(format!("vars: {name} refers to {object}, which is not there"));
            };
            let Some(value) = look_up(&owner.value, &variable.path) else {
                let path = &variable.path;
                return Err(format!("vars: {name}: {} has no field {path}", owner.id()));
            };
            values.insert(name.as_str(), value.clone());
        }
        Ok(values)
    }
}

/// The field at a path such as `spec.ports[0].port` or `spec.ports[name=http].port`.
fn look_up<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = value;
    for step in steps(path) {
        value = match step {
            Step::Field(name) => value.get(&name)?,
            Step::Item(index) => value.get(index)?,
            Step::Where(key, wanted) => value
                .as_array()?
                .iter()
                .find(|item| item.get(&key).is_some_and(|found| text_of(found) == wanted))?,
        };
    }
    Some(value)
}

enum Step {
    Field(String),
    Item(usize),
    Where(String, String),
}

/// The steps of a path; a dot after a backslash or in brackets does not separate.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next()),
            '.' => steps.extend(take(&mut name).map(Step::Field)),
            '[' => {
                steps.extend(take(&mut name).map(Step::Field));
                let inside: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                steps.push(match (inside.parse(), inside.split_once('=')) {
                    (Ok(index), _) => Step::Item(index),
                    (_, Some((key, value))) => Step::Where(key.to_owned(), value.to_owned()),
                    _ => Step::Field(inside),
                });
            }
            letter => name.push(letter),
        }
    }
    steps.extend(take(&mut name).map(Step::Field));
    steps
}

fn take(name: &mut String) -> Option<String> {
    (!name.is_empty()).then(|| std::mem::take(name))
}

/// Replaces in text, in the items of a list, and in the values of a mapping. A list may hold
/// nothing but text, even where there is nothing to replace.
fn replace_in(place: &mut Value, values: &BTreeMap<&str, Value>) -> Result<(), String> {
    let replace = |place: &mut Value| {
        if let Value::String(text) = place
            && let Some(new) = replaced(text, values)
        {
            *place = new;
        }
    };
    match place {
        Value::String(_) => replace(place),
        Value::Array(items) if !items.iter().all(Value::is_string) => {
            let why = "vars are replaced here, and an item of the list is no text; quote it";
            return Err(why.to_owned());
        }
        Value::Array(items) => items.iter_mut().for_each(replace),
        Value::Object(map) => map.values_mut().for_each(replace),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// What a text becomes; `None` if nothing in it is to be replaced.
///
/// A text that is one reference and nothing else becomes the value itself, whatever its type.
/// `$$` is a `$`, so that `$$(NAME)` stays `$(NAME)`; names that are not known stay as they are.
fn replaced(text: &str, values: &BTreeMap<&str, Value>) -> Option<Value> {
    if !text.contains('$') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let name = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let Some((name, after)) = name else {
            out.push('$');
            continue;
        };
        rest = after;
        match values.get(name) {
            Some(value) if out.is_empty() && after.is_empty() => return Some(scalar(value)),
            Some(value) => out.push_str(&text_of(value)),
            None => out.extend(["$(", name, ")"]),
        }
    }
    out.push_str(rest);
    Some(Value::String(out))
}

/// A value as it is put in the place of a reference: collections become text.
fn scalar(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => Value::String(text_of(value)),
        scalar => scalar.clone(),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(text: &str) -> Value {
        let values = BTreeMap::from([("NAME", json!("web")), ("PORT", json!(80))]);
        let mut place = json!(text);
        replace_in(&mut place, &values).unwrap();
        place
    }

    #[test]
    fn a_list_with_something_else_than_text_is_refused() {
        let values = BTreeMap::new();
        assert!(replace_in(&mut json!(["a", 1]), &values).is_err());
        assert!(replace_in(&mut json!({"a": 1}), &values).is_ok());
    }

    #[test]
    fn a_text_that_is_one_reference_takes_the_type_of_the_value() {
        assert_eq!(put("$(PORT)"), json!(80));
        assert_eq!(put("$(NAME):$(PORT)"), json!("web:80"));
    }

    #[test]
    fn what_is_no_known_reference_stays() {
        assert_eq!(put("$(OTHER) $x $"), json!("$(OTHER) $x $"));
        assert_eq!(put("$$(NAME)"), json!("$(NAME)"));
        assert_eq!(put("$(NAME"), json!("$(NAME"));
    }

    #[test]
    fn fields_are_found_by_number_and_by_what_an_item_says() {
        let value = json!({"a": {"b.c": 1}, "ports": [{"name": "http", "port": 80}]});
        assert_eq!(look_up(&value, "ports[0].port"), Some(&json!(80)));
        assert_eq!(look_up(&value, "ports[name=http].port"), Some(&json!(80)));
        assert_eq!(look_up(&value, "a.b\\.c"), Some(&json!(1)));
        assert_eq!(look_up(&value, "a[b.c]"), Some(&json!(1)));
        assert_eq!(look_up(&value, "ports[1].port"), None);
    }
}
