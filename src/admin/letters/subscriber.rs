//! For whom a letter was, as far as the store knows.

use crate::{
    broker::DeadLetter,
    store::{Store, StoreError, Summary},
};

/// The subscription of a letter.
pub enum Subscriber {
    /// As the store has it.
    Known(Box<Summary>),
    /// It was removed.
    Removed,
    /// The store could not say; why not.
    Unknown(String),
    /// The letter is for no subscription.
    Nobody,
}

impl Subscriber {
    /// Looks it up.
    #[must_use]
    pub fn of(letter: &DeadLetter, store: &Store) -> Self {
        match letter.subscription.map(|id| store.show(id)) {
            Some(Ok(summary)) => Self::Known(Box::new(summary)),
            Some(Err(StoreError::NoSuchSubscription { .. })) => Self::Removed,
            Some(Err(error)) => Self::Unknown(error.to_string()),
            None => Self::Nobody,
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn known(&self) -> Option<&Summary> {
        match self {
            Self::Known(summary) => Some(summary),
            Self::Removed | Self::Unknown(_) | Self::Nobody => None,
        }
    }

    /// What to do about a letter, where that does not depend on why it was given up.
    pub(super) const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Removed => {
                Some("its subscription was removed, so nobody would get it, and redriving drops it: discard")
            }
            Self::Known(_) | Self::Unknown(_) | Self::Nobody => None,
        }
    }

    /// What is missing in what is shown.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Removed => Some("the subscription does not exist any more: redriving drops the letter".to_owned()),
            Self::Unknown(why) => Some(format!("without the subscription's keyword and mentions: {why}")),
            Self::Known(_) | Self::Nobody => None,
        }
    }
}
