//! Why a request did not get what it asked for, and what becomes of that: another try, or an error.

use crate::Error;

/// A request that did not get what it asked for.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status of the answer; none: there was no answer.
    pub status: Option<u16>,
    /// The server's word for it; ours where there was no answer: `unreachable`, `untrusted`, `broken`.
    pub code: String,
    /// For people.
    pub message: String,
    /// The region that the server says it is in.
    pub region: Option<String>,
    /// Seconds after which the server wants to be asked again.
    pub retry_after_s: Option<f64>,
}

/// The code of a refusal that means: what came is not what the server has.
pub const DAMAGED: &str = "damaged";

/// Longest message of a server that is passed on.
const MESSAGE_LETTERS: usize = 300;

impl Refusal {
    /// No answer came: nobody is there, nobody who can be trusted is, or the line broke.
    pub fn of_transport(error: &(dyn std::error::Error + 'static), is_connect: bool) -> Self {
        let mut causes = vec![error.to_string()];
        let mut next = error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let last = causes.pop().unwrap_or_default();
        let is_untrusted = ["certificate", "handshake", "corrupt message", "tls", "TLS"];
        let code = if !is_connect {
            "broken"
        } else if is_untrusted.iter().any(|word| last.contains(word)) {
            "untrusted"
        } else {
            "unreachable"
        };
        Self::local(code, lower(last.split(" (os error").next().unwrap_or(&last)))
    }

    /// Something that we found out by ourselves.
    pub fn local(code: &str, message: String) -> Self {
        Self { status: None, code: code.to_owned(), message, region: None, retry_after_s: None }
    }

    /// What is there is another object than the one that is meant.
    pub fn precondition() -> Self {
        Self { status: Some(412), ..Self::local("PreconditionFailed", String::new()) }
    }

    /// Whether the server, or the way to it, has too much to do.
    pub fn is_overload(&self) -> bool {
        matches!(self.status, Some(429 | 503)) || matches!(self.code.as_str(), "SlowDown" | "timeout")
    }

    /// Whether the same request may succeed soon.
    pub fn is_transient(&self) -> bool {
        let passing = ["RequestTimeout", "InternalError", "ConditionalRequestConflict", "OperationAborted"];
        self.is_overload()
            || matches!(self.status, Some(500 | 502 | 504))
            || matches!(self.code.as_str(), "unreachable" | "broken" | "timeout")
            || passing.contains(&self.code.as_str())
    }

    /// Whether nothing has the key.
    pub fn is_missing(&self) -> bool {
        self.status == Some(404) && self.code != "NoSuchBucket" && self.code != "NoSuchUpload"
    }

    /// Whether the server does not know such requests, or not in this form.
    pub fn is_unknown(&self) -> bool {
        matches!(self.status, Some(400 | 405 | 501))
    }

    /// Whether what the request asked for beforehand does not hold.
    pub fn is_precondition(&self) -> bool {
        self.status == Some(412)
    }

    /// The error that it is; `asked` says what was asked for, `list s3://bucket/prefix/`.
    pub fn error(&self, asked: &str) -> Error {
        let kind = match (self.code.as_str(), self.status) {
            ("NoSuchBucket", _) => "no_such_bucket",
            ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) => "access_denied",
            (
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired",
                _,
            ) => "invalid_credentials",
            ("RequestTimeTooSkewed", _) => "clock_skew",
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
            | (_, Some(301 | 307)) => "wrong_region",
            ("InvalidObjectState", _) => "object_archived",
            ("BadDigest" | "XAmzContentChecksumMismatch" | DAMAGED, _) => "verify_failed",
            ("QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded", _) | (_, Some(507)) => {
                "no_space"
            }
            ("weak_fencing", _) => "weak_fencing",
            ("untrusted", _) => "store_untrusted",
            ("unreachable" | "broken" | "timeout", _) => "store_unreachable",
            _ if self.is_overload() => "store_busy",
            (_, Some(401 | 403)) => "access_denied",
            _ => "store_refused",
        };
        let said = match (self.status, self.code.as_str()) {
            (None, _) => String::new(),
            (Some(status), "") => format!("the server answers {status}"),
            (Some(status), code) => format!("{code} ({status})"),
        };
        let region = self.region.as_ref().map(|region| format!("the bucket is in the region `{region}`"));
        let message: String = region.unwrap_or_else(|| self.message.clone()).chars().take(MESSAGE_LETTERS).collect();
        let told: Vec<String> = [said, message].into_iter().filter(|part| !part.is_empty()).collect();
        let message = format!("can't {asked}: {}", told.join(", "));
        // The upload is begun anew where the whole file is, and so is what came damaged.
        let is_transient = self.is_transient() || matches!(self.code.as_str(), "NoSuchUpload" | DAMAGED);
        Error::Store { kind, message, is_transient }
    }
}

/// Begin in lower case and end without a full stop, as our messages do.
pub fn lower(text: &str) -> String {
    let mut letters = text.trim().trim_end_matches('.').chars();
    let first = letters.next();
    let is_word = text.chars().nth(1).is_some_and(char::is_lowercase);
    first
        .map(|first| if is_word { first.to_lowercase().chain(letters).collect() } else { text.trim().to_owned() })
        .unwrap_or_default()
}
