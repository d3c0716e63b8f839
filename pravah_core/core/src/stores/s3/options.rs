//! How objects are kept: what each request that makes one says of it, beside its content.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    content_type::guessed_type,
    objects::{Headers, MTIME, Seen, TAGS, file_time},
};
use crate::{
    plan::{Preserve, SinkPlan},
    stores::Attributes,
};

/// What a sink says of its objects (`sink.s3`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectOptions {
    /// Where the server keeps them: `STANDARD_IA`.
    pub storage_class: Option<String>,
    /// How the server encrypts them: `AES256`, `aws:kms`.
    pub sse: Option<String>,
    /// With which of its keys.
    pub kms_key: Option<String>,
    /// Who else may read them: `bucket-owner-full-control`.
    pub acl: Option<String>,
    /// Their tags.
    pub tags: BTreeMap<String, String>,
    /// `guess` (by the name), `keep` (that of the source), or a type; none: kept with the metadata, else guessed.
    pub content_type: Option<String>,
}

impl ObjectOptions {
    /// Whether a source's content type becomes its output's.
    pub fn keeps_type(&self) -> bool {
        self.content_type.as_deref() == Some("keep")
    }
}

/// What objects get beside their content: what the sink says, and what they keep of their sources.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    options: ObjectOptions,
    preserve: Vec<Preserve>,
}

impl Rules {
    /// The rules of a sink.
    pub fn of(sink: &SinkPlan) -> Self {
        Self { options: sink.s3.clone().unwrap_or_default(), preserve: sink.preserve.clone() }
    }

    /// The rules of objects that have no sources of their own.
    pub fn of_options(options: ObjectOptions) -> Self {
        Self { options, preserve: vec![Preserve::Mtime] }
    }

    /// The headers of a request that makes the object of a key.
    pub fn headers(&self, key: &str, source: Option<&Attributes>) -> Headers {
        let ObjectOptions { storage_class, sse, kms_key, acl, .. } = &self.options;
        let said = [
            ("x-amz-storage-class", storage_class),
            ("x-amz-server-side-encryption", sse),
            ("x-amz-server-side-encryption-aws-kms-key-id", kms_key),
            ("x-amz-acl", acl),
        ];
        let mut headers: Headers = said
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
            .chain([("content-type".to_owned(), self.content_type(key, source))])
            .collect();
        if let Some(tags) = self.tags(source) {
            headers.push((TAGS.to_owned(), tags));
        }
        let Some(source) = source else { return headers };
        if self.preserve.contains(&Preserve::Mtime) {
            headers.push((MTIME.to_owned(), file_time(source.modified_ns)));
        }
        if let Some(object) = source.object.as_ref().filter(|_| self.preserve.contains(&Preserve::Metadata)) {
            headers.extend(object.headers.iter().filter(|(name, _)| name != "content-type").cloned());
        }
        headers
    }

    fn content_type(&self, key: &str, source: Option<&Attributes>) -> String {
        let kept = || {
            let headers = source.and_then(|source| source.object.as_ref()).map(|object| &object.headers);
            headers.and_then(|headers| headers.iter().find(|(name, _)| name == "content-type"))
        };
        let guessed = || guessed_type(key).to_owned();
        match self.options.content_type.as_deref() {
            Some("guess") => guessed(),
            Some(said) if said != "keep" => said.to_owned(),
            None if !self.preserve.contains(&Preserve::Metadata) => guessed(),
            _ => kept().map_or_else(guessed, |(_, value)| value.clone()),
        }
    }

    /// The sink's own tags, and those of the source that it does not name.
    fn tags(&self, source: Option<&Attributes>) -> Option<String> {
        let own = self.options.tags.iter().map(|(name, value)| (encoded(name), encoded(value)));
        let mut tags: BTreeMap<String, String> = BTreeMap::new();
        let kept = source.and_then(|source| source.object.as_ref()?.tags.as_deref());
        if let Some(kept) = kept.filter(|_| self.preserve.contains(&Preserve::Tags)) {
            tags.extend(kept.split('&').map(|tag| tag.split_once('=').unwrap_or((tag, ""))).map(owned));
        }
        tags.extend(own);
        let pairs: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The headers of a copy that shall be as its source is.
pub fn copied_headers(source: &Seen) -> Headers {
    let mut headers: Headers = source.attributes.headers.iter().chain(&source.placement).cloned().collect();
    headers.extend(source.attributes.tags.iter().map(|tags| (TAGS.to_owned(), tags.clone())));
    headers.extend(source.file_modified_ns.map(|time_ns| (MTIME.to_owned(), file_time(time_ns))));
    headers
}

/// Write tags as the header that gives them to an object, each name and value percent-encoded.
pub fn tags_as_query<'t>(tags: impl Iterator<Item = (&'t str, &'t str)>) -> Option<String> {
    let pairs: Vec<String> = tags.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stores::ObjectAttributes;

    fn source() -> Attributes {
        let headers = vec![
            ("content-type".to_owned(), "text/x-own".to_owned()),
            ("x-amz-meta-team".to_owned(), "ingest".to_owned()),
        ];
        let object = Some(Arc::new(ObjectAttributes { headers, tags: Some("a=1&b=2".to_owned()) }));
        Attributes { modified_ns: 1_500_000_000, mode: 0o644, user: 0, group: 0, names: 1, object }
    }

    fn value<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
        headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn test_headers_of_nothing_said_are_the_type_that_the_name_tells() {
        let headers = Rules::default().headers("d/a.csv", Some(&source()));
        assert_eq!(headers, [("content-type".to_owned(), "text/csv".to_owned())]);
    }

    #[test]
    fn test_metadata_that_is_preserved_brings_its_content_type_unless_another_is_said() {
        let preserve = vec![Preserve::Metadata, Preserve::Mtime];
        let mut rules = Rules { options: ObjectOptions::default(), preserve };
        let headers = rules.headers("a.csv", Some(&source()));
        assert_eq!(value(&headers, "content-type"), Some("text/x-own"));
        assert_eq!(value(&headers, "x-amz-meta-team"), Some("ingest"));
        assert_eq!(value(&headers, MTIME), Some("1.500000000"));
        rules.options.content_type = Some("guess".to_owned());
        assert_eq!(value(&rules.headers("a.csv", Some(&source())), "content-type"), Some("text/csv"));
        rules.options.content_type = Some("text/plain".to_owned());
        assert_eq!(value(&rules.headers("a.csv", Some(&source())), "content-type"), Some("text/plain"));
    }

    #[test]
    fn test_tags_of_the_sink_win_over_those_that_are_kept() {
        let tags = [("b".to_owned(), "x y".to_owned())].into();
        let options = ObjectOptions { tags, ..ObjectOptions::default() };
        let rules = Rules { options: options.clone(), preserve: vec![Preserve::Tags] };
        assert_eq!(value(&rules.headers("a", Some(&source())), "x-amz-tagging"), Some("a=1&b=x%20y"));
        let rules = Rules { options, preserve: Vec::new() };
        assert_eq!(value(&rules.headers("a", Some(&source())), "x-amz-tagging"), Some("b=x%20y"));
    }
}
