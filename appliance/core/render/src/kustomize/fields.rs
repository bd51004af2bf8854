//! Fields of objects, as kustomize's tables and configurations name them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::field_table::Row;
use super::resource::{Id, Resource};

/// A field of some kinds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FieldSpec {
    /// API group, version and kind; empty ones match everything.
    group: Cow<'static, str>,
    version: Cow<'static, str>,
    pub(crate) kind: Cow<'static, str>,
    /// Names with `/` between them. Lists on the way are gone through item by item; `\/` is a `/`
    /// within a name, and `[]` after a name asks for a list.
    pub(crate) path: Cow<'static, str>,
    /// Whether missing mappings on the way are made.
    pub(crate) create: bool,
    names: Vec<Name>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Name {
    text: String,
    is_list: bool,
}

impl FieldSpec {
    pub(crate) fn new(kind: [Cow<'static, str>; 3], path: Cow<'static, str>, create: bool) -> Self {
        let [group, version, kind] = kind;
        let names = split(&path);
        Self { group, version, kind, path, create, names }
    }

    /// A row of a table.
    pub(crate) fn of_table(row: &Row) -> Self {
        let &(group, version, kind, path, create) = row;
        Self::new([group, version, kind].map(Cow::Borrowed), Cow::Borrowed(path), create)
    }

    /// A field of every object.
    pub(crate) fn of_all(path: &'static str, create: bool) -> Self {
        Self::of_table(&("", "", "", path, create))
    }

    /// Whether objects of this identity have the field.
    pub(crate) fn is_for(&self, id: &Id) -> bool {
        self.is_for_kind([&id.group, &id.version, &id.kind])
    }

    /// Whether objects of this group, version and kind have the field.
    pub(crate) fn is_for_kind(&self, [group, version, kind]: [&str; 3]) -> bool {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        fits(&self.kind, kind) && fits(&self.group, group) && fits(&self.version, version)
    }

    /// Whether `other` means this field of these kinds, or of some of them.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        self.path == other.path
            && fits(&other.group, &self.group)
            && fits(&other.version, &self.version)
            && fits(&other.kind, &self.kind)
    }

    /// Calls `change` with every mapping that the path leads to, made if need be. Other values there
    /// or on the way are an error; nothing at all stays where it may not become a mapping.
    pub(crate) fn visit_mappings(
        &self,
        value: &mut Value,
        change: &mut dyn FnMut(&mut Map<String, Value>),
    ) -> Result<(), String> {
        self.visit(value, self.create.then_some(Made::Mapping), &mut |place| match place {
            Value::Object(map) => {
                change(map);
                Ok(())
            }
            Value::Null => Ok(()),
            other => Err(format!("a mapping is expected, and not {}", what(other))),
        })
    }

    /// Calls `change` with every scalar that the path leads to, made if need be: as empty text.
    /// Other values there or on the way are an error.
    pub(crate) fn visit_scalars(
        &self,
        value: &mut Value,
        change: &mut dyn FnMut(&mut Value),
    ) -> Result<(), String> {
        self.visit(value, self.create.then_some(Made::Text), &mut |place| scalar(place, change))
    }

    /// Calls `change` with every scalar that the path leads to and that is there.
    pub(crate) fn visit_found_scalars(
        &self,
        value: &mut Value,
        change: &mut dyn FnMut(&mut Value),
    ) -> Result<(), String> {
        self.visit(value, None, &mut |place| scalar(place, change))
    }

    /// Calls `change` with every place that the path leads to and that is there.
    pub(crate) fn visit_found(
        &self,
        value: &mut Value,
        change: &mut dyn FnMut(&mut Value) -> Result<(), String>,
    ) -> Result<(), String> {
        self.visit(value, None, change)
    }

    fn visit(
        &self,
        value: &mut Value,
        made: Option<Made>,
        change: &mut dyn FnMut(&mut Value) -> Result<(), String>,
    ) -> Result<(), String> {
        visit(value, &self.names, made, change).map_err(|why| format!("{}: {why}", self.path))
    }
}

/// What a path ends in where it has to be made.
#[derive(Clone, Copy, Debug)]
enum Made {
    Mapping,
    Text,
}

fn scalar(place: &mut Value, change: &mut dyn FnMut(&mut Value)) -> Result<(), String> {
    match place {
        Value::Array(_) | Value::Object(_) => {
            Err(format!("text or a number is expected, and not {}", what(place)))
        }
        _ => {
            change(place);
            Ok(())
        }
    }
}

/// What a value is, for messages.
pub(crate) fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The fields that an object has, of these.
pub(crate) fn fitting<'s>(specs: &'s [FieldSpec], resource: &Resource) -> Vec<&'s FieldSpec> {
    let kind = resource.gvk();
    specs.iter().filter(|spec| spec.is_for_kind(kind)).collect()
}

/// Rows of tables, ready for use.
pub(crate) fn table(rows: &[Row]) -> Vec<FieldSpec> {
    rows.iter().map(FieldSpec::of_table).collect()
}

