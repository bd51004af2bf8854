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

    /// Calls `change` with every place that the path leads to and that is there.
    pub(crate) fn visit_found(&self, value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        visit(value, &self.names, false, change);
    }

    /// Calls `change` with every place that the path leads to, made if need be.
    pub(crate) fn visit(&self, value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        visit(value, &self.names, self.create, change);
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

fn visit(value: &mut Value, names: &[Name], create: bool, change: &mut dyn FnMut(&mut Value)) {
    let Some((name, rest)) = names.split_first() else { return change(value) };
    match value {
        Value::Array(items) => {
            for item in items {
                visit(item, names, create, change);
            }
        }
        Value::Object(map) => enter(map, name, rest, create, change),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn enter(
    map: &mut Map<String, Value>,
    name: &Name,
    rest: &[Name],
    create: bool,
    change: &mut dyn FnMut(&mut Value),
) {
    if create && !name.is_list {
        let place = map.entry(name.text.as_str()).or_insert(Value::Null);
        if place.is_null() && !rest.is_empty() {
            *place = Value::Object(Map::new());
        }
    }
    let Some(place) = map.get_mut(&name.text) else { return };
    if name.is_list && place.is_null() {
        *place = Value::Array(Vec::new());
    }
    if name.is_list && !place.is_array() {
        return;
    }
    visit(place, rest, create, change);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(path: &'static str, create: bool, value: Value) -> Value {
        let mut value = value;
        let spec = FieldSpec::of_all(path, create);
        spec.visit(&mut value, &mut |place| *place = json!("x"));
        value
    }

    #[test]
    fn missing_mappings_are_made_only_when_asked_for() {
        assert_eq!(set("a/b", true, json!({})), json!({"a": {"b": "x"}}));
        assert_eq!(set("a/b", false, json!({})), json!({}));
        assert_eq!(set("a/b", false, json!({"a": {"b": 1}})), json!({"a": {"b": "x"}}));
    }

    #[test]
    fn lists_are_gone_through_item_by_item_and_never_made() {
        let value = json!({"a": [{"b": 1}, {"c": 2}]});
        assert_eq!(set("a/b", false, value), json!({"a": [{"b": "x"}, {"c": 2}]}));
        assert_eq!(set("a[]/b", true, json!({})), json!({}));
        assert_eq!(set("a[]/b", true, json!({"a": {"b": 1}})), json!({"a": {"b": 1}}));
        assert_eq!(set("a[]/b", false, json!({"a": null})), json!({"a": []}));
    }

    #[test]
    fn a_slash_in_a_name_is_escaped() {
        let value = json!({"a/b": 1});
        assert_eq!(set("a\\/b", false, value), json!({"a/b": "x"}));
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
