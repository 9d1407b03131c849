//! Faults of our own: the message of a panic.
//!
//! Owns how much of that message is kept.
//!
//! Not here: how often a message is tried again after a panic (`pipeline/faults.rs`).

use std::any::Any;

/// The bytes kept of a panic's message. It is written to dead letters and logs.
const WORDS_MAX: usize = 300;

/// The message of a caught panic.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let words = text
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words");
    let end = (0..=words.len().min(WORDS_MAX))
        .rev()
        .find(|end| words.is_char_boundary(*end))
        .unwrap_or(0);
    words.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_panic_are_kept_within_a_bound() {
        let words = |panic: Box<dyn Any + Send>| panic_message(&*panic);
        assert_eq!(words(Box::new("plain")), "plain");
        assert_eq!(words(Box::new("é".repeat(400))), "é".repeat(150));
        assert_eq!(words(Box::new(7)), "a panic without words");
    }
}
