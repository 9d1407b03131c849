//! The message types of a WeCom group robot.
//!
//! Owns which fields and limits WeCom documents for each type.
//!
//! Not here: messages that roomcast renders itself (`message.rs`).

use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};

use super::message::{MARKDOWN_BYTES_MAX, TEXT_BYTES_MAX};
use crate::platforms::field::{Checked, Field};

const TYPES: [&str; 8] =
    ["text", "markdown", "markdown_v2", "image", "news", "file", "voice", "template_card"];
/// The most bytes of an image, before base64.
const IMAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
const ARTICLES_MAX: usize = 8;
const WEB: [&str; 2] = ["https", "http"];

pub(super) fn check(body: &Field<'_>) -> Checked {
    let kind = body.one_of("msgtype", &TYPES)?;
    let content = body.object(kind)?;
    match kind {
        "text" => {
            content.text_within("content", TEXT_BYTES_MAX)?;
            content.maybe_texts("mentioned_list")?;
            content.maybe_texts("mentioned_mobile_list").map(drop)
        }
        "markdown" | "markdown_v2" => content.text_within("content", MARKDOWN_BYTES_MAX).map(drop),
        "image" => image(&content),
        "news" => content.list("articles", 1..=ARTICLES_MAX)?.iter().try_for_each(|article| {
            article.text("title")?;
            article.maybe_text("description")?;
            article.maybe_text("picurl")?;
            article.url("url", &WEB)
        }),
        "file" | "voice" => content.text("media_id").map(drop),
        _ => template_card(&content),
    }
}

fn image(image: &Field<'_>) -> Checked {
    let (encoded, digest) = (image.text("base64")?, image.text("md5")?);
    let bytes = BASE64_STANDARD.decode(encoded);
    let bytes = bytes.map_err(|_| image.wrong("is not written in base64"))?;
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(image.oversized(bytes.len(), IMAGE_BYTES_MAX));
    }
    if !hex::encode(Md5::digest(&bytes)).eq_ignore_ascii_case(digest) {
        return Err(image.need("md5")?.wrong("is not the MD5 of the picture's bytes"));
    }
    Ok(())
}

fn template_card(card: &Field<'_>) -> Checked {
    let pictured = card.one_of("card_type", &["text_notice", "news_notice"])? == "news_notice";
    let title = card.maybe_object("main_title")?;
    let title = title.map(|title| title.maybe_text("title")).transpose()?.flatten();
    if pictured {
        card.object("main_title")?.text("title")?;
        card.object("card_image")?.url("url", &WEB)?;
    } else if title.is_none() && card.maybe_text("sub_title_text")?.is_none() {
        return Err(card.wrong("has neither main_title.title nor sub_title_text"));
    }
    let action = card.object("card_action")?;
    action.need("type")?;
    leads(&action, 1..=2)?;
    for name in ["quote_area", "image_text_area"] {
        if let Some(area) = card.maybe_object(name)? {
            leads(&area, 0..=2)?;
        }
    }
    for row in card.maybe_list("horizontal_content_list", 6)? {
        row.text("keyname")?;
        match row.maybe_number("type", 0..=3)? {
            Some(1) => row.url("url", &WEB)?,
            Some(2) => row.text("media_id").map(drop)?,
            Some(3) => row.text("userid").map(drop)?,
            _ => {}
        }
    }
    for row in card.maybe_list("vertical_content_list", 4)? {
        row.text("title")?;
    }
    for jump in card.maybe_list("jump_list", 3)? {
        jump.text("title")?;
        leads(&jump, 0..=3)?;
    }
    Ok(())
}

/// The target of a tap: none (0), a URL (1), a mini program (2).
fn leads(field: &Field<'_>, types: std::ops::RangeInclusive<i64>) -> Checked {
    match field.maybe_number("type", types)? {
        Some(1) => field.url("url", &WEB),
        Some(2) => field.text("appid").map(drop),
        _ => Ok(()),
    }
}
