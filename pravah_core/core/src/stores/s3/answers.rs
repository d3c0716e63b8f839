//! What servers answer, read: refusals, pages of a listing, uploads.

use chrono::DateTime;
use percent_encoding::percent_decode_str;
use quick_xml::{Reader, escape::unescape, events::Event};

/// An element of an answer.
#[derive(Debug, Default)]
pub struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Read a document; none where it is none.
    pub fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    open.push(Self { name, ..Self::default() });
                }
                Event::Empty(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    open.last_mut()?.children.push(Self { name, ..Self::default() });
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let name = format!("&{};", &*reference);
                    open.last_mut()?.text.push_str(&unescape(&name).ok()?);
                }
                Event::CData(text) => open.last_mut()?.text.push_str(&text),
                Event::End(_) => {
                    let ended = open.pop()?;
                    open.last_mut()?.children.push(ended);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        (open.len() == 1).then(|| open.pop()).flatten()?.children.into_iter().next()
    }

    /// What stands in the first child of this name; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.children.iter().find(|child| child.name == name).map_or("", |child| child.text.trim_matches(['\n', '\r']))
    }

    /// All children of this name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Whether it is called so.
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects, in the order of the server.
    pub objects: Vec<Listed>,
    /// Prefixes up to the next slash, with it.
    pub prefixes: Vec<String>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<String>,
}

/// An object of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was put there, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl Page {
    /// Read a page; none where the body is none.
    pub fn read(body: &[u8]) -> Option<Self> {
        let answer = Element::read(body).filter(|answer| answer.is("ListBucketResult"))?;
        let is_encoded = answer.text("EncodingType") == "url";
        let key = |text: &str| if is_encoded { decoded(text) } else { Some(text.to_owned()) };
        let objects = answer.all("Contents").map(|each| {
            Some(Listed {
                key: key(each.text("Key"))?,
                size_bytes: each.text("Size").parse().ok()?,
                modified_ns: time_ns(each.text("LastModified"))?,
            })
        });
        let objects = objects.collect::<Option<_>>()?;
        let prefixes = answer.all("CommonPrefixes").map(|each| key(each.text("Prefix"))).collect::<Option<_>>()?;
        let token = answer.text("NextContinuationToken");
        let next = (answer.text("IsTruncated") == "true").then(|| token.to_owned());
        if next.as_ref().is_some_and(String::is_empty) {
            return None; // there is more, and no way to it
        }
        Some(Self { objects, prefixes, next })
    }
}

/// Decode a key of a listing: as the query of a form, where a space is a plus.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

/// Read the time of a document.
pub fn time_ns(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()
}

/// Read the time of a header.
pub fn header_time_ns(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(text).ok()?.timestamp_nanos_opt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_page_gives_keys_as_they_are() {
        let body = br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextContinuationToken>a&amp;b</NextContinuationToken>
            <Contents><Key>a+b%2Bc%252F%0A</Key><LastModified>2026-01-02T03:04:05.006Z</LastModified>
            <ETag>&quot;x&quot;</ETag><Size>7</Size></Contents>
            <CommonPrefixes><Prefix>d%C3%A9/</Prefix></CommonPrefixes></ListBucketResult>"#;
        let page = Page::read(body).expect("is a page");
        assert_eq!(page.objects[0].key, "a b+c%2F\n");
        assert_eq!((page.objects[0].size_bytes, page.objects[0].modified_ns), (7, 1_767_323_045_006_000_000));
        assert_eq!(page.prefixes, ["dé/"]);
        assert_eq!(page.next.as_deref(), Some("a&b"));
    }

    #[test]
    fn test_page_that_says_there_is_more_and_not_where_is_none() {
        let body = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        assert!(Page::read(body).is_none());
        assert!(Page::read(b"<Error><Code>x</Code></Error>").is_none());
        assert!(Page::read(b"<ListBucketResult>").is_none());
    }
}
