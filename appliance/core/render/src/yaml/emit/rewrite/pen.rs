//! From nodes and comments to the text.

use granit_parser::{ScalarStyle, StructureStyle};

use super::{Comment, Content, Node};
use crate::yaml::emit::analysis::{Analysis, is_break};
use crate::yaml::emit::writer::Writer;

/// Where a node stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Root,
    /// After `key:`.
    Field,
    /// After `- `.
    Item,
    /// In a collection on one line.
    Flow,
    Key,
}

/// Writes nodes, and the comments where they belong.
pub(super) struct Pen {
    writer: Writer,
    comments: Vec<Comment>,
    /// The first comment that is not written yet.
    next: usize,
}

impl Pen {
    pub(super) fn write(root: &Node, comments: Vec<Comment>) -> Option<String> {
        let mut pen = Self { writer: Writer::new(), comments, next: 0 };
        pen.node(root, Place::Root)?;
        pen.comments_at_end();
        Some(pen.writer.finish())
    }

    fn node(&mut self, node: &Node, place: Place) -> Option<()> {
        if let Some(name) = &node.anchor {
            self.mark(&format!("&{name}"));
        }
        match &node.content {
            Content::Scalar(text, style) => self.scalar(text, *style, node.line, place)?,
            Content::Alias(name) => self.mark(&format!("*{name}")),
            Content::List(items, _) if items.is_empty() => self.mark("[]"),
            Content::Mapping(fields, _) if fields.is_empty() => self.mark("{}"),
            Content::List(items, StructureStyle::Block) if place != Place::Flow => {
                let indent = self.writer.deeper(place == Place::Field);
                for item in items {
                    self.comments_above(item.line);
                    self.writer.indent_line();
                    self.writer.indicator("-", true, false, true);
                    self.node(item, Place::Item)?;
                    self.comment_beside(item);
                }
                if self.comments_within(node) {
                    self.writer.empty_line();
                }
                self.writer.restore(indent);
            }
            Content::Mapping(fields, StructureStyle::Block) if place != Place::Flow => {
                let indent = self.writer.deeper(false);
                for (key, value) in fields {
                    self.comments_above(key.line);
                    self.writer.indent_line();
                    self.node(key, Place::Key)?;
                    self.writer.indicator(":", false, false, false);
                    if is_block(value) {
                        self.comment_beside(key);
                    }
                    self.node(value, Place::Field)?;
                    self.comment_beside(value);
                }
                self.comments_within(node);
                self.writer.restore(indent);
            }
            Content::List(items, _) => {
                self.writer.indicator("[", true, true, false);
                for (index, item) in items.iter().enumerate() {
                    self.comma(index);
                    self.node(item, Place::Flow)?;
                }
                self.writer.indicator("]", false, false, false);
            }
            Content::Mapping(fields, _) => {
                self.writer.indicator("{", true, true, false);
                for (index, (key, value)) in fields.iter().enumerate() {
                    self.comma(index);
                    self.node(key, Place::Flow)?;
                    self.writer.indicator(":", false, false, false);
                    self.node(value, Place::Flow)?;
                }
                self.writer.indicator("}", false, false, false);
            }
        }
        Some(())
    }

    fn mark(&mut self, mark: &str) {
        self.writer.indicator(mark, true, false, false);
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.writer.indicator(",", false, false, false);
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: usize, place: Place) -> Option<()> {
        // What may stand unescaped differs between the versions of the format.
        let is_odd = |letter: char| letter == '\t' || u32::from(letter) > 0xffff;
        let is_inside = matches!(place, Place::Flow | Place::Key);
        if text.is_empty() && style == ScalarStyle::Plain {
            return (!is_inside).then_some(());
        }
        if style != ScalarStyle::DoubleQuoted && text.contains(is_odd) {
            return None;
        }
        let found = Analysis::of(text);
        let flow_mark = |letter| matches!(letter, ',' | '?' | '[' | ']' | '{' | '}' | ':');
        let plain_allowed =
            found.plain_allowed && !(place == Place::Flow && text.contains(flow_mark));
        let is_literal =
            style == ScalarStyle::Literal || style == ScalarStyle::Plain && text.contains(is_break);
        let block_allowed = found.block_allowed && !is_inside;
        let indent = self.writer.deeper_for_scalar();
        if is_literal && block_allowed {
            let comment = self.take_beside(line);
            self.writer.literal(text, comment.as_deref());
        } else if style == ScalarStyle::Folded && block_allowed {
            let comment = self.take_beside(line);
            self.writer.folded_block(text, comment.as_deref());
        } else if style == ScalarStyle::Plain && plain_allowed {
            self.writer.plain(text, false);
        } else if matches!(style, ScalarStyle::Plain | ScalarStyle::SingleQuoted)
            && found.single_quoted_allowed
            && !text.contains(is_break)
        {
            self.writer.single_quoted(text, false);
        } else {
            self.writer.double_quoted(text, false);
        }
        self.writer.restore(indent);
        Some(())
    }

    /// Writes the comments that stood alone above a line, in its place.
    fn comments_above(&mut self, line: usize) {
        while let Some(comment) = self.comments.get(self.next).filter(|one| one.line < line) {
            self.writer.indent_line();
            self.writer.comment(&comment.text);
            // A comment that belongs to what is above it stays apart from what is below.
            if comment.before_empty && !comment.after_empty {
                self.writer.empty_line();
            }
            self.next += 1;
        }
    }

    /// Writes the comments that stood at the end of a collection; whether there were any.
    fn comments_within(&mut self, node: &Node) -> bool {
        let first = self.next;
        let is_within = |one: &&Comment| one.line < node.end && one.column >= node.column.max(1);
        while let Some(comment) = self.comments.get(self.next).filter(is_within) {
            self.writer.indent_line();
            self.writer.comment(&comment.text);
            self.next += 1;
        }
        self.next > first
    }

    /// Writes what comments are left, at the end of all.
    fn comments_at_end(&mut self) {
        for comment in self.comments.iter().skip(self.next) {
            if comment.after_empty {
                self.writer.empty_line();
            }
            self.writer.indent_line();
            self.writer.comment(&comment.text);
        }
    }

    /// Writes the comment that stood behind a node.
    fn comment_beside(&mut self, node: &Node) {
        if let Some(comment) = self.take_beside(node.line) {
            self.writer.comment(&comment);
        }
    }

    fn take_beside(&mut self, line: usize) -> Option<String> {
        let comment = self.comments.get(self.next)?;
        let is_beside = comment.line == line && !comment.is_alone;
        self.next += usize::from(is_beside);
        is_beside.then(|| comment.text.clone())
    }
}

fn is_block(node: &Node) -> bool {
    match &node.content {
        Content::List(items, style) => *style == StructureStyle::Block && !items.is_empty(),
        Content::Mapping(fields, style) => *style == StructureStyle::Block && !fields.is_empty(),
        Content::Scalar(..) | Content::Alias(_) => false,
    }
}
