//! Fields within text that is JSON or YAML itself, as in a config map that holds a file.

use serde_json::Value;

use super::path::{Change, Create, Path};
use crate::yaml::{self, Budget, Dialect, emit};

/// Writes to what a path leads to if some step of it is within a text; whether it did.
pub(super) fn write(
    path: &Path,
    object: &mut Value,
    create: Option<Create>,
    change: &mut Change<'_>,
) -> Result<bool, String> {
    // The text has to be at the end of a beginning of the path.
    for steps in 1..path.len() {
        let mut is_text = false;
        let seen = path.visit_start(steps, object, &mut |place| {
            is_text |= place.is_string();
            Ok(())
        });
        match seen {
            Ok(1) if is_text => {}
            Ok(0) | Err(_) => return Ok(false),
            Ok(_) => continue,
        }
        let mut done = Ok(false);
        path.visit_start(steps, object, &mut |place| {
            if let Value::String(text) = place {
                done = within(text, path, steps, create, change);
            }
            Ok(())
        })?;
        return done;
    }
    Ok(false)
}

fn within(
    text: &mut String,
    path: &Path,
    steps: usize,
    create: Option<Create>,
    change: &mut Change<'_>,
) -> Result<bool, String> {
    let json: Option<Value> = serde_json::from_str(text).ok();
    let is_json = json.is_some();
    let read = || yaml::parse_one(text.as_bytes(), Dialect::Kustomize, &mut Budget::default()).ok();
    let Some(mut value) = json.or_else(read) else { return Ok(false) };
    if !value.is_object() && !value.is_array() {
        return Ok(false);
    }
    if path.visit_rest(steps, &mut value, create, change)? == 0 {
        return Ok(false);
    }
    *text = if is_json {
        as_json(&value, text)
    } else {
        emit::documents([&value]).trim_end().to_owned()
    };
    Ok(true)
}

/// JSON laid out like the text it replaces: on one line, or on several.
fn as_json(value: &Value, before: &str) -> String {
    let many_lines = before.trim_end().contains('\n');
    let text =
        if many_lines { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.unwrap_or_default()
}
