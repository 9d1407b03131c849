//! Lark and Feishu custom bots.
//!
//! Owns their wire form, the signature, and the table of error codes.
//!
//! Not here: Lark's dialect of markdown (`markdown/dialect.rs`), its own message types
//! (`native/lark.rs`).

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{
    chunk::{ChunkPosition, Numbering, number},
    keyword::{self, VisibleText},
    markdown::Markdown,
    message::{RenderedBody, TextMessage, Unsendable, bounded, object},
    reply::{HttpReply, PlatformReply},
    text::{AnnotatedText, IN_JSON, cut, unmentioned_tail},
};
use crate::domain::{Endpoint, Format, Secret, Timestamp, Verdict};

/// The limit of the whole body, in bytes. The documents say 20 KB in one place and 30 KB in
/// another; the smaller value is safe.
const BODY_BYTES_MAX: usize = 20_000;
/// Bytes reserved for everything in the body besides text and title: names, timestamp, signature.
const BESIDES_TEXT_BYTES: usize = 512;
/// The most bytes of a card's title, which is one line.
const TITLE_BYTES_MAX: usize = 300;

/// Renders text as `text`, markdown as a card of schema 2.0. Only that schema shows headings,
/// quotes, code and tables.
pub(super) fn write(words: &TextMessage<'_>) -> RenderedBody {
    let mentions = mentions(words);
    let tail = |ChunkPosition(first): ChunkPosition, said: &[VisibleText<'_>]| {
        keyword::tail(words.keyword, said) + if first { &mentions } else { "" }
    };
    let room = BODY_BYTES_MAX - BESIDES_TEXT_BYTES - TITLE_BYTES_MAX;
    match words.format {
        Format::Text => {
            let head = words.subject.map(|subject| format!("{subject}\n")).unwrap_or_default();
            let flow = AnnotatedText::from(format!("{head}{}", words.text));
            let numbering = Numbering::InText { mark: "", subject: words.subject, gap: "\n" };
            let share = flow.share(
                words.wanted,
                &numbering,
                |first, text| tail(first, &[VisibleText::Text(text)]),
                room,
                IN_JSON,
            );
            (
                object([("msg_type", "text".into()), ("content", json!({"text": share.text}))]),
                share.part,
            )
        }
        Format::Markdown => {
            let first_line =
                words.subject.map(|subject| subject.lines().next().unwrap_or_default());
            let title = first_line.map(|line| cut(line, TITLE_BYTES_MAX, IN_JSON));
            let flow = Markdown::read(words.text).for_lark("");
            let numbering = match title {
                Some(_) => Numbering::Elsewhere,
                None => Numbering::InText { mark: "", subject: None, gap: "\n\n" },
            };
            let title_said = title.unwrap_or_default();
            let tail = |first, text: &str| {
                tail(first, &[VisibleText::Text(title_said), VisibleText::Markdown(text)])
            };
            let share = flow.share(words.wanted, &numbering, tail, room, IN_JSON);
            let mut card = object([("schema", "2.0".into())]);
            if let Some(title) = title {
                let title = match share.part.total {
                    Some(1) | None => title.to_owned(),
                    Some(_) => format!("{} {title}", number(share.part)),
                };
                let mut header =
                    object([("title", json!({"tag": "plain_text", "content": title}))]);
                if let Some(color) = words.color {
                    header.insert("template".to_owned(), color.into());
                }
                card.insert("header".to_owned(), header.into());
            }
            card.insert(
                "body".to_owned(),
                json!({"elements": [{"tag": "markdown", "content": share.text}]}),
            );
            (object([("msg_type", "interactive".into()), ("card", card.into())]), share.part)
        }
    }
}

/// Lark mentions members by user id only. A note lists those given by mobile number.
fn mentions(words: &TextMessage<'_>) -> String {
    let everybody = words.mentions.all.then_some("all");
    let named = words.mentions.users.iter().map(String::as_str);
    // The id is written inside a tag, so an id with characters that could end the tag is not
    // accepted.
    let is_id = |id: &&str| id.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let (ids, mut others): (Vec<_>, Vec<_>) = everybody.into_iter().chain(named).partition(is_id);
    others.extend(words.mentions.mobiles.iter().map(String::as_str));
    let tags: String = ids
        .iter()
        .map(|id| match words.format {
            Format::Text => format!("<at user_id=\"{id}\"></at>"),
            Format::Markdown => format!("<at id={id}></at>"),
        })
        .collect();
    let tags = if tags.is_empty() { tags } else { format!("\n{tags}") };
    tags + &unmentioned_tail(&others)
}

