//! Types of files, by the ends of their names: `csv` is `*.csv`, and `*.csv.gz` too.
//!
//! Names, not contents: what a file holds is for the steps to find out, and a scan reads nothing.

/// A type of files: its name and the extensions that it goes by, in lower case.
#[derive(Debug, PartialEq, Eq)]
pub struct Type {
    /// The name by which people ask for it.
    pub name: &'static str,
    extensions: &'static [&'static str],
}

impl Type {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::new("archive", &["tar", "zip", "7z", "rar", "tgz", "tbz2", "txz", "jar"]),
        Self::new("arrow", &["arrow", "feather", "ipc"]),
        Self::new("audio", &["mp3", "wav", "flac", "ogg", "oga", "opus", "m4a", "aac"]),
        Self::new("avro", &["avro"]),
        Self::new("compressed", COMPRESSED),
        Self::new("csv", &["csv"]),
        Self::new("email", &["eml", "mbox", "msg"]),
        Self::new("excel", &["xlsx", "xlsm", "xls"]),
        Self::new("html", &["html", "htm", "xhtml"]),
        Self::new("image", &["png", "jpg", "jpeg", "gif", "webp", "tif", "tiff", "bmp", "avif", "heic", "svg"]),
        Self::new("json", &["json"]),
        Self::new("log", &["log"]),
        Self::new("markdown", &["md", "markdown"]),
        Self::new("ndjson", &["ndjson", "jsonl"]),
        Self::new("orc", &["orc"]),
        Self::new("parquet", &["parquet", "pq"]),
        Self::new("pdf", &["pdf"]),
        Self::new("text", &["txt", "text"]),
        Self::new("tsv", &["tsv", "tab"]),
        Self::new("video", &["mp4", "mkv", "mov", "avi", "webm", "m4v"]),
        Self::new("xml", &["xml"]),
        Self::new("yaml", &["yaml", "yml"]),
    ];

    const fn new(name: &'static str, extensions: &'static [&'static str]) -> Self {
        Self { name, extensions }
    }

    /// The type of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|each| each.name == name)
    }

    /// Whether a file of this name is one; an extension of compression may follow that of the type.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some((stem, extension)) = split(name) else { return false };
        if is_one_of(extension, self.extensions) {
            return true;
        }
        is_one_of(extension, COMPRESSED)
            && split(stem).is_some_and(|(_, extension)| is_one_of(extension, self.extensions))
    }
}

/// The extension, with the one before it where it tells a compression: `csv.gz`; none where there is none.
pub(super) fn compound_extension(name: &[u8]) -> Option<&[u8]> {
    let (stem, extension) = split(name)?;
    let before = split(stem).filter(|_| is_one_of(extension, COMPRESSED)).map(|(_, before)| before.len() + 1);
    Some(&name[name.len() - extension.len() - before.unwrap_or(0)..])
}

/// A name that begins with its only dot has no extension.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
    Some((&name[..dot], &name[dot + 1..]))
}

fn is_one_of(extension: &[u8], known: &[&str]) -> bool {
    known.iter().any(|each| each.as_bytes().eq_ignore_ascii_case(extension))
}

const COMPRESSED: &[&str] = &["gz", "zst", "lz4", "xz", "bz2", "br", "sz", "bgz", "zstd"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_type_is_told_by_extension_in_any_case_and_below_compression() {
        let csv = Type::find("csv").expect("is known");
        for name in ["a.csv", "A.CSV", "a.b.csv", "a.csv.gz", "a.Csv.ZST"] {
            assert!(csv.matches(name.as_bytes()), "{name}");
        }
        for name in ["csv", ".csv", "a.csv.txt", "a.gz", "a.csv.", "", "a.csv.gz.gz"] {
            assert!(!csv.matches(name.as_bytes()), "{name}");
        }
        assert!(Type::find("compressed").expect("is known").matches(b"a.csv.gz"));
        assert_eq!(Type::find("tabel"), None);
    }

    #[test]
    fn test_extension_of_compression_brings_the_one_before_it() {
        for (name, extension) in
            [("a.csv.gz", Some("csv.gz")), ("a.b.csv", Some("csv")), (".gz", None), ("a", None), ("a.gz", Some("gz"))]
        {
            assert_eq!(compound_extension(name.as_bytes()), extension.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn test_types_are_sorted_and_named_once() {
        assert!(Type::ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
