//! The content of a test message.
//!
//! Owns that its subject marks it as a test, in the language of the robot.
//!
//! Not here: the words (`chat_phrases.rs`), and how it is sent (`pipeline/test_message.rs`).

use super::chat_phrases::ChatPhrase;
use crate::domain::{EventContent, Language};

/// The content of a test message. It mentions no member.
#[must_use]
pub fn test_content(language: Language) -> EventContent {
    EventContent {
        subject: Some(ChatPhrase::TestSubject.text(language)),
        message: Some(ChatPhrase::TestText.text(language).as_str().into()),
        ..EventContent::default()
    }
}
