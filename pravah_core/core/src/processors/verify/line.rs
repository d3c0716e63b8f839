//! One line of a list of checksums, in whichever form it comes.
//!
//! - GNU: `DIGEST  name`, `DIGEST *name`; a line that begins with `\` has `\\`, `\n` and `\r` in its name
//! - BSD: `SHA256 (name) = DIGEST`, escaped alike
//! - NDJSON of the step `checksum`: `path` or `path_b64`, `algorithm` and `checksum`

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::super::digest::Algorithm;

/// What a line says of one file.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub name: Vec<u8>,
    pub algorithm: Algorithm,
    pub digest: Vec<u8>,
}

/// How the checksums of lines that don't say it were made.
#[derive(Debug, Clone, Copy)]
pub struct Untagged {
    /// By this algorithm, whatever the line looks like.
    pub always: Option<Algorithm>,
    /// Those of 256 bits.
    pub of_256_bits: Algorithm,
}

/// Read a line; none where it says nothing. The error is the rest of a sentence about the line.
pub fn read(line: &[u8], untagged: Untagged) -> Result<Option<Line>, String> {
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    if line.starts_with(b"{") {
        return read_record(line).map(Some);
    }
    let (line, is_escaped) = line.strip_prefix(b"\\").map_or((line, false), |rest| (rest, true));
    let (tag, digits, name) = split_bsd(line).or_else(|| split_gnu(line)).ok_or("is no line of checksums")?;
    let algorithm = match tag {
        Some(tag) => tagged(tag)?,
        None => untagged.algorithm(digits.len())?,
    };
    let name = if is_escaped { unescape(name)? } else { name.to_vec() };
    Ok(Some(Line { name: plain(name), algorithm, digest: digest(digits, algorithm)? }))
}

type Parts<'l> = (Option<&'l [u8]>, &'l [u8], &'l [u8]);

fn split_bsd(line: &[u8]) -> Option<Parts<'_>> {
    let open = line.windows(2).position(|pair| pair == b" (")?;
    let close = line.windows(4).rposition(|four| four == b") = ")?;
    let tag = &line[..open];
    let is_tag = tag.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(byte));
    (is_tag && close >= open + 2).then(|| (Some(tag), &line[close + 4..], &line[open + 2..close]))
}

fn split_gnu(line: &[u8]) -> Option<Parts<'_>> {
    let space = line.iter().position(|&byte| byte == b' ')?;
    let (digits, rest) = (&line[..space], &line[space + 1..]);
    // The second letter says text or binary; some lists have one space only.
    let name = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"*")).unwrap_or(rest);
    let (tag, digits) = match digits.strip_prefix(b"XXH3_") {
        Some(digits) => (Some(&b"XXH3"[..]), digits),
        None => (None, digits),
    };
    let is_digest = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    (is_digest && !name.is_empty()).then_some((tag, digits, name))
}

fn tagged(tag: &[u8]) -> Result<Algorithm, String> {
    let tag = String::from_utf8_lossy(tag).to_ascii_lowercase().replace(['-', '_'], "");
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == tag);
    known.ok_or_else(|| format!("has a checksum by {tag}, known are {}", names()))
}

fn names() -> String {
    Algorithm::ALL.map(Algorithm::name).join(", ")
}

impl Untagged {
    fn algorithm(self, digits: usize) -> Result<Algorithm, String> {
        match (self.always, digits) {
            (Some(algorithm), _) => Ok(algorithm),
            (None, 16) => Ok(Algorithm::Xxh3),
            (None, 32) => Ok(Algorithm::Md5),
            (None, 40) => Ok(Algorithm::Sha1),
            (None, 64) => Ok(self.of_256_bits),
            (None, _) => Err(format!("has a checksum of {digits} digits, which none of {} has", names())),
        }
    }
}

