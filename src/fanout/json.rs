//! JSON as publishers write it.
//!
//! Owns the words for JSON that cannot be read. They are the publisher's words: no text of the
//! parser reaches a dead letter or a log. Half a surrogate pair is replaced.
//!
//! Not here: the fields of an event (`wire.rs`), and the bytes of a body (`body.rs`).

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::platforms::kind_of;

/// What an event looks like, for a publisher of something else.
const EXAMPLE: &str = r#"an event is a JSON object, such as {"message": "…"}"#;

/// What the parser says, by its first words, and the same in the publisher's words.
const WORDS: [(&str, &str); 18] = [
    ("EOF while parsing", "the JSON ends too early"),
    (
        "trailing characters",
        "more text follows the JSON; publish each event as a message of its own",
    ),
    ("trailing comma", "a comma stands before a closing bracket"),
    (
        "control character",
        "a text holds a line break or another control character: \
         write it as an escape, such as \\n",
    ),
    ("invalid escape", "a text holds an escape that JSON does not have"),
    ("unexpected end of hex escape", "an escape \\u is not complete"),
    ("lone leading surrogate", "an escape \\u is not complete"),
    ("invalid unicode code point", "an escape \\u names no character"),
    ("recursion limit exceeded", "it nests deeper than 128 levels"),
    ("number out of range", "a number is too large"),
    ("invalid number", "a number is not written as JSON writes it"),
    ("key must be a string", "a name has no quotation marks"),
    ("expected `:`", "a colon is missing after a name"),
    ("expected `,` or `}`", "a comma or a closing brace is missing"),
    ("expected `,` or `]`", "a comma or a closing bracket is missing"),
    ("expected ident", "a word is neither true, false nor null"),
    ("expected value", "a value is missing, or is not written as JSON writes it"),
    ("expected double quote", "a quotation mark is missing"),
];

/// The JSON of a text; the mistake in one sentence.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).or_else(|refused| {
        // Half a surrogate pair is rare, so it costs a second pass only then.
        match without_half_pairs(text) {
            Some(mended) => serde_json::from_str(&mended).map_err(|refused| sentence(&refused)),
            None => Err(sentence(&refused)),
        }
    })
}

/// The JSON object that is a whole body.
pub(super) fn object_of_body(text: &str) -> Result<Map<String, Value>, String> {
    let first = text.trim_start().chars().next();
    match first {
        None => return Err(format!("the body is empty: {EXAMPLE}")),
        Some('{' | '[' | '"') => {}
        Some(_) if parse(text).is_ok() => {}
        Some(_) => return Err(format!("the body is not JSON: {EXAMPLE}")),
    }
    match parse(text)? {
        Value::Object(fields) => Ok(fields),
        Value::Array(_) => Err(format!(
            "the body is a list: publish each event as a message of its own; {EXAMPLE}"
        )),
        Value::String(inner) if matches!(parse(&inner), Ok(Value::Object(_) | Value::Array(_))) => {
            Err("the body is JSON within a text, so it was encoded twice: \
                publish the JSON object itself"
                .to_owned())
        }
        other => Err(format!("the body is {}: {EXAMPLE}", kind_of(&other))),
    }
}

/// The mistake and its place, in the publisher's words.
fn sentence(refused: &serde_json::Error) -> String {
    let said = refused.to_string();
    let words = WORDS.iter().find(|(begin, _)| said.starts_with(begin));
    let words = words.map_or("it is not written as JSON writes it", |(_, words)| words);
    format!("line {} column {}: {words}", refused.line(), refused.column())
}

/// The text with U+FFFD in place of each escape that is half a surrogate pair; `None` if there is
/// none.
fn without_half_pairs(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut mended, mut from, mut at) = (String::new(), 0, 0);
    while let Some(byte) = bytes.get(at) {
        if *byte != b'\\' {
            at += 1;
            continue;
        }
        match surrogate(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(surrogate(bytes, at + 6), Some(0xdc00..)) => at += 12,
            Some(_) => {
                mended.push_str(text.get(from..at)?);
                mended.push_str("\\ufffd");
                at += 6;
                from = at;
            }
            // An escape of another kind: the character after it begins no escape.
            None => at += 2,
        }
    }
    (from > 0).then(|| mended + text.get(from..).unwrap_or_default())
}

/// The surrogate whose escape begins here, if one does.
fn surrogate(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let digits = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    (0xd800..=0xdfff).contains(&unit).then_some(unit)
}

