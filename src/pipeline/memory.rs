//! Room in memory for the deliveries of events. It belongs to a platform, with as much again for
//! urgent ones, so that a platform that does not answer keeps no room from others.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::domain::Platform;

/// Who takes deliveries up waits for room as long as this: a platform that answers quickly makes
/// room in less.
const PATIENCE: Duration = Duration::from_millis(100);
/// After it waited in vain it does not wait again for so long, so that it is there for the other
/// platforms.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// How many deliveries of events may be on their way to the broker at a time, beside those that
/// have room. They wait for the broker alone.
const PARTING_MAX: usize = 2048;

/// The room of all platforms.
pub struct Memory {
    /// Of each platform in the order of [`Platform::ALL`], urgent ones first.
    rooms: [[Room; 2]; 4],
    parting: Arc<Semaphore>,
}

struct Room {
    free: Arc<Semaphore>,
    /// Until when nobody waits for room here.
    crowded_until: Mutex<Option<Instant>>,
}

impl Memory {
    /// Room for so many deliveries of each platform, and for as many urgent ones.
    #[must_use]
    pub fn new(held_max: usize) -> Self {
        let room = |_| Room { free: Arc::new(Semaphore::new(held_max)), crowded_until: Mutex::default() };
        Self {
            rooms: std::array::from_fn(|_| std::array::from_fn(room)),
            parting: Arc::new(Semaphore::new(PARTING_MAX)),
        }
    }

    /// Room for a delivery; nothing if there is none, and none becomes free at once.
    pub(super) async fn room(&self, platform: Platform, urgent: bool) -> Option<OwnedSemaphorePermit> {
        let (_, [first, second]) = Platform::ALL.iter().zip(&self.rooms).find(|(one, _)| **one == platform)?;
        if urgent { first.take().await } else { second.take().await }
    }

    /// Room for a delivery that goes back to the broker.
    pub(super) async fn parting(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.parting).acquire_owned().await.ok()
    }
}

impl Room {
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(room);
        }
        if self.crowded().is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let waited = timeout(PATIENCE, Arc::clone(&self.free).acquire_owned()).await;
        if waited.is_err() {
            *self.crowded() = Some(Instant::now() + IMPATIENCE);
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
    async fn a_platform_without_room_keeps_none_from_others_nor_the_time_of_whoever_asks() {
        let memory = Memory::new(1);
        let start = Instant::now();
        let held = memory.room(Platform::DingTalk, false).await;
        assert!(held.is_some());
        for _ in 0..100 {
            assert!(memory.room(Platform::DingTalk, false).await.is_none());
        }
        assert_eq!(start.elapsed(), PATIENCE, "it waited once for all of them");
        assert!(memory.room(Platform::DingTalk, true).await.is_some(), "urgent ones have room of their own");
        assert!(memory.room(Platform::WeCom, false).await.is_some());
        assert_eq!(start.elapsed(), PATIENCE);
        drop(held);
        assert!(memory.room(Platform::DingTalk, false).await.is_some());
    }
}