/// Adds the signature.
pub(super) fn sign_request(
    body: Map<String, Value>,
    endpoint: &Endpoint,
    secret: Option<&Secret>,
    now: Timestamp,
) -> Result<(Secret, Vec<u8>), Unsendable> {
    let mut signed = Map::new();
    if let Some(secret) = secret {
        let seconds = now.unix_seconds();
        signed = object([
            ("timestamp", seconds.to_string().into()),
            ("sign", sign(seconds, secret.expose()).into()),
        ]);
    }
    let body = body.into_iter().filter(|(name, _)| !signed.contains_key(name)).collect::<Vec<_>>();
    signed.extend(body);
    Ok((Secret::new(endpoint.expose().to_owned()), bounded(&signed, BODY_BYTES_MAX)?))
}

/// base64(HMAC-SHA256(key = seconds, line feed, secret; message = empty)). DingTalk's signed
/// message is the key here.
fn sign(seconds: u64, secret: &str) -> String {
    let key = Secret::concat(&[&seconds.to_string(), "\n", secret]);
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
        return String::new();
    };
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// The meaning of an answer. Success is `code` 0, or `StatusCode` 0 if there is no `code`. Some
/// failures have `StatusCode` 0 beside their code.
pub(super) fn read(response: &HttpReply<'_>) -> PlatformReply {
    let Some(json) = response.json() else {
        return response.without_json();
    };
    let code = HttpReply::number(&json, "code").or_else(|| HttpReply::number(&json, "StatusCode"));
    let Some(code) = code else {
        return response.without_code();
    };
    let words = ["msg", "StatusMessage"]
        .into_iter()
        .find_map(|name| json.get(name).and_then(Value::as_str))
        .unwrap_or_default();
    PlatformReply::new(verdict(code, words, response), code, words)
}

