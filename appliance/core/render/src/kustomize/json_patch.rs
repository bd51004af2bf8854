//! JSON patches: the operations of RFC 6902.
//!
//! As in the library of kustomize, an index may be negative and counts from the end, `replace`
//! adds a field that is not there, a field that is not there is `null` to `test` and `copy`, and
//! an operation without a value has `null`. A pointer that does not begin with `/` is an error,
//! where that library leaves out its first name.

use serde_json::Value;

use crate::yaml::DEPTH_MAX;

/// Values that one patch may copy, those within others counted too: without a limit, a few
/// operations that copy an object into itself fill any memory.
const COPIED_MAX: usize = 20_000;

/// Whether a value is a list of operations.
pub(crate) fn is_patch(value: &Value) -> bool {
    let items = value.as_array();
    items.is_some_and(|items| items.iter().all(|item| item.get("op").is_some_and(Value::is_string)))
}

/// Applies all operations in order. The error says which one fails, and why.
pub(crate) fn apply(target: &mut Value, patch: &Value) -> Result<(), String> {
    let mut copied = 0;
    for (index, operation) in patch.as_array().into_iter().flatten().enumerate() {
        one(target, operation, &mut copied)
            .map_err(|why| format!("operation {}: {why}", index + 1))?;
    }
    Ok(())
}

fn one(target: &mut Value, operation: &Value, copied: &mut usize) -> Result<(), String> {
    let text = |name: &str| {
        let found = operation.get(name).and_then(Value::as_str);
        found.ok_or_else(|| format!("{name:?} is missing"))
    };
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()),
        "remove" => remove(target, path).map(drop),
        "replace" => replace(target, path, value()),
        "move" => {
            let moved = remove(target, text("from")?)?;
            add(target, path, moved)
        }
        "copy" => {
            let from = text("from")?;
            let found = get(target, from)?;
            *copied += found.map_or(1, count);
            if *copied > COPIED_MAX {
                return Err(format!("the patch copies more than {COPIED_MAX} values"));
            }
            let copy = found.cloned().unwrap_or_default();
            add(target, path, copy)
        }
        "test" => {
            let wanted = value();
            let found = get(target, path)?.unwrap_or(&Value::Null);
            if *found == wanted { Ok(()) } else { Err(format!("{path} is not {wanted}")) }
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

/// The index that a name means in a list of this length.
fn index(name: &str, length: usize) -> Option<usize> {
    let index: isize = name.parse().ok()?;
    if index < 0 { length.checked_add_signed(index) } else { usize::try_from(index).ok() }
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

/// The place that holds what `path` names, and the last name.
fn parent<'v>(target: &'v mut Value, path: &str) -> Result<(&'v mut Value, String), String> {
    let mut names = names(path)?;
    let last = names.pop().ok_or_else(|| "the whole object cannot be changed".to_owned())?;
    let mut place = target;
    for name in names {
        place = step(place, &name).ok_or_else(|| format!("{path} is within nothing"))?;
    }
    if place.is_object() || place.is_array() {
        Ok((place, last))
    } else {
        Err(format!("{path} is within neither a mapping nor a list"))
    }
}

/// What `path` names. A field may be missing, what it is in and an item may not.
fn get<'v>(target: &'v mut Value, path: &str) -> Result<Option<&'v Value>, String> {
    if path.is_empty() {
        return Ok(Some(target));
    }
    let (place, name) = parent(target, path)?;
    let is_list = place.is_array();
    match step(place, &name) {
        None if is_list => Err(format!("{path} does not exist")),
        found => Ok(found.map(|found| &*found)),
    }
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (place, name) = parent(target, path)?;
    // Deeper than what is read, an object could exhaust the stack of whoever walks through it.
    if path.matches('/').count() + depth(&value) > DEPTH_MAX {
        return Err(format!("{path} gets more than {DEPTH_MAX} collections within another"));
    }
    match place {
        Value::Object(map) => drop(map.insert(name, value)),
        Value::Array(items) if name == "-" => items.push(value),
        Value::Array(items) => {
            // From the end, -1 is behind the last item.
            let index = index(&name, items.len() + 1).filter(|index| *index <= items.len());
            items.insert(index.ok_or_else(|| format!("{path} is beyond the list"))?, value);
        }
        _ => {}
    }
    Ok(())
}

