//! DingTalk's rules, from its documents.
//!
//! Owns the signature in the query, the message types, the error codes and their texts.
//!
//! Not here: the robots' quotas (`quota.rs`).

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::dialect::{
    Cause, Dialect, DocumentedQuota, Query, Refusal, Route, TokenPlace, hmac_base64,
};
use crate::message::{Mentions, Message, filled, strings};

/// The largest accepted difference between a signed timestamp and the platform's clock.
const CLOCK_WINDOW_MS: u64 = 3_600_000;

/// The limit of the whole body, in bytes.
const BODY_LIMIT: usize = 20_000;

/// The dialect of custom and of internal robots, which share one endpoint.
pub(crate) struct DingTalk;

/// The error code of all security refusals; only their texts differ.
const SECURITY: i64 = 310_000;

impl Dialect for DingTalk {
    fn refuse(&self, cause: Cause) -> Refusal {
        let (code, text) = match cause {
            Cause::TokenMissing => (40_035, "缺少参数 access_token"),
            Cause::TokenBlank => (88, "access_token is blank"),
            Cause::NoSuchRobot => (300_005, "token is not exist"),
            Cause::Disabled => (400_102, "robot disabled"),
            Cause::ContentType => (43_004, "bad content type"),
            Cause::EmptyBody => (44_002, "empty body"),
            Cause::NotJson => (47_001, "JSON parse error"),
            Cause::NotObject => (40_035, "缺少参数 json"),
            Cause::TooLarge => (460_101, "body 大小不合法，请保持大小在 20000bytes 以内"),
            Cause::Keyword => (SECURITY, "keywords not in content"),
            Cause::TooFast => (130_101, "send too fast, exceed 20 times per minute"),
        };
        Refusal::new(code, text)
    }

    fn route(&self) -> Route {
        Route { path: "/robot/send", token: TokenPlace::Query("access_token") }
    }

    fn wrong_method(&self) -> Option<Refusal> {
        Some(Refusal::new(43_002, "not POST"))
    }

    fn unknown_paths(&self) -> Option<(&'static str, Refusal)> {
        Some(("/robot/{*rest}", Refusal::new(404, "URI unknown")))
    }

    fn quota(&self) -> DocumentedQuota {
        DocumentedQuota { per_minute: 20, per_second: None, block_seconds: 600 }
    }

    fn message_id<'a>(&self, body: &'a Value) -> Option<&'a str> {
        filled(body, "msgUuid")
    }

    fn body_limit(&self) -> Option<usize> {
        Some(BODY_LIMIT)
    }

    fn is_signed(&self, query: &Query, _body: &Value) -> bool {
        query.get("timestamp").is_some() && query.get("sign").is_some()
    }

    fn check_signature(
        &self,
        secret: &str,
        query: &Query,
        _body: &Value,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let stamp = query.get("timestamp").unwrap_or_default();
        let fresh = stamp.parse::<i64>().is_ok_and(|ms| now_ms.abs_diff(ms) <= CLOCK_WINDOW_MS);
        if !fresh {
            return Err(Refusal::new(SECURITY, "invalid timestamp"));
        }
        let given = query.get("sign").map(str::to_owned);
        if given.is_none() || given != sign(stamp, secret) {
            return Err(Refusal::new(SECURITY, "sign not match"));
        }
        Ok(())
    }

    fn read(&self, body: &Value) -> Result<Message, Refusal> {
        let kind = filled(body, "msgtype").ok_or(Refusal::new(300_001, "msgtype is null"))?;
        let part = body.get(kind).unwrap_or(&Value::Null);
        let field = |name: &str| required(part, kind, name);
        match kind {
            "text" => {
                let text = field("content")?;
                Ok(Message { title: None, text: text.to_owned(), mentions: called(body, text) })
            }
            "markdown" => {
                let (title, text) = (field("title")?, field("text")?);
                Ok(Message { mentions: called(body, text), ..Message::titled(title, text) })
            }
            "link" => {
                field("messageUrl")?;
                Ok(Message::titled(field("title")?, field("text")?))
            }
            "actionCard" => action_card(part),
            "feedCard" => feed_card(part),
            _ => Err(Refusal::new(400_105, "unsupported msgtype")),
        }
    }

    fn msgtype<'a>(&self, body: &'a Value) -> &'a str {
        filled(body, "msgtype").unwrap_or_default()
    }

    fn answer(&self, verdict: Result<(), &Refusal>) -> Cow<'static, str> {
        match verdict {
            Ok(()) => Cow::Borrowed(r#"{"errcode":0,"errmsg":"ok"}"#),
            Err(refusal) => {
                Cow::Owned(json!({"errcode": refusal.code, "errmsg": refusal.text}).to_string())
            }
        }
    }
}

