//! The languages of the texts that roomcast itself writes into chats.
//!
//! Owns the closed list of languages and their names.
//!
//! Not here: the texts (`platforms/chat_phrases.rs`), and the language of a subscription that names
//! none (`platforms/facts.rs`).

use std::{fmt, str::FromStr};

use enum_map::Enum;

use super::every;

/// A language of the texts that roomcast itself writes into chats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
pub enum Language {
    /// Chinese, in simplified characters.
    Zh,
    /// English.
    En,
}

impl Language {
    /// The name on the command line and in answers: the code of ISO 639-1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not the name of a language.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a language of roomcast: use zh or en")]
pub struct UnknownLanguage(pub String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        every::<Self>()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| UnknownLanguage(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_read_back_from_its_name_and_another_word_is_refused() {
        for language in every::<Language>() {
            assert_eq!(language.as_str().parse(), Ok(language));
        }
        let refused = "fr".parse::<Language>().unwrap_err().to_string();
        assert_eq!(refused, "\"fr\" is not a language of roomcast: use zh or en");
    }
}
