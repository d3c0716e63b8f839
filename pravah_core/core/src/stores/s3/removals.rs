//! Removing many objects by one request, each only if it is the one that was looked at.

use std::fmt::Write;

use http::Method;

use super::{answers::Element, objects::checksum, place::Place, refusal::Refusal};

/// Keys of one request (Amazon S3 API reference, DeleteObjects).
pub const MOST_KEYS: usize = 1_000;

/// An object that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    pub key: String,
    /// When it was looked at; what has another one stays.
    pub etag: String,
}

/// Remove objects; says of each how it went. What is gone already is no error.
pub async fn remove_all(place: &Place, doomed: &[Doomed]) -> Vec<Result<(), Refusal>> {
    let mut ended = Vec::with_capacity(doomed.len());
    for some in doomed.chunks(MOST_KEYS) {
        // A document can't hold every key, and some servers know only the single request.
        let together = match some.len() > 1 && some.iter().all(|one| is_writable(&one.key)) {
            true => together(place, some).await,
            false => Err(Refusal { status: Some(501), ..Refusal::local("NotImplemented", String::new()) }),
        };
        match together {
            Ok(answers) => ended.extend(answers),
            Err(refusal) if matches!(refusal.status, Some(400 | 405 | 501)) => {
                for one in some {
                    ended.push(alone(place, one).await);
                }
            }
            Err(refusal) => ended.extend(some.iter().map(|_| Err(refusal.clone()))),
        }
    }
    ended
}

async fn together(place: &Place, doomed: &[Doomed]) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let mut request = place.upload_request(Method::POST, "", vec![("delete", String::new())]);
    request.body = document(doomed).into();
    request.headers.push(("content-type".to_owned(), "application/xml".to_owned()));
    request.headers.push(("x-amz-checksum-crc32c".to_owned(), checksum(&request.body)));
    let answer = place.client.send(&request).await?;
    let told = Element::read(&answer.body).filter(|told| told.is("DeleteResult"));
    let told = told.ok_or_else(|| Refusal::local("broken", "what was removed can't be read".to_owned()))?;
    let failed: Vec<&Element> = told.all("Error").collect();
    let of = |one: &Doomed| failed.iter().find(|error| error.text("Key") == one.key);
    Ok(doomed.iter().map(|one| of(one).map_or(Ok(()), |error| refused(error))).collect())
}

fn refused(error: &Element) -> Result<(), Refusal> {
    let code = error.text("Code");
    let status = match code {
        "NoSuchKey" => return Ok(()),
        "PreconditionFailed" => 412,
        "SlowDown" | "ServiceUnavailable" => 503,
        "InternalError" => 500,
        _ => 403,
    };
    Err(Refusal { status: Some(status), ..Refusal::local(code, error.text("Message").to_owned()) })
}

async fn alone(place: &Place, one: &Doomed) -> Result<(), Refusal> {
    let mut request = place.upload_request(Method::DELETE, &one.key, Vec::new());
    request.headers.push(("if-match".to_owned(), one.etag.clone()));
    match place.client.send(&request).await {
        Err(refusal) if refusal.is_missing() => Ok(()),
        answer => answer.map(drop),
    }
}

fn document(doomed: &[Doomed]) -> String {
    let mut body = String::from("<Delete><Quiet>true</Quiet>");
    for Doomed { key, etag } in doomed {
        let (key, etag) = (escaped(key), escaped(etag));
        let _ = write!(body, "<Object><Key>{key}</Key><ETag>{etag}</ETag></Object>");
    }
    body.push_str("</Delete>");
    body
}

/// Whether XML 1.0 has all letters of a key.
fn is_writable(key: &str) -> bool {
    key.chars().all(|letter| !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}'))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_document_names_each_key_with_what_it_has_to_be() {
        let doomed = [Doomed { key: "a&<b>".to_owned(), etag: "\"1\"".to_owned() }];
        assert_eq!(
            document(&doomed),
            "<Delete><Quiet>true</Quiet><Object><Key>a&amp;&lt;b&gt;</Key><ETag>&quot;1&quot;</ETag></Object></Delete>"
        );
    }

    #[test]
    fn test_keys_that_no_document_holds_are_known() {
        assert!(is_writable("a b/é😀+%2F") && !is_writable("a\nb") && !is_writable("\u{1}"));
    }
}