/// The secret is the key, and also the end of the signed text.
fn sign(timestamp: &str, secret: &str) -> Option<String> {
    hmac_base64(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes())
}

/// A required field that is not empty.
fn required<'a>(part: &'a Value, kind: &str, name: &str) -> Result<&'a str, Refusal> {
    filled(part, name).ok_or_else(|| Refusal::new(400_403, format!("miss param : {kind}->{name}")))
}

/// The members that the message mentions. A member is mentioned only if the visible text has `@`
/// and the number or id. The flag alone mentions all members.
fn called(body: &Value, text: &str) -> Mentions {
    let mut mentions = Mentions::default();
    let Some(at) = body.get("at") else {
        return mentions;
    };
    let visible = |id: &str| text.contains(&format!("@{id}"));
    for number in strings(at, "atMobiles").filter(|id| visible(id)) {
        mentions.add_mobile(number, "");
    }
    for id in strings(at, "atUserIds").filter(|id| visible(id)) {
        mentions.add_user(id, "");
    }
    mentions.all = at.get("isAtAll").and_then(Value::as_bool).unwrap_or(false);
    mentions
}

/// A card with a single button or a list of buttons. If it has both, the list is ignored.
fn action_card(card: &Value) -> Result<Message, Refusal> {
    let field = |name: &str| required(card, "actionCard", name);
    let (title, text) = (field("title")?, field("text")?);
    let mut lines = vec![text];
    if filled(card, "singleTitle").is_some() || card.get("btns").is_none() {
        lines.push(field("singleTitle")?);
        field("singleURL")?;
    } else {
        for button in items(card, "actionCard", "btns")? {
            lines.push(required(button, "actionCard->btns", "title")?);
            required(button, "actionCard->btns", "actionURL")?;
        }
    }
    let mut message = Message::titled(title, lines.join("\n"));
    // For cards the `at` object has no effect: only an id in the text mentions a member.
    for word in text.split_whitespace() {
        if let Some(id) = word.strip_prefix('@') {
            message.mentions.add_user(id, "");
        }
    }
    Ok(message)
}

/// A list of links. Here the field names have `URL` in capitals.
fn feed_card(card: &Value) -> Result<Message, Refusal> {
    let mut titles = Vec::new();
    for link in items(card, "feedCard", "links")? {
        titles.push(required(link, "feedCard->links", "title")?);
        required(link, "feedCard->links", "messageURL")?;
        required(link, "feedCard->links", "picURL")?;
    }
    Ok(Message::of_text(titles.join("\n")))
}

