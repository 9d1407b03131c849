//! The memory for deliveries that came back from the tiers and wait for their slots.
//!
//! Owns the limit of their share, by count and by bytes. A quarter of the prefetch stays free for
//! deliveries that can be sent now.
//!
//! Not here: the memory for deliveries of new events (`memory.rs`), and the prefetch itself
//! (`broker/session.rs`).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{Delivery, PlatformMap};

/// The share of each platform's prefetch that waiting deliveries may use, as a fraction.
const SHARE: (usize, usize) = (3, 4);

/// The memory permits of all platforms.
pub struct EarlyBudget {
    rooms: PlatformMap<PlatformPermits>,
}

/// One permit for each delivery, and one for each byte of a body.
struct PlatformPermits {
    deliveries: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The permits of one delivery, released on drop.
pub(super) struct EarlyPermit {
    _delivery: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl EarlyBudget {
    /// The permits for the prefetch of each platform, in deliveries and in bytes of bodies.
    #[must_use]
    pub fn new(deliveries_max: usize, bytes_max: usize) -> Self {
        let share = |of: usize| {
            Arc::new(Semaphore::new((of / SHARE.1 * SHARE.0).min(Semaphore::MAX_PERMITS)))
        };
        let room =
            |_| PlatformPermits { deliveries: share(deliveries_max), bytes: share(bytes_max) };
        Self { rooms: PlatformMap::from_fn(room) }
    }

    /// Takes permits for a delivery that was stored on the broker, and so has a body of its own.
    /// `None` if there are not enough.
    pub(super) fn reserve(&self, delivery: &Delivery) -> Option<EarlyPermit> {
        let room = self.rooms.get(delivery.platform);
        // A packed body is smaller than the texts that were read from it.
        let event = &delivery.event;
        let bytes = u32::try_from(event.published.body.len().max(event.content.bytes())).ok()?;
        Some(EarlyPermit {
            _delivery: Arc::clone(&room.deliveries).try_acquire_owned().ok()?,
            _bytes: Arc::clone(&room.bytes).try_acquire_many_owned(bytes).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Degradation, Event, EventContent, EventId, Part, Platform, PublishedMessage, RobotId,
        SubscriptionId, Timestamp,
    };

    fn delivery(platform: Platform, bytes: usize) -> Delivery {
        let event = Event {
            id: EventId::new("e"),
            topic: "t".parse().unwrap(),
            content: EventContent::default(),
            urgent: false,
            received_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            published: PublishedMessage { body: vec![0; bytes], ..PublishedMessage::default() },
        };
        Delivery {
            event: Arc::new(event),
            subscription: SubscriptionId::from_bytes([1; 16]),
            platform,
            robot: RobotId::from_bytes([2; 16]),
            attempts: 0,
            hops: 1,
            first_attempt_at: None,
            due_at: None,
            slot: None,
            wait_reason: None,
            generation: 0,
            part: Part::default(),
            degradation: Degradation::default(),
        }
    }

    #[test]
    fn deliveries_that_wait_for_their_slot_get_three_quarters_of_the_room_by_count_and_bytes() {
        for (deliveries_max, bytes_max, size, have_room) in [
            (8, 1000, 0, 6),
            (8, 1000, 100, 6),
            (100, 1000, 100, 7),
            (100, 1000, 750, 1),
            (100, 1000, 751, 0),
        ] {
            let early = EarlyBudget::new(deliveries_max, bytes_max);
            let taken: Vec<_> =
                (0..10).map_while(|_| early.reserve(&delivery(Platform::Lark, size))).collect();
            assert_eq!(taken.len(), have_room, "{deliveries_max}, {bytes_max}, {size}");
            assert!(
                early.reserve(&delivery(Platform::WeCom, 1)).is_some(),
                "another platform has its own"
            );
            drop(taken);
            assert_eq!(
                early.reserve(&delivery(Platform::Lark, size)).is_some(),
                have_room > 0,
                "it is given back"
            );
        }
    }
}
