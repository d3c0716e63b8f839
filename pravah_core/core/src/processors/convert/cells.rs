//! Rows of text, cut into cells and kept by column: a column of text is an Arrow buffer already.
//!
//! Knows nothing of types; where batches are cut depends on the rows alone.

use super::super::column_types::Tag;

/// Rows of a batch, at most.
pub const BATCH_ROWS: usize = 8_192;

/// A batch is full from this weight on: bytes of cells, and [`CELL_BYTES`] for each of them.
pub const BATCH_WEIGHT: usize = 8 << 20;

/// Columns of a table, at most: each takes memory of its own in readers and writers.
pub const MOST_COLUMNS: usize = 65_536;

/// Bytes of one row, at most: a quote that is never closed would take the whole file.
pub const MOST_ROW_BYTES: usize = 16 << 20;

/// What a cell takes beside its bytes: where it ends, and its tag.
const CELL_BYTES: usize = 5;

/// The cells of one column.
#[derive(Debug, Default)]
pub struct Column {
    data: Vec<u8>,
    ends: Vec<u32>,
    tags: Vec<Tag>,
}

/// The cells of some rows.
#[derive(Debug, Default)]
pub struct Cells {
    /// By position; a column may be missing where no row up to here has it.
    pub columns: Vec<Column>,
    /// The line of the file on which each row begins.
    pub lines: Vec<u64>,
    weight: usize,
}

impl Column {
    /// Add bytes to the cell under way.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    /// End the cell under way.
    pub fn close(&mut self, tag: Tag) {
        // A batch is cut long before 4 GiB: at its weight, and a row is bounded.
        self.ends.push(self.data.len() as u32);
        self.tags.push(tag);
    }

    /// Whether the cell under way has no bytes.
    pub fn is_empty_cell(&self) -> bool {
        self.data.len() == self.ends.last().map_or(0, |&end| end as usize)
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Give every cell in order.
    pub fn cells(&self) -> impl Iterator<Item = (Tag, &[u8])> {
        let mut start = 0;
        self.ends.iter().zip(&self.tags).map(move |(&end, &tag)| {
            let cell = &self.data[start..end as usize];
            start = end as usize;
            (tag, cell)
        })
    }

    /// Give the bytes of all cells in a row, where each of them ends, and their tags.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u32>, Vec<Tag>) {
        (self.data, self.ends, self.tags)
    }

    fn pad_to(&mut self, rows: usize) {
        let end = self.data.len() as u32;
        self.ends.resize(rows, end);
        self.tags.resize(rows, Tag::Null);
    }
}

impl Cells {
    /// No rows yet, of so many columns.
    pub fn new(columns: usize) -> Self {
        let mut cells = Self::default();
        cells.columns.resize_with(columns, Column::default);
        cells
    }

    /// End a row of `row_bytes`; columns that it lacks get a null.
    pub fn end_row(&mut self, line: u64, row_bytes: usize) {
        self.lines.push(line);
        self.weight += row_bytes + CELL_BYTES * self.columns.len();
    }

    /// Give a null to each row that has no cell in this column, before the cell of the current row.
    pub fn pad(&mut self, column: usize) {
        let rows = self.lines.len();
        self.columns[column].pad_to(rows);
    }

    /// Whether no further row belongs to this batch.
    pub fn is_full(&self) -> bool {
        self.lines.len() == BATCH_ROWS || self.weight >= BATCH_WEIGHT
    }

    /// Bytes that it takes, as far as rows decide.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Take the rows out, all columns filled up, and leave as many columns without rows.
    pub fn take(&mut self) -> Self {
        let rows = self.lines.len();
        self.columns.iter_mut().for_each(|column| column.pad_to(rows));
        let empty = Self::new(self.columns.len());
        std::mem::replace(self, empty)
    }
}
