//! What a zip file is a container for, by the names of its first members.

/// What each member begins with (APPNOTE 4.3.7), and where its name's length and its name stand.
const MEMBER: &[u8] = b"PK\x03\x04";
const NAME_LENGTH_AT: usize = 26;
const NAME_AT: usize = 30;

/// Tell the type of a zip file, if it is one.
pub fn of(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"PK\x05\x06") {
        return Some("zip"); // without members
    }
    if !start.starts_with(MEMBER) {
        return None;
    }
    let told = members(start).find_map(|(name, content)| match name {
        b"mimetype" => of_media_type(content),
        b"AndroidManifest.xml" => Some("apk"),
        b"META-INF/MANIFEST.MF" => Some("jar"),
        _ if name.starts_with(b"word/") => Some("docx"),
        _ if name.starts_with(b"xl/") => Some("xlsx"),
        _ if name.starts_with(b"ppt/") => Some("pptx"),
        _ => None,
    });
    Some(told.unwrap_or("zip"))
}

/// Names of the members that begin here, with what stands behind each.
fn members(start: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    memchr::memmem::find_iter(start, MEMBER).filter_map(|at| {
        let header = &start[at..];
        let [low, high] = *header.get(NAME_LENGTH_AT..NAME_LENGTH_AT + 2)? else { return None };
        let [low_extra, high_extra] = *header.get(NAME_LENGTH_AT + 2..NAME_AT)? else { return None };
        let end = NAME_AT + usize::from(u16::from_le_bytes([low, high]));
        let content = end + usize::from(u16::from_le_bytes([low_extra, high_extra]));
        Some((header.get(NAME_AT..end)?, header.get(content..).unwrap_or_default()))
    })
}

/// OpenDocument and EPUB have their media type as the first member, as it is.
fn of_media_type(content: &[u8]) -> Option<&'static str> {
    let types = [
        (&b"application/epub+zip"[..], "epub"),
        (b"application/vnd.oasis.opendocument.text", "odt"),
        (b"application/vnd.oasis.opendocument.spreadsheet", "ods"),
        (b"application/vnd.oasis.opendocument.presentation", "odp"),
    ];
    types.into_iter().find(|(media_type, _)| content.starts_with(media_type)).map(|(_, name)| name)
}
