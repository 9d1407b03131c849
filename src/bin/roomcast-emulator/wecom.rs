//! WeCom's rules, from its documents.
//!
//! Owns the sizes per message type, the message types, the error codes and their texts.
//!
//! Not here: template cards (`wecom_card.rs`), and the robots' quotas (`quota.rs`).

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::dialect::{Cause, Dialect, DocumentedQuota, Query, Refusal, Route, TokenPlace};
use crate::message::{Message, cut_to_bytes, filled, strings};
use crate::wecom_refusal::{invalid, missing};

/// The limit of an image before base64, in bytes.
const IMAGE_LIMIT: usize = 2 * 1024 * 1024;

/// The dialect of WeCom group robots.
pub(crate) struct WeCom;

impl Dialect for WeCom {
    fn refuse(&self, cause: Cause) -> Refusal {
        let (code, text) = match cause {
            Cause::TokenMissing | Cause::TokenBlank | Cause::NoSuchRobot => {
                (93_000, "invalid webhook url")
            }
            Cause::Disabled => (93_004, "robot disabled"),
            Cause::EmptyBody => (44_004, "empty content"),
            Cause::TooLarge => (45_002, "content too long"),
            Cause::ContentType | Cause::NotJson | Cause::NotObject | Cause::Keyword => {
                (40_035, "invalid parameter")
            }
            Cause::TooFast => (45_009, "api freq out of limit"),
        };
        Refusal::new(code, text)
    }

    fn route(&self) -> Route {
        Route { path: "/cgi-bin/webhook/send", token: TokenPlace::Query("key") }
    }

    fn quota(&self) -> DocumentedQuota {
        DocumentedQuota { per_minute: 20, per_second: None, block_seconds: 0 }
    }

    fn has_security(&self) -> bool {
        false
    }

    fn body_limit(&self) -> Option<usize> {
        None
    }

    fn is_signed(&self, _query: &Query, _body: &Value) -> bool {
        false
    }

    fn check_signature(
        &self,
        _secret: &str,
        _query: &Query,
        _body: &Value,
        _now_ms: i64,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    fn read(&self, body: &Value) -> Result<Message, Refusal> {
        let kind = filled(body, "msgtype").unwrap_or_default();
        let part = body.get(kind).unwrap_or(&Value::Null);
        match kind {
            "text" => {
                let mut message = content(part, kind, 2_048)?;
                strings(part, "mentioned_list")
                    .for_each(|id| message.mentions.add_user(id, "@all"));
                strings(part, "mentioned_mobile_list")
                    .for_each(|number| message.mentions.add_mobile(number, "@all"));
                call_written(&mut message);
                Ok(message)
            }
            "markdown" => {
                let mut message = content(part, kind, 4_096)?;
                call_written(&mut message);
                Ok(message)
            }
            "markdown_v2" => content(part, kind, 4_096),
            "image" => image(part),
            "news" => news(part),
            "file" | "voice" => {
                let id = part.get("media_id").and_then(Value::as_str);
                match id.ok_or_else(|| missing(kind, "media_id"))? {
                    "" => Err(Refusal::new(40_007, "invalid media_id")),
                    _ => Ok(Message::of_text(format!("[{kind}]"))),
                }
            }
            "template_card" => crate::wecom_card::template_card(part),
            _ => Err(Refusal::new(40_008, "invalid message type")),
        }
    }

    fn msgtype<'a>(&self, body: &'a Value) -> &'a str {
        filled(body, "msgtype").unwrap_or_default()
    }

    fn answer(&self, verdict: Result<(), &Refusal>) -> Cow<'static, str> {
        let refusal = match verdict {
            Ok(()) => return Cow::Borrowed(r#"{"errcode":0,"errmsg":"ok"}"#),
            Err(refusal) => refusal,
        };
        let hint = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let (code, text) = (refusal.code, &refusal.text);
        let text = format!(
            "{text}, hint: [{hint}], from ip: 127.0.0.1, more info at \
             https://open.work.weixin.qq.com/devtool/query?e={code}"
        );
        Cow::Owned(json!({"errcode": code, "errmsg": text}).to_string())
    }
}

/// The content of a text-like message, limited in bytes.
fn content(part: &Value, kind: &str, limit: usize) -> Result<Message, Refusal> {
    let text = part.get("content").and_then(Value::as_str);
    let text = text.ok_or_else(|| missing(kind, "content"))?;
    if text.is_empty() {
        return Err(Refusal::new(44_004, "empty content"));
    }
    if text.len() > limit {
        let text = format!("{kind}.content exceed max length {limit}");
        return Err(Refusal::new(40_058, text));
    }
    Ok(Message::of_text(text))
}

/// Adds the mentions that the text contains as `<@userid>`.
fn call_written(message: &mut Message) {
    let mut rest = message.text.as_str();
    while let Some((_, mark)) = rest.split_once("<@") {
        let Some((id, after)) = mark.split_once('>') else {
            break;
        };
        message.mentions.add_user(id, "");
        rest = after;
    }
}

