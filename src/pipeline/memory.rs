//! The memory for deliveries of new events.
//!
//! Each platform has its own permits, and as many again for urgent deliveries. So a platform that
//! does not answer takes no memory from another.
//!
//! Owns the waits for a permit, and the limit of deliveries that are returned to the broker for
//! lack of one.
//!
//! Not here: deliveries that came back from the tiers (`early.rs`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::domain::{Platform, PlatformMap};

/// How long the intake waits for a permit. A platform that answers quickly frees one sooner.
const RESERVE_TIMEOUT: Duration = Duration::from_millis(100);
/// After a wait in vain, the intake does not wait again for this long, so that it can serve the
/// other platforms.
const NO_WAIT_PERIOD: Duration = Duration::from_secs(1);
/// The most deliveries without memory that are on their way to the broker. They wait only for the
/// broker.
const REQUEUES_MAX: usize = 2048;

/// The memory permits of all platforms.
pub struct MemoryBudget {
    /// For each platform, urgent deliveries first.
    rooms: PlatformMap<[PlatformBudget; 2]>,
    parting: Arc<Semaphore>,
}

struct PlatformBudget {
    free: Arc<Semaphore>,
    /// Until when the intake does not wait for a permit.
    crowded_until: Mutex<Option<Instant>>,
}

impl MemoryBudget {
    /// `held_max` permits for each platform, and as many again for its urgent deliveries.
    #[must_use]
    pub fn new(held_max: usize) -> Self {
        let room = |_| PlatformBudget {
            free: Arc::new(Semaphore::new(held_max)),
            crowded_until: Mutex::default(),
        };
        Self {
            rooms: PlatformMap::from_fn(|_| std::array::from_fn(room)),
            parting: Arc::new(Semaphore::new(REQUEUES_MAX)),
        }
    }

    /// Takes a permit for a delivery; `None` if none is free and none becomes free within
    /// [`RESERVE_TIMEOUT`].
    pub(super) async fn reserve(
        &self,
        platform: Platform,
        urgent: bool,
    ) -> Option<OwnedSemaphorePermit> {
        let [first, second] = self.rooms.get(platform);
        if urgent { first.take().await } else { second.take().await }
    }

    /// Takes a permit for a delivery that is returned to the broker.
    pub(super) async fn requeue_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.parting).acquire_owned().await.ok()
    }
}

impl PlatformBudget {
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(room);
        }
        if self.crowded().is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let waited = timeout(RESERVE_TIMEOUT, Arc::clone(&self.free).acquire_owned()).await;
        if waited.is_err() {
            *self.crowded() = Some(Instant::now() + NO_WAIT_PERIOD);
        }
        waited.ok()?.ok()
    }

    fn crowded(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.crowded_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_platform_without_room_blocks_no_other_platform_and_no_caller() {
        let memory = MemoryBudget::new(1);
        let start = Instant::now();
        let held = memory.reserve(Platform::DingTalk, false).await;
        assert!(held.is_some());
        for _ in 0..100 {
            assert!(memory.reserve(Platform::DingTalk, false).await.is_none());
        }
        assert_eq!(start.elapsed(), RESERVE_TIMEOUT, "it waited once for all of them");
        assert!(
            memory.reserve(Platform::DingTalk, true).await.is_some(),
            "urgent ones have room of their own"
        );
        assert!(memory.reserve(Platform::WeCom, false).await.is_some());
        assert_eq!(start.elapsed(), RESERVE_TIMEOUT);
        drop(held);
        assert!(memory.reserve(Platform::DingTalk, false).await.is_some());
    }
}
