//! Columns and counts for people.

use std::fmt;

/// Rows under a head, aligned.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned).to_vec()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.rows[0].len());
        self.rows.push(cells.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
            .collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, &wide) in row.iter().zip(&widths) {
                line += cell;
                line.extend(std::iter::repeat_n(' ', wide - width(cell) + 2));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// So many of something: `1 job`, `2 jobs`.
pub(super) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Characters as they are seen: colours take no room.
fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colours() {
        let mut table = Table::new(["ID", "STATUS"]);
        table.row(["1".to_owned(), "\x1b[32mdone\x1b[0m".to_owned()]);
        table.row(["1234".to_owned(), "x".to_owned()]);
        assert_eq!(table.to_string(), "ID    STATUS\n1     \x1b[32mdone\x1b[0m\n1234  x\n");
    }
}