/// A required list that is not empty.
fn items<'a>(part: &'a Value, kind: &str, name: &str) -> Result<&'a [Value], Refusal> {
    part.get(name)
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
        .map(Vec::as_slice)
        .ok_or_else(|| Refusal::new(400_403, format!("miss param : {kind}->{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_001;

    fn check(query: &str, now: i64) -> Result<(), Refusal> {
        DingTalk.check_signature("SECtest", &Query::decode(query), &Value::Null, now)
    }

    #[test]
    fn every_known_signature_comes_out() {
        let long = "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd";
        for (stamp, secret, expected) in [
            ("1577262236757", "this is secret", "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="),
            ("1577262236757", "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="),
            ("1700000000000", long, "8SZas7RY4E7wuOlgLfjLwHSKZpyUEdXdLvFYSDZiiFw="),
            ("1760000000000", "SECtest", "6IoghBKw49dqVHyzlGNfS7+DTE6hHTbyKMslbn3uzKI="),
            ("1700000000001", "SECtest", "r4CWp/Dz+Ng0sbTjH1vB0Fr+uQ2fn831mssaN6/C05I="),
        ] {
            assert_eq!(sign(stamp, secret).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_signature_encoded_once_matches_and_one_encoded_twice_does_not() {
        let once =
            "timestamp=1700000000001&sign=r4CWp%2FDz%2BNg0sbTjH1vB0Fr%2BuQ2fn831mssaN6%2FC05I%3D";
        assert_eq!(check(once, NOW), Ok(()));
        let mismatch = Err(Refusal::new(310_000, "sign not match"));
        assert_eq!(check(&once.replace('%', "%25"), NOW), mismatch);
        let raw = "timestamp=1700000000001&sign=r4CWp/Dz+Ng0sbTjH1vB0Fr+uQ2fn831mssaN6/C05I=";
        assert_eq!(check(raw, NOW), mismatch, "a bare plus is a blank");
        assert_eq!(check("timestamp=1700000000001", NOW), mismatch);
    }

    #[test]
    fn a_timestamp_more_than_an_hour_away_is_invalid() {
        let once =
            "timestamp=1700000000001&sign=r4CWp%2FDz%2BNg0sbTjH1vB0Fr%2BuQ2fn831mssaN6%2FC05I%3D";
        let invalid = Err(Refusal::new(310_000, "invalid timestamp"));
        assert_eq!(check(once, NOW + 3_600_000), Ok(()));
        assert_eq!(check(once, NOW + 3_600_001), invalid);
        assert_eq!(check(once, NOW - 3_600_001), invalid);
        assert_eq!(check("sign=x", NOW), invalid);
    }

    #[test]
    fn a_member_is_called_only_where_the_text_shows_it() {
        let body = json!({"msgtype": "text", "text": {"content": "hi @138 there"},
            "at": {"atMobiles": ["138", "139"], "atUserIds": ["li"], "isAtAll": true}});
        let message = DingTalk.read(&body).unwrap();
        assert_eq!(message.mentions.mobiles, ["138"]);
        assert!(message.mentions.users.is_empty());
        assert!(message.mentions.all);
    }

    #[test]
    fn one_code_stands_for_a_missing_type_and_another_for_an_unknown_one() {
        let code = |body: Value| DingTalk.read(&body).unwrap_err();
        assert_eq!(code(json!({})), Refusal::new(300_001, "msgtype is null"));
        assert_eq!(code(json!({"msgtype": "image"})).code, 400_105);
        assert_eq!(code(json!({"msgtype": "empty"})).code, 400_105);
        let half = json!({"msgtype": "markdown", "markdown": {"title": "t"}});
        assert_eq!(code(half), Refusal::new(400_403, "miss param : markdown->text"));
    }

    #[test]
    fn every_message_type_is_read() {
        let texts = [
            json!({"msgtype": "markdown", "markdown": {"title": "t", "text": "a"}}),
            json!({"msgtype": "link", "link": {"title": "t", "text": "a", "messageUrl": "u"}}),
            json!({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "a",
                "singleTitle": "b", "singleURL": "u", "btnOrientation": 0}}),
            json!({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "a",
                "btns": [{"title": "b", "actionURL": "u"}, {"title": "c", "actionURL": "u"}]}}),
            json!({"msgtype": "feedCard", "feedCard": {"links": [
                {"title": "a", "messageURL": "u", "picURL": "p"}]}}),
        ]
        .map(|body| DingTalk.read(&body).unwrap().text);
        assert_eq!(texts, ["a", "a", "a\nb", "a\nb\nc", "a"]);
        let misspelled = json!({"msgtype": "feedCard", "feedCard": {"links": [
            {"title": "a", "messageUrl": "u", "picUrl": "p"}]}});
        assert_eq!(DingTalk.read(&misspelled).unwrap_err().code, 400_403);
    }
}
