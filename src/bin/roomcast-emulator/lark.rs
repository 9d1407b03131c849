//! Lark's rules, from its documents.
//!
//! Owns the signature in the body, the message types, the error codes and their texts.
//!
//! Not here: cards and `<at>` tags (`lark_card.rs`), and the robots' quotas (`quota.rs`).

use std::borrow::Cow;

use serde_json::{Value, json};
use url::Url;

use crate::dialect::{
    Cause, Dialect, DocumentedQuota, Query, Refusal, Route, TokenPlace, hmac_base64,
};
use crate::lark_card::{card, mentioned, refuse_members};
use crate::message::{Mentionable, Mentions, Message, filled};

/// The largest accepted difference between a signed timestamp and the platform's clock.
const CLOCK_WINDOW_S: u64 = 3_600;

/// The limit of the whole body, in bytes.
const BODY_LIMIT: usize = 30 * 1024;

/// The dialect of Lark and Feishu custom bots.
pub(crate) struct Lark;

impl Dialect for Lark {
    fn refuse(&self, cause: Cause) -> Refusal {
        let (code, text) = match cause {
            Cause::TokenMissing | Cause::TokenBlank | Cause::NoSuchRobot => {
                (19_001, "param invalid: incoming webhook access token invalid")
            }
            Cause::Disabled => (19_007, "Bot Not Enabled"),
            Cause::ContentType | Cause::EmptyBody | Cause::NotJson | Cause::NotObject => {
                (9_499, "Bad Request")
            }
            Cause::TooLarge => (19_036, "The message exceeds the size limit of 30KB"),
            Cause::Keyword => (19_024, "Key Words Not Found"),
            Cause::TooFast => {
                (11_232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
            }
        };
        Refusal::new(code, text)
    }

    fn route(&self) -> Route {
        Route { path: "/open-apis/bot/v2/hook/{token}", token: TokenPlace::Path }
    }

    fn quota(&self) -> DocumentedQuota {
        DocumentedQuota { per_minute: 100, per_second: Some(5), block_seconds: 0 }
    }

    fn body_limit(&self) -> Option<usize> {
        Some(BODY_LIMIT)
    }

    fn is_signed(&self, _query: &Query, body: &Value) -> bool {
        body.get("timestamp").is_some() && body.get("sign").is_some()
    }

    fn check_signature(
        &self,
        secret: &str,
        _query: &Query,
        body: &Value,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        // A number instead of a string of seconds counts as a missing timestamp.
        let stamp = filled(body, "timestamp").unwrap_or_default();
        let now = now_ms.div_euclid(1_000);
        let fresh = stamp.parse::<i64>().is_ok_and(|s| now.abs_diff(s) <= CLOCK_WINDOW_S);
        let given = filled(body, "sign").map(str::to_owned);
        if fresh && given.is_some() && given == sign(stamp, secret) {
            return Ok(());
        }
        let text = "sign match fail or timestamp is not within one hour from current time";
        Err(Refusal::new(19_021, text))
    }

    fn refuse_mentions(
        &self,
        body: &Value,
        mentions: &Mentions,
        chat: Mentionable<'_>,
    ) -> Option<Refusal> {
        (self.msgtype(body) == "interactive").then(|| refuse_members(mentions, chat)).flatten()
    }

    fn read(&self, body: &Value) -> Result<Message, Refusal> {
        let kind =
            filled(body, "msg_type").ok_or(Refusal::new(19_002, "params error, msg_type need"))?;
        let content = body.get("content").unwrap_or(&Value::Null);
        match kind {
            "text" => {
                let raw = filled(content, "text").ok_or_else(unreadable)?;
                let (text, mentions) = mentioned(raw, "user_id");
                Ok(Message { title: None, text, mentions })
            }
            "post" => post(content.get("post").unwrap_or(&Value::Null)),
            "image" => {
                filled(content, "image_key").ok_or_else(unreadable)?;
                Ok(Message::of_text("[image]"))
            }
            "share_chat" => {
                filled(content, "share_chat_id").ok_or_else(unreadable)?;
                Ok(Message::of_text("[chat]"))
            }
            "interactive" => card(body.get("card").unwrap_or(&Value::Null)),
            _ => Err(Refusal::new(19_002, "params error, msg_type need")),
        }
    }

    fn msgtype<'a>(&self, body: &'a Value) -> &'a str {
        filled(body, "msg_type").unwrap_or_default()
    }

    fn answer(&self, verdict: Result<(), &Refusal>) -> Cow<'static, str> {
        let refusal = match verdict {
            Ok(()) => {
                return Cow::Borrowed(concat!(
                    r#"{"StatusCode":0,"StatusMessage":"success","#,
                    r#""code":0,"data":{},"msg":"success"}"#
                ));
            }
            Err(refusal) => refusal,
        };
        let mut answer = json!({"code": refusal.code, "msg": refusal.text, "data": {}});
        // Some real failures also have the old success field; only `code` is reliable.
        if refusal.code == 9_499
            && let Some(fields) = answer.as_object_mut()
        {
            fields.insert("StatusCode".to_owned(), json!(0));
            fields.insert("StatusMessage".to_owned(), json!(""));
        }
        Cow::Owned(answer.to_string())
    }
}

