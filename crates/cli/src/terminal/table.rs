//! A table with aligned columns.

use super::screen::{Ink, Screen};
use crate::format::shorten;

/// Side at which the cells of a column line up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// Rows of text under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<(String, Option<Ink>)>>,
    spaces: Vec<usize>,
    cut: usize,
}

const GAP: &str = "  ";

impl Table {
    /// A table with these headings; all may be empty.
    pub fn new(columns: &[(&str, Align)]) -> Table {
        let columns = columns.iter().map(|(name, align)| (name.to_string(), *align)).collect();
        Table { columns, rows: Vec::new(), spaces: Vec::new(), cut: 0 }
    }

    /// Cuts the column at `index`, instead of the first, where the whole is too wide.
    pub fn cutting(mut self, index: usize) -> Table {
        self.cut = index;
        self
    }

    /// True while there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row of plain cells.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.inked_row(cells.into_iter().map(|cell| (cell.into(), None)));
    }

    /// Adds a row of cells, each with a colour or none.
    ///
    /// # Panics
    /// If there are not as many cells as columns.
    pub fn inked_row(&mut self, cells: impl IntoIterator<Item = (String, Option<Ink>)>) {
        let cells: Vec<_> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "cells and columns");
        self.rows.push(cells);
    }

    /// Leaves a blank line below the rows so far, if more follow.
    pub fn space(&mut self) {
        self.spaces.push(self.rows.len());
    }

    /// The lines of the table. Cells are made safe for the terminal; where the whole is wider than the screen, one
    /// column is cut: the first, or that of [`Table::cutting`].
    pub fn draw(&self, screen: &Screen) -> String {
        let clean = |text: &str| screen.clean(text);
        let heads: Vec<String> = self.columns.iter().map(|(name, _)| clean(name)).collect();
        let rows: Vec<Vec<(String, Option<Ink>)>> =
            self.rows.iter().map(|row| row.iter().map(|(text, ink)| (clean(text), *ink)).collect()).collect();
        let width_of = |text: &str| console::measure_text_width(text);
        let mut widths: Vec<usize> = heads.iter().map(|head| width_of(head)).collect();
        for row in &rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(width_of(text));
            }
        }
        let total: usize = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        if let Some(first) = widths.get_mut(self.cut) {
            *first = (*first).saturating_sub(total.saturating_sub(screen.width)).max((*first).min(6));
        }

        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = (&str, Option<Ink>)>| {
            let mut text = String::new();
            for (index, (cell, ink)) in cells.enumerate() {
                let cell = shorten(cell, widths[index], screen.unicode);
                let space = " ".repeat(widths[index].saturating_sub(width_of(&cell)));
                let painted = ink.map_or_else(|| cell.clone(), |ink| screen.paint(ink, &cell));
                text.push_str(if index == 0 { "" } else { GAP });
                match self.columns[index].1 {
                    Align::Left => text.push_str(&(painted + &space)),
                    Align::Right => text.push_str(&(space + &painted)),
                }
            }
            out.push_str(text.trim_end());
            out.push('\n');
        };
        if heads.iter().any(|head| !head.is_empty()) {
            line(&mut heads.iter().map(|head| (head.as_str(), Some(Ink::Faint))));
        }
        for (index, row) in rows.iter().enumerate() {
            if self.spaces.contains(&index) {
                line(&mut std::iter::empty());
            }
            line(&mut row.iter().map(|(text, ink)| (text.as_str(), *ink)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen { width: 40, unicode: true, color: false, terminal: false };

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let mut table = Table::new(&[("name", Align::Left), ("value", Align::Right)]);
        table.row(["größe", "1.5"]);
        table.space();
        table.inked_row([("東京".to_string(), None), ("12345.0".to_string(), Some(Ink::Wrong))]);
        table.space();
        assert_eq!(table.draw(&SCREEN), "name     value\ngröße      1.5\n\n東京   12345.0\n");
        let painted = table.draw(&Screen { color: true, ..SCREEN });
        assert!(painted.contains("東京   \x1b[31m12345.0\x1b[0m\n"), "{painted:?}");
    }

    #[test]
    fn too_wide_a_table_cuts_its_first_column() {
        let mut table = Table::new(&[("", Align::Left), ("", Align::Right)]);
        table.row(["x".repeat(90), "7".to_string()]);
        let line = table.draw(&SCREEN);
        assert_eq!(console::measure_text_width(line.trim_end()), 40);
        assert!(line.trim_end().ends_with("x…  7"));
    }
}
