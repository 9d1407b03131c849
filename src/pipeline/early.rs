//! Room in memory for deliveries that have come back from the tiers and wait for their slots. Owns
//! that they never take all that the broker hands over, neither by count nor by bytes: a quarter of
//! both is for those that may leave now.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{Delivery, Platform};

/// The share of each platform's room that deliveries may take that wait for their slots.
const SHARE: (usize, usize) = (3, 4);

/// The room of all platforms.
pub struct Early {
    /// In the order of [`Platform::ALL`].
    rooms: [Room; 4],
}

/// Permits by count, and one for each byte of a body.
struct Room {
    deliveries: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The room that one delivery takes, until it is dropped.
pub(super) struct EarlyRoom {
    _delivery: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Early {
    /// The share of these: how many deliveries of each platform the broker hands over, and how many
    /// bytes their bodies may have.
    #[must_use]
    pub fn new(deliveries_max: usize, bytes_max: usize) -> Self {
        let share = |of: usize| Arc::new(Semaphore::new((of / SHARE.1 * SHARE.0).min(Semaphore::MAX_PERMITS)));
        let room = |_| Room { deliveries: share(deliveries_max), bytes: share(bytes_max) };
        Self { rooms: std::array::from_fn(room) }
    }

    /// Room for a delivery that travels alone, so that its body is its own; nothing if there is none.
    pub(super) fn room(&self, delivery: &Delivery) -> Option<EarlyRoom> {
        let (_, room) = Platform::ALL.iter().zip(&self.rooms).find(|(one, _)| **one == delivery.platform)?;
        let bytes = u32::try_from(delivery.event.published.body.len()).ok()?;
        Some(EarlyRoom {
            _delivery: Arc::clone(&room.deliveries).try_acquire_owned().ok()?,
            _bytes: Arc::clone(&room.bytes).try_acquire_many_owned(bytes).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Content, Event, EventId, Moment, Part, Published, RobotId, SubscriptionId};

    fn delivery(platform: Platform, bytes: usize) -> Delivery {
        let event = Event {
            id: EventId::new("e"),
            topic: "t".parse().unwrap(),
            content: Content::default(),
            urgent: false,
            received_at: Moment::default(),
            expires_at: Moment::default(),
            published: Published { body: vec![0; bytes], ..Published::default() },
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
            generation: 0,
            part: Part::default(),
        }
    }

    #[test]
    fn what_waits_for_its_slot_has_three_quarters_of_its_platforms_room_by_count_and_by_bytes() {
        for (deliveries_max, bytes_max, size, have_room) in
            [(8, 1000, 0, 6), (8, 1000, 100, 6), (100, 1000, 100, 7), (100, 1000, 750, 1), (100, 1000, 751, 0)]
        {
            let early = Early::new(deliveries_max, bytes_max);
            let taken: Vec<_> = (0..10).map_while(|_| early.room(&delivery(Platform::Lark, size))).collect();
            assert_eq!(taken.len(), have_room, "{deliveries_max}, {bytes_max}, {size}");
            assert!(early.room(&delivery(Platform::WeCom, 1)).is_some(), "another platform has its own");
            drop(taken);
            assert_eq!(early.room(&delivery(Platform::Lark, size)).is_some(), have_room > 0, "it is given back");
        }
    }
}
