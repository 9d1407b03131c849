//! The text of a body: unpacked, without the sections of AMQP 1.0, in UTF-8.
//!
//! Owns which characters a body may have, and how other encodings are recognised.
//!
//! Not here: compression (`unpack.rs`), and the JSON of the text (`json.rs`).

use std::borrow::Cow;

use super::{
    json::trimmed_body,
    undecodable::{Undecodable, catch_panic},
    unpack::unpack,
};
use crate::domain::PublishedMessage;

/// The `type` of a message that the broker translated from AMQP 1.0 and whose body is not plain
/// data.
const AMQP_1: &str = "amqp-1.0";
/// Of so many characters, one may be replaced because it is not UTF-8. A text that was cut within a
/// character stays readable so; a text in another encoding would not.
const REPLACED_SHARE: usize = 20;

/// The most bytes of an unpacked body that is only shown.
const SHOWN_BYTES_MAX: usize = 1024 * 1024;

/// The text of a body for an operator. A body that cannot be read is shown as it is.
#[must_use]
pub fn shown_text(published: &PublishedMessage) -> Cow<'_, str> {
    catch_panic(|| text_of(published, SHOWN_BYTES_MAX))
        .unwrap_or_else(|_| String::from_utf8_lossy(&published.body))
}

/// Reads the text of a body. Marks of byte order before it and zeros behind it are left out.
///
/// # Errors
///
/// It is larger than `size_max` when it is unpacked, damaged, or not UTF-8.
pub(super) fn text_of(
    published: &PublishedMessage,
    size_max: usize,
) -> Result<Cow<'_, str>, Undecodable> {
    let body = Cow::Borrowed(published.body.as_slice());
    let body = match published.kind.as_deref() {
        Some(AMQP_1) => value_of(body)?,
        _ => body,
    };
    let encoding = published.content_encoding.as_deref();
    let bytes = match body {
        Cow::Borrowed(body) => unpack(body, encoding, size_max)?,
        Cow::Owned(body) => Cow::Owned(unpack(&body, encoding, size_max)?.into_owned()),
    };
    characters(bytes, published).map(trimmed_body)
}

/// The bytes as characters.
fn characters<'a>(
    bytes: Cow<'a, [u8]>,
    published: &PublishedMessage,
) -> Result<Cow<'a, str>, Undecodable> {
    match *bytes {
        // The first character of JSON is ASCII, so a zero beside it tells the encoding.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] => {
            return Err(not_utf8("the body is UTF-32"));
        }
        [0xff, 0xfe, ..] => return Ok(Cow::Owned(utf16(&bytes, u16::from_le_bytes))),
        [0xfe, 0xff, ..] => return Ok(Cow::Owned(utf16(&bytes, u16::from_be_bytes))),
        [1..=0x7f, 0, 1..=0xff, ..] => return Ok(Cow::Owned(utf16(&bytes, u16::from_le_bytes))),
        [0, 1..=0x7f, ..] => return Ok(Cow::Owned(utf16(&bytes, u16::from_be_bytes))),
        _ => {}
    }
    let bytes = match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return Ok(Cow::Borrowed(text)),
            Err(_) => bytes.to_vec(),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Ok(Cow::Owned(text)),
            Err(refused) => refused.into_bytes(),
        },
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let replaced = text.chars().filter(|one| *one == char::REPLACEMENT_CHARACTER).count();
    if replaced * REPLACED_SHARE <= text.chars().count() {
        return Ok(Cow::Owned(text));
    }
    let named: Vec<_> = [
        ("content_type", &published.content_type),
        ("content_encoding", &published.content_encoding),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name} {}", value.as_deref()?)))
    .collect();
    Err(not_utf8(&match named.is_empty() {
        true => "the body is not UTF-8".to_owned(),
        false => format!("the body is not UTF-8 (its properties: {})", named.join(", ")),
    }))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn not_utf8(what: &str) -> Undecodable {
    Undecodable { code: "json", detail: format!("{what}: publish it as JSON in UTF-8") }
}

