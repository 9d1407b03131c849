//! Rendered text that knows its blocks, and the tail that is added to it.
//!
//! Owns how a text is cut to a limit: with a notice, and without losing its mentions and keyword.
//!
//! Not here: where a text may be cut (`split.rs`), and its split into parts (`chunk.rs`).

use std::ops::Range;

use super::split::FollowedBy;

/// The cost of one character.
pub(super) type Cost = fn(char) -> usize;

/// The cost in raw UTF-8.
pub(super) const RAW: Cost = char::len_utf8;

/// The cost inside a JSON string, as `serde_json` writes it.
pub(super) const IN_JSON: Cost = |c| match c {
    '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
    c if u32::from(c) < 0x20 => 6,
    c => c.len_utf8(),
};

/// A text with the places that matter for a cut.
#[derive(Debug, Default)]
pub(super) struct AnnotatedText {
    /// The text.
    pub(super) text: String,
    /// Links and other inline markup, which a cut avoids. The ranges are sorted and disjoint.
    pub(super) solid: Vec<Range<usize>>,
    /// Blocks that need an opening and a closing wherever they are cut.
    pub(super) fences: Vec<Fence>,
    /// The ends of blocks.
    pub(super) ends: Vec<usize>,
    /// The separator before a line that must not become part of the last block.
    pub(super) apart: &'static str,
    /// Bytes of the text that were not rendered, because no message could show them.
    pub(super) unwritten: usize,
}

/// A fenced code block, or a table below its head.
#[derive(Debug)]
pub(super) struct Fence {
    /// The block, including its fences or head.
    pub(super) all: Range<usize>,
    /// The content, without fences or head.
    pub(super) inner: Range<usize>,
    /// The opening for the rest of the block after a cut.
    pub(super) opening: String,
    /// The closing at a cut.
    pub(super) closing: String,
}

impl From<String> for AnnotatedText {
    /// Plain text.
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl AnnotatedText {
    /// The text, cut if necessary, followed by its tail. All of it costs at most `max`. The tail is
    /// kept whole unless it alone is too long.
    ///
    /// `tail` returns what must be added to the given text. For a text that is cut it is called
    /// with an empty text, because the kept words are not known yet.
    pub(super) fn fit(&self, tail: impl Fn(&str) -> String, max: usize, cost: Cost) -> String {
        let total = |part: &str| part.chars().map(cost).sum::<usize>();
        let whole = format!("{}{}", self.text, self.apart_from(tail(&self.text)));
        if total(&whole) <= max {
            return whole;
        }
        self.ending(0, &self.apart_from(tail("")), max, cost)
    }

    /// A tail, separated from the last block.
    pub(super) fn apart_from(&self, tail: String) -> String {
        if tail.is_empty() { tail } else { format!("{}{tail}", self.apart) }
    }

    /// The text from `from`, cut so that its cost with the tail and a notice of the missing bytes
    /// is at most `max`. The text must be too long.
    pub(super) fn ending(&self, from: usize, tail: &str, max: usize, cost: Cost) -> String {
        let total = |part: &str| part.chars().map(cost).sum::<usize>();
        let tail = cut(tail, max, cost);
        let left = max - total(tail);
        let notice = |bytes: usize| format!("{}\n… ({bytes} bytes left out)", self.apart);
        // The space is computed for the longest possible notice, so that any notice fits.
        let piece = self.piece(
            from,
            left.saturating_sub(total(&notice(self.text.len() + self.unwritten))),
            cost,
            FollowedBy::Nothing,
        );
        let (kept, closing) = (self.shown(&piece), piece.closing);
        let notice = notice(self.text.len() + self.unwritten - from - kept.len());
        let closed = format!("{}{kept}{closing}{notice}", piece.opening);
        if total(&closed) <= left {
            format!("{closed}{tail}")
        } else {
            format!("{}{tail}", cut(&kept, left, cost))
        }
    }
}

/// The longest prefix that costs at most `max`.
pub(super) fn cut(text: &str, max: usize, cost: Cost) -> &str {
    let mut spent = 0;
    let end = text.char_indices().find(|(_, c)| {
        spent += cost(*c);
        spent > max
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

/// The most names that a note lists.
const NAMES_MAX: usize = 10;

/// The note that lists the members whose phones do not ring, because this kind of message cannot
/// mention them.
pub(super) fn unmentioned_tail(names: &[&str]) -> String {
    if names.is_empty() {
        return String::new();
    }
    // A member's name comes from the publisher, so characters that could be markup are replaced.
    let harmless = |name: &&str| {
        name.chars()
            .map(|c| if c.is_alphanumeric() || "_-.@+".contains(c) { c } else { '?' })
            .collect()
    };
    let listed: Vec<String> = names.iter().take(NAMES_MAX).map(harmless).collect();
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\n(cannot be mentioned here: {}{more})", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::platforms::keyword::{self, VisibleText};

    fn fit(text: &str, tail: &str, max: usize, cost: Cost) -> String {
        AnnotatedText::from(text.to_owned()).fit(|_| tail.to_owned(), max, cost)
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_how_much_is_missing() {
        let text = "告警".repeat(100);
        let fitted = fit(&text, "\n@1380", 120, RAW);
        assert!(fitted.len() <= 120, "{}", fitted.len());
        assert_eq!(fitted, format!("{}告\n… (513 bytes left out)\n@1380", "告警".repeat(14)));
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(fit("abc", "d", 4, RAW), "abcd");
        assert_eq!(fit("a\"c", "", 4, IN_JSON), "a\"c");
    }

    #[test]
    fn what_has_to_be_said_is_said_again_if_the_place_that_said_it_may_be_cut_away() {
        let flow = AnnotatedText::from(format!("{} ops", "x".repeat(100)));
        let tail = |text: &str| keyword::tail(Some("ops"), &[VisibleText::Text(text)]);
        assert!(flow.fit(tail, 104, RAW).ends_with("x ops"));
        assert!(flow.fit(tail, 103, RAW).ends_with(" bytes left out)\nops"));
    }

    #[test]
    fn who_cannot_be_mentioned_is_named_without_markup() {
        assert_eq!(unmentioned_tail(&[]), "");
        assert_eq!(
            unmentioned_tail(&["138", "<at id=all>"]),
            "\n(cannot be mentioned here: 138, ?at?id?all?)"
        );
        let tail = unmentioned_tail(&["1"; 12]);
        assert!(tail.ends_with("1, 1 and 2 more)"), "{tail}");
    }

    proptest! {
        /// For any text, the result costs at most the limit and keeps the tail.
        #[test]
        fn nothing_fitted_is_too_long(text in any::<String>(), tail in "[ -~]{0,20}", max in 60_usize..400) {
            for cost in [RAW, IN_JSON] {
                let fitted = fit(&text, &tail, max, cost);
                prop_assert!(fitted.chars().map(cost).sum::<usize>() <= max);
                prop_assert!(fitted.ends_with(&tail));
            }
        }

        /// The cost in JSON equals the length that the serialiser writes.
        #[test]
        fn the_cost_in_json_is_exact(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            prop_assert_eq!(text.chars().map(IN_JSON).sum::<usize>(), written);
        }
    }
}
