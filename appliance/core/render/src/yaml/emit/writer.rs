//! The pen: column, indentation, and the rules for breaking lines inside scalars.

use super::analysis::{is_break, is_printable};

/// Column after which a space becomes a line break.
const WIDTH: usize = 80;

/// Bytes of a document of usual size.
const DOCUMENT_BYTES: usize = 2048;

/// Spaces a level.
const STEP: usize = 2;

/// The text so far and where the pen stands.
pub(super) struct Writer {
    out: String,
    /// `None` before the first collection.
    indent: Option<usize>,
    column: usize,
    /// Whether the last thing written was white space.
    whitespace: bool,
    /// Whether only white space and indicators such as `- ` stand on the line.
    indention: bool,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self::after("")
    }

    /// A pen that goes on after a line, which is empty at the beginning of all.
    pub(super) fn after(line: &str) -> Self {
        let mut out = String::with_capacity(DOCUMENT_BYTES);
        out.push_str(line);
        Self { out, indent: None, column: 0, whitespace: true, indention: true }
    }

    /// Ends the document.
    pub(super) fn finish(mut self) -> String {
        if !self.out.ends_with('\n') {
            self.line_break();
        }
        self.out
    }

    /// Goes one level in, unless `flat`; gives the level to [`Writer::restore`].
    pub(super) fn deeper(&mut self, flat: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = match before {
            None => Some(0),
            Some(indent) if flat => Some(indent),
            Some(indent) => Some(indent + STEP),
        };
        before
    }

    /// Goes one level in for the continuation lines of a scalar.
    pub(super) fn deeper_for_scalar(&mut self) -> Option<usize> {
        let before = self.indent;
        self.indent = Some(before.map_or(STEP, |indent| indent + STEP));
        before
    }

    pub(super) fn restore(&mut self, indent: Option<usize>) {
        self.indent = indent;
    }

    /// Moves to the indentation, on a new line unless the pen can stay on this one.
    pub(super) fn indent_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// Writes a mark of the format.
    pub(super) fn indicator(
        &mut self,
        mark: &str,
        needs_whitespace: bool,
        is_whitespace: bool,
        is_indention: bool,
    ) {
        if needs_whitespace && !self.whitespace {
            self.put(' ');
        }
        mark.chars().for_each(|letter| self.put(letter));
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    /// Writes a comment, which has the rest of the line.
    pub(super) fn comment(&mut self, text: &str) {
        if !self.whitespace {
            self.put(' ');
        }
        self.put('#');
        text.chars().for_each(|letter| self.put(letter));
        self.whitespace = false;
        self.indention = false;
    }

    /// Leaves the next line empty.
    pub(super) fn empty_line(&mut self) {
        self.line_break();
        self.line_break();
        self.whitespace = true;
        self.indention = true;
    }

    /// Writes text in which there is nothing to look at.
    pub(super) fn word(&mut self, text: &str) {
        if !self.whitespace {
            self.put(' ');
        }
        self.out.push_str(text);
        self.column += text.len();
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes text without quotes.
    pub(super) fn plain(&mut self, text: &str, may_break: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.folded(text, may_break, |_, _| true, Self::put);
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes text in `'…'`.
    pub(super) fn single_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("'", true, false, false);
        let inside = |at: usize, length: usize| at > 0 && at + 1 < length;
        self.folded(text, may_break, inside, |writer, letter| {
            if letter == '\'' {
                writer.put('\'');
            }
            writer.put(letter);
        });
        self.indicator("'", false, false, false);
    }

    /// Writes text that holds no line break but U+2028 and U+2029, folding it at single spaces.
    fn folded(
        &mut self,
        text: &str,
        may_break: bool,
        inside: impl Fn(usize, usize) -> bool,
        mut write: impl FnMut(&mut Self, char),
    ) {
        let mut after_space = false;
        for (at, letter) in text.char_indices() {
            if letter != ' ' {
                write(self, letter);
                self.indention = false;
                after_space = false;
                continue;
            }
            let space_next = text.as_bytes().get(at + 1) == Some(&b' ');
            let foldable = may_break && !after_space && self.column > WIDTH && !space_next;
            if foldable && inside(at, text.len()) {
                self.indent_line();
            } else {
                self.put(' ');
            }
            after_space = true;
        }
    }

    /// Writes text in `"…"` with escapes.
    pub(super) fn double_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("\"", true, false, false);
        let mut after_space = false;
        for (at, letter) in text.char_indices() {
            if letter == ' ' {
                let inside = at > 0 && at + 1 < text.len();
                if may_break && !after_space && self.column > WIDTH && inside {
                    self.indent_line();
                    if text.as_bytes().get(at + 1) == Some(&b' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                after_space = true;
                continue;
            }
            after_space = false;
            if !is_printable(letter) || is_break(letter) || matches!(letter, '"' | '\\') {
                self.escape(letter);
            } else {
                self.put(letter);
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, letter: char) {
        self.put('\\');
        let short = match letter {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(letter);
                let digits = match code {
                    0..=0xff => format!("x{code:02X}"),
                    0x100..=0xffff => format!("u{code:04X}"),
                    _ => format!("U{code:08X}"),
                };
                digits.chars().for_each(|digit| self.put(digit));
                return;
            }
        };
        self.put(short);
    }

    /// Writes text as a block that keeps its line breaks.
    pub(super) fn literal(&mut self, text: &str, comment: Option<&str>) {
        self.block("|", text, comment, |_, _| false);
    }

    /// Writes text as a block in which a line break stands for a space, an empty line for a line
    /// break. No line is broken that is not broken in the text.
    pub(super) fn folded_block(&mut self, text: &str, comment: Option<&str>) {
        // Lines further in than the block are not folded.
        let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ');
        self.block(">", text, comment, |line, rest| {
            is_text(line) && is_text(rest.trim_start_matches(is_break))
        });
    }

    /// Writes a block, with a comment beside its mark. `is_folded` says of a line and of what
    /// follows its break whether the break has to be doubled.
    fn block(
        &mut self,
        mark: &str,
        text: &str,
        comment: Option<&str>,
        is_folded: impl Fn(&str, &str) -> bool,
    ) {
        self.indicator(mark, true, false, false);
        if text.starts_with(|letter| letter == ' ' || is_break(letter)) {
            self.indicator("2", false, false, false);
        }
        let body = text.trim_end_matches(is_break);
        let breaks_at_end = text.chars().count() - body.chars().count();
        match breaks_at_end {
            0 => self.indicator("-", false, false, false),
            1 if !body.is_empty() => {}
            _ => self.indicator("+", false, false, false),
        }
        if let Some(comment) = comment {
            self.comment(comment);
        }
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut line_start = 0;
        for (at, letter) in text.char_indices() {
            if is_break(letter) {
                let line = text.get(line_start..at).unwrap_or_default();
                let next = at + letter.len_utf8();
                if letter == '\n' {
                    if is_folded(line, text.get(next..).unwrap_or_default()) {
                        self.line_break();
                    }
                    self.line_break();
                } else {
                    self.put(letter);
                    self.column = 0;
                }
                self.indention = true;
                line_start = next;
            } else {
                if line_start == at {
                    self.indent_line();
                }
                self.put(letter);
                self.indention = false;
            }
        }
    }

    fn put(&mut self, letter: char) {
        self.out.push(letter);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }
}
