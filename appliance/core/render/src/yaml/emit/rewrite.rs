//! Writes a YAML text anew with some of its values changed, in its own style.
//!
//! The order of fields, quotes, collections on one line and comments stay; indentation, lists
//! further in than they have to be, and blank lines do not. That is what kustomize makes of a file
//! in a field of an object.

mod pen;
mod reader;

use granit_parser::{ScalarStyle, StructureStyle};
use serde_json::{Map, Value};

use self::pen::Pen;
use self::reader::Reader;
use crate::yaml::{Budget, Dialect, parse_one, plain_value, text_of};

/// The text of one document with `value` in place of what it says. `None` for what has no place
/// here: tags, comments within collections on one line, and a change of what an alias stands for.
pub(crate) fn rewrite(text: &str, value: &Value) -> Option<String> {
    let mut reader = Reader::new(text);
    let mut root = reader.document()?;
    root.set(value);
    let text = Pen::write(&root, reader.comments())?;
    let says = parse_one(text.as_bytes(), Dialect::Kustomize, &mut Budget::default());
    says.is_ok_and(|says| says == *value).then(|| text.trim().to_owned())
}

#[derive(Debug)]
struct Node {
    /// Its first line, and the column there, as it was read; what is new has the last line of all.
    line: usize,
    column: usize,
    /// The line of what follows it.
    end: usize,
    anchor: Option<String>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar(String, ScalarStyle),
    /// The name of the anchor that it stands for.
    Alias(String),
    List(Vec<Node>, StructureStyle),
    Mapping(Vec<(Node, Node)>, StructureStyle),
}

impl Node {
    fn new(value: &Value) -> Self {
        let block = StructureStyle::Block;
        let content = match value {
            Value::Array(items) => Content::List(items.iter().map(Self::new).collect(), block),
            Value::Object(map) => {
                let field = |(key, value): (&String, &Value)| (Self::text(key), Self::new(value));
                Content::Mapping(map.iter().map(field).collect(), block)
            }
            Value::String(text) => return Self::text(text),
            other => Content::Scalar(other.to_string(), ScalarStyle::Plain),
        };
        Self { line: usize::MAX, column: 0, end: usize::MAX, anchor: None, content }
    }

    /// A text, in quotes where it would be something else without.
    fn text(text: &str) -> Self {
        let content = Content::Scalar(text.to_owned(), style_of(text));
        Self { line: usize::MAX, column: 0, end: usize::MAX, anchor: None, content }
    }

    /// Makes it say `value`, and leaves alone what says so already.
    fn set(&mut self, value: &Value) {
        match (&mut self.content, value) {
            (Content::Mapping(fields, _), Value::Object(map)) => set_fields(fields, map),
            (Content::List(items, _), Value::Array(values)) => {
                items.iter_mut().zip(values).for_each(|(item, value)| item.set(value));
                let known = items.len();
                items.extend(values.iter().skip(known).map(Self::new));
            }
            (Content::Scalar(text, style), value) => {
                let is_plain = *style == ScalarStyle::Plain;
                let says = if is_plain { plain_value(text) } else { Value::from(text.as_str()) };
                match text_of(value) {
                    _ if says == *value => {}
                    Some(new) if new == *text => {}
                    Some(new) => {
                        if is_plain && value.is_string() {
                            *style = style_of(&new);
                        }
                        *text = new;
                    }
                    None => *self = Self { line: self.line, ..Self::new(value) },
                }
            }
            (Content::Alias(_), _) => {}
            _ => *self = Self { line: self.line, ..Self::new(value) },
        }
    }
}

fn set_fields(fields: &mut Vec<(Node, Node)>, map: &Map<String, Value>) {
    for (key, value) in map {
        let named = fields
            .iter_mut()
            .find(|(name, _)| matches!(&name.content, Content::Scalar(text, _) if text == key));
        match named {
            Some((_, node)) => node.set(value),
            None => fields.push((Node::text(key), Node::new(value))),
        }
    }
}

fn style_of(text: &str) -> ScalarStyle {
    if plain_value(text).is_string() { ScalarStyle::Plain } else { ScalarStyle::DoubleQuoted }
}

/// A comment, with where it stood.
#[derive(Debug)]
struct Comment {
    line: usize,
    column: usize,
    text: String,
    /// Whether nothing else is on its line.
    is_alone: bool,
    /// Whether the lines before and after it are empty.
    after_empty: bool,
    before_empty: bool,
}

#[cfg(test)]
mod tests;
