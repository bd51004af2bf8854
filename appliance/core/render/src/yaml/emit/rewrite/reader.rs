//! From the text to nodes and comments.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use super::{Comment, Content, Node};
use crate::yaml::DEPTH_MAX;

/// Reads a document with its style.
pub(super) struct Reader<'t> {
    lines: Vec<&'t str>,
    parser: Parser<'t, StrInput<'t>>,
    comments: Vec<Comment>,
    anchors: BTreeMap<usize, String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let options = granit_parser::options! {
            emit_comments: true,
            emit_anchor_events: true,
            block_scalar_eof_without_line_feed: true,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Self {
            lines: text.lines().collect(),
            parser,
            comments: Vec::new(),
            anchors: BTreeMap::new(),
        }
    }

    pub(super) fn comments(self) -> Vec<Comment> {
        self.comments
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

    /// The next event that is no comment.
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        loop {
            let (event, span) = self.parser.next_event()?.ok()?;
            let Event::Comment(text, _) = &event else { return Some((event, span)) };
            let line = span.start.line();
            let above =
                line.checked_sub(2).map_or(Some("---"), |at| self.lines.get(at).copied())?;
            let below = self.lines.get(line);
            self.comments.push(Comment {
                line,
                column: span.start.col(),
                text: text.trim_end().to_owned(),
                is_alone: self.lines.get(line.checked_sub(1)?)?.trim_start().starts_with('#'),
                after_empty: above.trim().is_empty(),
                before_empty: below.is_some_and(|next| next.trim().is_empty()),
            });
        }
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
                let comments = self.comments.len();
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
                let comments = self.comments.len();
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
        (style == StructureStyle::Block || self.comments.len() == comments).then_some(())
    }
}