/// An image whose digest must be that of the bytes before base64.
fn image(part: &Value) -> Result<Message, Refusal> {
    let encoded = filled(part, "base64").ok_or_else(|| missing("image", "base64"))?;
    let digest = filled(part, "md5").ok_or_else(|| missing("image", "md5"))?;
    let bytes = STANDARD.decode(encoded).map_err(|_| invalid())?;
    if bytes.len() > IMAGE_LIMIT {
        return Err(Refusal::new(40_009, "invalid image size"));
    }
    let real: String = Md5::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if !real.eq_ignore_ascii_case(digest) {
        return Err(invalid());
    }
    Ok(Message::of_text("[image]"))
}

/// One to eight articles. Long titles and descriptions are cut, not refused.
fn news(part: &Value) -> Result<Message, Refusal> {
    let articles = part.get("articles").and_then(Value::as_array);
    let articles = articles.ok_or_else(|| missing("news", "articles"))?;
    if articles.is_empty() {
        return Err(missing("news", "articles"));
    }
    if articles.len() > 8 {
        return Err(Refusal::new(45_008, "article count out of limit"));
    }
    let mut lines = Vec::new();
    for article in articles {
        let title = filled(article, "title");
        let title = title.ok_or(Refusal::new(41_016, "missing title"))?;
        let url = filled(article, "url").ok_or_else(|| missing("news.articles", "url"))?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Refusal::new(45_034, "invalid url scheme"));
        }
        lines.push(cut_to_bytes(title, 128));
        if let Some(description) = filled(article, "description") {
            lines.push(cut_to_bytes(description, 512));
        }
    }
    Ok(Message::of_text(lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &Value) -> i64 {
        WeCom.read(body).map_or_else(|refusal| refusal.code, |_| 0)
    }

    #[test]
    fn contents_are_measured_in_bytes_not_in_characters() {
        for (kind, limit) in [("text", 2_048), ("markdown", 4_096), ("markdown_v2", 4_096)] {
            let body = |text: String| json!({"msgtype": kind, kind: {"content": text}});
            assert_eq!(code(&body("a".repeat(limit))), 0);
            let refusal = WeCom.read(&body("a".repeat(limit + 1))).unwrap_err();
            assert_eq!(refusal.code, 40_058);
            assert_eq!(refusal.text, format!("{kind}.content exceed max length {limit}"));
            let whole = limit / 3;
            assert_eq!(code(&body("汉".repeat(whole))), 0);
            assert_eq!(code(&body("汉".repeat(whole + 1))), 40_058);
        }
    }

    #[test]
    fn members_are_called_by_list_by_mobile_and_in_the_text() {
        let body = json!({"msgtype": "text", "text": {"content": "hi <@zhao> <@",
            "mentioned_list": ["li", "@all"], "mentioned_mobile_list": ["138"]}});
        let mentions = WeCom.read(&body).unwrap().mentions;
        assert!(mentions.all);
        assert_eq!(mentions.users, ["li", "zhao"]);
        assert_eq!(mentions.mobiles, ["138"]);
        let v2 = json!({"msgtype": "markdown_v2", "markdown_v2": {"content": "<@zhao>"}});
        assert!(WeCom.read(&v2).unwrap().mentions.users.is_empty(), "this type calls nobody");
    }

    #[test]
    fn a_picture_needs_the_digest_of_its_raw_bytes() {
        let body = |md5| json!({"msgtype": "image", "image": {"base64": "aGVsbG8=", "md5": md5}});
        assert_eq!(code(&body("5d41402abc4b2a76b9719d911017c592")), 0);
        assert_eq!(code(&body("00000000000000000000000000000000")), 40_035);
    }

    #[test]
    fn news_have_at_most_eight_articles_with_titles_and_web_addresses() {
        let body = |article: Value, count: usize| {
            let articles = vec![article; count];
            json!({"msgtype": "news", "news": {"articles": articles}})
        };
        let good = json!({"title": "汉".repeat(50), "url": "https://x.test"});
        assert_eq!(code(&body(good.clone(), 8)), 0);
        assert_eq!(code(&body(good.clone(), 9)), 45_008);
        assert_eq!(WeCom.read(&body(good, 1)).unwrap().text, "汉".repeat(42));
        assert_eq!(code(&body(json!({"url": "https://x.test"}), 1)), 41_016);
        assert_eq!(code(&body(json!({"title": "t", "url": "ftp://x"}), 1)), 45_034);
    }

    #[test]
    fn unknown_types_and_missing_or_empty_fields_have_their_codes() {
        assert_eq!(code(&json!({})), 40_008);
        assert_eq!(code(&json!({"msgtype": "audio"})), 40_008);
        assert_eq!(code(&json!({"msgtype": "text"})), 40_058);
        assert_eq!(code(&json!({"msgtype": "text", "text": {"content": ""}})), 44_004);
        assert_eq!(code(&json!({"msgtype": "file", "file": {"media_id": ""}})), 40_007);
        assert_eq!(code(&json!({"msgtype": "voice", "voice": {"media_id": "m"}})), 0);
    }

    #[test]
    fn a_refusal_ends_with_the_address_that_explains_it() {
        let refusal = WeCom.refuse(Cause::TooFast);
        let answer: Value = serde_json::from_str(&WeCom.answer(Err(&refusal))).unwrap();
        let text = answer["errmsg"].as_str().unwrap();
        assert!(text.starts_with("api freq out of limit, hint: ["));
        assert!(text.ends_with("?e=45009"));
    }
}
