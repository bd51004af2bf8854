//! Changes to the text of a kustomization file that leave the rest of it as it is, byte for byte.
//!
//! `kustomize edit` reads a file and writes it anew; here only the lines change that have to.

pub(crate) mod outline;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::outline::{Entry, Node, Shape};
use crate::RenderError;
use crate::kustomize::decode::Fields;
use crate::kustomize::file::ImageRule;
use crate::overrides::image;
use crate::yaml::{self, Budget, Dialect, YamlError, emit};

const IMAGES: &str = "images";
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
    let before = read(text)?;
    for rule in wanted.values_mut() {
        let existing = before.iter().find(|existing| existing.name == rule.name);
        *rule = image::keep_marked(std::mem::take(rule), existing);
    }
    let root = outline::read(text).map_err(EditError::Yaml)?;
    let changed = Editor { text, edits: Vec::new() }.set(&root, &wanted)?;
    // What was written has to read as what was asked for.
    let mut expected = before;
    for rule in wanted.into_values() {
        match expected.iter_mut().find(|existing| existing.name == rule.name) {
            Some(existing) => *existing = rule,
            None => expected.push(rule),
        }
    }
    if read(&changed)? == expected { Ok(changed) } else { Err(EditError::Layout) }
}

/// The images of a file.
fn read(text: &str) -> Result<Vec<ImageRule>, EditError> {
    let bytes = text.as_bytes();
    let value = yaml::parse_one(bytes, Dialect::Kustomization, &mut Budget::default());
    let mut fields = Fields::of(value.map_err(EditError::Yaml)?, "kustomization", "")
        .map_err(EditError::File)?;
    let list = fields.list(IMAGES).map_err(EditError::File)?;
    list.into_iter().map(ImageRule::read).collect::<Result<_, _>>().map_err(EditError::File)
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
        let list = root.entries().iter().find(|entry| entry.key.text() == Some(IMAGES));
        match list.map(|entry| (entry, &entry.value)) {
            None => self.append_list(rules),
            Some((_, Node { shape: Shape::List(items), flow: false, .. })) if !items.is_empty() => {
                self.change_list(items, rules)?;
            }
            Some((entry, list)) if list.is_empty() => self.fill_list(entry, rules),
            Some(_) => return Err(EditError::Layout),
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
        // A value that is not written has no place of its own.
        let rest = self.text.get(entry.key.end..).unwrap_or_default();
        let colon = entry.key.end + rest.find(':').map_or(0, |colon| colon + 1);
        let (from, to) = (entry.value.start.max(colon), entry.value.end.max(colon));
        let line = self.line_end();
        let items: String = rules.values().map(|rule| block(rule, 0, line)).collect();
        let before = self.text.get(..from).unwrap_or_default();
        let start = before.trim_end_matches([' ', '\t']).len();
        let items = items.strip_suffix(line).unwrap_or(&items);
        self.replace(start, to, format!("{line}{items}"));
    }

    fn change_list(&mut self, items: &[Node], rules: &Rules) -> Result<(), EditError> {
        let mut missing: Vec<&ImageRule> = Vec::new();
        for rule in rules.values() {
            let named = |item: &&Node| {
                item.field("name").and_then(|entry| entry.value.text()) == Some(&rule.name)
            };
            match items.iter().find(named) {
                Some(item) if item.flow => self.replace(item.start, item.end, flow(rule)),
                Some(item) => self.change_item(item, rule)?,
                None => missing.push(rule),
            }
        }
        let Some(last) = items.last().filter(|_| !missing.is_empty()) else { return Ok(()) };
        let line = self.line_end();
        let dash = self.text.get(..last.start).and_then(|before| before.rfind('-'));
        let indent = dash.map(|dash| dash - self.line_start(dash)).ok_or(EditError::Layout)?;
        let at = self.line_stop(last.content_end());
        let items: String = missing.iter().map(|rule| block(rule, indent, line)).collect();
        let items = items.strip_suffix(line).unwrap_or(&items).to_owned();
        self.replace(at, at, format!("{line}{items}"));
        Ok(())
    }

    /// Gives an item of the list the fields of a rule.
    fn change_item(&mut self, item: &Node, rule: &ImageRule) -> Result<(), EditError> {
        let values = [&rule.new_name, &rule.new_tag, &rule.digest, &rule.tag_suffix];
        let name = item.field("name").ok_or(EditError::Layout)?;
        let column = name.key.start - self.line_start(name.key.start);
        let stop = self.line_stop(name.value.end);
        for (field, value) in FIELDS.into_iter().zip(values) {
            match item.field(field) {
                Some(entry) if value.is_empty() => self.remove(item, entry),
                Some(entry) if entry.value.text() == Some(value.as_str()) => {}
                Some(entry) => self.replace(entry.value.start, entry.value.end, quoted(value)),
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
            _ => {
                let start = self.line_start(entry.key.start);
                let stop = self.line_stop(entry.value.end);
                let stop = self
                    .text
                    .get(stop..)
                    .and_then(|rest| rest.find('\n'))
                    .map_or(self.text.len(), |line| stop + line + 1);
                self.replace(start, stop, String::new());
            }
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
