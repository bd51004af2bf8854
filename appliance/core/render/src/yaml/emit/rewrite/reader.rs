//! From the text to nodes and comments.

use std::collections::BTreeMap;
use std::str::Chars;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use super::{Comment, Content, Node};
use crate::yaml::DEPTH_MAX;

/// Reads a document with its style.
pub(super) struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    gaps: Gaps<'t>,
    anchors: BTreeMap<usize, String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            emit_anchor_events: true,
            block_scalar_eof_without_line_feed: true,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Self { parser, gaps: Gaps::of(text), anchors: BTreeMap::new() }
    }

    pub(super) fn comments(self) -> Vec<Comment> {
        self.gaps.comments
    }

    pub(super) fn document(&mut self) -> Option<Node> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return None,
                (event, span) => {
                    let node = self.node(event, span, 0)?;
                    while !matches!(self.next()?.0, Event::StreamEnd) {}
                    return Some(node);
                }
            }
        }
    }

    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        // An anchor comes after the node that it stands before.
        if !matches!(event, Event::Anchor(..)) {
            self.gaps.read_to(span.start.index())?;
            self.gaps.skip_to(span.end.index());
        }
        Some((event, span))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Option<Node> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (line, column) = (span.start.line(), span.start.col());
        let mut end = span.end.line();
        let anchor = match &event {
            Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(_, 1.., _)
            | Event::MappingStart(_, 1.., _) => Some(self.anchor()?),
            _ => None,
        };
        let content = match event {
            Event::Alias(id) => Content::Alias(self.anchors.get(&id)?.clone()),
            Event::Scalar(text, style, _, None) => {
                let is_blank =
                    style == ScalarStyle::Plain && span.start.index() == span.end.index();
                let text = if is_blank { String::new() } else { text.into_owned() };
                Content::Scalar(text, style)
            }
            Event::SequenceStart(style, _, None) => {
                let comments = self.gaps.comments.len();
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, span) => {
                            end = span.start.line();
                            break;
                        }
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                self.fits(style, comments)?;
                Content::List(items, style)
            }
            Event::MappingStart(style, _, None) => {
                let comments = self.gaps.comments.len();
                let mut fields = Vec::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, span) => {
                            end = span.start.line();
                            break;
                        }
                        (event, span) => self.node(event, span, depth + 1)?,
                    };
                    let (event, span) = self.next()?;
                    fields.push((key, self.node(event, span, depth + 1)?));
                }
                self.fits(style, comments)?;
                Content::Mapping(fields, style)
            }
            _ => return None,
        };
        Some(Node { line, column, end, anchor, content })
    }

    /// The name of an anchor, which follows the node that has it.
    fn anchor(&mut self) -> Option<String> {
        let (Event::Anchor(id, name), _) = self.next()? else { return None };
        self.anchors.insert(id, name.to_string());
        Some(name.into_owned())
    }

    /// Whether a collection has room for the comments that were read since.
    fn fits(&self, style: StructureStyle, comments: usize) -> Option<()> {
        (style == StructureStyle::Block || self.gaps.comments.len() == comments).then_some(())
    }
}

/// What stands between the nodes, where a `#` begins a comment unless something stands before it.
/// The parser tells of comments too, but then takes longer for every text, with or without any.
struct Gaps<'t> {
    lines: Vec<&'t str>,
    rest: Chars<'t>,
    /// The letter that was read last.
    last: char,
    /// Letters that were read: of the text, and of the line.
    index: usize,
    column: usize,
    /// Number of the line, from 1.
    line: usize,
    comments: Vec<Comment>,
}

impl<'t> Gaps<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            lines: text.lines().collect(),
            rest: text.chars(),
            last: '\n',
            index: 0,
            column: 0,
            line: 1,
            comments: Vec::new(),
        }
    }

    fn letter(&mut self) -> Option<char> {
        let letter = self.rest.next()?;
        self.index += 1;
        self.column += 1;
        if letter == '\n' {
            self.line += 1;
            self.column = 0;
        }
        self.last = letter;
        Some(letter)
    }

    /// Passes by a node.
    fn skip_to(&mut self, index: usize) {
        while self.index < index && self.letter().is_some() {}
    }

    /// Reads the comments up to where a node begins.
    fn read_to(&mut self, index: usize) -> Option<()> {
        while self.index < index {
            let (stands_alone, column) = (self.last.is_whitespace(), self.column);
            if self.letter()? == '#' && stands_alone {
                let comment = self.comment(column)?;
                self.comments.push(comment);
            }
        }
        Some(())
    }

    /// The comment whose mark was just read.
    fn comment(&mut self, column: usize) -> Option<Comment> {
        let line = self.line;
        let mut text = String::new();
        while let Some(letter) = self.letter().filter(|letter| *letter != '\n') {
            text.push(letter);
        }
        let above = line.checked_sub(2).map_or(Some("---"), |at| self.lines.get(at).copied())?;
        let below = self.lines.get(line);
        Some(Comment {
            line,
            column,
            text: text.trim_end().to_owned(),
            is_alone: self.lines.get(line.checked_sub(1)?)?.trim_start().starts_with('#'),
            after_empty: above.trim().is_empty(),
            before_empty: below.is_some_and(|next| next.trim().is_empty()),
        })
    }
}
