//! Tests of messages in Lark's own form: one valid and many invalid messages of each type.
//!
//! Owns the proof that each documented refusal is found, and named by its field.
//!
//! Not here: the delivery of such a message (`tests/it/message.rs`).
#![allow(clippy::too_many_lines, reason = "tables")]

use serde_json::json;

use crate::{domain::Platform, platforms::native::tests::table};

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
                "content.post.zh_cn.content[0][1].href is not an address: \
                 relative URL without a base",
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
        &json!({
            "msg_type": "interactive", "card": {"header": header, "elements": [{"tag": "hr"}]}
        }),
        &[
            ("/card", json!("{}"), "card is text: it must be an object"),
            ("/card/elements", json!([]), "card.elements is empty"),
            ("/card/elements/0/tag", json!(null), "card.elements[0].tag is missing"),
            ("/card/header/title", json!("t"), "card.header.title is text: it must be an object"),
            (
                "/card/header/template",
                json!("pink"),
                "card.header.template is \"pink\": use blue, wathet, turquoise, green, yellow, \
                 orange, red, carmine, violet, purple, indigo, grey, default",
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
        &json!({
            "msg_type": "interactive",
            "card": {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "x"}]}}
        }),
        &[
            ("/card/schema", json!("3.0"), "card.schema is \"3.0\": use 2.0"),
            ("/card/body/elements", json!(null), "card.body.elements is missing"),
            ("/card/body/elements/0/content", json!(""), "card.body.elements[0].content is empty"),
        ],
    );
    table(
        lark,
        &json!({
            "msg_type": "interactive",
            "card": {
                "type": "template", "data": {"template_id": "AAq", "template_variable": {"a": 1}}
            }
        }),
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
