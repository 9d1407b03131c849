//! Tags in markdown.
//!
//! Owns how a tag, an attribute and a mention are found in a text.
//!
//! Not here: which tags are understood (`parse.rs`).

/// The value of an attribute, with or without quotes.
pub(super) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = attributes.split_once(&format!("{name}="))?;
    let value = match rest.chars().next()? {
        quote @ ('"' | '\'') => rest.get(1..)?.split(quote).next()?,
        _ => rest.split_whitespace().next()?,
    };
    Some(value).filter(|value| !value.is_empty())
}

/// The id in a mention with which the text begins, such as `<@ann>`.
pub(super) fn mentioned(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("<@")?;
    let (id, behind) = rest.split_at(rest.find(|c| !is_part(c))?);
    (behind.starts_with('>') && is_id(id) && id.trim_matches('_') == id).then_some(id)
}

/// Whether a text can be the id of a member, so that no character of it ends the tag.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_part)
}

const fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@' | '_')
}

/// HTML, split into its tags and the texts between them.
pub(super) fn tags(html: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), html);
    while !rest.is_empty() {
        let end = match rest.strip_prefix('<') {
            Some(tag) => tag.find('>').map_or(rest.len(), |at| at + 2),
            None => rest.find('<').unwrap_or(rest.len()),
        };
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
