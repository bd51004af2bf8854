//! Changes to the text of a kustomization file that leave the rest of it as it is, byte for byte.
//!
//! `kustomize edit` reads a file and writes it anew; here only the lines change that have to.

pub(crate) mod outline;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::outline::{Entry, Node, Shape};
use crate::RenderError;
use crate::kustomize::decode::Fields;
use crate::kustomize::file::{ImageRule, Kustomization, says_nothing};
use crate::overrides::image;
use crate::yaml::{self, Budget, Dialect, YamlError, emit};

/// How messages call the file.
const FILE: &str = "the kustomization";
const IMAGES: &str = "images";
/// What the field was called once. Kustomize still reads it.
const OLD_IMAGES: &str = "imageTags";
/// The fields of an image that are set, in the order in which they are added.
const FIELDS: [&str; 4] = ["newName", "newTag", "digest", "tagSuffix"];

/// Why a file is not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read.
    #[error("line {}: it is not valid YAML", .0.line)]
    Yaml(#[source] YamlError),
    /// The file is not what it should be.
    #[error("the kustomization cannot be edited")]
    File(#[source] RenderError),
    /// What is to be set makes no sense.
    #[error("{why}")]
    Image {
        /// Which, and why.
        why: String,
    },
    /// The file is written in a way that is not understood well enough to change it.
    #[error(
        "the images of this file are written in a way that cannot be changed without touching \
         more of it: set them by hand"
    )]
    Layout,
}

/// Sets images in the text of a kustomization file, as `kustomize edit set image` does: each is
/// `[OLD=]NEW[:TAG][@DIGEST]`, and `*` keeps a part as it is.
///
/// Comments, order and layout stay. An image that is not there yet is added at the end of the list,
/// and the list at the end of the file.
pub fn set_images(text: &str, images: &[impl AsRef<str>]) -> Result<String, EditError> {
    let mut wanted = BTreeMap::new();
    for text in images {
        let rule = image::rule(text.as_ref()).map_err(|why| EditError::Image { why })?;
        wanted.insert(rule.name.clone(), rule);
    }
    let before = Contents::read(text)?;
    for rule in wanted.values_mut() {
        // Of entries with the same name kustomize keeps the first.
        let existing = before.images.iter().find(|existing| existing.name == rule.name);
        *rule = image::keep_marked(std::mem::take(rule), existing);
    }
    let root = outline::read(text).map_err(EditError::Yaml)?;
    let changed = Editor { text, edits: Vec::new() }.set(&root, &wanted)?;
    // What was written has to read as what was asked for, and everything else as it did.
    let expected = before.with(&wanted);
    match Contents::read(&changed) {
        Ok(after) if after == expected => Ok(changed),
        Ok(_) | Err(_) => Err(EditError::Layout),
    }
}

/// What a file says.
#[derive(Debug, PartialEq)]
struct Contents {
    images: Vec<ImageRule>,
    /// Everything but the images.
    rest: Value,
}

impl Contents {
    /// Reads a file, which has to be a kustomization throughout. One that says nothing yet is one.
    fn read(text: &str) -> Result<Self, EditError> {
        let bytes = text.as_bytes();
        let mut value = yaml::parse_one(bytes, Dialect::Kustomization, &mut Budget::default())
            .map_err(EditError::Yaml)?;
        let mut fields = Fields::of(value.clone(), FILE, "").map_err(EditError::File)?;
        let mut list = fields.list(IMAGES).map_err(EditError::File)?;
        list.extend(fields.list(OLD_IMAGES).map_err(EditError::File)?);
        let images = list.into_iter().map(ImageRule::read).collect::<Result<_, _>>();
        if value.as_object().is_some_and(|fields| !says_nothing(fields)) {
            match Kustomization::read(value.clone(), FILE) {
                // What is not rendered here is rendered by whoever reads the file next.
                Ok(_) | Err(RenderError::Unsupported { .. }) => {}
                Err(error) => return Err(EditError::File(error)),
            }
        }
        if let Some(fields) = value.as_object_mut() {
            let is_list = |name: &str, list: &str| name.eq_ignore_ascii_case(list);
            fields.retain(|name, _| !is_list(name, IMAGES) && !is_list(name, OLD_IMAGES));
        }
        // A file without anything and one without fields are the same.
        let rest = if value.is_null() { Value::Object(Map::new()) } else { value };
        Ok(Self { images: images.map_err(EditError::File)?, rest })
    }

    /// What the file should say: each image that is set once, where it stood first.
    fn with(self, rules: &Rules) -> Self {
        let mut images: Vec<ImageRule> = Vec::with_capacity(self.images.len() + rules.len());
        let mut missing = rules.clone();
        for existing in self.images {
            match rules.get(&existing.name) {
                None => images.push(existing),
                Some(_) => images.extend(missing.remove(&existing.name)),
            }
        }
        images.extend(missing.into_values());
        Self { images, rest: self.rest }
    }
}