/// The refusal of a content that is invalid.
fn unreadable() -> Refusal {
    Refusal::new(9_499, "Bad Request: fail to parse content")
}

/// Timestamp and secret together are the key; the signed text is empty.
fn sign(timestamp: &str, secret: &str) -> Option<String> {
    hmac_base64(format!("{timestamp}\n{secret}").as_bytes(), b"")
}

/// A post in at least one language. Members see the first one; all must be valid.
fn post(languages: &Value) -> Result<Message, Refusal> {
    let mut first = None;
    for version in languages.as_object().ok_or_else(unreadable)?.values() {
        let message = post_version(version)?;
        first.get_or_insert(message);
    }
    first.ok_or_else(unreadable)
}

/// One language of a post: lines of nodes.
fn post_version(version: &Value) -> Result<Message, Refusal> {
    let lines = version.get("content").and_then(Value::as_array).ok_or_else(unreadable)?;
    let mut message =
        Message { title: filled(version, "title").map(str::to_owned), ..Message::default() };
    let mut texts = Vec::new();
    for line in lines {
        let mut text = String::new();
        for node in line.as_array().ok_or_else(unreadable)? {
            text.push_str(&post_node(node, &mut message)?);
        }
        texts.push(text);
    }
    message.text = texts.join("\n");
    Ok(message)
}

