//! The interface that each platform implements.
//!
//! Owns the list of refusal causes that all platforms share. A dialect maps them to error codes,
//! checks signatures, reads messages and writes answers.
//!
//! Not here: the order of the checks (`check.rs`).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::message::{Mentionable, Mentions, Message};

/// The cause of a refusal, before the platform gives it a code and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The URL has no token.
    TokenMissing,
    /// The token in the URL is empty.
    TokenBlank,
    /// No robot has this token, or it was removed.
    NoSuchRobot,
    /// The robot exists but is disabled.
    Disabled,
    /// The content type is not JSON.
    ContentType,
    /// There is no body.
    EmptyBody,
    /// The body is not JSON.
    NotJson,
    /// The body is JSON, but not an object.
    NotObject,
    /// The body exceeds the limit.
    TooLarge,
    /// The message lacks the robot's keyword.
    Keyword,
    /// The robot's quota is used up.
    TooFast,
}

/// A platform's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The platform's error code.
    pub(crate) code: i64,
    /// The platform's text for it.
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with this code and text.
    pub(crate) fn new(code: i64, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }
}

/// The decoded query of a request, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a raw query once, as the platforms do. A value that is encoded twice stays encoded
    /// once.
    pub(crate) fn decode(raw: &str) -> Self {
        Self(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// The first value with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Where the robots of a platform receive messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// The path, in the form of the router.
    pub(crate) path: &'static str,
    /// The place of the robot's token.
    pub(crate) token: TokenPlace,
}

/// The place of a robot's token in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TokenPlace {
    /// The parameter `{token}` of the path.
    Path,
    /// The parameter of the query with this name.
    Query(&'static str),
}

/// The quota of a platform's robots, as documented.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentedQuota {
    /// Messages per sixty seconds.
    pub(crate) per_minute: usize,
    /// Messages per second, if there is such a limit.
    pub(crate) per_second: Option<usize>,
    /// How many seconds the robot refuses everything after one message too many.
    pub(crate) block_seconds: u32,
}

/// The behaviour that differs between platforms.
pub(crate) trait Dialect: Sync {
    /// The platform's code and text for a cause.
    fn refuse(&self, cause: Cause) -> Refusal;

    /// Whether its robots can have a secret or a keyword.
    fn has_security(&self) -> bool {
        true
    }

    /// Where its robots receive messages.
    fn route(&self) -> Route;

    /// Its refusal of another method than POST. Without one, the answer is HTTP 405.
    fn wrong_method(&self) -> Option<Refusal> {
        None
    }

    /// The paths at which it refuses every request, and the refusal. Without them, the answer is
    /// HTTP 404.
    fn unknown_paths(&self) -> Option<(&'static str, Refusal)> {
        None
    }

    /// The documented quota of a robot.
    fn quota(&self) -> DocumentedQuota;

    /// The id by which the platform recognises a repeated message, if it does.
    fn message_id<'a>(&self, _body: &'a Value) -> Option<&'a str> {
        None
    }

    /// The most bytes of a whole body, if the platform limits it.
    fn body_limit(&self) -> Option<usize>;

    /// Whether the request has a signature, valid or not.
    fn is_signed(&self, query: &Query, body: &Value) -> bool;

    /// Checks the signature of a robot that has a secret, at this time of the platform's clock.
    fn check_signature(
        &self,
        secret: &str,
        query: &Query,
        body: &Value,
        now_ms: i64,
    ) -> Result<(), Refusal>;

    /// Its refusal of a message for a member that it mentions, if it refuses any.
    fn refuse_mentions(&self, _: &Value, _: &Mentions, _: Mentionable<'_>) -> Option<Refusal> {
        None
    }

    /// Reads a message as a chat member would, or refuses its structure.
    fn read(&self, body: &Value) -> Result<Message, Refusal>;

    /// The declared message type, even if the message cannot be read.
    fn msgtype<'a>(&self, body: &'a Value) -> &'a str;

    /// The body of the answer to an accepted or refused message.
    fn answer(&self, verdict: Result<(), &Refusal>) -> Cow<'static, str>;
}

/// The base64 of an HMAC-SHA256. Both signing platforms use it, with key and text swapped.
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
