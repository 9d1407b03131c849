//! The subscription of a dead letter, as far as the store knows it.
//!
//! Owns the advice for letters whose subscription was removed.
//!
//! Not here: the advice for each reason (`platforms`).

use crate::{
    admin::ports::{StoreFailure, StoreRefusal, SubscriptionStore},
    broker::DeadLetter,
    domain::SubscriptionView,
};

/// The subscription of a letter.
pub enum Subscriber {
    /// The store has it.
    Known(Box<SubscriptionView>),
    /// It was removed.
    Removed,
    /// The store could not be read; this is why.
    Unknown(String),
    /// The letter belongs to no subscription.
    Nobody,
}

impl Subscriber {
    /// Looks it up in the store.
    pub async fn of(letter: &DeadLetter, store: &(impl SubscriptionStore + ?Sized)) -> Self {
        let Some(id) = letter.subscription else { return Self::Nobody };
        match store.show(id).await {
            Ok(view) => Self::Known(Box::new(view)),
            Err(StoreFailure::Refused(StoreRefusal::NoSuchSubscription { .. })) => Self::Removed,
            Err(error) => Self::Unknown(error.to_string()),
        }
    }

    /// The subscription's masked data, if the store has it.
    #[must_use]
    pub fn known(&self) -> Option<&SubscriptionView> {
        match self {
            Self::Known(view) => Some(view),
            Self::Removed | Self::Unknown(_) | Self::Nobody => None,
        }
    }

    /// Advice that holds for any reason of the dead letter.
    pub(super) const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Removed => Some("its subscription was removed, so a redrive drops it: discard"),
            Self::Known(_) | Self::Unknown(_) | Self::Nobody => None,
        }
    }

    /// A note about what the preview lacks.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Removed => Some(
                "the subscription does not exist any more: redriving drops the letter".to_owned(),
            ),
            Self::Unknown(why) => {
                Some(format!("without the subscription's keyword and mentions: {why}"))
            }
            Self::Known(_) | Self::Nobody => None,
        }
    }
}
