//! Fitting text into a platform's limit: what is too long is cut at a character and says so; mentions and keyword are never cut.

/// What one character costs.
pub(super) type Cost = fn(char) -> usize;

/// In raw UTF-8.
pub(super) const RAW: Cost = char::len_utf8;

/// Inside a JSON string, as `serde_json` writes it.
pub(super) const IN_JSON: Cost = |c| match c {
    '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
    c if u32::from(c) < 0x20 => 6,
    c => c.len_utf8(),
};

/// Puts a text together that costs at most `max`: `text`, cut if need be, then `tail`, which is kept whole unless it alone is too long.
pub(super) fn fit(text: &str, tail: &str, max: usize, cost: Cost) -> String {
    let total = |part: &str| part.chars().map(cost).sum::<usize>();
    let tail = cut(tail, max, cost);
    let left = max - total(tail);
    if total(text) <= left {
        return format!("{text}{tail}");
    }
    // As long as the longest notice can be, so that room for it is certain.
    let notice = |bytes: usize| format!("\n… ({bytes} bytes left out)");
    let kept = cut(text, left.saturating_sub(total(&notice(text.len()))), cost).trim_end();
    let notice = notice(text.len() - kept.len());
    let notice = if total(&notice) <= left { notice } else { String::new() };
    format!("{kept}{notice}{tail}")
}

/// The longest beginning that costs at most `max`.
pub(super) fn cut(text: &str, max: usize, cost: Cost) -> &str {
    let mut spent = 0;
    let end = text.char_indices().find(|(_, c)| {
        spent += cost(*c);
        spent > max
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

/// What has to be added so that the keyword occurs in the message.
pub(super) fn keyword_tail(keyword: Option<&str>, said: &[&str]) -> String {
    match keyword {
        Some(keyword) if !said.iter().any(|part| part.contains(keyword)) => format!("\n{keyword}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn a_keyword_is_added_only_if_it_is_not_there() {
        assert_eq!(keyword_tail(Some("ops"), &["devops", ""]), "");
        assert_eq!(keyword_tail(Some("ops"), &["dev"]), "\nops");
        assert_eq!(keyword_tail(None, &[]), "");
    }

    proptest! {
        /// Whatever the text: the result costs what is allowed at most, and keeps the tail.
        #[test]
        fn nothing_fitted_is_too_long(text in any::<String>(), tail in "[ -~]{0,20}", max in 60_usize..400) {
            for cost in [RAW, IN_JSON] {
                let fitted = fit(&text, &tail, max, cost);
                prop_assert!(fitted.chars().map(cost).sum::<usize>() <= max);
                prop_assert!(fitted.ends_with(&tail));
            }
        }

        /// The cost in JSON is what the serialiser writes.
        #[test]
        fn the_cost_in_json_is_exact(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            prop_assert_eq!(text.chars().map(IN_JSON).sum::<usize>(), written);
        }
    }
}
