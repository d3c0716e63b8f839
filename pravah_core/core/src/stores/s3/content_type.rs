//! What an object's name tells of its content, for those who fetch it over HTTP.

/// What a name that tells nothing stands for.
const UNKNOWN: &str = "application/octet-stream";

/// Extensions and their types: those of IANA's registry where it has one, else what browsers and tools say.
const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("arrows", "application/vnd.apache.arrow.stream"),
    ("avro", "application/vnd.apache.avro"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("br", "application/x-brotli"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("eml", "message/rfc822"),
    ("feather", "application/vnd.apache.arrow.file"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/x-ndjson"),
    ("log", "text/plain"),
    ("lz4", "application/x-lz4"),
    ("md", "text/markdown"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ndjson", "application/x-ndjson"),
    ("ogg", "audio/ogg"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// Give the type that a key's last extension tells, in whatever case it is written.
pub fn guessed_type(key: &str) -> &'static str {
    let name = key.rsplit('/').next().unwrap_or(key);
    let extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension);
    let known = extension.and_then(|found| TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(found)));
    known.map_or(UNKNOWN, |(_, of)| of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_type_is_told_by_the_last_extension_only() {
        assert_eq!(guessed_type("d.csv/a.TXT"), "text/plain");
        assert_eq!(guessed_type("a.csv.gz"), "application/gzip");
        for name in ["a", "d.csv/a", ".csv", "a.", "a.unheard"] {
            assert_eq!(guessed_type(name), UNKNOWN, "{name}");
        }
    }
}