/// A value that is an object, or JSON in text with an object. Publishers for SMN write such text.
pub(super) fn object(place: &str, value: Value) -> Result<Map<String, Value>, String> {
    let wrong =
        |what: &str| format!("{place} is {what}: it must be an object, or one as JSON in text");
    match value {
        Value::Object(fields) => Ok(fields),
        Value::String(text) => match parse(trimmed(&text)) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(other) => Err(wrong(&format!("text that holds {}", kind_of(&other)))),
            Err(mistake) => Err(format!("{place} is text that is not JSON: {mistake}")),
        },
        other => Err(wrong(kind_of(&other))),
    }
}

/// The text without what may surround JSON: marks of byte order, and the zeros that end a text in
/// C.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_end_matches('\0')
}

/// The same for a text that is owned or borrowed.
pub(super) fn trimmed_body(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) if trimmed(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused_in_the_publishers_words() {
        for (body, says) in [
            ("", r#"the body is empty: an event is a JSON object, such as {"message": "…"}"#),
            (
                "disk full",
                r#"the body is not JSON: an event is a JSON object, such as {"message": "…"}"#,
            ),
            (
                "<a/>",
                r#"the body is not JSON: an event is a JSON object, such as {"message": "…"}"#,
            ),
            ("7", r#"the body is a number: an event is a JSON object, such as {"message": "…"}"#),
            ("null", r#"the body is null: an event is a JSON object, such as {"message": "…"}"#),
            (
                r#"[{"message":"x"}]"#,
                concat!(
                    "the body is a list: publish each event as a message of its own; ",
                    r#"an event is a JSON object, such as {"message": "…"}"#
                ),
            ),
            (
                r#""{\"message\":\"x\"}""#,
                "the body is JSON within a text, so it was encoded twice: \
                 publish the JSON object itself",
            ),
            (
                r#""disk full""#,
                r#"the body is text: an event is a JSON object, such as {"message": "…"}"#,
            ),
            ("{", "line 1 column 1: the JSON ends too early"),
            (
                r#"{"message":"x"} x"#,
                "line 1 column 17: more text follows the JSON; \
                 publish each event as a message of its own",
            ),
            (
                "{\"message\":\"a\nb\"}",
                "line 2 column 0: a text holds a line break or another control character: \
                 write it as an escape, such as \\n",
            ),
            (
                r#"{"message":"\d"}"#,
                "line 1 column 14: a text holds an escape that JSON does not have",
            ),
            ("{'message': 1}", "line 1 column 2: a name has no quotation marks"),
            (r#"{"message": nan}"#, "line 1 column 14: a word is neither true, false nor null"),
            (
                r#"{"message": NaN}"#,
                "line 1 column 13: a value is missing, or is not written as JSON writes it",
            ),
            (r#"{"message" 1}"#, "line 1 column 12: a colon is missing after a name"),
            (r#"{"message": 1 "x"}"#, "line 1 column 15: a comma or a closing brace is missing"),
            (r#"{"message": [1 2]}"#, "line 1 column 16: a comma or a closing bracket is missing"),
            (r#"{"message": 1,}"#, "line 1 column 15: a comma stands before a closing bracket"),
            (r#"{"message": 1e999}"#, "line 1 column 17: a number is too large"),
            (r#"{"message": 1.}"#, "line 1 column 15: a number is not written as JSON writes it"),
        ] {
            assert_eq!(object_of_body(body).unwrap_err(), says, "{body}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(200));
        assert!(object_of_body(&deep).unwrap_err().ends_with("it nests deeper than 128 levels"));
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_a_whole_one_and_a_backslash_stay() {
        for (json, text) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\uDC00""#, "\u{fffd}"),
            (r#""\ud83d\ude00 \ud83d""#, "\u{1f600} \u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\\ud800 \ud800\n""#, "\\ud800 \u{fffd}\n"),
            (r#""\ud800\u0041""#, "\u{fffd}A"),
        ] {
            assert_eq!(parse(json), Ok(Value::String(text.to_owned())), "{json}");
        }
        assert!(parse(r#""\ud8""#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_of_the_parser_is_said(text in r#"[\[\]{}:,"\\a-fnrtu0-9eE+. -]{0,20}"#) {
            if let Err(says) = parse(&text) {
                let ours = WORDS.iter().any(|(_, words)| says.ends_with(words));
                assert!(ours, "{text:?}: {says}");
            }
        }
    }
}
