//! The meaning of a platform's answer for one subscription.
//!
//! Owns the redaction: no credential of the subscription remains in the platform's message.
//!
//! Not here: the tables of codes (`answer.rs` of each platform).

use super::{
    answer_rule::AnswerRule,
    registry::profile,
    reply::{HttpReply, PlatformReply},
    text::{RAW, cut},
};
use crate::domain::{AttemptOutcome, Platform, Subscription, Verdict};

/// The code of an answer that refuses the signature of a subscription without a signing secret.
pub(super) const NO_SECRET: &str = "no_secret";
/// The platform's message is cut to this many bytes.
const DETAIL_BYTES_MAX: usize = 512;

/// The meaning of an answer. Its text contains no credential of the subscription.
#[must_use]
pub fn read_answer(subscription: &Subscription, response: &HttpReply<'_>) -> AttemptOutcome {
    let PlatformReply { verdict, code, words, refused_for, about_signature } =
        profile(subscription.platform).read(response);
    let detail = detail(&words, subscription);
    let unsigned = subscription.secret.is_none() && profile(subscription.platform).takes_secret();
    if about_signature && unsigned {
        return AttemptOutcome::new(Verdict::Security, NO_SECRET, format!("{code}: {detail}"));
    }
    AttemptOutcome { verdict, code, detail, refused_for }
}

/// The table of a platform's answers, in the order in which its rules are tried.
#[must_use]
pub fn answer_rules(platform: Platform) -> &'static [AnswerRule] {
    profile(platform).answer_rules()
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
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        Endpoint, Platform, PrivateOptions, RobotId, Secret, SubscriptionId, SubscriptionOptions,
        SubscriptionState, Timestamp,
    };
    use crate::platforms::answer_rule;

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
            "{{\"errcode\":1,\"errmsg\":\"no TOKEN123\\nat \
             https://oapi.dingtalk.com/robot/send?access_token=TOKEN123 SECxyz {long}\"}}"
        );
        let answer = read(Platform::DingTalk, 200, &body);
        assert!(answer.detail.starts_with("no **** at **** **** 长"), "{}", answer.detail);
        assert!(answer.detail.len() <= DETAIL_BYTES_MAX && !answer.detail.contains("TOKEN123"));
    }

    #[test]
    fn a_refused_signature_of_a_subscription_without_a_secret_is_its_security_setting() {
        let again = Verdict::TryAgain { wait: Some(Duration::from_secs(9)) };
        let lark = "sign match fail or timestamp is not within one hour from current time";
        for (platform, code, words, with_secret) in [
            (Platform::DingTalk, 310_000, "invalid timestamp", again),
            (Platform::DingTalk, 310_000, "sign not match", Verdict::Security),
            (Platform::DingTalk, 310_000, "机器人发送签名不匹配", Verdict::Security),
            (Platform::Lark, 19_021, lark, Verdict::Security),
        ] {
            let body =
                format!(r#"{{"errcode":{code},"code":{code},"errmsg":"{words}","msg":"{words}"}}"#);
            let response = HttpReply {
                status: 200,
                retry_after: Some(Duration::from_secs(9)),
                rate_reset: None,
                body: body.as_bytes(),
            };
            let signed = read_answer(&subscription(platform), &response);
            assert_eq!((signed.verdict, signed.code), (with_secret, code.to_string()), "{words}");
            let unsigned = Subscription { secret: None, ..subscription(platform) };
            let answer = read_answer(&unsigned, &response);
            assert_eq!((answer.verdict, answer.code.as_str()), (Verdict::Security, NO_SECRET));
            assert_eq!(answer.detail, format!("{code}: {words}"));
        }
        let body = br#"{"errcode":310000,"errmsg":"keywords not in content"}"#;
        let response = HttpReply { status: 200, retry_after: None, rate_reset: None, body };
        let unsigned = Subscription { secret: None, ..subscription(Platform::DingTalk) };
        assert_eq!(read_answer(&unsigned, &response).code, "310000", "it is not the signature");
    }

    #[test]
    fn an_answer_is_read_whatever_surrounds_its_json() {
        for platform in Platform::ALL {
            let ok = br#"{"errcode":0,"code":0,"errmsg":"ok","msg":"ok"}"#;
            let latin = b"{\"errcode\":0,\"code\":0,\"errmsg\":\"\xb3\xc9\xb9\xa6\"}";
            for body in [
                [b"\xef\xbb\xbf", &ok[..]].concat(),
                [b"\xef\xbb\xbf\r\n ", &ok[..]].concat(),
                [&ok[..], b"\n\0"].concat(),
                [&ok[..], b"<!-- gateway -->"].concat(),
                latin.to_vec(),
            ] {
                let response =
                    HttpReply { status: 200, retry_after: None, rate_reset: None, body: &body };
                let answer = read_answer(&subscription(platform), &response);
                assert_eq!(answer.verdict, Verdict::Delivered, "{platform} {body:?}");
            }
        }
    }

    #[test]
    fn every_rule_of_every_table_is_reached_and_its_example_has_its_meaning() {
        for platform in Platform::ALL {
            for rule in answer_rules(platform) {
                let (code, words, status) = rule.example();
                let found = answer_rule::find(answer_rules(platform), code, &words, status);
                let found = found.unwrap_or_else(|| panic!("{platform}: {code} {words}"));
                assert!(std::ptr::eq(found, rule), "{platform}: {code} {words} has {found:?}");
            }
        }
    }

    #[test]
    fn without_json_the_status_decides() {
        for platform in Platform::ALL {
            let again = Verdict::TryAgain { wait: Some(Duration::from_secs(9)) };
            for status in [200, 302, 404, 500, 502] {
                let answer = read(platform, status, "<html>busy</html>");
                assert_eq!((answer.verdict, answer.code), (again, format!("http_{status}")));
            }
            assert_eq!(read(platform, 413, "<html>").verdict, Verdict::Refused);
            let slow = Verdict::Throttled { wait: Some(Duration::from_secs(9)) };
            assert_eq!(read(platform, 429, "").verdict, slow);
            assert_eq!(read(platform, 200, "[0]").verdict, again);
            assert_eq!(read(platform, 200, "").verdict, again);
        }
    }
}
