//! Delimiter and quote of a table, told by its first rows: those under which most rows have as many fields as the first.

use super::{
    format::Format,
    rows::{Dialect, Field, Rows},
    text::Text,
};

/// Rows, and bytes of text, that the choice is made by.
const ROWS: usize = 100;
/// Rows that are enough where a name says that it is a table, and only one delimiter stands in it at all: most are so.
const FEW_ROWS: usize = 8;
pub const SNIFFED_BYTES: usize = 64 << 10;

/// In order of preference where nothing else decides.
const DELIMITERS: [u8; 4] = *b",\t;|";
/// Delimiters of which most stand in times, names and numbers, too.
const OTHER_DELIMITERS: [u8; 6] = *b"\x1f\x01^~#:";

/// How the first rows look when they are read by a dialect.
struct Look {
    dialect: Dialect,
    rows: usize,
    /// Fields of the first row.
    columns: usize,
    /// Rows that have as many, and no quotes but those around fields.
    alike: usize,
    quoted: usize,
}

impl Look {
    fn new(text: &Text<'_>, dialect: Dialect, most_rows: usize) -> Self {
        let part = sniffed(text);
        let mut rows = Rows::new(part, dialect, text.is_whole && part.len() == text.bytes.len());
        let mut look = Self { dialect, rows: 0, columns: 0, alike: 0, quoted: 0 };
        let mut fields: Vec<Field> = Vec::new();
        while look.rows < most_rows && rows.next(&mut fields) {
            if look.rows == 0 {
                look.columns = fields.len();
            }
            look.rows += 1;
            let is_clean = fields.iter().all(|field| rows.is_clean(field));
            look.alike += usize::from(is_clean && fields.len() == look.columns);
            look.quoted += fields.iter().filter(|field| field.is_quoted && rows.is_clean(field)).count();
        }
        look
    }

    /// Rows alike among a thousand, then columns: the larger, the better.
    fn rank(&self) -> (usize, usize) {
        if self.columns < 2 { (0, 0) } else { (1_000 * self.alike / self.rows, self.columns) }
    }

    fn is_clear(&self) -> bool {
        self.rows >= 2 && self.rank() >= CLEAR
    }
}

fn sniffed<'t>(text: &'t Text<'_>) -> &'t [u8] {
    &text.bytes[..text.bytes.len().min(SNIFFED_BYTES)]
}

/// Tell how a table of this format is written.
pub fn of(text: &Text<'_>, format: Format) -> Dialect {
    let tabs = (format == Format::Tsv).then(|| Look::new(text, Dialect { delimiter: b'\t', quote: b'"' }, ROWS));
    let Some(chosen) = tabs.filter(|tabs| tabs.columns >= 2).or_else(|| best(text, &DELIMITERS, FEW_ROWS)) else {
        // The name says it, as long as nothing else divides the rows.
        let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
        return others(text).map_or(Dialect { delimiter, quote: b'"' }, |look| look.dialect);
    };
    let chosen = Some(&chosen).filter(|look| look.rank() < CLEAR).and_then(|_| others(text)).unwrap_or(chosen);
    if memchr::memchr(b'\'', sniffed(text)).is_some() && memchr::memchr(b'"', sniffed(text)).is_none() {
        let single = Look::new(text, Dialect { quote: b'\'', ..chosen.dialect }, ROWS);
        // Apostrophes are in words; quotes are around fields of every row.
        if single.quoted >= single.rows && single.rank().0 >= chosen.rank().0 && single.rows > 0 {
            return single.dialect;
        }
    }
    chosen.dialect
}

/// Tell how a text is written whose name doesn't tell that it is a table: only if it can hardly be anything else.
pub fn of_unnamed(text: &Text<'_>) -> Option<Dialect> {
    best(text, &DELIMITERS, ROWS).filter(Look::is_clear).map(|look| look.dialect)
}

/// A rank that leaves hardly a doubt.
const CLEAR: (usize, usize) = (950, 2);

/// By a delimiter that few tables have: where it divides all rows alike, and the usual ones do not.
fn others(text: &Text<'_>) -> Option<Look> {
    best(text, &OTHER_DELIMITERS, ROWS).filter(Look::is_clear)
}

fn best(text: &Text<'_>, delimiters: &[u8], enough_rows: usize) -> Option<Look> {
    let is_present = |delimiter: &u8| memchr::memchr(*delimiter, sniffed(text)).is_some();
    let present: Vec<u8> = delimiters.iter().copied().filter(is_present).collect();
    let look = |delimiter, most_rows| Look::new(text, Dialect { delimiter, quote: b'"' }, most_rows);
    if let [only] = present[..]
        && let few = look(only, enough_rows)
        && few.alike == enough_rows
        && few.columns >= 2
    {
        return Some(few);
    }
    let looks = present.iter().rev().map(|delimiter| look(*delimiter, ROWS));
    looks.filter(|look| look.columns >= 2).max_by_key(Look::rank)
}
