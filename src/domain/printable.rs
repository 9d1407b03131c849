//! Which characters a line of text from a user may contain, such as a name.
//!
//! Owns that rule. Texts from elsewhere are cleaned by the same rule before they are shown.
//!
//! Not here: the redaction of credentials in such texts (`platforms/answer.rs`).

/// The text contains a character that cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {what} holds {letter:?}: \
     leave out line breaks, control characters and marks that turn the direction of text"
)]
pub struct Unprintable {
    /// What the text is, such as `name`.
    pub what: &'static str,
    /// The first forbidden character.
    pub letter: char,
}

/// Whether a character could control a terminal, begin another line, or change the text direction.
#[must_use]
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Checks that a text can be shown unchanged on one line.
pub fn check_printable(what: &'static str, text: &str) -> Result<(), Unprintable> {
    text.chars()
        .find(|letter| is_unprintable(*letter))
        .map_or(Ok(()), |letter| Err(Unprintable { what, letter }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_any_script_can_be_shown_and_a_control_character_cannot() {
        for good in ["", "team a", "告警组 🚨👩‍🚒", "é\u{301}", "فريق", "צוות"]
        {
            assert_eq!(check_printable("name", good), Ok(()));
        }
        for letter in [
            '\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{9d}', '\u{61c}',
            '\u{200f}',
        ] {
            assert_eq!(
                check_printable("name", &format!("a{letter}b")),
                Err(Unprintable { what: "name", letter })
            );
        }
        for letter in ['\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let says = Unprintable { what: "name", letter }.to_string();
            assert!(is_unprintable(letter) && !says.contains(letter), "{says}");
        }
    }
}
