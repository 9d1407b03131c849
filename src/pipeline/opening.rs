//! Opening a recipient right before an attempt.
//!
//! Owns the rule that a delivery is dropped only if a fresh lookup finds its subscription removed
//! or paused.
//!
//! Not here: how the result is handled (`turn.rs`), and the subscriptions themselves (`store/`).

use super::{Pipeline, Stuck};
use crate::{
    domain::{Delivery, Settlement, Subscription},
    fanout::{Opened, Recipient},
    settle,
};

/// After this many replacements in a row, the delivery is returned to the broker, to be looked at
/// again later.
const LOOKS_MAX: usize = 16;

/// The current state of a recipient.
pub(super) enum Current {
    /// The subscription is open, and the permit is valid for it.
    Open(Box<Subscription>),
    /// The subscription changed, and the permit is not valid for it. This is the new recipient.
    Moved(Recipient),
    /// No message is to be sent.
    Settled(Settlement),
}

impl Pipeline {
    /// Opens the recipient of a delivery that has a permit. A replaced recipient is looked up again
    /// and updated.
    pub(super) async fn current(&self, delivery: &Delivery, recipient: &mut Recipient) -> Result<Current, Stuck> {
        let subscriptions = &self.parts.subscriptions;
        for _ in 0..LOOKS_MAX {
            match subscriptions.open(recipient)? {
                Opened::Subscription(subscription) => return Ok(Current::Open(subscription)),
                Opened::Damaged(what) => return Ok(Current::Settled(settle::unreadable(&what))),
                Opened::Replaced => {
                    let Some(fresh) = subscriptions.find(recipient.subscription).await? else {
                        return Ok(Current::Settled(Settlement::Dropped));
                    };
                    if !is_for(recipient, &fresh) {
                        return Ok(Current::Moved(fresh));
                    }
                    *recipient = fresh;
                }
            }
        }
        Ok(Current::Settled(self.leave_as_it_is(delivery)))
    }
}

/// Whether a permit for one recipient is valid for the other: same robot, same monthly quota.
fn is_for(old: &Recipient, new: &Recipient) -> bool {
    (old.robot, old.platform, &old.options.group) == (new.robot, new.platform, &new.options.group)
}
