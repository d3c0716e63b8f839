//! Sends requests: signed, a bounded number at once, and again where that may help.
//!
//! Why no client of others: keys are what users gave them, among them `a//b`, `x/` and `..`, at which paths of
//! `object_store` refuse the whole listing; a publish has to be conditional also where it completes an upload; and
//! a retry renews credentials and heeds `Retry-After` here.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use super::{
    abilities::Abilities,
    answers::{Element, header_time_ns},
    connection::{Credentials, Description, Fresh, description},
    copies::LARGEST_BYTES,
    hedge::Hedges,
    limit::Limit,
    refusal::{Refusal, lower},
    signature::{Signed, encoded_path, encoded_query, sign},
};
use crate::{Error, Result};

/// Longest time to a connection, to an answer, and to more of one; to the answer to a body more, by a rate that a slow
/// line has. What comes may take as long as it does: many share a line, and all of it is asked for again otherwise.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(60);
const SLOW_BYTES_PER_S: u64 = 64 << 10;
/// The rate at which a busy server still copies.
const SLOW_COPY_BYTES_PER_S: u64 = 8 << 20;
/// Tries where the server is away, and where it has too much to do: half a second in all, and half a minute.
const TRIES: u32 = 4;
const BUSY_TRIES: u32 = 9;
/// Time after which nothing is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest pause between two tries, unless the server asks for a longer one.
const PAUSE: Duration = Duration::from_secs(8);
/// Room that is made for a body at once: whatever a server says, no more is asked for than comes.
const LARGEST_BUFFER_BYTES: usize = 8 << 20;
/// Credentials that expire within this time are renewed before they are used.
const RENEW_AHEAD_S: f64 = 300.0;
/// Credentials that last this long still serve requests where they can't be renewed just now.
const HOLDS_S: f64 = 30.0;
/// Time after which a renewal that failed is tried again.
const RENEW_AGAIN_S: i64 = 10;

