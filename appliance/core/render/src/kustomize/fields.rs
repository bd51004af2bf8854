//! Fields of objects, as kustomize's tables name them.

use serde_json::{Map, Value};

use super::resource::Id;

/// A field of some kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldSpec<'a> {
    /// API group; `None` matches every group, the empty one is the core group.
    pub(crate) group: Option<&'a str>,
    /// Kind; empty matches every kind.
    pub(crate) kind: &'a str,
    /// Names with `/` between them. Lists on the way are gone through item by item; `\/` is a `/`
    /// within a name.
    pub(crate) path: &'a str,
    /// Whether missing mappings on the way are made.
    pub(crate) create: bool,
}

impl FieldSpec<'_> {
    /// Whether objects of this identity have the field.
    pub(crate) fn is_for(&self, id: &Id) -> bool {
        self.group.is_none_or(|group| group == id.group)
            && (self.kind.is_empty() || self.kind == id.kind)
    }

    /// Calls `change` with every place that the path leads to.
    pub(crate) fn visit(&self, value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        let names = split(self.path);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        visit(value, &names, self.create, change);
    }
}

/// The names of a path.
fn split(path: &str) -> Vec<String> {
    let marked = path.replace("\\/", "\0");
    marked.split('/').map(|name| name.replace('\0', "/")).collect()
}

fn visit(value: &mut Value, names: &[&str], create: bool, change: &mut dyn FnMut(&mut Value)) {
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
    name: &str,
    rest: &[&str],
    create: bool,
    change: &mut dyn FnMut(&mut Value),
) {
    let (name, is_list) = match name.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (name, false),
    };
    if create && !is_list {
        let place = map.entry(name).or_insert(Value::Null);
        if place.is_null() && !rest.is_empty() {
            *place = Value::Object(Map::new());
        }
    }
    let Some(place) = map.get_mut(name) else { return };
    if is_list && !place.is_array() {
        return;
    }
    visit(place, rest, create, change);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(path: &str, create: bool, value: Value) -> Value {
        let mut value = value;
        let spec = FieldSpec { group: None, kind: "", path, create };
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
    }

    #[test]
    fn a_slash_in_a_name_is_escaped() {
        let value = json!({"a/b": 1});
        assert_eq!(set("a\\/b", false, value), json!({"a/b": "x"}));
    }
}
