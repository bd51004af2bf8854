//! `replacements`: a value of one object is copied into fields of others.
//!
//! A source has to be exactly one object, by any identity it has or had. Targets are selected by
//! patterns. What is written to a scalar takes the scalar's type: into text goes text, and anywhere
//! else what the text means as YAML.

mod path;
mod structured;

use serde_json::Value;

use self::path::{Create, Path};
use super::decode::Fields;
use super::file::Selector;
use super::resource::{Id, Resource};
use super::selector::Matcher;
use crate::RenderError;
use crate::yaml::{plain_value, text_of};

/// What an object is called, and what is taken or set where no path is given.
const NAME: &str = "metadata.name";

/// One entry of `replacements`.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// What it says itself.
    Inline(Box<Replacement>),
    /// A file that says it, alone or in a list.
    File(String),
}

/// One replacement.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    source: Source,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
enum Source {
    Value(Value),
    Field { object: Id, path: String, split: Option<Split> },
}

/// A part of a text between delimiters.
#[derive(Clone, Debug)]
struct Split {
    delimiter: String,
    index: i64,
}

#[derive(Clone, Debug)]
struct Target {
    select: Selector,
    reject: Vec<Selector>,
    paths: Vec<String>,
    split: Option<Split>,
    create: bool,
}

impl Entry {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, RenderError> {
        if let Some(path) = fields.text("path")?.filter(|path| !path.is_empty()) {
            fields.finish()?;
            return Ok(Self::File(path));
        }
        Replacement::read(fields).map(|replacement| Self::Inline(Box::new(replacement)))
    }
}

/// The replacements of a file: one, or a list of them.
pub(crate) fn read_file(value: Value, file: &str) -> Result<Vec<Replacement>, RenderError> {
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    let read = |(index, value)| Replacement::read(Fields::of(value, file, &format!("[{index}]"))?);
    values.into_iter().enumerate().map(read).collect()
}

impl Replacement {
    fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let source = fields.fields("source")?;
        let source = match (source, fields.text("sourceValue")?) {
            (Some(source), None) => Source::read(source)?,
            (None, Some(value)) => Source::Value(Value::String(value)),
            _ => return Err(fields.error("source", "set either source or sourceValue")),
        };
        let targets = fields.list("targets")?.into_iter().map(Target::read);
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(fields.error("targets", "at least one is required"));
        }
        fields.finish()?;
        Ok(Self { source, targets })
    }
}

impl Source {
    fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let (split, _) = options(fields.fields("options")?)?;
        let object = Id {
            group: fields.text_or_empty("group")?,
            version: fields.text_or_empty("version")?,
            kind: fields.text_or_empty("kind")?,
            namespace: fields.text_or_empty("namespace")?,
            name: fields.text_or_empty("name")?,
        };
        let path = fields.text("fieldPath")?.filter(|path| !path.is_empty());
        fields.finish()?;
        Ok(Self::Field { object, path: path.unwrap_or_else(|| NAME.to_owned()), split })
    }
}

impl Target {
    fn read(mut fields: Fields) -> Result<Self, RenderError> {
        let Some(select) = fields.fields("select")? else {
            return Err(fields.error("select", "it is required"));
        };
        let mut paths = fields.texts("fieldPaths")?;
        if paths.is_empty() {
            paths.push(NAME.to_owned());
        }
        let (split, create) = options(fields.fields("options")?)?;
        let reject = fields.list("reject")?.into_iter().map(Selector::read);
        let target = Self {
            select: Selector::read(select)?,
            reject: reject.collect::<Result<_, _>>()?,
            paths,
            split,
            create,
        };
        fields.finish()?;
        Ok(target)
    }
}

/// `options`: where a text is split, and whether missing fields are created.
fn options(fields: Option<Fields>) -> Result<(Option<Split>, bool), RenderError> {
    let Some(mut fields) = fields else { return Ok((None, false)) };
    let delimiter = fields.text_or_empty("delimiter")?;
    let index = fields.integer("index")?.unwrap_or_default();
    let create = fields.flag("create")?;
    fields.text("encoding")?;
    fields.finish()?;
    Ok(((!delimiter.is_empty()).then_some(Split { delimiter, index }), create))
}

/// Does one replacement.
pub(crate) fn apply(
    replacement: &Replacement,
    resources: &mut [Resource],
    file: &str,
) -> Result<(), RenderError> {
    let done = value(&replacement.source, resources).and_then(|value| {
        replacement.targets.iter().try_for_each(|target| target.set(&value, resources))
    });
    done.map_err(|why| {
        let why = format!("replacements: {why}");
        RenderError::Build { file: file.to_owned(), why }
    })
}