/// A request, before it is signed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: Method,
    pub bucket: String,
    /// Empty for requests about the bucket.
    pub key: String,
    pub query: Vec<(&'static str, String)>,
    /// Lower-case names and values.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Bytes that the server moves by itself to fulfil it.
    pub moved_bytes: u64,
    /// Bytes of the answer's body that are wanted, where the rest may be left; none: all of them.
    pub most_bytes: Option<usize>,
    /// The root of the document that tells that it was done; empty: the status does.
    pub told_by: &'static str,
    /// Counts how often it is sent a second time, as its answer is late; none: it never is.
    pub hedged: Option<Arc<AtomicU64>>,
    /// When it has to be over; none: as its size tells.
    pub deadline: Option<Instant>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How often it was asked for: each time but the last one may have done what was asked for, too.
    pub tries: u32,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// One connection's client.
pub struct Client {
    name: String,
    endpoint: Option<String>,
    region: String,
    credentials: Mutex<Arc<Credentials>>,
    /// Held by who asks for other credentials.
    renewing: tokio::sync::Mutex<()>,
    /// Not before then are they asked for again, as the last time failed and the known ones hold.
    renews_at_s: AtomicI64,
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Longest time in which nothing comes.
    silence: Duration,
    limit: Limit,
    hedges: Hedges,
    /// What its server can't do, as far as that is found out.
    pub abilities: Abilities,
    largest_copy_bytes: u64,
    /// What the server's clock is ahead of ours, in seconds, once that was too much.
    skew_s: AtomicI64,
}

impl Client {
    /// A client for what is described.
    pub fn new(name: &str, description: Description) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let roots = HttpsConnectorBuilder::new().with_native_roots().map_err(Error::io("read the CA certificates"))?;
        let connector = roots.https_or_http().enable_http1().wrap_connector(connector);
        let http = Http::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        let abilities = Abilities::new(description.endpoint.is_none());
        Ok(Self {
            name: name.to_owned(),
            endpoint: description.endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            region: description.region,
            credentials: Mutex::new(Arc::new(description.credentials)),
            renewing: tokio::sync::Mutex::default(),
            renews_at_s: AtomicI64::new(0),
            http,
            silence: ANSWER,
            limit: Limit::new(),
            hedges: Hedges::default(),
            abilities,
            largest_copy_bytes: description.largest_copy_bytes.unwrap_or(LARGEST_BYTES),
            skew_s: AtomicI64::new(0),
        })
    }

    /// What tells this connection's buckets from those of others.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone().unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", self.region))
    }

    /// Bytes of the largest object, or part of one, that a request may copy.
    pub fn largest_copy_bytes(&self) -> u64 {
        self.largest_copy_bytes
    }

    /// Where the credentials were found, for people.
    pub fn origin(&self) -> String {
        self.known().origin.clone()
    }

    /// Send a request until it is answered; what is no answer to it is a refusal.
    pub async fn send(&self, request: &Request) -> Result<Answer, Refusal> {
        let (mut tries, mut renewed, mut set, begun) = (0, false, false, Instant::now());
        loop {
            let used = self.valid().await?;
            let refusal = match self.once(request, &used).await {
                Ok(answer) => return Ok(Answer { tries: tries + 1, ..answer }),
                Err(refusal) => refusal,
            };
            tries += 1;
            // The answer to a HEAD has no body that could tell why.
            let is_untold = request.method == Method::HEAD && refusal.status == Some(400);
            let is_expired = is_untold || matches!(refusal.code.as_str(), "ExpiredToken" | "TokenRefreshRequired");
            if is_expired && !renewed {
                renewed = true;
                self.renew(&used).await?;
                continue;
            }
            if refusal.code == "RequestTimeTooSkewed" && !set {
                set = true; // the answer's own time was taken note of
                continue;
            }
            let most = if refusal.is_overload() { BUSY_TRIES } else { TRIES };
            let pause = pause(tries, refusal.retry_after_s);
            let is_late = request.deadline.is_some_and(|end| Instant::now() >= end)
                || begun.elapsed().saturating_add(pause) > PATIENCE;
            if !refusal.is_transient() || tries >= most || is_late {
                return Err(refusal);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Send a request once, when it is its turn.
    async fn once(&self, request: &Request, credentials: &Credentials) -> Result<Answer, Refusal> {
        let _pass = self.limit.enter().await;
        let signed = self.signed(request, credentials)?;
        let exchange = self.exchange(signed, request);
        let answer = match request.deadline {
            Some(end) => within(end.saturating_duration_since(Instant::now()), "no answer", exchange).await,
            None => exchange.await,
        };
        match &answer {
            Ok(_) => self.limit.grow(),
            Err(refusal) if refusal.is_overload() => self.limit.shrink(),
            Err(_) => {}
        }
        answer
    }

    async fn exchange(&self, signed: http::Request<Full<Bytes>>, request: &Request) -> Result<Answer, Refusal> {
        let is_read = matches!(request.method, Method::HEAD | Method::GET);
        let longest = request.body.len() as u64 / SLOW_BYTES_PER_S + request.moved_bytes / SLOW_COPY_BYTES_PER_S;
        let longest = self.silence + Duration::from_secs(longest);
        let response = within(longest, "no answer", self.response(signed, request.hedged.as_deref())).await?;
        let (head, body) = response.into_parts();
        // An error is told whole.
        let most_bytes = request.most_bytes.filter(|_| head.status.is_success());
        let body = first_of(body, most_bytes, self.silence).await?;
        let answer = Answer { headers: head.headers, body, tries: 1 };
        if head.status.as_u16() == 403 && answer.body.starts_with(b"<") && is_skewed(&answer) {
            self.set_clock(&answer);
        }
        if !head.status.is_success() {
            return Err(refusal(head.status.as_u16(), &answer));
        }
        // A server that has begun its answer can't take the status back: the error is in the body then, or it ends.
        let told = if is_read { None } else { Element::read(&answer.body) };
        match &told {
            Some(told) if told.is("Error") => Err(refusal(head.status.as_u16(), &answer)),
            told if request.told_by.is_empty() || told.as_ref().is_some_and(|told| told.is(request.told_by)) => {
                Ok(answer)
            }
            _ => Err(Refusal::local("broken", format!("the answer holds no {}, only a status", request.told_by))),
        }
    }

    /// Wait for the head of an answer, of two where the first one is late. The line of the other one is closed.
    async fn response(
        &self,
        signed: http::Request<Full<Bytes>>,
        hedged: Option<&AtomicU64>,
    ) -> Result<Response<Incoming>, Refusal> {
        let ask = async || {
            let response = self.http.request(signed.clone()).await;
            if response.as_ref().is_ok_and(|response| is_overload(response.status())) {
                self.limit.shrink(); // also where the other one is answered well
            }
            response.map_err(|error| Refusal::of_transport(&error, error.is_connect()))
        };
        let Some(hedged) = hedged else { return ask().await };
        let again = async {
            let _pass = self.limit.enter_beyond();
            hedged.fetch_add(1, Ordering::Relaxed);
            ask().await
        };
        let counts = |answer: &Result<Response<Incoming>, Refusal>| {
            answer.as_ref().is_ok_and(|answer| !answer.status().is_server_error() && !is_overload(answer.status()))
        };
        self.hedges.race(ask(), again, || self.limit.is_calm(), counts).await
    }

    fn signed(&self, request: &Request, credentials: &Credentials) -> Result<http::Request<Full<Bytes>>, Refusal> {
        let (scheme, host, path) = self.place(request);
        let (path, query) = (encoded_path(&path), encoded_query(&request.query));
        let time_s = now_s() as i64 + self.skew_s.load(Ordering::Relaxed);
        let (method, region) = (request.method.as_str(), self.region.as_str());
        let mut headers = request.headers.clone();
        let signed = Signed { method, host: &host, path: &path, query: &query, region, time_s };
        sign(&signed, credentials, &mut headers);
        let mark = if query.is_empty() { "" } else { "?" };
        let broken = |error: String| Refusal::local("broken_request", error);
        let uri: Uri =
            format!("{scheme}://{host}{path}{mark}{query}").parse().map_err(|error| broken(format!("{error}")))?;
        let mut built = http::Request::builder().method(request.method.clone()).uri(uri);
        for (name, value) in &headers {
            let value =
                HeaderValue::from_bytes(value.as_bytes()).map_err(|error| broken(format!("{name}: {error}")))?;
            built = built.header(name, value);
        }
        built.body(Full::new(request.body.clone())).map_err(|error| broken(error.to_string()))
    }

    /// Scheme, host and path: the bucket is a part of the path, at Amazon a part of the host.
    fn place(&self, request: &Request) -> (String, String, String) {
        let Request { bucket, key, .. } = request;
        if let Some(endpoint) = &self.endpoint {
            let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
            return (scheme.to_owned(), host.to_owned(), format!("/{bucket}/{key}"));
        }
        let host = format!("s3.{}.amazonaws.com", self.region);
        // The certificate of Amazon covers one name before its own.
        match bucket.contains('.') {
            true => ("https".to_owned(), host, format!("/{bucket}/{key}")),
            false => ("https".to_owned(), format!("{bucket}.{host}"), format!("/{key}")),
        }
    }

    /// Credentials that do not expire soon.
    async fn valid(&self) -> Result<Arc<Credentials>, Refusal> {
        let known = self.known();
        if known.expires_at_s.is_none_or(|end_s| end_s - now_s() >= RENEW_AHEAD_S) {
            return Ok(known);
        }
        // Those that are known hold for a while: a service that is down just now is asked again a little later.
        let holds = known.expires_at_s.is_some_and(|end_s| end_s - now_s() > HOLDS_S);
        if holds && (now_s() as i64) < self.renews_at_s.load(Ordering::Relaxed) {
            return Ok(known);
        }
        match self.renew(&known).await {
            Err(_) if holds => self.renews_at_s.store(now_s() as i64 + RENEW_AGAIN_S, Ordering::Relaxed),
            renewed => renewed?,
        }
        Ok(self.known())
    }

    /// Ask for other credentials than those that were used: once for all requests that found them expired.
    async fn renew(&self, used: &Arc<Credentials>) -> Result<(), Refusal> {
        let _one = self.renewing.lock().await;
        if !Arc::ptr_eq(&self.known(), used) {
            return Ok(());
        }
        let name = self.name.clone();
        let asked = tokio::task::spawn_blocking(move || description(&name, Fresh::Renewed)).await;
        let told = asked.unwrap_or_else(|error| Err(Error::Panicked(error.to_string())));
        let found = told.map_err(|error| match error.is_transient() {
            true => Refusal::local("unreachable", error.to_string()),
            false => Refusal { status: Some(403), ..Refusal::local("ExpiredToken", error.to_string()) },
        })?;
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(found.credentials);
        Ok(())
    }

    fn known(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_clock(&self, answer: &Answer) {
        if let Some(theirs_ns) = header_time_ns(answer.header("date")) {
            self.skew_s.store(theirs_ns / 1_000_000_000 - now_s() as i64, Ordering::Relaxed);
        }
    }
}

/// Get the first bytes of a body, or all; a line with more on it than is wanted is closed.
///
/// They are copied out of the line's buffers as they come: kept as they are, a small body would hold a large buffer.
async fn first_of(mut body: Incoming, most_bytes: Option<usize>, silence: Duration) -> Result<Bytes, Refusal> {
    let most_bytes = most_bytes.unwrap_or(usize::MAX);
    let size_bytes = body.size_hint().exact().map_or(0, |size| usize::try_from(size).unwrap_or(usize::MAX));
    let mut first = BytesMut::with_capacity(size_bytes.min(most_bytes).min(LARGEST_BUFFER_BYTES));
    let next = async |body: &mut Incoming| {
        let frame = body.frame().await.transpose();
        frame.map_err(|error| Refusal::of_transport(&error, false))
    };
    while let Some(frame) = within(silence, "no more of the answer", next(&mut body)).await? {
        let frame = frame.into_data().unwrap_or_default();
        first.extend_from_slice(&frame[..frame.len().min(most_bytes - first.len())]);
        if first.len() == most_bytes && !body.is_end_stream() {
            break;
        }
    }
    Ok(first.freeze())
}

/// Wait so long at most; `missing` says what has not come then.
async fn within<T>(
    longest: Duration,
    missing: &str,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let late = || Refusal::local("timeout", format!("{missing} within {} s", longest.as_secs()));
    timeout(longest, work).await.unwrap_or_else(|_| Err(late()))
}

fn is_overload(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

fn is_skewed(answer: &Answer) -> bool {
    Element::read(&answer.body).is_some_and(|error| error.text("Code") == "RequestTimeTooSkewed")
}

fn refusal(status: u16, answer: &Answer) -> Refusal {
    let error = Element::read(&answer.body).filter(|error| error.is("Error")).unwrap_or_default();
    let region = match error.text("Region") {
        "" => answer.header("x-amz-bucket-region"),
        region => region,
    };
    let is_elsewhere = matches!(status, 301 | 307 | 400) && !region.is_empty();
    Refusal {
        status: Some(status),
        code: error.text("Code").to_owned(),
        message: lower(error.text("Message")),
        region: is_elsewhere.then(|| region.to_owned()),
        retry_after_s: retry_after_s(answer),
    }
}

/// When the server wants to be asked again: in so many seconds, or at a time by its own clock.
fn retry_after_s(answer: &Answer) -> Option<f64> {
    let told = answer.header("retry-after");
    told.parse().ok().or_else(|| {
        let (at_ns, now_ns) = (header_time_ns(told)?, header_time_ns(answer.header("date"))?);
        Some(Duration::from_nanos(u64::try_from(at_ns - now_ns).ok()?).as_secs_f64())
    })
}

/// How long to wait before the next try: 100 ms, doubled each time, half of it by chance; what the server asks for.
fn pause(tries: u32, retry_after_s: Option<f64>) -> Duration {
    let full = Duration::from_millis(100) * 2_u32.saturating_pow(tries.saturating_sub(1).min(7));
    let chance = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos()) % 1_000;
    let asked = retry_after_s
        .filter(|wait_s| *wait_s >= 0.0)
        .map_or(Duration::ZERO, |wait_s| Duration::try_from_secs_f64(wait_s).unwrap_or(Duration::MAX));
    (full / 2 + full / 2 * chance / 1_000).min(PAUSE).max(asked)
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

#[cfg(test)]
mod tests;
