//! The message types of a DingTalk robot's webhook.
//!
//! Owns which fields and limits DingTalk documents for each type.
//!
//! Not here: messages that roomcast renders itself (`message.rs`).

use crate::platforms::field::{Checked, Field};

const TYPES: [&str; 5] = ["text", "markdown", "link", "actionCard", "feedCard"];
/// The most members that one message may mention.
const MENTIONS_MAX: usize = 50;

pub(super) fn check(body: &Field<'_>) -> Checked {
    let kind = body.one_of("msgtype", &TYPES)?;
    let content = body.object(kind)?;
    match kind {
        "text" => content.text("content").map(drop)?,
        "markdown" => titled(&content)?,
        "link" => {
            titled(&content)?;
            content.url("messageUrl", &[])?;
            content.maybe_text("picUrl")?;
        }
        "actionCard" => action_card(&content)?,
        _ => {
            for link in content.list("links", 1..=usize::MAX)? {
                link.text("title")?;
                link.url("messageURL", &[])?;
                link.url("picURL", &[])?;
            }
        }
    }
    body.maybe_text("msgUuid")?;
    mentions(body)
}

fn titled(content: &Field<'_>) -> Checked {
    content.text("title")?;
    content.text("text").map(drop)
}

/// One button for the whole card, or several separate buttons.
fn action_card(card: &Field<'_>) -> Checked {
    titled(card)?;
    for flag in ["btnOrientation", "hideAvatar"] {
        card.maybe_number(flag, 0..=1)?;
    }
    if card.get("singleTitle").is_some() || card.get("btns").is_none() {
        card.text("singleTitle")?;
        return card.url("singleURL", &[]);
    }
    for button in card.list("btns", 1..=usize::MAX)? {
        button.text("title")?;
        button.url("actionURL", &[])?;
    }
    Ok(())
}

fn mentions(body: &Field<'_>) -> Checked {
    let Some(at) = body.maybe_object("at")? else {
        return Ok(());
    };
    let mentioned = at.maybe_texts("atMobiles")? + at.maybe_texts("atUserIds")?;
    if mentioned > MENTIONS_MAX {
        return Err(
            at.wrong(format!("mentions {mentioned} members: at most {MENTIONS_MAX} are taken"))
        );
    }
    match at.get("isAtAll") {
        Some(all) if !all.value().is_boolean() => {
            Err(all.wrong("must be true or false, without quotation marks"))
        }
        _ => Ok(()),
    }
}
