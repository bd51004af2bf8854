//! `ValueAddTransformer`: one value is put into fields of many objects, or into paths that they
//! hold.

use serde_json::{Value, json};

use super::decode::Fields;
use super::file::Selector;
use super::resource::Resource;
use super::selector::Matcher;
use crate::RenderError;

/// A value, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct ValueAdd {
    value: String,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    selector: Selector,
    /// Names of the field and of what it is in, outermost first.
    path: Vec<String>,
    /// Which part of a path the value becomes, from 1; 0 replaces everything.
    position: usize,
}

impl ValueAdd {
    /// Takes the rest of a configuration; `value` is what is added if it names none.
    pub(crate) fn read(fields: &mut Fields, value: &str) -> Result<Self, RenderError> {
        let value = fields.text("value")?.unwrap_or_else(|| value.to_owned());
        if value.is_empty() {
            return Err(fields.error("value", "it is required"));
        }
        fields.refuse("targetFilePath")?;
        let targets = fields.list("targets")?.into_iter().map(Target::read);
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(fields.error("targets", "at least one is required"));
        }
        Ok(Self { value, targets })
    }

    pub(crate) fn apply(&self, resources: &mut [Resource]) -> Result<(), String> {
        for target in &self.targets {
            let matcher = Matcher::new(&target.selector)?;
            for resource in resources.iter_mut().filter(|resource| matcher.matches(resource)) {
                resource.remember();
                let place = place(&mut resource.value, &target.path);
                let place = place.map_err(|why| format!("ValueAddTransformer: {why}"))?;
                *place = Value::from(match (target.position, place.as_str()) {
                    (0, _) | (_, None) => self.value.clone(),
                    (position, Some(path)) => inserted(path, &self.value, position),
                });
            }
        }
        Ok(())
    }
}

impl Target {
    fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let Some(selector) = fields.fields("selector")? else {
            return Err(fields.error("selector", "it is required"));
        };
        let path = fields.text_or_empty("fieldPath")?;
        let path: Vec<String> = path
            .split('/')
            .filter(|name| !name.is_empty())
            .map(|name| name.replace("~1", "/").replace("~0", "~"))
            .collect();
        if path.is_empty() {
            return Err(fields.error("fieldPath", "it is required"));
        }
        let position = fields.integer("filePathPosition")?.unwrap_or_default();
        let target = Self {
            selector: Selector::read(selector)?,
            path,
            position: usize::try_from(position).unwrap_or_default(),
        };
        fields.finish()?;
        Ok(target)
    }
}

/// The field at a path, made if it is missing.
fn place<'v>(value: &'v mut Value, path: &[String]) -> Result<&'v mut Value, String> {
    let mut value = value;
    for name in path {
        if value.is_null() {
            *value = json!({});
        }
        value = match value {
            Value::Object(map) => map.entry(name.as_str()).or_insert(Value::Null),
            Value::Array(items) => {
                let item = name.parse().ok().and_then(|index: usize| items.get_mut(index));
                item.ok_or_else(|| format!("there is no item {name:?}"))?
            }
            _ => return Err(format!("{name:?} is not in a mapping")),
        };
    }
    Ok(value)
}

/// A path with `value` as the part at `position`, from 1; at its end if it is shorter.
fn inserted(path: &str, value: &str, position: usize) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert((position - 1).min(parts.len()), value);
    let joined = parts.join("/");
    if rooted { format!("/{joined}") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_put_into_a_path_at_its_position() {
        assert_eq!(inserted("/a/b", "x", 1), "/x/a/b");
        assert_eq!(inserted("a/b", "x", 2), "a/x/b");
        assert_eq!(inserted("a", "x", 9), "a/x");
    }

    #[test]
    fn missing_mappings_are_made_and_other_things_are_not_entered() {
        let path = ["a", "b"].map(str::to_owned);
        let mut value = json!({});
        *place(&mut value, &path).unwrap() = json!(1);
        assert_eq!(value, json!({"a": {"b": 1}}));
        assert!(place(&mut json!({"a": "x"}), &path).is_err());
    }
}
