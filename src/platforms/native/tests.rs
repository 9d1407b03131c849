//! Tests of messages in a platform's own form: one valid and many invalid messages of each type.
//!
//! Owns the proof that each documented refusal is found, and named by its field.
//!
//! Not here: the delivery of such a message (`tests/it/message.rs`).
#![allow(clippy::too_many_lines, reason = "tables")]

use serde_json::{Value, json};

use super::check_native;
use crate::domain::Platform;

fn verdict(platform: Platform, body: &Value) -> String {
    check_native(platform, body)
        .err()
        .map_or_else(|| "good".to_owned(), |mistake| mistake.to_string())
}

/// The message with one field changed; null removes the field.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    body
}

fn table(platform: Platform, good: &Value, bad: &[(&str, Value, &str)]) {
    assert_eq!(verdict(platform, good), "good", "{good}");
    for (pointer, value, says) in bad {
        assert_eq!(verdict(platform, &with(good, pointer, value.clone())), *says, "{pointer}");
    }
}

#[test]
fn dingtalk_takes_its_five_types_and_names_the_field_it_would_refuse() {
    let ding = Platform::DingTalk;
    table(
        ding,
        &json!({"msgtype": "text", "text": {"content": "x"},
                "at": {"atMobiles": ["138"], "atUserIds": [], "isAtAll": false}}),
        &[
            (
                "/msgtype",
                json!("image"),
                "msgtype is \"image\": use text, markdown, link, actionCard, feedCard",
            ),
            ("/msgtype", json!(null), "msgtype is missing"),
            ("/text", json!("x"), "text is text: it must be an object"),
            ("/text/content", json!(""), "text.content is empty"),
            ("/text/content", json!(7), "text.content is a number: it must be text"),
            ("/at/atMobiles", json!([138]), "at.atMobiles[0] is a number: it must be text"),
            ("/at/atMobiles", json!(vec!["1"; 51]), "at mentions 51 members: at most 50 are taken"),
            ("/at/isAtAll", json!("yes"), "at.isAtAll must be true or false"),
        ],
    );
    table(
        ding,
        &json!({"msgtype": "markdown", "markdown": {"title": "t", "text": "x"}}),
        &[
            ("/markdown/title", json!(null), "markdown.title is missing"),
            ("/markdown/text", json!(""), "markdown.text is empty"),
        ],
    );
    table(
        ding,
        &json!({"msgtype": "link", "link": {"title": "t", "text": "x", "picUrl": "",
                "messageUrl": "dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fx&pc_slide=true"}}),
        &[
            ("/link/messageUrl", json!(null), "link.messageUrl is missing"),
            (
                "/link/messageUrl",
                json!("nowhere"),
                "link.messageUrl is not an address: relative URL without a base",
            ),
        ],
    );
    table(
        ding,
        &json!({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "x", "btnOrientation": "0", "hideAvatar": 1,
                "singleTitle": "read", "singleURL": "https://x.test"}}),
        &[
            ("/actionCard/singleURL", json!(null), "actionCard.singleURL is missing"),
            ("/actionCard/singleTitle", json!(null), "actionCard.singleTitle is missing"),
            (
                "/actionCard/btnOrientation",
                json!("2"),
                "actionCard.btnOrientation is not a number from 0 to 1",
            ),
        ],
    );
    table(
        ding,
        &json!({"msgtype": "actionCard", "actionCard": {"title": "t", "text": "x",
                "btns": [{"title": "yes", "actionURL": "https://x.test"}, {"title": "no", "actionURL": "https://x.test"}]}}),
        &[
            ("/actionCard/btns", json!([]), "actionCard.btns is empty"),
            (
                "/actionCard/btns/1/actionURL",
                json!(null),
                "actionCard.btns[1].actionURL is missing",
            ),
        ],
    );
    table(
        ding,
        &json!({"msgtype": "feedCard", "feedCard": {"links": [
                {"title": "t", "messageURL": "https://x.test", "picURL": "https://x.test/p.png"}]}}),
        &[
            ("/feedCard/links", json!([]), "feedCard.links is empty"),
            ("/feedCard/links", json!({}), "feedCard.links is an object: it must be a list"),
            ("/feedCard/links/0/picURL", json!(null), "feedCard.links[0].picURL is missing"),
        ],
    );
}

