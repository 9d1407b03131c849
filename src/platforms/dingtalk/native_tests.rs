//! Tests of messages in DingTalk's own form: one valid and many invalid messages of each type.
//!
//! Owns the proof that each documented refusal is found, and named by its field.
//!
//! Not here: the delivery of such a message (`tests/it/message.rs`).
#![allow(clippy::too_many_lines, reason = "tables")]

use serde_json::json;

use crate::{domain::Platform, platforms::native::tests::table};

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
            (
                "/at/isAtAll",
                json!("yes"),
                "at.isAtAll must be true or false, without quotation marks",
            ),
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
        &json!({
            "msgtype": "link",
            "link": {
                "title": "t", "text": "x", "picUrl": "",
                "messageUrl":
                    "dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fx&pc_slide=true"
            }
        }),
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
        &json!({
            "msgtype": "actionCard",
            "actionCard": {
                "title": "t", "text": "x", "btnOrientation": "0", "hideAvatar": 1,
                "singleTitle": "read", "singleURL": "https://x.test"
            }
        }),
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
        &json!({
            "msgtype": "actionCard",
            "actionCard": {
                "title": "t", "text": "x",
                "btns": [
                    {"title": "yes", "actionURL": "https://x.test"},
                    {"title": "no", "actionURL": "https://x.test"}
                ]
            }
        }),
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
        &json!({
            "msgtype": "feedCard",
            "feedCard": {"links": [{
                "title": "t", "messageURL": "https://x.test", "picURL": "https://x.test/p.png"
            }]}
        }),
        &[
            ("/feedCard/links", json!([]), "feedCard.links is empty"),
            ("/feedCard/links", json!({}), "feedCard.links is an object: it must be a list"),
            ("/feedCard/links/0/picURL", json!(null), "feedCard.links[0].picURL is missing"),
        ],
    );
}