/// The value in the encoded sections of AMQP 1.0: text or bytes.
fn value_of(body: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Undecodable> {
    let mut value = Vec::new();
    let mut rest = &*body;
    while let Some((section, after)) = section(rest) {
        value.extend_from_slice(section);
        rest = after;
    }
    if rest.is_empty() && !value.is_empty() {
        return Ok(Cow::Owned(value));
    }
    // A publisher of AMQP 0.9.1 may use the same type.
    if rest.len() == body.len() && !body.starts_with(&[0]) {
        return Ok(body);
    }
    Err(Undecodable {
        code: "json",
        detail: "the message came over AMQP 1.0 with a value that is neither text nor bytes: \
            send the JSON of the event as text or data"
            .to_owned(),
    })
}

/// The content of the first section, and what follows it.
fn section(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (kind, rest) = match bytes {
        [0, 0x53, kind, rest @ ..] | [0, 0x80, 0, 0, 0, 0, 0, 0, 0, kind, rest @ ..] => {
            (*kind, rest)
        }
        _ => return None,
    };
    let (length, rest) = match (kind, rest) {
        // A value is text or bytes, data is bytes.
        (0x77, [0xa1 | 0xa0, length, rest @ ..]) | (0x75, [0xa0, length, rest @ ..]) => {
            (usize::from(*length), rest)
        }
        (0x77, [0xb1 | 0xb0, a, b, c, d, rest @ ..]) | (0x75, [0xb0, a, b, c, d, rest @ ..]) => {
            (usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<String, String> {
        let published = PublishedMessage { body: body.to_vec(), ..PublishedMessage::default() };
        text_of(&published, 1000).map(Cow::into_owned).map_err(|refused| refused.detail)
    }

    fn in_utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_body_is_read_with_or_without_a_mark_and_in_utf_16() {
        let text = r#"{"m": "磁盘满"}"#;
        let marked = format!("\u{feff}{text}");
        for (what, body) in [
            ("plain", text.as_bytes().to_vec()),
            ("marked", marked.as_bytes().to_vec()),
            ("marked twice", format!("\u{feff}{marked}").into_bytes()),
            ("ended by a zero", format!("{text}\0").into_bytes()),
            ("little, marked", in_utf16(&marked, u16::to_le_bytes)),
            ("big, marked", in_utf16(&marked, u16::to_be_bytes)),
            ("little", in_utf16(text, u16::to_le_bytes)),
            ("big", in_utf16(text, u16::to_be_bytes)),
        ] {
            assert_eq!(read(&body).as_deref(), Ok(text), "{what}");
        }
        let utf32: Vec<_> = text.chars().flat_map(|one| u32::from(one).to_be_bytes()).collect();
        assert_eq!(read(&utf32).unwrap_err(), "the body is UTF-32: publish it as JSON in UTF-8");
    }

    #[test]
    fn a_text_that_was_cut_within_a_character_is_read_and_another_encoding_is_named() {
        let mut cut = "{\"m\": \"the last lines of the log: 磁盘".as_bytes().to_vec();
        cut.pop();
        cut.extend_from_slice(b"\"}");
        assert_eq!(read(&cut).as_deref(), Ok("{\"m\": \"the last lines of the log: 磁\u{fffd}\"}"));
        // "磁盘满了" in GBK.
        let gbk = [b"{\"m\": \"", &b"\xb4\xc5\xc5\xcc\xc2\xfa\xc1\xcb"[..], b"\"}"].concat();
        assert_eq!(read(&gbk).unwrap_err(), "the body is not UTF-8: publish it as JSON in UTF-8");
        let published = PublishedMessage {
            body: gbk,
            content_type: Some("application/json; charset=gbk".into()),
            ..PublishedMessage::default()
        };
        assert_eq!(
            text_of(&published, 1000).unwrap_err().detail,
            "the body is not UTF-8 (its properties: content_type application/json; charset=gbk): \
             publish it as JSON in UTF-8"
        );
    }

    #[test]
    fn text_and_data_of_amqp_1_are_read_and_another_value_says_what_it_is() {
        let read = |body: &[u8]| {
            let published = PublishedMessage {
                body: body.to_vec(),
                kind: Some(AMQP_1.into()),
                ..PublishedMessage::default()
            };
            text_of(&published, 1000).map(Cow::into_owned).map_err(|refused| refused.detail)
        };
        for (what, body) in [
            ("a short text", &b"\x00\x53\x77\xa1\x02{}"[..]),
            ("a long text", b"\x00\x53\x77\xb1\x00\x00\x00\x02{}"),
            ("data", b"\x00\x53\x75\xa0\x02{}"),
            ("data in two sections", b"\x00\x53\x75\xa0\x01{\x00\x53\x75\xb0\x00\x00\x00\x01}"),
            ("a long name of its section", b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x77\xa1\x02{}"),
            ("no section at all", b"{}"),
        ] {
            assert_eq!(read(body).as_deref(), Ok("{}"), "{what}");
        }
        for (what, body) in [
            ("a map", &b"\x00\x53\x77\xc1\x01\x00"[..]),
            ("a sequence", b"\x00\x53\x76\x45"),
            ("too short", b"\x00\x53\x77\xa1\x05{}"),
        ] {
            let says = read(body).unwrap_err();
            assert!(says.ends_with("send the JSON of the event as text or data"), "{what}: {says}");
        }
    }
}
