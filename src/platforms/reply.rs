//! How an answer is read, as far as all platforms have it in common.
//!
//! Owns the redaction: no credential of the subscription remains in the platform's message.
//!
//! Not here: the tables of codes (`dingtalk.rs`, `lark.rs`, `wecom.rs`).

use std::time::Duration;

use serde_json::Value;

use super::{dingtalk, lark, text::RAW, text::cut, wecom};
use crate::domain::{AttemptOutcome, Platform, Subscription, Verdict};

/// The platform's message is cut to this many bytes.
const DETAIL_BYTES_MAX: usize = 512;

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
    code: String,
    words: String,
}

impl PlatformReply {
    pub(super) fn new(verdict: Verdict, code: impl ToString, words: &str) -> Self {
        Self { verdict, code: code.to_string(), words: words.to_owned() }
    }
}

/// The meaning of an answer. Its text contains no credential of the subscription.
#[must_use]
pub fn read_answer(subscription: &Subscription, response: &HttpReply<'_>) -> AttemptOutcome {
    let PlatformReply { verdict, code, words } = match subscription.platform {
        Platform::DingTalk | Platform::DingTalkInternal => dingtalk::read(response),
        Platform::Lark => lark::read(response),
        Platform::WeCom => wecom::read(response),
    };
    AttemptOutcome { verdict, code, detail: detail(&words, subscription) }
}

impl HttpReply<'_> {
    /// The body as a JSON object, if it is one.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok().filter(Value::is_object)
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
        PlatformReply { verdict: self.by_status(), code: format!("http_{}", self.status), words }
    }

    /// The meaning of JSON without a code.
    pub(super) fn without_code(&self) -> PlatformReply {
        let words = format!("HTTP status {}, and the JSON has no code", self.status);
        PlatformReply { verdict: self.by_status(), code: format!("http_{}", self.status), words }
    }

    fn by_status(&self) -> Verdict {
        match self.status {
            429 => Verdict::Throttled { wait: self.rate_reset.or(self.retry_after) },
            _ => Verdict::TryAgain { wait: self.retry_after },
        }
    }
}

/// The platform's message on one line, cut, and without any part of our request that it repeats.
fn detail(words: &str, subscription: &Subscription) -> String {
    let endpoint = subscription.endpoint.expose();
    let credential = endpoint.rsplit(['/', '=']).next().filter(|one| !one.is_empty());
    let secret =
        subscription.secret.as_ref().map(|secret| secret.expose()).filter(|one| !one.is_empty());
    let mut words = words.replace(endpoint, "****");
    for known in [credential, secret].into_iter().flatten() {
        words = words.replace(known, "****");
    }
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(line.trim(), DETAIL_BYTES_MAX, RAW).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Endpoint, PrivateOptions, RobotId, Secret, SubscriptionId, SubscriptionOptions,
        SubscriptionState, Timestamp,
    };

    fn subscription(platform: Platform) -> Subscription {
        Subscription {
            id: SubscriptionId::from_bytes([1; 16]),
            topic: "t".parse().unwrap(),
            platform,
            robot: RobotId::from_bytes([1; 16]),
            endpoint: Endpoint::new(
                "https://oapi.dingtalk.com/robot/send?access_token=TOKEN123".to_owned(),
            ),
            secret: Some(Secret::new("SECxyz".to_owned())),
            private: PrivateOptions::default(),
            state: SubscriptionState::Active,
            options: SubscriptionOptions::default(),
            created_at: Timestamp::from_unix_millis(0),
        }
    }

    fn read(platform: Platform, status: u16, body: &str) -> AttemptOutcome {
        let response = HttpReply {
            status,
            retry_after: Some(Duration::from_secs(9)),
            rate_reset: None,
            body: body.as_bytes(),
        };
        read_answer(&subscription(platform), &response)
    }

    #[test]
    fn an_answer_that_repeats_our_credentials_is_redacted_and_cut_to_one_line() {
        let long = "长".repeat(400);
        let body = format!(
            r#"{{"errcode":1,"errmsg":"no TOKEN123\nat https://oapi.dingtalk.com/robot/send?access_token=TOKEN123 SECxyz {long}"}}"#
        );
        let answer = read(Platform::DingTalk, 200, &body);
        assert!(answer.detail.starts_with("no **** at **** **** 长"), "{}", answer.detail);
        assert!(answer.detail.len() <= DETAIL_BYTES_MAX && !answer.detail.contains("TOKEN123"));
    }

    #[test]
    fn without_json_the_status_decides() {
        for platform in Platform::ALL {
            let again = Verdict::TryAgain { wait: Some(Duration::from_secs(9)) };
            for status in [200, 302, 404, 500, 502] {
                let answer = read(platform, status, "<html>busy</html>");
                assert_eq!((answer.verdict, answer.code), (again, format!("http_{status}")));
            }
            let slow = Verdict::Throttled { wait: Some(Duration::from_secs(9)) };
            assert_eq!(read(platform, 429, "").verdict, slow);
            assert_eq!(read(platform, 200, "[0]").verdict, again);
            assert_eq!(read(platform, 200, "").verdict, again);
        }
    }
}
