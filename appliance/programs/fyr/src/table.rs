//! Tables of text.

use crate::style::{Paint, clean, painted};

/// One cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// Text without colour.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Paint::Plain)
    }

    /// Text in a colour.
    pub(crate) fn new(text: impl AsRef<str>, paint: Paint) -> Self {
        Self { text: clean(text.as_ref()), paint }
    }
}

/// Columns with a heading each. Columns of the wide form come last.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// What stands in a cell that has nothing to show, so that columns can be told apart by position.
const NOTHING: &str = "-";

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: impl IntoIterator<Item = &'static str>) -> Self {
        Self { headings: headings.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the headings are left out.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().take(self.headings.len()).collect());
    }

    /// The table as lines. The last column is never padded, so that lines have no trailing blanks.
    pub(crate) fn text(&self, colours: bool) -> String {
        let shown = |cell: &Cell| match cell.text.as_str() {
            "" => NOTHING.to_owned(),
            text => text.to_owned(),
        };
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let longest = cells.map(|cell| shown(cell).chars().count()).max().unwrap_or(0);
                longest.max(self.headings[column].len())
            })
            .collect();
        let mut text = String::new();
        let headings = self.headings.iter().map(|heading| Cell::new(heading, Paint::Dim));
        for row in std::iter::once(headings.collect()).chain(self.rows.iter().cloned()) {
            let row: Vec<Cell> = row;
            for (column, cell) in row.iter().enumerate() {
                let content = shown(cell);
                let padding = widths[column] - content.chars().count();
                text.push_str(&painted(&content, cell.paint, colours));
                if column + 1 < row.len() {
                    text.push_str(&" ".repeat(padding + 2));
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell_and_the_last_one_is_not_padded() {
        let mut table = Table::new(["NAME", "SYNC", "REASON"]);
        table.row([Cell::plain("web"), Cell::new("Synced", Paint::Good), Cell::plain("")]);
        table.row([Cell::plain("größer"), Cell::plain("x"), Cell::plain("a\nb"), Cell::plain("y")]);
        assert_eq!(
            table.text(false),
            "NAME    SYNC    REASON\nweb     Synced  -\ngrößer  x       a b\n"
        );
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::new(["A", "B"]);
        table.row([Cell::new("xx", Paint::Bad), Cell::plain("y")]);
        assert!(table.text(true).contains("\u{1b}[31mxx\u{1b}[0m  y"));
    }
}
