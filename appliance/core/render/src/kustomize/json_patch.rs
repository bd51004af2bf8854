//! JSON patches: the operations of RFC 6902.
//!
//! As kustomize's own library has them, an index may be negative, counting from the end, and a
//! `test` for `null` holds for what is missing.

use serde_json::{Map, Value};

/// Whether a value is a list of operations.
pub(crate) fn is_patch(value: &Value) -> bool {
    let items = value.as_array();
    items.is_some_and(|items| {
        !items.is_empty() && items.iter().all(|item| item.get("op").is_some_and(Value::is_string))
    })
}

/// Applies all operations in order. The error says which one fails, and why.
pub(crate) fn apply(target: &mut Value, patch: &Value) -> Result<(), String> {
    for (index, operation) in patch.as_array().into_iter().flatten().enumerate() {
        one(target, operation).map_err(|why| format!("operation {}: {why}", index + 1))?;
    }
    Ok(())
}

fn one(target: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |name: &str| {
        let found = operation.get(name).and_then(Value::as_str);
        found.ok_or_else(|| format!("{name:?} is missing"))
    };
    let value = || operation.get("value").cloned().ok_or_else(|| "\"value\" is missing".to_owned());
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => {
            let new = value()?;
            *find(target, path)? = new;
            Ok(())
        }
        "move" => {
            let moved = remove(target, text("from")?)?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = find(target, text("from")?)?.clone();
            add(target, path, copied)
        }
        "test" => {
            let wanted = operation.get("value").cloned().unwrap_or_default();
            let found = find(target, path).map_or(Value::Null, |found| found.clone());
            if found == wanted { Ok(()) } else { Err(format!("{path} is not {wanted}")) }
        }
        other => Err(format!("there is no operation {other:?}")),
    }
}

/// The names of a pointer.
fn names(path: &str) -> Result<Vec<String>, String> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let rest = path.strip_prefix('/').ok_or_else(|| format!("{path:?} does not begin with /"))?;
    Ok(rest.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect())
}

fn find<'v>(target: &'v mut Value, path: &str) -> Result<&'v mut Value, String> {
    let mut place = target;
    for name in names(path)? {
        place = step(place, &name).ok_or_else(|| format!("{path} does not exist"))?;
    }
    Ok(place)
}

fn step<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(map) => map.get_mut(name),
        Value::Array(items) => {
            let index = index(name, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    }
}

/// The index that a name means in a list of this length.
fn index(name: &str, length: usize) -> Option<usize> {
    match name.strip_prefix('-') {
        Some(back) => length.checked_sub(back.parse().ok()?),
        None => name.parse().ok(),
    }
}

/// The place that holds what `path` names, and the last name.
fn parent<'v>(target: &'v mut Value, path: &str) -> Result<(&'v mut Value, String), String> {
    let mut names = names(path)?;
    let last = names.pop().ok_or_else(|| "the whole object cannot be changed".to_owned())?;
    let mut place = target;
    for name in names {
        place = step(place, &name).ok_or_else(|| format!("{path} is within nothing"))?;
    }
    Ok((place, last))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (place, name) = parent(target, path)?;
    match place {
        Value::Object(map) => {
            map.insert(name, value);
            Ok(())
        }
        Value::Array(items) if name == "-" => {
            items.push(value);
            Ok(())
        }
        Value::Array(items) => {
            let index = index(&name, items.len()).filter(|index| *index <= items.len());
            let index = index.ok_or_else(|| format!("{path} is beyond the list"))?;
            items.insert(index, value);
            Ok(())
        }
        _ => Err(format!("{path} is within neither a mapping nor a list")),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let missing = || format!("{path} does not exist");
    let (place, name) = parent(target, path)?;
    match place {
        Value::Object(map) => Map::remove(map, &name).ok_or_else(missing),
        Value::Array(items) => {
            let index = index(&name, items.len()).filter(|index| *index < items.len());
            Ok(items.remove(index.ok_or_else(missing)?))
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(target: Value, operations: &Value) -> Result<Value, String> {
        let mut target = target;
        apply(&mut target, operations).map(|()| target)
    }

    #[test]
    fn operations_add_replace_and_remove_in_mappings_and_lists() {
        let operations = json!([
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "add", "path": "/a/0", "value": 0},
            {"op": "replace", "path": "/b~1c", "value": "new"},
            {"op": "remove", "path": "/d"},
        ]);
        let target = json!({"a": [1, 2], "b/c": "old", "d": {}});
        assert_eq!(patched(target, &operations).unwrap(), json!({"a": [0, 1, 2, 3], "b/c": "new"}));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let replace = json!([{"op": "replace", "path": "/x/y", "value": 1}]);
        assert_eq!(patched(json!({}), &replace).unwrap_err(), "operation 1: /x/y does not exist");
        let add = json!([{"op": "add", "path": "/x/y", "value": 1}]);
        assert!(patched(json!({}), &add).is_err());
        assert!(patched(json!({}), &json!([{"op": "remove", "path": "/x"}])).is_err());
    }

    #[test]
    fn a_test_for_null_holds_for_what_is_missing() {
        assert!(patched(json!({}), &json!([{"op": "test", "path": "/x", "value": null}])).is_ok());
        assert!(patched(json!({}), &json!([{"op": "test", "path": "/x", "value": 1}])).is_err());
    }
}