/// A range of the text, and what takes its place.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

struct Editor<'t> {
    text: &'t str,
    edits: Vec<Edit>,
}

type Rules = BTreeMap<String, ImageRule>;

impl Editor<'_> {
    fn set(mut self, root: &Node, rules: &Rules) -> Result<String, EditError> {
        match root.field(IMAGES).or_else(|| root.field(OLD_IMAGES)) {
            None if root.flow => return Err(EditError::Layout),
            None => self.append_list(rules),
            Some(entry) => match &entry.value.shape {
                Shape::List(items) if !items.is_empty() => {
                    self.change_list(items, rules, entry.value.flow)?;
                }
                _ if entry.value.is_empty() && !root.flow => self.fill_list(entry, rules),
                _ => return Err(EditError::Layout),
            },
        }
        Ok(self.applied())
    }

    /// Adds the field at the end of the file.
    fn append_list(&mut self, rules: &Rules) {
        let line = self.line_end();
        let open = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { line };
        let items: String = rules.values().map(|rule| block(rule, 0, line)).collect();
        let end = self.text.len();
        self.replace(end, end, format!("{open}{IMAGES}:{line}{items}"));
    }

    /// Puts items where the file has an empty list or nothing.
    fn fill_list(&mut self, entry: &Entry, rules: &Rules) {
        let line = self.line_end();
        let (start, end) = self.value_place(entry);
        let items: String = rules.values().map(|rule| block(rule, 0, line)).collect();
        let items = items.strip_suffix(line).unwrap_or(&items);
        let before = self.text.get(..start).unwrap_or_default();
        let start = before.trim_end_matches([' ', '\t']).len();
        // A comment on the line of the field stays there.
        let comment = self.text.get(end..self.line_stop(end)).unwrap_or_default().trim_end();
        let comment = if comment.trim_start().starts_with('#') { comment } else { "" };
        self.replace(start, end + comment.len(), format!("{comment}{line}{items}"));
    }

    fn change_list(
        &mut self,
        items: &[Node],
        rules: &Rules,
        flow_list: bool,
    ) -> Result<(), EditError> {
        let mut missing = rules.clone();
        let mut before: Option<&Node> = None;
        for item in items {
            let name = item.field("name").and_then(|entry| entry.value.text()).unwrap_or_default();
            match (rules.contains_key(name), missing.remove(name)) {
                (_, Some(rule)) => self.change_item(item, &rule)?,
                // It would be applied after the one of the same name, and undo it.
                (true, None) => self.remove_item(item, before, flow_list)?,
                (false, None) => {}
            }
            before = Some(item);
        }
        let Some(last) = items.last().filter(|_| !missing.is_empty()) else { return Ok(()) };
        if flow_list {
            for rule in missing.values() {
                self.replace(last.end, last.end, format!(", {}", flow(rule)));
            }
            return Ok(());
        }
        let line = self.line_end();
        let dash = self.dash(last)?;
        let indent = dash - self.line_start(dash);
        let at = self.line_stop(last.content_end());
        let items: String = missing.values().map(|rule| block(rule, indent, line)).collect();
        let items = items.strip_suffix(line).unwrap_or(&items).to_owned();
        self.replace(at, at, format!("{line}{items}"));
        Ok(())
    }

    /// Takes an item out of the list, which has another one before it.
    fn remove_item(
        &mut self,
        item: &Node,
        before: Option<&Node>,
        flow_list: bool,
    ) -> Result<(), EditError> {
        let before = before.ok_or(EditError::Layout)?;
        if flow_list {
            self.replace(before.end, item.end, String::new());
        } else {
            self.remove_lines(self.dash(item)?, item.content_end());
        }
        Ok(())
    }

    /// Takes the lines out from the one of a place to the one of another, with the line break
    /// before them, so that what is added after the last of them has its own.
    fn remove_lines(&mut self, from: usize, to: usize) {
        let start = self.line_start(from);
        let before = self.text.get(..start).unwrap_or_default();
        let before = before.strip_suffix('\n').unwrap_or(before);
        let start = before.strip_suffix('\r').unwrap_or(before).len();
        self.replace(start, self.line_stop(to), String::new());
    }

    /// Where the dash of a block list's item is.
    fn dash(&self, item: &Node) -> Result<usize, EditError> {
        self.text.get(..item.start).and_then(|before| before.rfind('-')).ok_or(EditError::Layout)
    }

    /// Gives an item of the list the fields of a rule.
    fn change_item(&mut self, item: &Node, rule: &ImageRule) -> Result<(), EditError> {
        let values = [&rule.new_name, &rule.new_tag, &rule.digest, &rule.tag_suffix];
        let is_set = |field| item.field(field).is_some_and(|entry| !entry.value.is_empty());
        let is_reshaped =
            FIELDS.into_iter().zip(values).any(|(field, value)| is_set(field) == value.is_empty());
        if item.flow && is_reshaped {
            self.replace(item.start, item.end, flow(rule));
            return Ok(());
        }
        let name = item.field("name").ok_or(EditError::Layout)?;
        let column = name.key.start - self.line_start(name.key.start);
        let stop = self.line_stop(name.value.end);
        for (field, value) in FIELDS.into_iter().zip(values) {
            match item.field(field) {
                Some(entry) if value.is_empty() => self.remove(item, entry),
                Some(entry) if entry.value.text() == Some(value.as_str()) => {}
                Some(entry) => self.set_value(entry, value),
                None if value.is_empty() => {}
                None => {
                    let indent = " ".repeat(column);
                    let line = self.line_end();
                    self.replace(stop, stop, format!("{line}{indent}{field}: {}", quoted(value)));
                }
            }
        }
        Ok(())
    }

    /// Gives a field another value, in the quotes it has.
    fn set_value(&mut self, entry: &Entry, value: &str) {
        let (start, end) = self.value_place(entry);
        let old = self.text.get(start..end).unwrap_or_default();
        let is_plain = |letter: char| letter.is_ascii_graphic() && !"\"'\\".contains(letter);
        let mark = old.chars().next().filter(|mark| matches!(mark, '"' | '\''));
        let text = match mark {
            Some(mark) if value.chars().all(is_plain) => format!("{mark}{value}{mark}"),
            Some(_) | None => quoted(value),
        };
        let space = if start == end { " " } else { "" };
        self.replace(start, end, format!("{space}{text}"));
    }

    /// Where the value of a field stands; right after its colon if it is not written.
    fn value_place(&self, entry: &Entry) -> (usize, usize) {
        let Node { start, end, .. } = entry.value;
        if start < end {
            return (start, end);
        }
        let rest = self.text.get(entry.key.end..).unwrap_or_default();
        let colon = entry.key.end + rest.find(':').map_or(0, |colon| colon + 1);
        (colon, colon)
    }

    /// Takes a field out of an item: its line or, where the item begins with it, everything up to
    /// the next field.
    fn remove(&mut self, item: &Node, entry: &Entry) {
        let entries = item.entries();
        let next = entries.iter().find(|other| other.key.start > entry.key.start);
        let is_first = entries.iter().all(|other| other.key.start >= entry.key.start);
        match next {
            Some(next) if is_first => {
                self.replace(entry.key.start, next.key.start, String::new());
            }
            _ => self.remove_lines(entry.key.start, entry.value.end.max(entry.key.end)),
        }
    }

    fn replace(&mut self, start: usize, end: usize, text: String) {
        self.edits.push(Edit { start, end, text });
    }

    /// The text with all edits; those at one place in the order in which they were made.
    fn applied(mut self) -> String {
        self.edits.sort_by_key(|edit| edit.start);
        let mut out = String::with_capacity(self.text.len() + 256);
        let mut done = 0;
        for edit in &self.edits {
            out.push_str(self.text.get(done..edit.start.max(done)).unwrap_or_default());
            out.push_str(&edit.text);
            done = done.max(edit.end);
        }
        out.push_str(self.text.get(done..).unwrap_or_default());
        out
    }

    /// Where the line of a place begins.
    fn line_start(&self, place: usize) -> usize {
        self.text.get(..place).and_then(|before| before.rfind('\n')).map_or(0, |line| line + 1)
    }

    /// Where the line of a place ends, its line break not included.
    fn line_stop(&self, place: usize) -> usize {
        let rest = self.text.get(place..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        place + line.strip_suffix('\r').unwrap_or(line).len()
    }

    fn line_end(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }
}

/// The fields of an image that are not empty.
fn fields(rule: &ImageRule) -> impl Iterator<Item = (&'static str, String)> {
    let values = [&rule.name, &rule.new_name, &rule.new_tag, &rule.digest, &rule.tag_suffix];
    let fields = ["name"].into_iter().chain(FIELDS).zip(values);
    fields.filter(|(_, value)| !value.is_empty()).map(|(field, value)| (field, quoted(value)))
}

/// An image as an item of a list, one field a line.
fn block(rule: &ImageRule, indent: usize, line: &str) -> String {
    let indent = " ".repeat(indent);
    let lines = fields(rule).enumerate().map(|(index, (field, value))| {
        let mark = if index == 0 { "- " } else { "  " };
        format!("{indent}{mark}{field}: {value}{line}")
    });
    lines.collect()
}

/// An image on one line.
fn flow(rule: &ImageRule) -> String {
    let fields: Vec<String> =
        fields(rule).map(|(field, value)| format!("{field}: {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

/// Text as a scalar, quoted if it would be something else without.
fn quoted(text: &str) -> String {
    emit::scalar(text)
}
