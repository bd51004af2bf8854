//! Paths of fields: `spec.template.spec.containers.[name=web].image`.
//!
//! A step is the name of a field, the number of an item, `*` for all items, or `[field=pattern]`
//! for those items whose field matches; `[=pattern]` is for items that are scalars. Patterns match
//! anywhere in the text, as in kustomize. A dot does not separate in brackets and after a
//! backslash; a name in brackets is a name.

use std::fmt;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::kustomize::pattern;
use crate::yaml::{plain_value, text_of};

/// A path, ready for use.
#[derive(Debug)]
pub(super) struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
    Every,
    /// The field that is looked at (none for scalars), the pattern as written, and ready to match.
    Where(String, String, Regex),
}

/// What is made at the end of a path where there is nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Create {
    Scalar,
    List,
    Mapping,
}

impl Create {
    /// Something that can hold `value`.
    pub(super) fn like(value: &Value) -> Self {
        match value {
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Mapping,
            _ => Self::Scalar,
        }
    }

    fn empty(self) -> Value {
        match self {
            Self::Scalar => Value::Null,
            Self::List => json!([]),
            Self::Mapping => json!({}),
        }
    }
}

/// What is done with every place that a path leads to.
pub(super) type Change<'a> = dyn FnMut(&mut Value) -> Result<(), String> + 'a;

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let steps = split(text).into_iter().map(step).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// How many steps it has.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The first value it leads to.
    pub(super) fn look_up<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let mut value = value;
        for step in &self.steps {
            value = match step {
                Step::Field(name) => value.get(name)?,
                Step::Item(index) => value.get(index)?,
                Step::Every => value.as_array()?.first()?,
                Step::Where(field, _, pattern) => {
                    value.as_array()?.iter().find(|item| fits(item, field, pattern))?
                }
            };
        }
        Some(value)
    }

    /// Calls `change` with every place it leads to, making what is missing on the way if asked to;
    /// how many there were.
    pub(super) fn visit(
        &self,
        value: &mut Value,
        create: Option<Create>,
        change: &mut Change<'_>,
    ) -> Result<usize, String> {
        visit(value, &self.steps, create, change)
    }

    /// As [`Path::visit`] for the first `steps` of it.
    pub(super) fn visit_start(
        &self,
        steps: usize,
        value: &mut Value,
        change: &mut Change<'_>,
    ) -> Result<usize, String> {
        visit(value, self.steps.get(..steps).unwrap_or_default(), None, change)
    }

    /// As [`Path::visit`] for what follows the first `steps` of it.
    pub(super) fn visit_rest(
        &self,
        steps: usize,
        value: &mut Value,
        create: Option<Create>,
        change: &mut Change<'_>,
    ) -> Result<usize, String> {
        visit(value, self.steps.get(steps..).unwrap_or_default(), create, change)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The steps of a path as text; a pattern keeps its brackets.
fn split(text: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut step = String::new();
    let mut brackets = 0_usize;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if brackets == 0 => step.extend(letters.next()),
            '.' if brackets == 0 => {
                if !step.is_empty() {
                    steps.push(std::mem::take(&mut step));
                }
            }
            '[' => {
                // `ports[name=x]` is two steps.
                if brackets == 0 && !step.is_empty() {
                    steps.push(std::mem::take(&mut step));
                }
                brackets += 1;
                step.push(letter);
            }
            ']' => {
                brackets = brackets.saturating_sub(1);
                step.push(letter);
            }
            letter => step.push(letter),
        }
    }
    if !step.is_empty() {
        steps.push(step);
    }
    steps
}

fn step(text: String) -> Result<Step, String> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let Some(inside) = inside else {
        return Ok(match text.parse() {
            _ if text == "*" => Step::Every,
            Ok(index) => Step::Item(index),
            Err(_) => Step::Field(text),
        });
    };
    let Some((field, pattern)) = inside.split_once('=') else {
        return Ok(Step::Field(inside.to_owned()));
    };
    let ready = pattern::compile("", pattern, "")?;
    Ok(Step::Where(field.to_owned(), pattern.to_owned(), ready))
}

fn fits(item: &Value, field: &str, pattern: &Regex) -> bool {
    let found = if field.is_empty() { Some(item) } else { item.get(field) };
    found.and_then(text_of).is_some_and(|text| pattern.is_match(&text))
}

fn visit(
    value: &mut Value,
    steps: &[Step],
    create: Option<Create>,
    change: &mut Change<'_>,
) -> Result<usize, String> {
    let Some((step, rest)) = steps.split_first() else { return change(value).map(|()| 1) };
    if value.is_null() && create.is_some() {
        *value = container(step);
    }
    match (step, value) {
        (_, Value::Null) => Ok(0),
        (Step::Field(name), Value::Object(map)) => field(map, name, rest, create, change),
        (Step::Item(index), Value::Array(items)) => {
            let missing = || format!("there is no item {index}, only {}", items.len());
            if create.is_some() && *index == items.len() {
                items.push(Value::Null);
            } else if *index >= items.len() {
                return Err(missing());
            }
            enter(items.get_mut(*index), rest, create, change)
        }
        (Step::Every, Value::Array(items)) => each(items.iter_mut(), rest, create, change),
        (Step::Where(name, text, pattern), Value::Array(items)) => {
            if create.is_some() && !items.iter().any(|item| fits(item, name, pattern)) {
                items.push(item(name, text));
            }
            let fitting = items.iter_mut().filter(|item| fits(item, name, pattern));
            each(fitting, rest, create, change)
        }
        (Step::Field(name), _) => Err(format!("{name:?} is not in a mapping")),
        (Step::Item(_) | Step::Every | Step::Where(..), _) => {
            Err("items are asked for where there is no list".to_owned())
        }
    }
}

fn field(
    map: &mut Map<String, Value>,
    name: &str,
    rest: &[Step],
    create: Option<Create>,
    change: &mut Change<'_>,
) -> Result<usize, String> {
    if create.is_some() && !map.contains_key(name) {
        map.insert(name.to_owned(), Value::Null);
    }
    enter(map.get_mut(name), rest, create, change)
}

/// Goes on in a place, if there is one.
fn enter(
    place: Option<&mut Value>,
    rest: &[Step],
    create: Option<Create>,
    change: &mut Change<'_>,
) -> Result<usize, String> {
    let Some(place) = place else { return Ok(0) };
    if let (true, true, Some(create)) = (place.is_null(), rest.is_empty(), create) {
        *place = create.empty();
    }
    visit(place, rest, create, change)
}

fn each<'v>(
    items: impl Iterator<Item = &'v mut Value>,
    rest: &[Step],
    create: Option<Create>,
    change: &mut Change<'_>,
) -> Result<usize, String> {
    let mut count = 0;
    for item in items {
        count += visit(item, rest, create, change)?;
    }
    Ok(count)
}

/// What a step can be taken in.
fn container(step: &Step) -> Value {
    match step {
        Step::Field(_) => json!({}),
        Step::Item(_) | Step::Every | Step::Where(..) => json!([]),
    }
}

/// An item that a step is looking for.
fn item(name: &str, text: &str) -> Value {
    let value = plain_value(text);
    if name.is_empty() { value } else { json!({ name: value }) }
}
