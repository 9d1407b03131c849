//! Opening a recipient right before an attempt.
//!
//! Owns the rule that a delivery is dropped only if a fresh lookup finds its subscription removed
//! or paused.
//!
//! Not here: how the result is handled (`delivery.rs`), and the subscriptions themselves
//! (`store/`).

use super::{Pipeline, Unsettled};
use crate::{
    domain::{Delivery, Settlement, Subscription, WaitReason},
    fanout::{OpenedRecipient, Recipient},
    settle,
};

/// After this many replacements in a row, the delivery is returned to the broker, to be looked at
/// again later.
const RESOLVE_TRIES_MAX: usize = 16;

/// The current state of a recipient.
pub(super) enum CurrentRecipient {
    /// The subscription is open, and the permit is valid for it.
    Open(Box<Subscription>),
    /// The subscription changed, and the permit is not valid for it. This is the new recipient.
    Readdressed(Recipient),
    /// No message is to be sent.
    Settled(Settlement),
}

impl Pipeline {
    /// Opens the recipient of a delivery that has a permit. A replaced recipient is looked up again
    /// and updated.
    pub(super) async fn resolve_recipient(
        &self,
        delivery: &Delivery,
        recipient: &mut Recipient,
    ) -> Result<CurrentRecipient, Unsettled> {
        let subscriptions = &self.parts.subscriptions;
        for _ in 0..RESOLVE_TRIES_MAX {
            match subscriptions.open(recipient).await? {
                OpenedRecipient::Subscription(subscription) => {
                    return Ok(CurrentRecipient::Open(subscription));
                }
                OpenedRecipient::Damaged(what) => {
                    return Ok(CurrentRecipient::Settled(settle::unreadable(&what)));
                }
                OpenedRecipient::Replaced => {
                    let Some(fresh) = subscriptions.find(recipient.subscription).await? else {
                        return Ok(CurrentRecipient::Settled(Settlement::Dropped));
                    };
                    if !is_same_target(recipient, &fresh) {
                        return Ok(CurrentRecipient::Readdressed(fresh));
                    }
                    *recipient = fresh;
                }
            }
        }
        let again = self.requeue_unchanged(delivery, WaitReason::SubscriptionChanged);
        Ok(CurrentRecipient::Settled(again))
    }
}

/// Whether a permit for one recipient is valid for the other: same robot, same monthly quota.
fn is_same_target(old: &Recipient, new: &Recipient) -> bool {
    (old.robot, old.platform, &old.options.group) == (new.robot, new.platform, &new.options.group)
}