fn replace(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (place, name) = parent(target, path)?;
    if place.is_object() {
        return add(target, path, value);
    }
    let item = step(place, &name).ok_or_else(|| format!("{path} does not exist"))?;
    *item = value;
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let missing = || format!("{path} does not exist");
    let (place, name) = parent(target, path)?;
    match place {
        Value::Object(map) => map.remove(&name).ok_or_else(missing),
        Value::Array(items) => {
            let index = index(&name, items.len()).filter(|index| *index < items.len());
            Ok(items.remove(index.ok_or_else(missing)?))
        }
        _ => Err(missing()),
    }
}

/// Values in a value, itself included.
fn count(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Object(map) => map.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    };
    inner + 1
}

/// Collections within each other.
fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Object(map) => map.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => return 0,
    };
    inner.unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(target: Value, operations: &Value) -> Result<Value, String> {
        let mut target = target;
        apply(&mut target, operations).map(|()| target)
    }

    fn one(target: Value, operation: &Value) -> Result<Value, String> {
        patched(target, &json!([operation]))
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
    fn negative_indexes_count_from_the_end() {
        let list = |items: &[i32]| json!({"a": items});
        let add =
            |path: &str| one(list(&[1, 2, 3]), &json!({"op": "add", "path": path, "value": 9}));
        assert_eq!(add("/a/-1").unwrap(), list(&[1, 2, 3, 9]));
        assert_eq!(add("/a/-4").unwrap(), list(&[9, 1, 2, 3]));
        assert!(add("/a/-5").is_err() && add("/a/4").is_err() && add("/a/x").is_err());
        let remove = |path: &str| one(list(&[1, 2, 3]), &json!({"op": "remove", "path": path}));
        assert_eq!(remove("/a/-1").unwrap(), list(&[1, 2]));
        assert!(remove("/a/-4").is_err() && remove("/a/3").is_err());
    }

    #[test]
    fn replace_adds_a_field_but_neither_an_item_nor_what_is_around_it() {
        let replace =
            |path: &str| one(json!({"a": []}), &json!({"op": "replace", "path": path, "value": 1}));
        assert_eq!(replace("/x").unwrap(), json!({"a": [], "x": 1}));
        assert!(replace("/a/0").is_err());
        assert_eq!(replace("/x/y").unwrap_err(), "operation 1: /x/y is within nothing");
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        assert!(one(json!({}), &json!({"op": "add", "path": "/x/y", "value": 1})).is_err());
        assert!(one(json!({"x": 1}), &json!({"op": "add", "path": "/x/y", "value": 1})).is_err());
        assert!(one(json!({}), &json!({"op": "remove", "path": "/x"})).is_err());
        assert!(one(json!({}), &json!({"op": "move", "from": "/x", "path": "/y"})).is_err());
    }

    #[test]
    fn a_test_for_null_holds_for_a_missing_field() {
        let test = |path: &str, value: Value| {
            one(json!({"a": []}), &json!({"op": "test", "path": path, "value": value})).is_ok()
        };
        assert!(test("/x", Value::Null) && test("/a", json!([])));
        assert!(!test("/x", json!(1)) && !test("/x/y", Value::Null) && !test("/a/0", Value::Null));
    }

    #[test]
    fn copies_that_multiply_or_nest_end_at_a_limit() {
        let wide = |count: usize| {
            let copy = json!({"op": "copy", "from": "/a", "path": "/a/-"});
            patched(json!({"a": [[1]]}), &Value::Array(vec![copy; count]))
        };
        assert!(wide(3).is_ok());
        assert!(wide(64).unwrap_err().contains("operation "));
        let beside: Vec<Value> = (0..64)
            .map(|index| json!({"op": "copy", "from": "", "path": format!("/a{index}")}))
            .collect();
        assert!(patched(json!({}), &Value::Array(beside)).is_err());
    }
}
