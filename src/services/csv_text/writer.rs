//! From rows to a file that spreadsheets read safely.

/// Whether a spreadsheet would take the text for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// Whether the text is a formula, or one that is guarded already: both get one more mark on the way out, and lose
/// one on the way in, so that every text comes back as it was.
fn needs_guard(text: &str) -> bool {
    is_formula(text.trim_start_matches('\''))
}

/// The text of a cell whose guard [`CsvWriter`] set.
pub(super) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| needs_guard(text)).unwrap_or(cell)
}

/// Writes CSV after RFC 4180, in UTF-8 with a mark so that spreadsheets show every script. Cells that would be
/// formulas get a `'` before them.
#[derive(Debug)]
pub struct CsvWriter {
    text: String,
}

impl CsvWriter {
    /// A file with nothing but the mark of UTF-8.
    pub fn new() -> Self {
        Self { text: "\u{FEFF}".to_owned() }
    }

    /// Adds a row.
    pub fn row<I>(&mut self, cells: I)
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let start = self.text.len();
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.cell(cell.as_ref());
        }
        // A row of one empty cell would be an empty line, which is no row.
        if self.text.len() == start {
            self.text.push_str("\"\"");
        }
        self.text.push_str("\r\n");
    }

    /// What has been written since the last call: for sending a long file piece by piece.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }

    /// The whole file.
    pub fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    fn cell(&mut self, cell: &str) {
        let guard = if needs_guard(cell) { "'" } else { "" };
        let special = cell.contains([',', ';', '\t', '"', '\r', '\n']) || cell.trim() != cell;
        if special {
            self.text.push('"');
            self.text.push_str(guard);
            self.text.push_str(&cell.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(guard);
            self.text.push_str(cell);
        }
    }
}

impl Default for CsvWriter {
    fn default() -> Self {
        Self::new()
    }
}
