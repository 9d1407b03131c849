//! A webhook as users paste it: in quotation marks, with a full stop behind it, escaped.
//!
//! Owns which wrappings are taken off, because their meaning is plain. Everything else is left to
//! the check, which refuses it with a sentence.
//!
//! Not here: the check of the URL (`check_endpoint.rs`).

use url::form_urlencoded;
use zeroize::Zeroizing;

/// Marks that stand around a URL in text.
const PAIRS: [(char, char); 13] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('<', '>'),
    ('(', ')'),
    ('[', ']'),
    ('“', '”'),
    ('‘', '’'),
    ('「', '」'),
    ('《', '》'),
    ('（', '）'),
    ('【', '】'),
    ('«', '»'),
];

/// Marks that end a sentence or an item of a list, and no token.
const CLOSING: [char; 7] = [',', ';', '.', '，', '；', '。', '、'];

/// How JSON and HTML write characters of a URL.
const ESCAPES: [(&str, &str); 6] = [
    ("\\/", "/"),
    ("\\u0026", "&"),
    ("\\u003d", "="),
    ("\\u003D", "="),
    ("&amp;", "&"),
    ("&#38;", "&"),
];

/// Characters that a URL contains only in its escaped form, or never.
const FOREIGN: [char; 8] = ['"', '\'', '`', '<', '>', '“', '”', '\\'];

/// The text without wrappings and escapes. It is a credential, so all copies are wiped.
pub(super) fn unwrap(text: &str) -> Zeroizing<String> {
    let mut bare = Zeroizing::new(peel(text).to_owned());
    for (written, meant) in ESCAPES {
        if bare.contains(written) {
            bare = Zeroizing::new(bare.replace(written, meant));
        }
    }
    decoded(&bare).unwrap_or(bare)
}

/// Whether the text has a character that no URL has. So it is more than a URL, or only a part.
pub(super) fn is_more_than_a_url(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control() || FOREIGN.contains(&c))
}

/// Takes off blanks, invisible characters, marks around the text, and marks behind it.
fn peel(text: &str) -> &str {
    let invisible = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    let bare = text.trim_matches(invisible).trim_end_matches(CLOSING);
    let mut inner =
        PAIRS.into_iter().filter_map(|(open, close)| bare.strip_prefix(open)?.strip_suffix(close));
    match inner.next() {
        Some(inner) => peel(inner),
        None if bare.len() < text.len() => peel(bare),
        None => bare,
    }
}

/// The URL that was encoded as a whole, as in the parameter of another URL.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let begins = |start: &str| {
        text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    if !begins("https%3a%2f%2f") {
        return None;
    }
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((url, value)), None) if value.is_empty() => Some(Zeroizing::new(url.into_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_webhook_is_taken_off() {
        let url = "https://a.test/robot/send?access_token=0123&sign=x";
        for text in [
            url.to_owned(),
            format!("\u{feff}{url}\r\n"),
            format!("\"{url}\","),
            format!("'{url}'"),
            format!("<{url}>"),
            format!("“{url}”。"),
            format!("（<{url}>）"),
            format!("\u{200b}{url}\u{200b} "),
            url.replace('/', "\\/"),
            url.replace('&', "&amp;"),
            url.replace('&', "\\u0026").replace('=', "\\u003d"),
            "https%3A%2F%2Fa.test%2Frobot%2Fsend%3Faccess_token%3D0123%26sign%3Dx".to_owned(),
            "https%3a%2f%2fa.test%2frobot%2fsend%3faccess_token%3d0123%26sign%3dx".to_owned(),
        ] {
            assert_eq!(unwrap(&text).as_str(), url, "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_as_it_is() {
        for text in ["\"https://a.test/x", "https://a.test/x?a=%2F", "https%3A%2F%2Fa&b", ""] {
            assert_eq!(unwrap(text).as_str(), text);
        }
        for more in ["webhook: https://a.test/x", "https://a.test/x\nSECx", "curl 'https://a'"] {
            assert!(is_more_than_a_url(&unwrap(more)), "{more}");
        }
        assert!(!is_more_than_a_url("https://a.test/robot/send?access_token=0123&sign=x%3D"));
    }
}
