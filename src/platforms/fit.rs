//! A text in one message, cut to the message's limit.
//!
//! Owns that a cut text ends with a notice of the missing bytes, and loses neither its mentions nor
//! its keyword.
//!
//! Not here: where a text may be cut (`split.rs`), and its split into parts (`chunk.rs`).

use super::{
    chat_phrases::ChatPhrase,
    split::FollowedBy,
    text::{AnnotatedText, Cost, cut},
};
use crate::domain::Language;

impl AnnotatedText {
    /// The text, cut if necessary, followed by its tail. All of it costs at most `max`. The tail is
    /// kept whole unless it alone is too long.
    ///
    /// `tail` returns what must be added to the given text. For a text that is cut it is called
    /// with an empty text, because the kept words are not known yet.
    pub(super) fn fit(
        &self,
        tail: impl Fn(&str) -> String,
        language: Language,
        max: usize,
        cost: Cost,
    ) -> String {
        let total = |part: &str| part.chars().map(cost).sum::<usize>();
        let whole = format!("{}{}", self.text, self.apart_from(tail(&self.text)));
        if total(&whole) <= max {
            return whole;
        }
        self.ending(0, &self.apart_from(tail("")), language, max, cost)
    }

    /// The text from `from`, cut so that its cost with the tail and a notice of the missing bytes
    /// is at most `max`. The text must be too long.
    pub(super) fn ending(
        &self,
        from: usize,
        tail: &str,
        language: Language,
        max: usize,
        cost: Cost,
    ) -> String {
        let total = |part: &str| part.chars().map(cost).sum::<usize>();
        let tail = cut(tail, max, cost);
        let left = max - total(tail);
        let notice =
            |bytes: usize| format!("{}\n{}", self.apart, ChatPhrase::Cut { bytes }.text(language));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::every,
        platforms::{
            keyword::{self, VisibleText},
            text::{IN_JSON, RAW},
        },
    };

    fn fit(text: &str, tail: &str, max: usize, cost: Cost) -> String {
        AnnotatedText::from(text.to_owned()).fit(|_| tail.to_owned(), Language::En, max, cost)
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_how_much_is_missing() {
        let text = "告警".repeat(100);
        let fitted = fit(&text, "\n@1380", 120, RAW);
        assert!(fitted.len() <= 120, "{}", fitted.len());
        assert_eq!(fitted, format!("{}告\n… (513 bytes left out)\n@1380", "告警".repeat(14)));
    }

    #[test]
    fn a_text_that_fits_stays_as_it_is() {
        assert_eq!(fit("abc", "d", 4, RAW), "abcd");
        assert_eq!(fit("a\"c", "", 4, IN_JSON), "a\"c");
    }

    #[test]
    fn a_keyword_is_repeated_if_the_text_that_contains_it_may_be_cut() {
        let flow = AnnotatedText::from(format!("{} ops", "x".repeat(100)));
        let tail = |text: &str| keyword::tail(Some("ops"), &[VisibleText::Text(text)]);
        assert!(flow.fit(tail, Language::En, 104, RAW).ends_with("x ops"));
        assert!(flow.fit(tail, Language::En, 103, RAW).ends_with(" bytes left out)\nops"));
    }

    proptest! {
        /// For any text, the result costs at most the limit and keeps the tail.
        #[test]
        fn nothing_fitted_is_too_long(
            text in any::<String>(),
            tail in "[ -~]{0,20}",
            max in 60_usize..400,
        ) {
            for cost in [RAW, IN_JSON] {
                for language in every::<Language>() {
                    let flow = AnnotatedText::from(text.clone());
                    let fitted = flow.fit(|_| tail.clone(), language, max, cost);
                    prop_assert!(fitted.chars().map(cost).sum::<usize>() <= max);
                    prop_assert!(fitted.ends_with(&tail));
                }
            }
        }
    }
}
