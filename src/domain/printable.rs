//! Which characters may stand in a word of one line that people give, such as a name. Owns the rule; where words of others are shown all the same, they
//! are cleaned by it.

/// A text that cannot be shown as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {what} holds {letter:?}: leave out line breaks, control characters and marks that turn the direction of text"
)]
pub struct Unprintable {
    /// What the text is, such as `name`.
    pub what: &'static str,
    /// The first character that is not possible.
    pub letter: char,
}

/// Whether a character could command a terminal, begin another line, or turn the direction of reading.
#[must_use]
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a text can be shown as it is, on one line.
pub fn check_printable(what: &'static str, text: &str) -> Result<(), Unprintable> {
    text.chars().find(|letter| is_unprintable(*letter)).map_or(Ok(()), |letter| Err(Unprintable { what, letter }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_any_script_can_be_shown_and_a_control_character_cannot() {
        for good in ["", "team a", "告警组 🚨👩‍🚒", "é\u{301}", "فريق", "צוות"] {
            assert_eq!(check_printable("name", good), Ok(()));
        }
        for letter in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{9d}', '\u{61c}', '\u{200f}']
        {
            assert_eq!(check_printable("name", &format!("a{letter}b")), Err(Unprintable { what: "name", letter }));
        }
        for letter in ['\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let says = Unprintable { what: "name", letter }.to_string();
            assert!(is_unprintable(letter) && !says.contains(letter), "{says}");
        }
    }
}