/// The names of a path.
fn split(path: &str) -> Vec<Name> {
    let marked = path.replace("\\/", "\0");
    let names = marked.split('/').map(|name| {
        let text = name.replace('\0', "/");
        match text.strip_suffix("[]") {
            Some(name) => Name { text: name.to_owned(), is_list: true },
            None => Name { text, is_list: false },
        }
    });
    names.collect()
}

fn visit(
    value: &mut Value,
    names: &[Name],
    made: Option<Made>,
    change: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let Some((name, rest)) = names.split_first() else { return change(value) };
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => {
            items.iter_mut().try_for_each(|item| visit(item, names, made, change))
        }
        Value::Object(_) if name.text.is_empty() => Err("a name in it is empty".to_owned()),
        Value::Object(map) => {
            let Some(place) = enter(map, name, rest, made) else { return Ok(()) };
            visit(place, rest, made, change)
        }
        other => {
            let (name, what) = (&name.text, what(other));
            Err(format!("{name:?} is looked for in {what}, where a mapping is expected"))
        }
    }
}

/// The field of a name, made if need be. What is there without a value becomes what is expected.
fn enter<'v>(
    map: &'v mut Map<String, Value>,
    name: &Name,
    rest: &[Name],
    made: Option<Made>,
) -> Option<&'v mut Value> {
    if name.is_list {
        let place = map.get_mut(&name.text)?;
        if place.is_null() {
            *place = Value::Array(Vec::new());
        }
        return Some(place);
    }
    let Some(made) = made else { return map.get_mut(&name.text) };
    let is_mapping = !rest.is_empty() || matches!(made, Made::Mapping);
    let mapping = || Value::Object(Map::new());
    let new = || if is_mapping { mapping() } else { Value::from("") };
    let place = map.entry(name.text.as_str()).or_insert_with(new);
    if place.is_null() && is_mapping {
        *place = mapping();
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(path: &'static str, create: bool, value: Value) -> Value {
        let mut value = value;
        let spec = FieldSpec::of_all(path, create);
        spec.visit_scalars(&mut value, &mut |place| *place = json!("x")).unwrap();
        value
    }

    fn fill(path: &'static str, create: bool, value: Value) -> Result<Value, String> {
        let mut value = value;
        let spec = FieldSpec::of_all(path, create);
        spec.visit_mappings(&mut value, &mut |map| drop(map.insert("x".to_owned(), json!(1))))?;
        Ok(value)
    }

    #[test]
    fn missing_mappings_are_made_only_when_asked_for() {
        assert_eq!(set("a/b", true, json!({})), json!({"a": {"b": "x"}}));
        assert_eq!(set("a/b", false, json!({})), json!({}));
        assert_eq!(set("a/b", false, json!({"a": {"b": 1}})), json!({"a": {"b": "x"}}));
        assert_eq!(fill("a", true, json!({"a": null})).unwrap(), json!({"a": {"x": 1}}));
        assert_eq!(fill("a", false, json!({"a": null})).unwrap(), json!({"a": null}));
    }

    #[test]
    fn lists_are_gone_through_item_by_item_and_never_made() {
        let value = json!({"a": [{"b": 1}, {"c": 2}]});
        assert_eq!(set("a/b", false, value), json!({"a": [{"b": "x"}, {"c": 2}]}));
        assert_eq!(set("a[]/b", true, json!({})), json!({}));
        assert_eq!(set("a[]/b", false, json!({"a": null})), json!({"a": []}));
        // The brackets ask for a list, but a mapping does as well.
        assert_eq!(set("a[]/b", true, json!({"a": {"b": 1}})), json!({"a": {"b": "x"}}));
    }

    #[test]
    fn a_slash_in_a_name_is_escaped() {
        let value = json!({"a/b": 1});
        assert_eq!(set("a\\/b", false, value), json!({"a/b": "x"}));
    }

    #[test]
    fn what_is_no_mapping_is_an_error_on_the_way_and_in_the_end() {
        let why = fill("a/b/c", false, json!({"a": [{"b": "text"}]})).unwrap_err();
        assert_eq!(why, "a/b/c: \"c\" is looked for in text, where a mapping is expected");
        let why = fill("a", true, json!({"a": [1]})).unwrap_err();
        assert_eq!(why, "a: a mapping is expected, and not a list");
        let why = fill("a//b", true, json!({"a": {}})).unwrap_err();
        assert_eq!(why, "a//b: a name in it is empty");
        let spec = FieldSpec::of_all("a", true);
        assert!(spec.visit_scalars(&mut json!({"a": {}}), &mut |_| ()).is_err());
    }

    #[test]
    fn an_empty_part_of_a_kind_matches_everything() {
        let id = |group: &str, version: &str, kind: &str| Id {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: String::new(),
            name: String::new(),
        };
        let spec = FieldSpec::of_table(&("", "v1", "Service", "spec", false));
        assert!(spec.is_for(&id("", "v1", "Service")));
        assert!(spec.is_for(&id("serving.knative.dev", "v1", "Service")));
        assert!(!spec.is_for(&id("", "v2", "Service")) && !spec.is_for(&id("", "v1", "Pod")));
    }
}
