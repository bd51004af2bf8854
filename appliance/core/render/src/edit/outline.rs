//! Where everything is in a YAML text.

use granit_parser::{Event, Parser, ScanError, StrInput, StructureStyle};

use crate::yaml::{DEPTH_MAX, YamlError};

/// A value, and the bytes it stands in. A collection of several lines may reach to what follows it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Written in brackets.
    pub(crate) flow: bool,
    pub(crate) shape: Shape,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Scalar(String),
    /// What an alias stands for is not looked up.
    Alias,
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A field of a mapping.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Node,
    pub(crate) value: Node,
}

impl Node {
    /// What a scalar says.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(text) => Some(text),
            Shape::Alias | Shape::List(_) | Shape::Mapping(_) => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.shape {
            Shape::Mapping(entries) => entries,
            Shape::Scalar(_) | Shape::Alias | Shape::List(_) => &[],
        }
    }

    /// The field of a mapping, as kustomize finds it: case does not count, and of several the last
    /// one does.
    pub(crate) fn field(&self, name: &str) -> Option<&Entry> {
        let is_it = |key: &str| key.eq_ignore_ascii_case(name);
        self.entries().iter().rfind(|entry| entry.key.text().is_some_and(is_it))
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.shape {
            Shape::Scalar(text) => text.is_empty() || text == "null" || text == "~",
            Shape::List(items) => items.is_empty(),
            Shape::Mapping(entries) => entries.is_empty(),
            Shape::Alias => false,
        }
    }

    /// Where the last scalar in it ends.
    pub(crate) fn content_end(&self) -> usize {
        match &self.shape {
            _ if self.flow => self.end,
            Shape::List(items) => items.last().map_or(self.end, Self::content_end),
            Shape::Mapping(entries) => {
                entries.last().map_or(self.end, |entry| entry.value.content_end())
            }
            Shape::Scalar(_) | Shape::Alias => self.end,
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

/// One event with the bytes it stands in.
type Placed<'t> = (Event<'t>, usize, usize);

/// Reads the first document of a text.
pub(crate) fn read(text: &str) -> Result<Node, YamlError> {
    let options = granit_parser::options! { emit_comments: false };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser };
    loop {
        match reader.next()? {
            (Event::StreamEnd, ..) => {
                return Ok(Node {
                    start: 0,
                    end: 0,
                    flow: false,
                    shape: Shape::Mapping(Vec::new()),
                });
            }
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, ..) => {}
            placed => return reader.node(placed, 0),
        }
    }
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Placed<'t>, YamlError> {
        let marker = granit_parser::Marker::new(0, 1, 0);
        let next = self.parser.next_event();
        let next = next.unwrap_or_else(|| Err(ScanError::new(marker, "the text ends too early")));
        let (event, span) =
            next.map_err(|error| YamlError::new(error.marker().line(), error.kind().to_string()))?;
        let start = span.start.byte_offset().unwrap_or_default();
        let end = span.end.byte_offset().unwrap_or_default();
        Ok((event, start, end.max(start)))
    }

    fn node(&mut self, (event, start, end): Placed<'t>, depth: usize) -> Result<Node, YamlError> {
        if depth > DEPTH_MAX {
            let why = format!("more than {DEPTH_MAX} collections within another");
            return Err(YamlError::over_limit(1, why));
        }
        let flow = matches!(
            event,
            Event::SequenceStart(StructureStyle::Flow, ..)
                | Event::MappingStart(StructureStyle::Flow, ..)
        );
        let (shape, end) = match event {
            Event::Scalar(text, ..) => (Shape::Scalar(text.into_owned()), end),
            Event::SequenceStart(..) => {
                let (items, end) = self.items(depth)?;
                (Shape::List(items), end)
            }
            Event::MappingStart(..) => {
                let (entries, end) = self.entries(depth)?;
                (Shape::Mapping(entries), end)
            }
            _ => (Shape::Alias, end),
        };
        Ok(Node { start, end, flow, shape })
    }

    fn items(&mut self, depth: usize) -> Result<(Vec<Node>, usize), YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _, end) => return Ok((items, end)),
                placed => items.push(self.node(placed, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), YamlError> {
        let mut entries = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _, end) => return Ok((entries, end)),
                placed => self.node(placed, depth + 1)?,
            };
            let placed = self.next()?;
            let value = self.node(placed, depth + 1)?;
            entries.push(Entry { key, value });
        }
    }
}
