//! `source.capture`: names for parts of a source's path, as in `{host}/{date}.csv`.

use super::braces::{Piece, pieces};
use crate::{Error, Result};

/// A pattern of paths. It has to match the whole path below the root.
///
/// A name stands for one byte or more, as few as will do, and never for a slash.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Capture {
    text: String,
    /// For each component of the path what is said literally, and the names between: (before, name), and the rest.
    components: Vec<Component>,
}

#[derive(Debug, Clone, Default)]
struct Component {
    names: Vec<(Vec<u8>, String)>,
    rest: Vec<u8>,
}

/// Names, and what they stand for in one path.
pub type Captured<'c> = Vec<(&'c str, &'c [u8])>;

impl Capture {
    /// Read a pattern.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |message: String| Error::InvalidTemplate(format!("source.capture is `{text}`: {message}"));
        let mut components = vec![Component::default()];
        for piece in pieces(text).map_err(invalid)? {
            let last = components.len() - 1;
            match piece {
                Piece::Literal(literal) => {
                    for (number, part) in literal.split(|byte| *byte == b'/').enumerate() {
                        if number > 0 {
                            components.push(Component::default());
                        }
                        let last = components.len() - 1;
                        components[last].rest.extend_from_slice(part);
                    }
                }
                Piece::Field { name, spec: Some(_) } => {
                    return Err(invalid(format!("`{{{name}}}` takes nothing behind a colon here")));
                }
                Piece::Field { name, spec: None } => {
                    let component = &mut components[last];
                    if component.rest.is_empty() && !component.names.is_empty() {
                        return Err(invalid(format!("nothing tells where `{{{name}}}` begins")));
                    }
                    let before = std::mem::take(&mut component.rest);
                    component.names.push((before, name));
                }
            }
        }
        let capture = Self { text: text.to_owned(), components };
        let names = capture.names();
        if names.is_empty() {
            return Err(invalid("it names nothing, as in `{host}/{date}.csv`".into()));
        }
        if let Some(name) = names.iter().find(|name| names.iter().filter(|other| other == name).count() > 1) {
            return Err(invalid(format!("`{{{name}}}` is there twice")));
        }
        if capture.components.iter().any(|part| part.names.is_empty() && part.rest.is_empty()) {
            return Err(invalid("a path has no empty parts, and begins without a slash".into()));
        }
        Ok(capture)
    }

    /// The names that it gives.
    pub fn names(&self) -> Vec<&str> {
        self.components.iter().flat_map(|part| &part.names).map(|(_, name)| name.as_str()).collect()
    }

    /// Find what the names stand for in a path below its root; `capture_mismatch` where it has another form.
    pub fn find<'c>(&'c self, path: &'c [u8]) -> Result<Captured<'c>> {
        let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut found = Vec::new();
        let matches = parts.len() == self.components.len()
            && self.components.iter().zip(parts).all(|(component, part)| component.find(part, &mut found));
        if matches {
            return Ok(found);
        }
        let path = String::from_utf8_lossy(path).into_owned();
        Err(Error::CaptureMismatch { pattern: self.text.clone(), path })
    }
}

impl Component {
    /// The earliest end for each name leaves the most to those behind it, so that nothing has to be tried again.
    fn find<'c>(&'c self, part: &'c [u8], found: &mut Captured<'c>) -> bool {
        let Some(((first, _), _)) = self.names.split_first() else { return part == self.rest };
        let Some(mut left) = part.strip_prefix(first.as_slice()) else { return false };
        for (number, (_, name)) in self.names.iter().enumerate() {
            let end = match self.names.get(number + 1) {
                Some((before, _)) => (1..left.len()).find(|&at| left[at..].starts_with(before)),
                None => left.len().checked_sub(self.rest.len()).filter(|&at| at > 0 && left.ends_with(&self.rest)),
            };
            let Some(end) = end else { return false };
            found.push((name, &left[..end]));
            let behind = self.names.get(number + 1).map_or(&self.rest, |(before, _)| before);
            left = &left[end + behind.len()..];
        }
        true
    }
}

impl TryFrom<String> for Capture {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
        let capture = Capture::parse(pattern).expect("is a pattern");
        let found = capture.find(path.as_bytes()).ok()?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("is UTF-8");
        Some(found.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect())
    }

    #[test]
    fn find_gives_what_stands_for_each_name() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            found("{host}/{date}.csv", "web1/2026-01-02.csv"),
            Some(vec![pair("host", "web1"), pair("date", "2026-01-02")])
        );
        assert_eq!(found("{a}-{b}.csv", "x-y-z.csv"), Some(vec![pair("a", "x"), pair("b", "y-z")]));
        assert_eq!(found("v{a}", "v1"), Some(vec![pair("a", "1")]));
        assert_eq!(found("{{{a}}}", "{x}"), Some(vec![pair("a", "x")]));
    }

    #[test]
    fn find_in_a_path_of_another_form_is_a_mismatch() {
        for (pattern, path) in [
            ("{host}/{date}.csv", "2026.csv"),
            ("{host}/{date}.csv", "a/b/c.csv"),
            ("{host}/{date}.csv", "a/b.txt"),
            ("{host}/{date}.csv", "a/.csv"),
            ("x{a}", "y1"),
            ("{a}.b.b", "x.b"),
        ] {
            assert_eq!(found(pattern, path), None, "{pattern} in {path}");
        }
        let error = Capture::parse("{host}/{date}.csv").expect("is a pattern").find(b"x").expect_err("has no slash");
        assert_eq!(error.kind(), "capture_mismatch");
        assert!(error.to_string().contains("`{host}/{date}.csv`") && error.to_string().contains("`x`"));
    }

    #[test]
    fn parse_of_what_can_not_be_told_apart_is_refused() {
        for pattern in ["", "a/b.csv", "{a}{b}", "{a}/{a}", "{a", "a}", "/{a}", "{a}//b", "{a:3}", "{A b}"] {
            assert_eq!(Capture::parse(pattern).expect_err(pattern).kind(), "invalid_template", "{pattern}");
        }
    }
}
