//! Tests of messages in WeCom's own form: one valid and many invalid messages of each type.
//!
//! Owns the proof that each documented refusal is found, and named by its field.
//!
//! Not here: the delivery of such a message (`tests/it/message.rs`).
#![allow(clippy::too_many_lines, reason = "tables")]

use serde_json::json;

use crate::{domain::Platform, platforms::native::tests::table};

#[test]
fn wecom_takes_its_eight_types() {
    let wecom = Platform::WeCom;
    table(
        wecom,
        &json!({
            "msgtype": "text",
            "text": {
                "content": "告".repeat(682), "mentioned_list": ["@all"],
                "mentioned_mobile_list": ["138"]
            }
        }),
        &[
            (
                "/text/content",
                json!("告".repeat(683)),
                "text.content has 2049 bytes: at most 2048 are taken",
            ),
            (
                "/text/mentioned_list",
                json!("@all"),
                "text.mentioned_list is text: it must be a list",
            ),
        ],
    );
    for kind in ["markdown", "markdown_v2"] {
        let good = json!({"msgtype": kind, kind: {"content": "x".repeat(4096)}});
        let says = format!("{kind}.content has 4097 bytes: at most 4096 are taken");
        table(wecom, &good, &[(&format!("/{kind}/content"), json!("x".repeat(4097)), &says)]);
    }
    table(
        wecom,
        &json!({
            "msgtype": "image",
            "image": {"base64": "aGVsbG8=", "md5": "5D41402ABC4B2A76B9719D911017C592"}
        }),
        &[
            ("/image/md5", json!("00"), "image.md5 is not the MD5 of the picture's bytes"),
            ("/image/base64", json!("??"), "image is not written in base64"),
        ],
    );
    let article = json!({"title": "t", "url": "https://x.test", "description": "", "picurl": ""});
    table(
        wecom,
        &json!({"msgtype": "news", "news": {"articles": [article]}}),
        &[
            ("/news/articles", json!([]), "news.articles is empty"),
            (
                "/news/articles",
                json!(vec![article; 9]),
                "news.articles has 9 members: at most 8 are taken",
            ),
            ("/news/articles/0/title", json!(null), "news.articles[0].title is missing"),
            (
                "/news/articles/0/url",
                json!("ftp://x.test"),
                "news.articles[0].url begins with ftp: an address must begin with https or http",
            ),
        ],
    );
    table(
        wecom,
        &json!({"msgtype": "file", "file": {"media_id": "m"}}),
        &[("/file/media_id", json!(""), "file.media_id is empty")],
    );
    table(wecom, &json!({"msgtype": "voice", "voice": {"media_id": "m"}}), &[]);
}

#[test]
fn wecom_takes_both_template_cards() {
    let wecom = Platform::WeCom;
    table(
        wecom,
        &json!({
            "msgtype": "template_card",
            "template_card": {
                "card_type": "text_notice", "main_title": {"title": "t", "desc": "d"},
                "quote_area": {"type": 0},
                "horizontal_content_list": [
                    {"keyname": "k", "value": "v"}, {"keyname": "k", "type": 3, "userid": "ann"}
                ],
                "jump_list": [{"type": 1, "url": "https://x.test", "title": "more"}],
                "card_action": {"type": 1, "url": "https://x.test"}
            }
        }),
        &[
            (
                "/template_card/card_type",
                json!("vote"),
                "template_card.card_type is \"vote\": use text_notice, news_notice",
            ),
            (
                "/template_card/main_title",
                json!(null),
                "template_card has neither main_title.title nor sub_title_text",
            ),
            ("/template_card/card_action", json!(null), "template_card.card_action is missing"),
            (
                "/template_card/card_action/type",
                json!(null),
                "template_card.card_action.type is missing",
            ),
            (
                "/template_card/card_action/type",
                json!(2),
                "template_card.card_action.appid is missing",
            ),
            ("/template_card/quote_area/type", json!(1), "template_card.quote_area.url is missing"),
            (
                "/template_card/horizontal_content_list/1/userid",
                json!(null),
                "template_card.horizontal_content_list[1].userid is missing",
            ),
            (
                "/template_card/horizontal_content_list",
                json!(vec![json!({"keyname": "k"}); 7]),
                "template_card.horizontal_content_list has 7 members: at most 6 are taken",
            ),
            (
                "/template_card/jump_list/0/url",
                json!(""),
                "template_card.jump_list[0].url is empty",
            ),
        ],
    );
    table(
        wecom,
        &json!({
            "msgtype": "template_card",
            "template_card": {
                "card_type": "news_notice", "main_title": {"title": "t"},
                "card_image": {"url": "https://x.test/p.png"},
                "vertical_content_list": [{"title": "t", "desc": "d"}],
                "card_action": {"type": 2, "appid": "a"}
            }
        }),
        &[
            ("/template_card/card_image", json!(null), "template_card.card_image is missing"),
            (
                "/template_card/main_title/title",
                json!(null),
                "template_card.main_title.title is missing",
            ),
            (
                "/template_card/vertical_content_list/0/title",
                json!(null),
                "template_card.vertical_content_list[0].title is missing",
            ),
        ],
    );
}
