//! WeCom's template cards.
//!
//! Owns which text such a card shows.
//!
//! Not here: the other message types (`wecom.rs`).

use serde_json::Value;

use crate::dialect::Refusal;
use crate::message::{Message, filled};
use crate::wecom_refusal::{invalid, missing};

/// Reads a text notice or a news notice.
pub(crate) fn template_card(card: &Value) -> Result<Message, Refusal> {
    let need = |name: &str| {
        card.get(name).filter(|part| part.is_object()).ok_or_else(|| missing("template_card", name))
    };
    let kind = filled(card, "card_type").ok_or_else(|| missing("template_card", "card_type"))?;
    match kind {
        "text_notice" => {}
        "news_notice" => {
            need("card_image")?;
        }
        _ => return Err(invalid()),
    }
    need("card_action")?;
    let of_title = |name| card.pointer("/main_title").and_then(|part| filled(part, name));
    let title = of_title("title");
    let subtitle = filled(card, "sub_title_text");
    if title.is_none() && subtitle.is_none() {
        return Err(missing("template_card", "main_title"));
    }
    let mut lines: Vec<&str> = of_title("desc").into_iter().chain(subtitle).collect();
    // The emphasised number, the quotation, the rows and the links, in the order of the card.
    for (pointer, names) in [
        ("/emphasis_content", ["title", "desc"]),
        ("/quote_area", ["title", "quote_text"]),
        ("/image_text_area", ["title", "desc"]),
    ] {
        if let Some(part) = card.pointer(pointer) {
            lines.extend(names.iter().filter_map(|name| filled(part, name)));
        }
    }
    for (name, limit, names) in [
        ("horizontal_content_list", Some(6), ["keyname", "value"]),
        ("vertical_content_list", None, ["title", "desc"]),
        ("jump_list", Some(3), ["title", "title"]),
    ] {
        let rows = card.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if limit.is_some_and(|limit| rows.len() > limit) {
            return Err(invalid());
        }
        for row in rows {
            let mut texts: Vec<&str> = names.iter().filter_map(|name| filled(row, name)).collect();
            texts.dedup();
            lines.extend(texts);
        }
    }
    Ok(Message { title: title.map(str::to_owned), ..Message::of_text(lines.join("\n")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_notice_is_read_and_needs_an_action_and_a_title_or_text() {
        let card = json!({"card_type": "text_notice", "main_title": {"title": "T", "desc": "d"},
            "horizontal_content_list": [{"keyname": "k", "value": "v"}],
            "jump_list": [{"type": 1, "title": "more", "url": "https://x.test"}],
            "card_action": {"type": 1, "url": "https://x.test"}});
        let message = template_card(&card).unwrap();
        assert_eq!(message.title.as_deref(), Some("T"));
        assert_eq!(message.text, "d\nk\nv\nmore");
        for field in ["card_type", "main_title", "card_action"] {
            let mut less = card.clone();
            less.as_object_mut().unwrap().remove(field);
            assert_eq!(template_card(&less).unwrap_err().code, 40_058, "{field}");
        }
    }

    #[test]
    fn a_news_notice_needs_its_picture() {
        let mut card = json!({"card_type": "news_notice", "main_title": {"title": "T"},
            "card_action": {"type": 1}});
        assert_eq!(template_card(&card).unwrap_err().code, 40_058);
        card["card_image"] = json!({"url": "https://x.test/a.png"});
        assert!(template_card(&card).is_ok());
    }

    #[test]
    fn a_card_has_at_most_six_rows_and_three_jumps() {
        for (list, limit) in [("horizontal_content_list", 6), ("jump_list", 3)] {
            let card = |count: usize| {
                json!({"card_type": "text_notice", "sub_title_text": "s", "card_action": {},
                    list: vec![json!({"keyname": "k", "title": "t"}); count]})
            };
            assert!(template_card(&card(limit)).is_ok());
            assert_eq!(template_card(&card(limit + 1)).unwrap_err().code, 40_035);
        }
    }
}