/// The visible text of one node of a post. Its mentions are added to the message.
fn post_node(node: &Value, message: &mut Message) -> Result<String, Refusal> {
    let string = |name: &str| node.get(name).and_then(Value::as_str).ok_or_else(unreadable);
    match string("tag")? {
        "text" => Ok(string("text")?.to_owned()),
        "a" => {
            Url::parse(string("href")?).map_err(|_| unreadable())?;
            Ok(string("text")?.to_owned())
        }
        "at" => {
            let id = string("user_id")?;
            message.mentions.add_user(id, "all");
            Ok(format!("@{}", filled(node, "user_name").unwrap_or(id)))
        }
        "img" => string("image_key").map(|_| "[image]".to_owned()),
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &Value, now_s: i64) -> bool {
        Lark.check_signature("demo", &Query::default(), body, now_s * 1_000).is_ok()
    }

    #[test]
    fn every_known_signature_comes_out() {
        for (stamp, secret, expected) in [
            ("1599360473", "demo", "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="),
            (
                "1664944271",
                "zJlvvSoQWuukwGnCzBVtve",
                "jW2NVlpvB/5izBjoq8Kmrt6eddAeHPz2BSCfiXo3v9U=",
            ),
            ("1760000000", "testsecret", "pHiti/pOqeEdnVpsqZDqL8amxzEdoxNH1f9ZgJwtpTo="),
            ("1710000000", "secret", "jWsBkWnzlRKtaP+iZgwraSojMWik4cJR7aysApQZuoA="),
            ("1700000000", "testsecret", "AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8="),
        ] {
            assert_eq!(sign(stamp, secret).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_signature_holds_for_an_hour_and_its_timestamp_is_a_string() {
        let good = json!({"timestamp": "1599360473",
            "sign": "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="});
        assert!(check(&good, 1_599_360_473 + 3_600));
        assert!(!check(&good, 1_599_360_473 + 3_601));
        assert!(!check(&good, 1_599_360_473 - 3_601));
        let mut number = good;
        number["timestamp"] = json!(1_599_360_473);
        assert!(!check(&number, 1_599_360_473));
        assert!(!check(&json!({}), 1_599_360_473));
    }

    #[test]
    fn one_code_stands_for_a_bad_body_and_a_bad_content_and_pretends_the_old_success() {
        let bad = Lark.refuse(Cause::NotJson);
        let content = Lark.read(&json!({"msg_type": "text", "content": "x"})).unwrap_err();
        assert_eq!((bad.code, content.code), (9_499, 9_499));
        assert_ne!(bad.text, content.text);
        let answer: Value = serde_json::from_str(&Lark.answer(Err(&bad))).unwrap();
        assert_eq!(answer["StatusCode"], 0);
        assert_eq!(answer["code"], 9_499);
    }

    #[test]
    fn a_message_without_a_known_type_is_refused_with_the_known_types() {
        for body in [json!({}), json!({"msg_type": "markdown"})] {
            assert_eq!(Lark.read(&body).unwrap_err().code, 19_002);
        }
    }

    #[test]
    fn a_post_is_read_line_by_line() {
        let body = json!({
            "msg_type": "post",
            "content": {"post": {"zh_cn": {
                "title": "T",
                "content": [
                    [
                        {"tag": "text", "text": "看 "},
                        {"tag": "a", "text": "here", "href": "https://x.test/"}
                    ],
                    [
                        {"tag": "at", "user_id": "ou_1", "user_name": "Li"},
                        {"tag": "at", "user_id": "all"}
                    ]
                ]
            }}}
        });
        let message = Lark.read(&body).unwrap();
        assert_eq!(message.title.as_deref(), Some("T"));
        assert_eq!(message.text, "看 here\n@Li@all");
        assert_eq!(message.mentions.users, ["ou_1"]);
        assert!(message.mentions.all);
        assert!(!message.contains("x.test"), "an address is not something members read");
    }

    #[test]
    fn an_address_that_is_none_fails_the_whole_post() {
        let body = json!({"msg_type": "post", "content": {"post": {"en_us": {"content": [
            [{"tag": "a", "text": "here", "href": "not an address"}]]}}}});
        assert_eq!(Lark.read(&body).unwrap_err(), unreadable());
        let none = json!({"msg_type": "post", "content": {"post": {}}});
        assert_eq!(Lark.read(&none).unwrap_err(), unreadable());
    }

    #[test]
    fn text_image_and_chat_card_are_read() {
        let text = json!({"msg_type": "text",
            "content": {"text": "a <at user_id=\"all\">all</at>"}});
        let message = Lark.read(&text).unwrap();
        assert_eq!(message.text, "a @all");
        assert!(message.mentions.all);
        let image = json!({"msg_type": "image", "content": {"image_key": "img_1"}});
        assert_eq!(Lark.read(&image).unwrap().text, "[image]");
        let chat = json!({"msg_type": "share_chat", "content": {"share_chat_id": "oc_1"}});
        assert_eq!(Lark.read(&chat).unwrap().text, "[chat]");
    }
}
