//! Blank text: text of which a member of a chat would see nothing.
//!
//! Owns which characters show nothing.
//!
//! Not here: what becomes of an event that is blank (`fanout/decode.rs`).

/// Whether a text shows nothing: it is empty, or has only blanks of any language, control
/// characters and invisible characters.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(shows_nothing)
}

fn shows_nothing(one: char) -> bool {
    one.is_whitespace()
        || one.is_control()
        || matches!(
            one,
            // Soft hyphen, joiners, and marks of direction.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
            // Fillers: Hangul, Khmer, Mongolian, and the empty Braille pattern.
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{2800}'
            // Selectors of variants, annotations and tags.
            | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_blank_if_no_character_of_it_shows_anything() {
        for blank in [
            "",
            " \t\r\n",
            "\u{3000}\u{3000}",
            "\u{200b}\u{feff}",
            "\u{a0}\u{2009}\u{205f}",
            "\u{2800}",
            "\u{3164}",
            "\u{fe0f}\u{200d}",
            "\0\u{7}\u{85}",
            "\u{e0020}\u{202e}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for shown in [".", "磁盘满", "\u{200b}a", "🙂", "\u{fffd}", "*", "\u{301}"] {
            assert!(!is_blank(shown), "{shown:?}");
        }
    }
}
