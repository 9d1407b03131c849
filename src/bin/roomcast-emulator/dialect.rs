//! Owns what every platform must be able to say: which words refuse a message for which cause,
//! how a signature is checked, how a message is read, and how an answer is written.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::message::Message;

/// Why a message is refused, before the platform has put it in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The URL names no robot at all.
    TokenMissing,
    /// The URL names a robot with an empty token.
    TokenBlank,
    /// No robot has this token, or it was removed.
    NoSuchRobot,
    /// The robot exists and is switched off.
    Disabled,
    /// The content type is not JSON.
    ContentType,
    /// There is no body.
    EmptyBody,
    /// The body is not JSON.
    NotJson,
    /// The body is JSON, yet not an object.
    NotObject,
    /// The whole body is over the limit.
    TooLarge,
    /// The robot's keyword does not occur.
    Keyword,
    /// The robot's quota is used up.
    TooFast,
}

/// A platform's "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The platform's error code.
    pub(crate) code: i64,
    /// The platform's text for it.
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with that code and text.
    pub(crate) fn new(code: i64, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }
}

/// The decoded query of a request, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a raw query once, as the platforms do: a value encoded twice stays encoded once.
    pub(crate) fn decode(raw: &str) -> Self {
        Self(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// The first value under that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What one platform does differently from the others.
pub(crate) trait Dialect: Sync {
    /// Puts a cause into the platform's words.
    fn refuse(&self, cause: Cause) -> Refusal;

    /// How many bytes a whole body may have, where the platform limits the whole body.
    fn body_limit(&self) -> Option<usize>;

    /// Whether the request carries a signature, right or wrong.
    fn is_signed(&self, query: &Query, body: &Value) -> bool;

    /// Checks the signature of a robot that has a secret, at the given time of the platform.
    fn check_signature(&self, secret: &str, query: &Query, body: &Value, now_ms: i64) -> Result<(), Refusal>;

    /// Reads a message as a chat member would, or says what is wrong with its structure.
    fn read(&self, body: &Value) -> Result<Message, Refusal>;

    /// The message type the body claims, even when the message cannot be read.
    fn msgtype<'a>(&self, body: &'a Value) -> &'a str;

    /// The body of the answer to an accepted message, or to a refused one.
    fn answer(&self, verdict: Result<(), &Refusal>) -> Cow<'static, str>;
}

/// The base64 of an HMAC-SHA256; both signing platforms use it, with key and text swapped.
pub(crate) fn hmac_base64(key: &[u8], text: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_exactly_once() {
        let query = Query::decode("access_token=a%20b&sign=x%252By&empty=");
        assert_eq!(query.get("access_token"), Some("a b"));
        assert_eq!(query.get("sign"), Some("x%2By"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("absent"), None);
    }
}
