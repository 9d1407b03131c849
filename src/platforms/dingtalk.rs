//! DingTalk, custom and internal robots: one wire form.
//!
//! Owns that form, the signature, and the table of error codes.
//!
//! Not here: DingTalk's dialect of markdown (`markdown/dialect.rs`), its own message types
//! (`native/dingtalk.rs`).

use std::{borrow::Cow, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    chunk::{ChunkPosition, Numbering, number},
    keyword::{self, VisibleText},
    markdown::{self, Markdown},
    message::{RenderedBody, TextMessage, Unsendable, bounded, object},
    reply::{HttpReply, PlatformReply},
    text::{AnnotatedText, IN_JSON, RAW, cut, unmentioned_tail},
};
use crate::domain::{Endpoint, Format, Secret, Timestamp, Verdict};

/// The limit of the whole body, in bytes (errcode 460101 beyond it).
const BODY_BYTES_MAX: usize = 20_000;
/// Bytes reserved for everything in the body besides the text: names, title, mentions, `msgUuid`.
const BESIDES_TEXT_BYTES: usize = 512;
/// The most bytes of a title, which is one line in the list of conversations.
const TITLE_BYTES_MAX: usize = 200;
/// The most bytes of a text that are read to find its title.
const TITLE_READ_BYTES_MAX: usize = 4_096;
/// The platform takes at most this many mentions in one message.
const MENTIONS_MAX: usize = 50;
/// The wait before the next probe after a used-up monthly quota. The quota refills at the end of
/// the month, or when the organisation buys more.
const MONTHLY_WAIT: Duration = Duration::from_secs(3600);
/// The wait that the platform's documents ask for after throttling: seconds to a minute.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// The platform bans a source address that called too often for this long.
const BANNED_WAIT: Duration = Duration::from_secs(300);

/// Renders text or markdown.
pub(super) fn write(words: &TextMessage<'_>) -> RenderedBody {
    let mut mentions = words.mentions.clone();
    let mut beyond = mentions.mobiles.split_off(mentions.mobiles.len().min(MENTIONS_MAX));
    let users = MENTIONS_MAX - mentions.mobiles.len();
    beyond.extend(mentions.users.split_off(mentions.users.len().min(users)));
    let note = unmentioned_tail(&beyond.iter().map(String::as_str).collect::<Vec<_>>());
    let tail = |ChunkPosition(first): ChunkPosition, text: &str, said: &[VisibleText<'_>]| {
        let mut tail = keyword::tail(words.keyword, said);
        if !first {
            return tail;
        }
        // DingTalk highlights a mention only where the text contains it.
        for said in mentions.mobiles.iter().chain(&mentions.users).map(|one| format!("@{one}")) {
            if !text.contains(&said) {
                tail.push_str(if tail.is_empty() { "\n" } else { " " });
                tail.push_str(&said);
            }
        }
        tail + &note
    };
    let at = json!({"atMobiles": mentions.mobiles, "atUserIds": mentions.users, "isAtAll": mentions.all});
    let spent = BESIDES_TEXT_BYTES + TITLE_BYTES_MAX + at.to_string().len();
    let room = BODY_BYTES_MAX.saturating_sub(spent);
    let numbering = |mark, gap| Numbering::InText { mark, subject: words.subject, gap };
    let (kind, content, part) = match words.format {
        Format::Text => {
            let head = words.subject.map(|subject| format!("{subject}\n")).unwrap_or_default();
            let flow = AnnotatedText::from(format!("{head}{}", words.text));
            let tail = |first, text: &str| tail(first, text, &[VisibleText::Text(text)]);
            let share = flow.share(words.wanted, &numbering("", "\n"), tail, room, IN_JSON);
            ("text", json!({"content": share.text}), share.part)
        }
        Format::Markdown => {
            let head =
                words.subject.map(|subject| format!("### {subject}\n\n")).unwrap_or_default();
            let (title, flow) = (title(words), Markdown::read(words.text).for_dingtalk(&head));
            let tail = |first, text: &str| {
                tail(first, text, &[VisibleText::Text(&title), VisibleText::Markdown(text)])
            };
            let share = flow.share(words.wanted, &numbering("### ", "\n\n"), tail, room, IN_JSON);
            let title = match share.part.total {
                Some(1) | None => title,
                Some(_) => format!("{} {title}", number(share.part)),
            };
            ("markdown", json!({"title": title, "text": share.text}), share.part)
        }
    };
    let at = if part.index == 0 { at } else { json!({"isAtAll": false}) };
    (object([("msgtype", kind.into()), (kind, content), ("at", at)]), part)
}

