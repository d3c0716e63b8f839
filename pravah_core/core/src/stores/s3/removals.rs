//! Removing many objects by one request, each only if it is the one that was looked at.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Method;

use super::{
    answers::Element,
    checksum::checksum,
    objects::{Depth, NO_ETAG, Only, Start},
    place::Place,
    refusal::Refusal,
    runtime::begin,
};

/// Keys of one request (Amazon S3 API reference, DeleteObjects).
const MOST_KEYS: usize = 1_000;
/// Keys of one request where no request heeds what each has to be: they are looked at right before, at the same time,
/// so that it is sent a moment later.
const LOOKED_AT_KEYS: usize = 100;

/// A probe that is older was left by a worker that was killed.
const PROBE_LIFE: Duration = Duration::from_secs(3_600);

/// By which requests objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removing {
    /// By one for many, as it heeds what each has to be.
    Together,
    /// By one for each: only that one heeds it.
    Alone,
    /// By one for many, which are looked at before: no request heeds it, as far as is known.
    LookedAt,
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
    let removing = find_out(place).await;
    let most_keys = if removing == Removing::LookedAt { LOOKED_AT_KEYS } else { MOST_KEYS };
    let mut ended = Vec::with_capacity(doomed.len());
    for some in doomed.chunks(most_keys) {
        ended.extend(match removing {
            Removing::Together if some.iter().all(is_writable) => match together(place, some).await {
                Ok(answers) => answers,
                Err(refusal) => vec![Err(refusal); some.len()],
            },
            Removing::Alone => each(some, |one| alone(place.clone(), one)).await,
            Removing::Together | Removing::LookedAt => looked_at(place, some).await,
        });
    }
    ended
}

/// Find out how a bucket's objects are removed: by asking wrongly for one that was put for that.
async fn find_out(place: &Place) -> Removing {
    let abilities = &place.client.abilities;
    if let Some(known) = abilities.removing(&place.bucket) {
        return known;
    }
    let tried = try_out(place).await;
    let is_found_out = !tried.as_ref().is_err_and(Refusal::is_transient);
    // Who may remove objects need not be allowed to put any.
    let found = tried.unwrap_or(Removing::LookedAt);
    if is_found_out {
        abilities.know_removing(&place.bucket, found);
    }
    found
}

async fn try_out(place: &Place) -> Result<Removing, Refusal> {
    let _ = remove_old_probes(place).await; // who may not list has not been let to put any, in all likelihood
    let key = place.probe_key();
    place.delete(&key).await?; // who may not remove anything would leave it there
    let put = async || place.put(&key, Bytes::new(), Vec::new(), &Only::Until(None)).await;
    let stays = |answer: &Result<(), Refusal>| answer.as_ref().is_err_and(Refusal::is_precondition);
    let wrong = Doomed { key: key.clone(), etag: NO_ETAG.to_owned() };
    put().await?;
    let found = match together(place, std::slice::from_ref(&wrong)).await {
        Ok(answers) if answers.iter().all(stays) => Ok(Removing::Together),
        Err(refusal) if !refusal.is_unknown() => Err(refusal),
        _ => {
            put().await?; // it is gone, unless there is no such request
            let answer = alone(place.clone(), wrong).await;
            Ok(if stays(&answer) { Removing::Alone } else { Removing::LookedAt })
        }
    };
    place.delete(&key).await?;
    found
}

async fn remove_old_probes(place: &Place) -> Result<(), Refusal> {
    let page = place.page(&place.probes(), Depth::OneLevel, Start::Beginning, 100).await?;
    let is_old = |time_ns: i64| {
        let put = SystemTime::UNIX_EPOCH + Duration::from_nanos(time_ns.try_into().unwrap_or_default());
        put.elapsed().is_ok_and(|age| age > PROBE_LIFE)
    };
    for left in page.objects.iter().filter(|left| is_old(left.modified_ns)) {
        place.delete(&left.key).await?;
    }
    Ok(())
}

/// Remove those that still are what they were, as a look tells.
async fn looked_at(place: &Place, doomed: &[Doomed]) -> Vec<Result<(), Refusal>> {
    let mut ended = each(doomed, |one| is_there(place.clone(), one)).await;
    let there: Vec<usize> = (0..doomed.len()).filter(|at| matches!(ended[*at], Ok(true))).collect();
    let going: Vec<Doomed> = there.iter().map(|at| doomed[*at].clone()).collect();
    let is_one_request = going.len() > 1 && going.iter().all(is_writable);
    let removed = match if is_one_request { Some(together(place, &going).await) } else { None } {
        Some(Ok(answers)) => answers,
        Some(Err(refusal)) if !refusal.is_unknown() => vec![Err(refusal); going.len()],
        _ => each(&going, |one| alone(place.clone(), one)).await,
    };
    for (at, removed) in there.into_iter().zip(removed) {
        ended[at] = removed.map(|()| true);
    }
    ended.into_iter().map(|ended| ended.map(drop)).collect()
}

async fn is_there(place: Place, one: Doomed) -> Result<bool, Refusal> {
    match place.head(&one.key).await? {
        Some(seen) if seen.etag != one.etag => Err(Refusal::precondition()),
        seen => Ok(seen.is_some()),
    }
}

/// Ask for each by a request of its own, all at once.
async fn each<T, F>(doomed: &[Doomed], ask: impl Fn(Doomed) -> F) -> Vec<Result<T, Refusal>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let asked: Vec<_> = doomed.iter().map(|one| begin(ask(one.clone()))).collect();
    let mut ended = Vec::with_capacity(doomed.len());
    for one in asked {
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

async fn alone(place: Place, one: Doomed) -> Result<(), Refusal> {
    let mut request = place.upload_request(Method::DELETE, &one.key, Vec::new());
    request.headers.push(("if-match".to_owned(), one.etag));
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

/// Whether a document can hold a key: XML 1.0 does not have every letter.
fn is_writable(one: &Doomed) -> bool {
    one.key.chars().all(|letter| !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}'))
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
        let is_writable = |key: &str| is_writable(&Doomed { key: key.to_owned(), etag: String::new() });
        assert!(is_writable("a b/é😀+%2F") && !is_writable("a\nb") && !is_writable("\u{1}"));
    }
}
