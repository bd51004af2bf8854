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
    let is_json = text.trim_start().starts_with(['{', '[']);
    let json = || serde_json::from_str::<Value>(text).ok().filter(|_| is_json);
    let read = || yaml::parse_one(text.as_bytes(), Dialect::Kustomize, &mut Budget::default()).ok();
    let Some(mut value) = json().or_else(read) else { return Ok(false) };
    if !value.is_object() && !value.is_array() {
        return Ok(false);
    }
    match path.visit_rest(steps, &mut value, create, change) {
        Ok(0) => return Ok(false),
        Ok(_) => {}
        // What cannot be put into JSON leaves it as it is, without a word: kustomize's way.
        Err(_) if is_json => return Ok(true),
        Err(why) => return Err(why),
    }
    *text = if is_json {
        as_json(&value, text)
    } else {
        emit::rewrite(text, &value)
            .unwrap_or_else(|| emit::documents([&value]).trim_end().to_owned())
    };
    Ok(true)
}

/// JSON laid out like the text it replaces, on one line or on several, with the escapes of Go.
fn as_json(value: &Value, before: &str) -> String {
    let many_lines = before.contains('\n') && before.contains("  ");
    let text =
        if many_lines { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let text = text.unwrap_or_default();
    let escapes = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    escapes.into_iter().fold(text, |text, (letter, escape)| text.replace(letter, escape))
}