/// What is copied.
fn value(source: &Source, resources: &mut [Resource]) -> Result<Value, String> {
    let (object, path, split) = match source {
        Source::Value(value) => return Ok(value.clone()),
        Source::Field { object, path, split } => (object, path, split),
    };
    let mut found = resources.iter_mut().filter(|resource| is_selected(resource, object));
    let Some(resource) = found.next() else {
        return Err(format!("nothing is selected by the source {}", described(object)));
    };
    if found.next().is_some() {
        return Err(format!("the source {} selects several objects", described(object)));
    }
    let found = Path::parse(path)?.look_up(&resource.value);
    let value = found.filter(|value| !is_empty(value)).cloned().ok_or_else(|| {
        format!("the source {} has no field {path}, or an empty one", resource.id())
    })?;
    let Some(split) = split else { return Ok(value) };
    let Some(text) = text_of(&value) else {
        return Err(format!("{path} is no text, so that it cannot be split"));
    };
    let index = usize::try_from(split.index).ok();
    let part = index.and_then(|index| text.split(&split.delimiter).nth(index));
    part.map(Value::from).ok_or_else(|| format!("{text:?} has no part {}", split.index))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_selected(resource: &Resource, wanted: &Id) -> bool {
    let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    let current = resource.id();
    resource.past.iter().chain([&current]).any(|id| {
        fits(&wanted.group, &id.group)
            && fits(&wanted.version, &id.version)
            && fits(&wanted.kind, &id.kind)
            && fits(&wanted.name, &id.name)
            && fits(&wanted.namespace, id.effective_namespace())
    })
}

fn described(id: &Id) -> String {
    let parts = [&id.kind, &id.name, &id.namespace];
    let parts: Vec<&str> =
        parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "(everything)".to_owned() } else { parts.join(" ") }
}

impl Target {
    fn set(&self, value: &Value, resources: &mut [Resource]) -> Result<(), String> {
        let select = Matcher::new(&self.select)?;
        let reject = self.reject.iter().map(Matcher::new).collect::<Result<Vec<_>, _>>()?;
        let paths =
            self.paths.iter().map(|path| Path::parse(path)).collect::<Result<Vec<_>, _>>()?;
        for resource in resources {
            let current = resource.id();
            let ids: Vec<&Id> = resource.past.iter().chain([&current]).collect();
            let fits = |matcher: &Matcher| ids.iter().any(|id| matcher.fits(id));
            // Identity and labels reject each on its own: kustomize's way.
            let rejects = |matcher: &Matcher| {
                matcher.says_which() && fits(matcher)
                    || matcher.says_labels() && matcher.fits_labels(resource)
            };
            let rejected = || reject.iter().any(rejects);
            if !fits(&select) || !select.fits_labels(resource) || rejected() {
                continue;
            }
            for path in &paths {
                self.write(path, value, &mut resource.value)
                    .map_err(|why| format!("{current}: {path}: {why}"))?;
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, value: &Value, object: &mut Value) -> Result<(), String> {
        let create = self.create.then(|| Create::like(value));
        // Within a text, kustomize does not split.
        if structured::write(path, object, create, &mut |place| put(place, value.clone()))? {
            return Ok(());
        }
        match path.visit(object, create, &mut |place| self.put(place, value))? {
            0 => Err("there is no such field; set options.create to make it".to_owned()),
            _ => Ok(()),
        }
    }

    /// Puts a value in its place.
    fn put(&self, place: &mut Value, value: &Value) -> Result<(), String> {
        let mut value = value.clone();
        if let Some(split) = &self.split {
            let (Some(text), Some(new)) = (text_of(place), text_of(&value)) else {
                return Err("only text can be split".to_owned());
            };
            let mut parts: Vec<&str> = text.split(&split.delimiter).collect();
            match usize::try_from(split.index) {
                Err(_) => parts.insert(0, &new),
                Ok(index) => match parts.get_mut(index) {
                    Some(part) => *part = &new,
                    None => parts.push(&new),
                },
            }
            value = Value::String(parts.join(&split.delimiter));
        }
        put(place, value)
    }
}

/// Puts a value over another. A scalar keeps its type.
fn put(place: &mut Value, value: Value) -> Result<(), String> {
    let is_whole = |value: &Value| value.is_i64() || value.is_u64();
    *place = match (&*place, text_of(&value)) {
        // Kustomize copies the text of a value, and a mapping or a list has none.
        (Value::String(_), text) => Value::String(text.unwrap_or_default()),
        (Value::Array(_) | Value::Object(_), _) | (Value::Null, None) => value,
        (Value::Null, Some(text)) => plain_value(&text),
        (Value::Bool(_), text) => typed(text, Value::is_boolean, "true or false")?,
        (number, text) if is_whole(number) => typed(text, is_whole, "a whole number")?,
        (Value::Number(_), text) => typed(text, Value::is_number, "a number")?,
    };
    Ok(())
}

/// A text as the type that the field has.
fn typed(text: Option<String>, fits: impl Fn(&Value) -> bool, what: &str) -> Result<Value, String> {
    let text = text.ok_or_else(|| format!("the field is {what}, and the value is no scalar"))?;
    let value = plain_value(&text);
    if fits(&value) { Ok(value) } else { Err(format!("the field is {what}, and {text:?} is not")) }
}

#[cfg(test)]
mod tests;