#[test]
fn lark_takes_text_posts_pictures_and_cards_of_three_kinds() {
    let lark = Platform::Lark;
    table(
        lark,
        &json!({"msg_type": "text", "content": {"text": "x"}}),
        &[
            (
                "/msg_type",
                json!("markdown"),
                "msg_type is \"markdown\": use text, post, image, share_chat, interactive",
            ),
            ("/content", json!("{}"), "content is text: it must be an object"),
            ("/content/text", json!(""), "content.text is empty"),
        ],
    );
    table(
        lark,
        &json!({"msg_type": "post", "content": {"post": {"zh_cn": {"title": "", "content": [
                [{"tag": "text", "text": ""}, {"tag": "a", "text": "x", "href": "https://x.test"}],
                [{"tag": "at", "user_id": "all"}, {"tag": "img", "image_key": "img_1"}]]}}}}),
        &[
            (
                "/content/post",
                json!({}),
                "content.post has no language: use zh_cn, en_us or another",
            ),
            ("/content/post/zh_cn/content", json!([]), "content.post.zh_cn.content is empty"),
            (
                "/content/post/zh_cn/content/1",
                json!("x"),
                "content.post.zh_cn.content[1] is text: it must be a list",
            ),
            (
                "/content/post/zh_cn/content/0/1/href",
                json!("x y"),
                "content.post.zh_cn.content[0][1].href is not an address: relative URL without a base",
            ),
            (
                "/content/post/zh_cn/content/0/0/tag",
                json!(null),
                "content.post.zh_cn.content[0][0].tag is missing",
            ),
        ],
    );
    table(lark, &json!({"msg_type": "image", "content": {"image_key": "img_1"}}), &[]);
    table(lark, &json!({"msg_type": "share_chat", "content": {"share_chat_id": "oc_1"}}), &[]);
    let header = json!({"title": {"tag": "plain_text", "content": "t"}, "template": "red"});
    table(
        lark,
        &json!({"msg_type": "interactive", "card": {"header": header, "elements": [{"tag": "hr"}]}}),
        &[
            ("/card", json!("{}"), "card is text: it must be an object"),
            ("/card/elements", json!([]), "card.elements is empty"),
            ("/card/elements/0/tag", json!(null), "card.elements[0].tag is missing"),
            ("/card/header/title", json!("t"), "card.header.title is text: it must be an object"),
            (
                "/card/header/template",
                json!("pink"),
                "card.header.template is \"pink\": use blue, wathet, turquoise, green, yellow, orange, red, carmine, violet, purple, indigo, grey, default",
            ),
            (
                "/card/elements",
                json!(vec![json!({"tag": "table"}); 6]),
                "card has 6 tables: at most 5 are taken",
            ),
        ],
    );
    table(
        lark,
        &json!({"msg_type": "interactive", "card": {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "x"}]}}}),
        &[
            ("/card/schema", json!("3.0"), "card.schema is \"3.0\": use 2.0"),
            ("/card/body/elements", json!(null), "card.body.elements is missing"),
            ("/card/body/elements/0/content", json!(""), "card.body.elements[0].content is empty"),
        ],
    );
    table(
        lark,
        &json!({"msg_type": "interactive", "card": {"type": "template", "data": {"template_id": "AAq", "template_variable": {"a": 1}}}}),
        &[
            ("/card/data/template_id", json!(null), "card.data.template_id is missing"),
            (
                "/card/data/template_variable",
                json!([]),
                "card.data.template_variable is a list: it must be an object",
            ),
        ],
    );
}

#[test]
fn wecom_takes_its_eight_types() {
    let wecom = Platform::WeCom;
    table(
        wecom,
        &json!({"msgtype": "text", "text": {"content": "告".repeat(682), "mentioned_list": ["@all"], "mentioned_mobile_list": ["138"]}}),
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
        &json!({"msgtype": "image", "image": {"base64": "aGVsbG8=", "md5": "5D41402ABC4B2A76B9719D911017C592"}}),
        &[
            ("/image/md5", json!("00"), "image.md5 is not the MD5 of the picture's bytes"),
            ("/image/base64", json!("??"), "image holds no base64: Invalid symbol 63, offset 0."),
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
        &json!({"msgtype": "template_card", "template_card": {
            "card_type": "text_notice", "main_title": {"title": "t", "desc": "d"}, "quote_area": {"type": 0},
            "horizontal_content_list": [{"keyname": "k", "value": "v"}, {"keyname": "k", "type": 3, "userid": "ann"}],
            "jump_list": [{"type": 1, "url": "https://x.test", "title": "more"}],
            "card_action": {"type": 1, "url": "https://x.test"}}}),
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
        &json!({"msgtype": "template_card", "template_card": {
            "card_type": "news_notice", "main_title": {"title": "t"}, "card_image": {"url": "https://x.test/p.png"},
            "vertical_content_list": [{"title": "t", "desc": "d"}], "card_action": {"type": 2, "appid": "a"}}}),
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

#[test]
fn what_is_no_object_is_no_message() {
    for platform in Platform::ALL {
        assert_eq!(verdict(platform, &json!([])), "is a list: it must be an object");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z_]{0,8}".prop_map(Value::from),
            prop_oneof![
                Just("text"),
                Just("post"),
                Just("interactive"),
                Just("template_card"),
                Just("2.0")
            ]
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let name = prop_oneof![
                Just("msgtype"),
                Just("msg_type"),
                Just("text"),
                Just("content"),
                Just("card"),
                Just("post"),
                Just("at"),
                Just("elements"),
                Just("header"),
                Just("template_card"),
                Just("card_type"),
                Just("news"),
                Just("x"),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..6).prop_map(|fields| Value::Object(
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_the_check_panic(body in any_json()) {
            for platform in Platform::ALL {
                let _ = check_native(platform, &body);
            }
        }
    }
}