fn verdict(code: i64, words: &str, response: &HttpReply<'_>) -> Verdict {
    let says = |part: &str| words.to_lowercase().contains(part);
    let wait = response.rate_reset.or(response.retry_after);
    match code {
        0 => Verdict::Delivered,
        // One code with two meanings.
        9_499 if says("too many request") => Verdict::Throttled { wait },
        9_499 => Verdict::Refused,
        11_220 | 11_232 | 11_247 | 99_991_400 => Verdict::Throttled { wait },
        2_200 => Verdict::TryAgain { wait: response.retry_after },
        19_001 | 19_007 => Verdict::RobotGone,
        19_021 | 19_022 | 19_024 => Verdict::Security,
        // Invalid parameters, then the codes for cards that cannot be parsed or created.
        19_002 | 11_246 | 11_310 | 200_000..=200_999 | 230_099 => Verdict::Refused,
        _ if response.status == 429 || says("too many request") || says("frequency limit") => {
            Verdict::Throttled { wait }
        }
        _ => Verdict::TryAgain { wait: response.retry_after },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{LongTextPolicy, Mentions, Part},
        platforms::chunk::ChunkRequest,
    };

    const HOOK: &str = "https://open.feishu.cn/open-apis/bot/v2/hook/T";

    fn write(words: &TextMessage<'_>) -> Map<String, Value> {
        super::write(words).0
    }

    fn response(status: u16, body: &str) -> HttpReply<'_> {
        HttpReply { status, retry_after: None, rate_reset: None, body: body.as_bytes() }
    }

    #[test]
    fn signatures_are_those_of_the_documents() {
        for (seconds, secret, signature) in [
            (1_599_360_473, "demo", "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="),
            (
                1_664_944_271,
                "zJlvvSoQWuukwGnCzBVtve",
                "jW2NVlpvB/5izBjoq8Kmrt6eddAeHPz2BSCfiXo3v9U=",
            ),
            (1_760_000_000, "testsecret", "pHiti/pOqeEdnVpsqZDqL8amxzEdoxNH1f9ZgJwtpTo="),
            (1_710_000_000, "secret", "jWsBkWnzlRKtaP+iZgwraSojMWik4cJR7aysApQZuoA="),
            (1_700_000_000, "testsecret", "AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8="),
        ] {
            assert_eq!(sign(seconds, secret), signature);
        }
    }

    #[test]
    fn a_signed_body_carries_seconds_as_text_at_its_top() {
        let (endpoint, secret) =
            (Endpoint::new(HOOK.to_owned()), Secret::new("testsecret".to_owned()));
        let now = Timestamp::from_unix_millis(1_700_000_000_999);
        let body = write(&TextMessage::plain(None, "告警", Format::Text));
        let sealed = sign_request(body, &endpoint, Some(&secret), now).unwrap_or_else(|_| panic!());
        assert_eq!(
            String::from_utf8(sealed.1).unwrap(),
            r#"{"timestamp":"1700000000","sign":"AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8=","msg_type":"text","content":{"text":"告警"}}"#
        );
        assert_eq!(sealed.0.expose(), HOOK);
    }

    #[test]
    fn markdown_is_a_card_of_schema_2_and_mentions_are_tags() {
        let mut words = TextMessage::plain(Some("db-1"), "# down", Format::Markdown);
        words.mentions = Mentions {
            all: true,
            mobiles: vec!["1380".into()],
            users: vec!["ou_1".into(), "x><".into()],
        };
        words.color = Some("red");
        let card = Value::Object(write(&words));
        assert_eq!(
            card,
            json!({"msg_type": "interactive", "card": {
                "schema": "2.0",
                "header": {"title": {"tag": "plain_text", "content": "db-1"}, "template": "red"},
                "body": {"elements": [{"tag": "markdown", "content": "# down\n<at id=all></at><at id=ou_1></at>\n(cannot be mentioned here: x??, 1380)"}]}}})
        );
        words.format = Format::Text;
        let text = Value::Object(write(&words));
        assert_eq!(
            text["content"]["text"],
            "db-1\n# down\n<at user_id=\"all\"></at><at user_id=\"ou_1\"></at>\n(cannot be mentioned here: x??, 1380)"
        );
    }

    #[test]
    fn each_part_of_a_long_text_fits_and_a_cards_title_says_which_it_is() {
        let (endpoint, secret) = (Endpoint::new(HOOK.to_owned()), Secret::new("s".to_owned()));
        for unit in ["告", "\"", "\u{1}", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let mut words = TextMessage::plain(Some(&subject), &text, format);
                let mut part = Part::default();
                loop {
                    words.wanted = ChunkRequest { too_long: LongTextPolicy::Split, part };
                    let (body, said) = super::write(&words);
                    if format == Format::Markdown {
                        let title = body["card"]["header"]["title"]["content"].as_str().unwrap();
                        assert!(title.starts_with(&number(said)), "{title}");
                    }
                    let sealed = sign_request(
                        body,
                        &endpoint,
                        Some(&secret),
                        Timestamp::from_unix_millis(0),
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
        let (endpoint, secret) = (Endpoint::new(HOOK.to_owned()), Secret::new("s".to_owned()));
        for unit in ["告", "\"", "\u{1}", "😀"] {
            for format in [Format::Text, Format::Markdown] {
                let (text, subject) = (unit.repeat(20_000), unit.repeat(300));
                let body = write(&TextMessage::plain(Some(&subject), &text, format));
                let sealed =
                    sign_request(body, &endpoint, Some(&secret), Timestamp::from_unix_millis(0));
                let length = sealed.map(|sealed| sealed.1.len()).unwrap();
                assert!((18_000..=20_000).contains(&length), "{unit:?}: {length}");
            }
        }
    }

    #[test]
    fn every_documented_code_has_its_verdict() {
        let (again, slow) = (Verdict::TryAgain { wait: None }, Verdict::Throttled { wait: None });
        for (body, expected) in [
            (
                r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
                Verdict::Delivered,
            ),
            (r#"{"Extra":null,"StatusCode":0,"StatusMessage":"success"}"#, Verdict::Delivered),
            (
                r#"{"StatusCode":0,"StatusMessage":"","code":9499,"msg":"Bad Request"}"#,
                Verdict::Refused,
            ),
            (r#"{"code":9499,"msg":"Bad Request: fail to parse content"}"#, Verdict::Refused),
            (r#"{"code":9499,"msg":"too many request"}"#, slow),
            (
                r#"{"code":11232,"msg":"frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"}"#,
                slow,
            ),
            (r#"{"code":11247,"msg":""}"#, slow),
            (r#"{"code":11220,"msg":"too many requests"}"#, slow),
            (r#"{"code":2200,"msg":"internal error"}"#, again),
            (
                r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#,
                Verdict::RobotGone,
            ),
            (r#"{"code":19002,"msg":"params error, msg_type need"}"#, Verdict::Refused),
            (r#"{"code":19007,"msg":"Bot Not Enabled"}"#, Verdict::RobotGone),
            (
                r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}"#,
                Verdict::Security,
            ),
            (r#"{"code":19022,"msg":"Ip Not Allowed"}"#, Verdict::Security),
            (r#"{"code":19024,"msg":"Key Words Not Found"}"#, Verdict::Security),
            (r#"{"code":11246,"msg":""}"#, Verdict::Refused),
            (r#"{"code":200621,"msg":""}"#, Verdict::Refused),
            (r#"{"code":230099,"msg":""}"#, Verdict::Refused),
            (r#"{"code":11310,"msg":"card table number over limit"}"#, Verdict::Refused),
            (r#"{"code":19036,"msg":"?"}"#, again),
            ("<html></html>", again),
            ("{}", again),
        ] {
            assert_eq!(read(&response(200, body)).verdict, expected, "{body}");
        }
    }

    #[test]
    fn the_gateway_says_how_long_to_wait() {
        let body = r#"{"code":99991400,"msg":"request trigger frequency limit"}"#;
        let answer = HttpReply { rate_reset: Some(Duration::from_secs(7)), ..response(429, body) };
        assert_eq!(
            read(&answer).verdict,
            Verdict::Throttled { wait: Some(Duration::from_secs(7)) }
        );
        assert_eq!(read(&response(429, "slow down")).verdict, Verdict::Throttled { wait: None });
        assert_eq!(read(&response(502, "<html>")).verdict, Verdict::TryAgain { wait: None });
    }
}
