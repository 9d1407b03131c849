//! How an answer is read, as far as all platforms have it in common.
//!
//! Owns the meaning of an answer that is not the platform's JSON.
//!
//! Not here: the tables of codes (`answer.rs` of each platform), and the redaction of the
//! platform's message (`answer.rs`).

use std::time::Duration;

use serde_json::Value;

use crate::domain::{MessageFeature, Verdict};

/// An HTTP response.
pub struct HttpReply<'a> {
    /// The status code.
    pub status: u16,
    /// `Retry-After`, as a wait from now.
    pub retry_after: Option<Duration>,
    /// `x-ogw-ratelimit-reset`, as a wait from now.
    pub rate_reset: Option<Duration>,
    /// The body, or its beginning.
    pub body: &'a [u8],
}

/// The meaning of an answer, with the platform's own code and message.
pub(super) struct PlatformReply {
    pub(super) verdict: Verdict,
    pub(super) code: String,
    pub(super) words: String,
    /// The features for which the message may be refused; empty for any other verdict.
    pub(super) refused_for: &'static [MessageFeature],
    /// Whether the platform refuses the signature of the request.
    pub(super) about_signature: bool,
}

impl PlatformReply {
    pub(super) fn new(verdict: Verdict, code: impl ToString, words: &str) -> Self {
        Self {
            verdict,
            code: code.to_string(),
            words: words.to_owned(),
            refused_for: &[],
            about_signature: false,
        }
    }
}

/// The byte order mark that some gateways put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl HttpReply<'_> {
    /// The body as a JSON object, if it begins with one. A delivered message must not be sent again
    /// for a byte order mark, for a message in another encoding, or for bytes behind the object.
    pub(super) fn json(&self) -> Option<Value> {
        let text = String::from_utf8_lossy(self.body);
        let mut values =
            serde_json::Deserializer::from_str(text.trim_start_matches(BYTE_ORDER_MARK))
                .into_iter::<Value>();
        values.next()?.ok().filter(Value::is_object)
    }

    /// A field that is a number, or a number as text.
    pub(super) fn number(json: &Value, name: &str) -> Option<i64> {
        let field = json.get(name)?;
        field.as_i64().or_else(|| field.as_str()?.trim().parse().ok())
    }

    /// The meaning of an answer that is not JSON, such as a gateway's HTML page.
    pub(super) fn without_json(&self) -> PlatformReply {
        let words = match self.status {
            300..=399 => "the answer is a redirect, and redirects are not followed".to_owned(),
            status => format!("HTTP status {status}, and the body is not the platform's JSON"),
        };
        PlatformReply::new(self.by_status(), format!("http_{}", self.status), &words)
    }

    /// The meaning of JSON without a code.
    pub(super) fn without_code(&self) -> PlatformReply {
        let words = format!("HTTP status {}, and the JSON has no code", self.status);
        PlatformReply::new(self.by_status(), format!("http_{}", self.status), &words)
    }

    fn by_status(&self) -> Verdict {
        match self.status {
            429 => Verdict::Throttled { wait: self.rate_reset.or(self.retry_after) },
            // The gateway before the platform takes no message of this size.
            413 => Verdict::Refused,
            _ => Verdict::TryAgain { wait: self.retry_after },
        }
    }
}
