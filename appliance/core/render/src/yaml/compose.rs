//! Composes the parser's events to JSON values.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::{Blank, Budget, DEPTH_MAX, Dialect, Document, Size, YamlError, scalar};

/// Where a node is, as far as its meaning depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Root,
    Metadata,
    Annotations,
    Annotation,
    Other,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "metadata") => Self::Metadata,
            (Self::Metadata, "annotations") => Self::Annotations,
            (Self::Annotations, _) => Self::Annotation,
            _ => Self::Other,
        }
    }
}

struct Composer<'t, 'b> {
    parser: Parser<'t, StrInput<'t>>,
    dialect: Dialect,
    budget: &'b mut Budget,
    /// Values of the anchors of the document at hand, with what each costs.
    anchors: BTreeMap<usize, (Value, Size)>,
    /// Line of the event at hand.
    line: usize,
    /// Whether the event at hand stands for nothing that is written.
    is_blank: bool,
    /// The blanks of the collection at hand, their last step first.
    blanks: Vec<Blank>,
}

/// All documents that are not empty.
pub(super) fn documents(
    text: &str,
    dialect: Dialect,
    budget: &mut Budget,
) -> Result<Vec<Document>, YamlError> {
    let options = granit_parser::options! {
        // Another crate may ask for them.
        emit_comments: false,
        // `b` at the end of the file, not `b` and a line feed: what go-yaml reads.
        block_scalar_eof_without_line_feed: true,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut composer = Composer {
        parser,
        dialect,
        budget,
        anchors: BTreeMap::new(),
        line: 1,
        is_blank: false,
        blanks: Vec::new(),
    };
    let mut documents = Vec::new();
    loop {
        match composer.next()? {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::DocumentEnd => composer.anchors.clear(),
            event => {
                let line = composer.line;
                let value = composer.node(event, Place::Root, 0)?;
                let mut blanks = std::mem::take(&mut composer.blanks);
                for blank in &mut blanks {
                    blank.reverse();
                }
                if !value.is_null() {
                    documents.push(Document { line, value, blanks });
                }
            }
        }
    }
}

impl<'t> Composer<'t, '_> {
    fn next(&mut self) -> Result<Event<'t>, YamlError> {
        let next = self.parser.next_event().unwrap_or_else(|| {
            let marker = granit_parser::Marker::new(0, self.line, 0);
            Err(ScanError::new(marker, "the text ends too early"))
        });
        let (event, span) =
            next.map_err(|error| YamlError::new(error.marker().line(), error.kind().to_string()))?;
        self.line = span.start.line();
        self.is_blank = span.start.index() == span.end.index();
        Ok(event)
    }

    fn error(&self, why: impl Into<String>) -> YamlError {
        YamlError::new(self.line, why)
    }

    fn charge(&mut self, size: Size) -> Result<(), YamlError> {
        self.budget.take(size).ok_or_else(|| {
            let why = format!(
                "the manifests are larger than the limit of {} nodes or {} bytes",
                Budget::NODES_MAX,
                Budget::BYTES_MAX
            );
            YamlError::over_limit(self.line, why)
        })
    }

    fn charge_aliased(&mut self, size: Size) -> Result<(), YamlError> {
        self.budget.take_aliased(size).ok_or_else(|| {
            let why = format!(
                "the aliases stand for more than the limit of {} nodes or {} bytes",
                Budget::ALIASED_NODES_MAX,
                Budget::ALIASED_BYTES_MAX
            );
            YamlError::over_limit(self.line, why)
        })
    }

    /// The value that begins with `event`.
    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Value, YamlError> {
        if depth > DEPTH_MAX {
            let why = format!("more than {DEPTH_MAX} collections within another");
            return Err(YamlError::over_limit(self.line, why));
        }
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id),
            Event::Scalar(_, ScalarStyle::Plain, 0, None) if self.is_blank => {
                self.charge(Size { nodes: 1, bytes: 0 })?;
                if !self.dialect.is_of_kubernetes() {
                    self.blanks.push(Blank::new());
                }
                return Ok(Value::Null);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.charge(Size { nodes: 1, bytes: text.len() })?;
                (self.scalar(&text, style, tag.as_deref(), place)?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(place, depth)?, anchor),
            _ => return Err(self.error("a value is expected here")),
        };
        if anchor != 0 {
            let size = Size::of(&value);
            self.charge_aliased(size)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize) -> Result<Value, YamlError> {
        let Some((_, size)) = self.anchors.get(&id) else {
            return Err(self.error("an alias stands inside of what it names"));
        };
        let size = *size;
        self.charge_aliased(size)?;
        Ok(self.anchors.get(&id).map_or(Value::Null, |(value, _)| value.clone()))
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<Value, YamlError> {
        let string = || Ok(Value::String(text.to_owned()));
        let as_written = place == Place::Annotation
            && match self.dialect {
                Dialect::Kubernetes | Dialect::Kustomization => false,
                Dialect::Kustomize => true,
                Dialect::KustomizePatch => scalar::plain(text, self.dialect) != Ok(Value::Null),
            };
        let Some(tag) = tag else {
            if style != ScalarStyle::Plain || as_written && !text.is_empty() {
                return string();
            }
            return scalar::plain(text, self.dialect).map_err(|why| self.error(why));
        };
        let suffix = match tag.handle() {
            "tag:yaml.org,2002:" => tag.suffix(),
            // A tag of somebody's own says nothing here: the text remains.
            _ => return string(),
        };
        let wrong = || self.error(format!("{text:?} is not a value of !!{suffix}"));
        let meant = || scalar::plain(text, self.dialect).map_err(|why| self.error(why));
        match suffix {
            "null" => meant().and_then(|value| value.is_null().then_some(value).ok_or_else(wrong)),
            "bool" => {
                meant().and_then(|value| value.is_boolean().then_some(value).ok_or_else(wrong))
            }
            "int" => meant().and_then(|value| {
                (value.is_i64() || value.is_u64()).then_some(value).ok_or_else(wrong)
            }),
            "float" => {
                meant().and_then(|value| value.is_number().then_some(value).ok_or_else(wrong))
            }
            "binary" => {
                let compact: String = text.split_ascii_whitespace().collect();
                let bytes = STANDARD.decode(compact).map_err(|_| wrong())?;
                String::from_utf8(bytes).map(Value::String).map_err(|_| wrong())
            }
            _ => string(),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, YamlError> {
        self.charge(Size { nodes: 1, bytes: 0 })?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => {
                    let blanks = self.blanks.len();
                    let value = self.node(event, Place::Other, depth + 1)?;
                    self.step_out(blanks, || items.len().to_string())?;
                    items.push(value);
                }
            }
        }
    }

    fn mapping(&mut self, place: Place, depth: usize) -> Result<Value, YamlError> {
        self.charge(Size { nodes: 1, bytes: 0 })?;
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let event = match self.next()? {
                Event::MappingEnd => break,
                event => event,
            };
            let line = self.line;
            if matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<") {
                let next = self.next()?;
                let value = self.node(next, place, depth + 1)?;
                self.merge(value, &mut merged)?;
                continue;
            }
            let key = self.node(event, Place::Other, depth + 1)?;
            let key = self.key(key)?;
            let next = self.next()?;
            let blanks = self.blanks.len();
            let value = self.node(next, place.below(&key), depth + 1)?;
            self.step_out(blanks, || key.clone())?;
            match map.entry(key) {
                Entry::Vacant(place) => drop(place.insert(value)),
                // The last one counts.
                Entry::Occupied(mut place) if self.dialect == Dialect::Kustomization => {
                    place.insert(value);
                }
                Entry::Occupied(place) => {
                    let key = place.key();
                    let why = format!("the key {key:?} is already defined in this mapping");
                    return Err(YamlError::new(line, why));
                }
            }
        }
        // What the mapping says itself wins over what is merged, and earlier over later.
        for (key, value) in merged.into_iter().flatten() {
            map.entry(key).or_insert(value);
        }
        Ok(Value::Object(map))
    }

    /// Gives the blanks after the first `known` ones their next step, each a text of its own.
    fn step_out(&mut self, known: usize, step: impl Fn() -> String) -> Result<(), YamlError> {
        for place in known..self.blanks.len() {
            let step = step();
            self.charge(Size { nodes: 0, bytes: step.len() })?;
            if let Some(blank) = self.blanks.get_mut(place) {
                blank.push(step);
            }
        }
        Ok(())
    }

    fn key(&self, key: Value) -> Result<String, YamlError> {
        match (key, self.dialect) {
            (Value::String(text), _) => Ok(text),
            (Value::Number(number), Dialect::Kubernetes | Dialect::KustomizePatch) => {
                Ok(number.to_string())
            }
            (Value::Bool(value), Dialect::Kubernetes) => Ok(value.to_string()),
            (key, _) => Err(self.error(format!("the key {key} is not text; quote it"))),
        }
    }

    fn merge(&self, value: Value, merged: &mut Vec<Map<String, Value>>) -> Result<(), YamlError> {
        let wrong = || self.error("<< takes a mapping or a list of mappings");
        match value {
            Value::Object(map) => merged.push(map),
            Value::Array(items) => {
                for item in items {
                    let Value::Object(map) = item else { return Err(wrong()) };
                    merged.push(map);
                }
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }
}
