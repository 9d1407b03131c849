//! Opening a recipient right before an attempt: what it is by now. Owns that a delivery is dropped
//! only after a fresh look says that its subscription is removed or paused. What follows of an
//! answer is `turn.rs`.

use super::{Pipeline, Stuck};
use crate::{
    domain::{Delivery, Settlement, Subscription},
    fanout::{Opened, Recipient},
    settle,
};

/// A recipient that is replaced as often while it is looked at goes back to the broker, and is
/// looked at again later.
const LOOKS_MAX: usize = 16;

/// What a recipient is by now.
pub(super) enum Current {
    /// It is this subscription, and the permit in hand is for it.
    Open(Box<Subscription>),
    /// It was changed so that the permit in hand is not for it: this is what it is by now.
    Moved(Recipient),
    /// Nothing is to be sent.
    Settled(Settlement),
}

impl Pipeline {
    /// Opens a recipient for the attempt of a delivery that has a permit. If it was replaced
    /// meanwhile it is looked for anew, and brought up to date.
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

/// Whether a permit that was taken for one of the two is good for the other: same robot, same
/// monthly quota.
fn is_for(old: &Recipient, new: &Recipient) -> bool {
    (old.robot, old.platform, &old.options.group) == (new.robot, new.platform, &new.options.group)
}