fn digest(digits: &[u8], algorithm: Algorithm) -> Result<Vec<u8>, String> {
    let (wanted, name) = (2 * algorithm.length_bytes(), algorithm.name());
    if digits.len() != wanted {
        return Err(format!("has a checksum of {} digits, {name} has {wanted}", digits.len()));
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    bytes.ok_or_else(|| "has a checksum with other letters than hexadecimal digits".to_owned())
}

fn unescape(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'\\') => b'\\',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => return Err("has a backslash with nothing known behind it".to_owned()),
            },
            byte => byte,
        });
    }
    Ok(plain)
}

/// The name without the `./` that `find .` puts before it.
fn plain(mut name: Vec<u8>) -> Vec<u8> {
    while name.starts_with(b"./") {
        let slashes = name[1..].iter().take_while(|&&byte| byte == b'/').count();
        name.drain(..=slashes);
    }
    name
}

#[derive(Deserialize)]
struct Record {
    path: String,
    path_b64: Option<String>,
    algorithm: Algorithm,
    checksum: String,
}

fn read_record(line: &[u8]) -> Result<Line, String> {
    let record: Record =
        serde_json::from_slice(line).map_err(|error| format!("is no record of the step checksum: {error}"))?;
    let whole = record.path_b64.map(|text| BASE64_STANDARD.decode(text)).transpose();
    let name = whole.map_err(|error| format!("has a path_b64 that is none: {error}"))?;
    let name = plain(name.unwrap_or_else(|| record.path.into_bytes()));
    Ok(Line { name, algorithm: record.algorithm, digest: digest(record.checksum.as_bytes(), record.algorithm)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn line(text: &str) -> Result<Option<(String, Algorithm)>, String> {
        let read = read(text.as_bytes(), Untagged { always: None, of_256_bits: Algorithm::Sha256 })?;
        Ok(read.map(|line| (String::from_utf8_lossy(&line.name).into_owned(), line.algorithm)))
    }

    #[test]
    fn test_lines_of_each_form_are_read() {
        let md5 = |name: &str| Ok(Some((name.to_owned(), Algorithm::Md5)));
        assert_eq!(line(&format!("{MD5}  a b")), md5("a b"));
        assert_eq!(line(&format!("{MD5} *./d/a")), md5("d/a"));
        assert_eq!(line(&format!("{MD5} a")), md5("a"));
        assert_eq!(line(&format!("{}   a", MD5.to_uppercase())), md5(" a"));
        assert_eq!(line(&format!("\\{MD5}  a\\nb\\\\c\\r")), md5("a\nb\\c\r"));
        assert_eq!(line(&format!("MD5 (a) = b (c) = {MD5}")), md5("a) = b (c"));
        assert_eq!(line(&format!("\\MD5 (a\\nb) = {MD5}")), md5("a\nb"));
        let digits = "78af5f94892f3950";
        assert_eq!(line(&format!("XXH3_{digits}  a")), Ok(Some(("a".to_owned(), Algorithm::Xxh3))));
        let record = format!(r#"{{"path":"/d/a","algorithm":"crc64nvme","checksum":"{digits}","size_bytes":3}}"#);
        assert_eq!(line(&record), Ok(Some(("/d/a".to_owned(), Algorithm::Crc64nvme))));
        assert_eq!((line(""), line("# made by hand"), line("  ")), (Ok(None), Ok(None), Ok(None)));
    }

    #[test]
    fn test_lines_that_are_none_are_told() {
        for (text, told) in [
            ("hello", "no line of checksums"),
            ("900150983cd24fb0  ", "no line of checksums"),
            ("900150  a", "6 digits"),
            (&format!("SHA512 (a) = {MD5}"), "sha512"),
            (&format!("SHA1 (a) = {MD5}"), "sha1 has 40"),
            (&format!("\\{MD5}  a\\t"), "backslash"),
            ("{\"path\":\"a\"}", "record"),
        ] {
            let message = line(text).expect_err(text);
            assert!(message.contains(told), "{text}: {message}");
        }
    }
}