/// The line for the list of conversations: the subject, or else the first non-empty line.
fn title(words: &TextMessage<'_>) -> String {
    // The list of conversations does not render markdown.
    let plain = words.subject.map_or_else(
        || Cow::from(markdown::plain_lines(cut(words.text, TITLE_READ_BYTES_MAX, RAW))),
        Cow::from,
    );
    let first = plain.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("…");
    cut(first, TITLE_BYTES_MAX, IN_JSON).to_owned()
}

/// Adds the signature, and `msgUuid`, by which DingTalk drops repeats.
pub(super) fn sign_request(
    mut body: Map<String, Value>,
    endpoint: &Endpoint,
    secret: Option<&Secret>,
    now: Timestamp,
    repeat_id: Uuid,
) -> Result<(Secret, Vec<u8>), Unsendable> {
    body.entry("msgUuid").or_insert_with(|| repeat_id.to_string().into());
    let signature = secret.map_or_else(String::new, |secret| {
        let millis = now.unix_millis();
        let signature = sign(millis, secret.expose());
        let encoded: String = url::form_urlencoded::byte_serialize(signature.as_bytes()).collect();
        format!("&timestamp={millis}&sign={encoded}")
    });
    Ok((Secret::concat(&[endpoint.expose(), &signature]), bounded(&body, BODY_BYTES_MAX)?))
}

