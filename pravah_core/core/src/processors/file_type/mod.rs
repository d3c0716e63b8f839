//! Which type a file is of: by its first bytes, and a text by what it looks like, helped by its name.
//!
//! - `known`: the table of types; `zip`: what a zip file is a container for; `text`: what a text is about

mod known;
mod text;
mod zip;

use super::extract_headers::text::Text;
pub use known::FileType;
use known::{MAGIC, TYPES};
pub use text::is_text;

/// First bytes of a file that are looked at: the farthest mark, that of ISO 9660, is at 32 KiB.
pub const START_BYTES: u64 = 64 << 10;

/// Tell the type of a file of this name that begins like this.
pub fn of(name: &[u8], text: &Text<'_>) -> &'static FileType {
    let start = &text.bytes[..];
    if start.is_empty() && text.is_whole {
        return known("empty");
    }
    of_magic(start).or_else(|| text::of(name, text)).unwrap_or_else(|| known("binary"))
}

/// Tell the type of a file by bytes that no other type has.
pub fn of_magic(start: &[u8]) -> Option<&'static FileType> {
    let is_there =
        |(offset, bytes, _): &&(usize, &[u8], &str)| start.get(*offset..).is_some_and(|at| at.starts_with(bytes));
    let name = MAGIC.iter().find(is_there).map(|(_, _, name)| *name);
    name.or_else(|| zip::of(start)).or_else(|| contained(start)).map(known)
}

/// Tell types whose mark is short, or has a size before it.
fn contained(start: &[u8]) -> Option<&'static str> {
    let word = |at: usize| start.get(at..at + 4);
    match (word(0)?, word(8)) {
        (b"RIFF", Some(b"WAVE")) => return Some("wav"),
        (b"RIFF", Some(b"WEBP")) => return Some("webp"),
        (b"RIFF", Some(b"AVI ")) => return Some("avi"),
        (b"FORM", Some(b"AIFF" | b"AIFC")) => return Some("aiff"),
        (b"\xca\xfe\xba\xbe", _) => {
            // Classes have a version from 45 on there, fat Mach-O files the number of their parts.
            return Some(if u32::from_be_bytes(start.get(4..8)?.try_into().ok()?) < 45 { "macho" } else { "class" });
        }
        _ => {}
    }
    if word(4) == Some(b"ftyp") {
        return Some(match word(8)? {
            b"avif" | b"avis" => "avif",
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" | b"hevc" => "heif",
            b"qt  " => "mov",
            _ => "mp4",
        });
    }
    let size = |at: usize| Some(u32::from_le_bytes(start.get(at..at + 4)?.try_into().ok()?));
    if start.starts_with(b"BM") && matches!(size(14)?, 12 | 40 | 52 | 56 | 64 | 108 | 124) {
        return Some("bmp");
    }
    if start.starts_with(b"MZ") && start.get(size(60)? as usize..)?.starts_with(b"PE\0\0") {
        return Some("exe");
    }
    if matches!(start, [b'F' | b'C' | b'Z', b'W', b'S', 1..=60, ..]) && size(4)? > 8 && start.contains(&0) {
        return Some("swf");
    }
    // A frame of MPEG audio, layer III, followed by another one.
    (matches!(start, [0xff, 0xfa | 0xfb | 0xf2 | 0xf3, rate, _, ..] if rate & 0xf0 != 0xf0 && rate & 0x0c != 0x0c))
        .then_some("mp3")
}

/// The type of this name.
pub fn known(name: &str) -> &'static FileType {
    TYPES.iter().find(|known| known.name == name).expect("types are told by names of the table")
}

/// The extension of a name, in lower case.
pub fn extension(name: &[u8]) -> Option<String> {
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
    std::str::from_utf8(&name[dot + 1..]).ok().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_types_are_ordered_by_name_and_every_mark_is_of_one() {
        assert!(TYPES.is_sorted_by_key(|known| known.name));
        for (_, bytes, name) in MAGIC {
            assert!(TYPES.iter().any(|known| known.name == *name), "{name}");
            assert!(bytes.len() >= 3, "{name}");
        }
    }

    #[test]
    fn test_marks_that_are_short_need_what_stands_with_them() {
        for (start, expected) in [
            (&b"RIFF\x24\0\0\0WEBPVP8 "[..], Some("webp")),
            (b"\0\0\0\x18ftypheic\0\0\0\0", Some("heif")),
            (b"\0\0\0\x18ftypisom\0\0\0\0", Some("mp4")),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", Some("class")),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", Some("macho")),
            (b"BMW is a maker of cars", None),
            (b"MZ, a band", None),
            (b"FWS is a word", None),
        ] {
            assert_eq!(of_magic(start).map(|found| found.name), expected, "{start:?}");
        }
    }
}
