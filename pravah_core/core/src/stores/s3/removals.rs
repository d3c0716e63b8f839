//! Removing many objects by one request, each only if it is the one that was looked at.

use std::fmt::Write;

use http::Method;

use super::{answers::Element, checksum::checksum, objects::NO_ETAG, place::Place, refusal::Refusal, runtime::begin};

/// Keys of one request (Amazon S3 API reference, DeleteObjects).
pub const MOST_KEYS: usize = 1_000;

/// By which requests objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removing {
    /// By one for many, as it heeds what each has to be; or as no request does.
    Together,
    /// By one for each: only that one heeds it, or there is no other.
    Alone,
}

/// An object that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    pub key: String,
    /// When it was looked at; what has another one stays.
    pub etag: String,
}

/// Remove objects; says of each how it went. What is gone already is no error.
pub async fn remove_all(place: &Place, doomed: &[Doomed]) -> Vec<Result<(), Refusal>> {
    let mut ended = find_out(place, doomed).await;
    let removing = place.client.abilities.removing(&place.bucket);
    let rest = &doomed[ended.len()..];
    for some in rest.chunks(MOST_KEYS) {
        // A document can't hold every key.
        if some.len() < 2 || removing == Some(Removing::Alone) || !some.iter().all(|one| is_writable(&one.key)) {
            ended.extend(each_alone(place, some).await);
            continue;
        }
        match together(place, some).await {
            Ok(answers) => ended.extend(answers),
            Err(refusal) => ended.extend(some.iter().map(|_| Err(refusal.clone()))),
        }
    }
    ended
}

/// Find out how a bucket's objects are removed, by asking wrongly for the first ones: where they go all the same, they
/// are gone as they were to be. Gives how it went for these.
async fn find_out(place: &Place, doomed: &[Doomed]) -> Vec<Result<(), Refusal>> {
    let abilities = &place.client.abilities;
    let [one, other, ..] = doomed else { return Vec::new() };
    if abilities.removing(&place.bucket).is_some() || !is_writable(&one.key) {
        return Vec::new();
    }
    let wrong = |of: &Doomed| Doomed { key: of.key.clone(), etag: NO_ETAG.to_owned() };
    let stays = |answer: &Result<(), Refusal>| answer.as_ref().is_err_and(Refusal::is_precondition);
    let (removing, ended) = match together(place, &[wrong(one)]).await.as_deref() {
        Ok([answer]) if stays(answer) => (Removing::Together, 0),
        Ok([Ok(())]) => match alone(place, &wrong(other)).await {
            Ok(()) => (Removing::Together, 2),
            Err(_) => (Removing::Alone, 1),
        },
        Err(refusal) if matches!(refusal.status, Some(400 | 405 | 501)) => (Removing::Alone, 0),
        _ => return Vec::new(), // whatever it is, asked rightly they will tell
    };
    abilities.know_removing(&place.bucket, removing);
    vec![Ok(()); ended]
}

async fn each_alone(place: &Place, doomed: &[Doomed]) -> Vec<Result<(), Refusal>> {
    let of = |one: &Doomed| {
        let (place, one) = (place.clone(), one.clone());
        begin(async move { alone(&place, &one).await })
    };
    let removing: Vec<_> = doomed.iter().map(of).collect();
    let mut ended = Vec::with_capacity(doomed.len());
    for one in removing {
        ended.push(one.await.unwrap_or_else(|error| Err(Refusal::local("broken", error.to_string()))));
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