/// base64(HMAC-SHA256(key = secret, message = milliseconds, line feed, secret)).
fn sign(millis: u64, secret: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{millis}\n").as_bytes());
    mac.update(secret.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// The meaning of an answer.
pub(super) fn read(response: &HttpReply<'_>) -> PlatformReply {
    let Some(json) = response.json() else {
        return response.without_json();
    };
    if json.get("status").and_then(Value::as_i64) == Some(1111) || json.get("punish").is_some() {
        let detail =
            "this machine's address called DingTalk too often and is banned for some minutes";
        return PlatformReply::new(Verdict::Throttled { wait: Some(BANNED_WAIT) }, "1111", detail);
    }
    let Some(code) = HttpReply::number(&json, "errcode") else {
        return response.without_code();
    };
    let words = json.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    PlatformReply::new(verdict(code, words), code, words)
}

fn verdict(code: i64, words: &str) -> Verdict {
    let says = |part: &str| words.to_lowercase().contains(part);
    match code {
        0 => Verdict::Delivered,
        -1 => Verdict::TryAgain { wait: None },
        88 | 404 | 300_005 | 400_013 | 400_101 | 400_102 | 400_106 => Verdict::RobotGone,
        // One code with two meanings: the token is missing or unknown, or the message is malformed.
        40_035 | 300_001 if says("token") => Verdict::RobotGone,
        // Caused by our clock or a slow network. The next attempt has a new signature.
        310_000 if says("timestamp") => Verdict::TryAgain { wait: None },
        310_000 => Verdict::Security,
        40_035
        | 43_002
        | 43_004
        | 44_002
        | 47_001
        | 300_001
        | 400_105
        | 400_403
        | 430_101..=430_104
        | 460_101 => Verdict::Refused,
        130_101 | 410_100 => Verdict::Throttled { wait: None },
        90_020 | 90_030 => Verdict::BudgetSpent { wait: MONTHLY_WAIT },
        90_001..=90_019 => Verdict::Throttled { wait: Some(BUSY_WAIT) },
        _ if says("too fast") || says("too many") => Verdict::Throttled { wait: None },
        _ => Verdict::TryAgain { wait: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{LongTextPolicy, Mentions, Part},
        platforms::chunk::ChunkRequest,
    };

    fn write(words: &TextMessage<'_>) -> Map<String, Value> {
        super::write(words).0
    }

    #[test]
    fn signatures_are_those_of_the_documents() {
        for (millis, secret, signature) in [
            (1_577_262_236_757, "this is secret", "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="),
            (1_577_262_236_757, "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA="),
            (
                1_700_000_000_000,
                "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd",
                "8SZas7RY4E7wuOlgLfjLwHSKZpyUEdXdLvFYSDZiiFw=",
            ),
            (1_760_000_000_000, "SECtest", "6IoghBKw49dqVHyzlGNfS7+DTE6hHTbyKMslbn3uzKI="),
            (1_700_000_000_001, "SECtest", "r4CWp/Dz+Ng0sbTjH1vB0Fr+uQ2fn831mssaN6/C05I="),
        ] {
            assert_eq!(sign(millis, secret), signature);
        }
    }

    #[test]
    fn a_signature_is_url_encoded_once() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        let secret = Secret::new("SECtest".to_owned());
        let now = Timestamp::from_unix_millis(1_700_000_000_001);
        let prepared = sign_request(Map::new(), &endpoint, Some(&secret), now, Uuid::nil())
            .unwrap_or_else(|_| panic!());
        assert_eq!(
            prepared.0.expose(),
            "https://oapi.dingtalk.com/robot/send?access_token=T&timestamp=1700000000001\
             &sign=r4CWp%2FDz%2BNg0sbTjH1vB0Fr%2BuQ2fn831mssaN6%2FC05I%3D"
        );
    }

    #[test]
    fn text_and_markdown_have_the_documented_form() {
        let text = Value::Object(write(&TextMessage::plain(Some("db-1"), "is down", Format::Text)));
        assert_eq!(
            text,
            json!({"msgtype": "text", "text": {"content": "db-1\nis down"},
                   "at": {"atMobiles": [], "atUserIds": [], "isAtAll": false}})
        );
        let markdown =
            Value::Object(write(&TextMessage::plain(Some("db-1"), "**down**", Format::Markdown)));
        assert_eq!(markdown["markdown"], json!({"title": "db-1", "text": "### db-1\n\n**down**"}));
        let untitled = Value::Object(write(&TextMessage::plain(
            None,
            "\n## **Down**\nmore",
            Format::Markdown,
        )));
        assert_eq!(untitled["markdown"]["title"], "Down");
        let linked = Value::Object(write(&TextMessage::plain(
            None,
            "![](https://x.test/i.png)\n\n> see **[the *run*book](https://x.test)**",
            Format::Markdown,
        )));
        assert_eq!(linked["markdown"]["title"], "see the runbook");
    }

    #[test]
    fn whom_a_message_mentions_stands_in_its_text_once() {
        let mut words = TextMessage::plain(None, "ask @1380", Format::Text);
        words.mentions = Mentions {
            all: true,
            mobiles: vec!["1380".into(), "1390".into()],
            users: vec!["u1".into()],
        };
        words.keyword = Some("告警");
        let body = Value::Object(write(&words));
        assert_eq!(body["text"]["content"], "ask @1380\n告警 @1390 @u1");
        assert_eq!(
            body["at"],
            json!({"atMobiles": ["1380", "1390"], "atUserIds": ["u1"], "isAtAll": true})
        );
    }

    #[test]
    fn who_is_beyond_the_fiftieth_mention_is_named_in_a_note() {
        let mut words = TextMessage::plain(None, "x", Format::Text);
        words.mentions.mobiles = (0..49).map(|number| format!("138{number:02}")).collect();
        words.mentions.users = vec!["ann".into(), "bob".into(), "cy".into()];
        let body = Value::Object(write(&words));
        assert_eq!(body["at"]["atMobiles"].as_array().unwrap().len(), 49);
        assert_eq!(body["at"]["atUserIds"], json!(["ann"]));
        assert!(
            body["text"]["content"]
                .as_str()
                .unwrap()
                .ends_with("@ann\n(cannot be mentioned here: bob, cy)")
        );
    }

    #[test]
    fn mentions_that_alone_are_too_long_are_refused() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        let mut words = TextMessage::plain(None, "x", Format::Text);
        words.mentions.users = vec!["u".repeat(25_000)];
        let sealed = sign_request(
            write(&words),
            &endpoint,
            None,
            Timestamp::from_unix_millis(0),
            Uuid::nil(),
        );
        assert_eq!(sealed.err().map(|unsendable| unsendable.code), Some("too_large"));
    }

    #[test]
    fn each_part_of_a_long_text_fits_whatever_it_is_made_of_and_the_first_alone_mentions() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        for unit in ["告", "\"", "\u{1}", "a\n", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let mut words = TextMessage::plain(Some(&subject), &text, format);
                words.mentions.mobiles =
                    (0..60).map(|number| format!("138000000{number:02}")).collect();
                let mut part = Part::default();
                loop {
                    words.wanted = ChunkRequest { too_long: LongTextPolicy::Split, part };
                    let (body, said) = super::write(&words);
                    assert_eq!(
                        (said.index, body["at"]["atMobiles"].is_array()),
                        (part.index, part.index == 0)
                    );
                    let sealed = sign_request(
                        body,
                        &endpoint,
                        None,
                        Timestamp::from_unix_millis(0),
                        Uuid::nil(),
                    );
                    assert!(
                        sealed.is_ok_and(|sealed| sealed.1.len() <= 20_000),
                        "{unit:?} {said:?}"
                    );
                    part = Part { index: said.index + 1, total: said.total };
                    if !said.has_next() {
                        break;
                    }
                }
                assert!(part.index > 1, "{unit:?}");
            }
        }
    }

    #[test]
    fn the_longest_text_fits_whatever_it_is_made_of() {
        let endpoint =
            Endpoint::new("https://oapi.dingtalk.com/robot/send?access_token=T".to_owned());
        for unit in ["告", "\"", "\u{1}", "a\n", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let mut words = TextMessage::plain(Some(&subject), &text, format);
                words.mentions.mobiles =
                    (0..60).map(|number| format!("138000000{number:02}")).collect();
                let sealed = sign_request(
                    write(&words),
                    &endpoint,
                    None,
                    Timestamp::from_unix_millis(0),
                    Uuid::nil(),
                );
                let body = sealed.map(|sealed| sealed.1.len()).unwrap();
                assert!((18_000..=20_000).contains(&body), "{unit:?}: {body}");
            }
        }
    }

    #[test]
    fn every_documented_code_has_its_verdict() {
        let (gone, again, refused) =
            (Verdict::RobotGone, Verdict::TryAgain { wait: None }, Verdict::Refused);
        let throttled = |wait| Verdict::Throttled { wait };
        for (code, words, expected) in [
            (0, "ok", Verdict::Delivered),
            (-1, "system busy", again),
            (88, "access_token is blank", gone),
            (404, "URI unknown", gone),
            (40_035, "缺少参数 access_token", gone),
            (40_035, "缺少参数 json", refused),
            (43_002, "", refused),
            (43_004, "", refused),
            (44_002, "", refused),
            (47_001, "", refused),
            (300_001, "token is not exist", gone),
            (300_001, "msgtype is null", refused),
            (300_001, "session 不存在", refused),
            (300_005, "token is not exist", gone),
            (310_000, "keywords not in content", Verdict::Security),
            (310_000, "invalid timestamp", again),
            (310_000, "sign not match", Verdict::Security),
            (310_000, "ip 1.2.3.4 not in whitelist", Verdict::Security),
            (400_013, "", gone),
            (400_101, "", gone),
            (400_102, "", gone),
            (400_105, "", refused),
            (400_106, "", gone),
            (400_403, "markdown → text", refused),
            (410_100, "", throttled(None)),
            (130_101, "send too fast, exceed 20 times per minute", throttled(None)),
            (430_101, "", refused),
            (430_104, "", refused),
            (460_101, "", refused),
            (660_026, "sending too many messages per minute", throttled(None)),
            (660_026, "发送失败", again),
            (90_002, "", throttled(Some(BUSY_WAIT))),
            (90_018, "", throttled(Some(BUSY_WAIT))),
            (90_020, "", Verdict::BudgetSpent { wait: MONTHLY_WAIT }),
            (
                90_030,
                "您的企业本月webhook调用量已超过限制",
                Verdict::BudgetSpent { wait: MONTHLY_WAIT },
            ),
            (130_103, "", again),
            (999_999, "send too fast", throttled(None)),
        ] {
            assert_eq!(verdict(code, words), expected, "{code} {words}");
        }
    }

    #[test]
    fn a_code_may_be_a_number_or_text_and_a_ban_has_none() {
        let read = |body: &str| {
            super::read(&HttpReply {
                status: 200,
                retry_after: None,
                rate_reset: None,
                body: body.as_bytes(),
            })
        };
        assert_eq!(read(r#"{"errcode":"0","errmsg":"ok"}"#).verdict, Verdict::Delivered);
        assert_eq!(read(r#"{"errmsg":"ok","errcode":0}"#).verdict, Verdict::Delivered);
        let ban = read(r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}"#);
        assert_eq!(ban.verdict, Verdict::Throttled { wait: Some(BANNED_WAIT) });
        assert_eq!(read("<html>").verdict, Verdict::TryAgain { wait: None });
        assert_eq!(read("{}").verdict, Verdict::TryAgain { wait: None });
    }
}
