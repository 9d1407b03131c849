//! Which bodies pass through a connection.
//!
//! Owns the bound of the bodies in memory, in bytes. A body without room is left out, and its
//! message says so; or the connection is not read further until there is room.
//!
//! Not here: requesting a body that was left out (`consumer_channel.rs`), the stream itself
//! (`filter.rs`, `transport.rs`).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;
use uuid::Uuid;

/// The room for bodies on one channel, in bytes.
struct ChannelBudget {
    all: u64,
    free: u64,
    /// The room reserved for a body that was left out, in bytes.
    reserved: u64,
    admitted: Arc<Notify>,
}

/// The bodies in memory of a channel that leaves none out, in bytes.
struct InMemory {
    max: u64,
    bytes: u64,
}

#[derive(Default)]
struct BudgetState {
    /// By channel. A channel without an entry takes any body that is not too large.
    rooms: HashMap<u16, ChannelBudget>,
    /// By channel. A channel without an entry is always read.
    in_memory: HashMap<u16, InMemory>,
    /// The task that reads the connection, while it waits for room.
    reader: Option<Waker>,
    /// Whether a body above the maximum size of an event is in memory.
    larger: bool,
}

/// The room for bodies on a connection, shared by its guard and the receiver of its messages.
pub struct BodyBudget {
    size_max: u64,
    state: Mutex<BudgetState>,
    released: Notify,
    /// Marks a message whose body was left out. A publisher does not know this value, so it cannot
    /// forge the mark.
    secret: String,
}

impl BodyBudget {
    fn new(size_max: u64, larger: bool) -> Arc<Self> {
        let state = Mutex::new(BudgetState { larger, ..BudgetState::default() });
        Arc::new(Self {
            size_max,
            state,
            released: Notify::new(),
            secret: Uuid::new_v4().to_string(),
        })
    }

    /// Every body passes.
    #[must_use]
    pub fn all() -> Arc<Self> {
        Self::new(u64::MAX, false)
    }

    /// No body passes.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Self::new(0, true)
    }

    /// Bodies of at most `size_max` bytes pass while their channel has room. Larger ones pass one
    /// at a time.
    #[must_use]
    pub fn up_to(size_max: u64) -> Arc<Self> {
        Self::new(size_max, false)
    }

    /// Gives a channel room for `bytes`, or for one body of the maximum size if that is more.
    pub fn give_room(&self, channel: u16, bytes: u64) {
        let all = bytes.max(self.size_max);
        let room = ChannelBudget { all, free: all, reserved: 0, admitted: Arc::default() };
        self.state().rooms.insert(channel, room);
    }

    /// Stops reading the connection while the bodies in memory of this channel have `max` bytes or
    /// more. So they have at most `max` bytes plus one body.
    pub fn read_on_below(&self, channel: u16, max: u64) {
        self.state().in_memory.insert(channel, InMemory { max, bytes: 0 });
    }

    /// The size of the bodies on such a channel that have arrived, or are arriving, and are not
    /// released, in bytes.
    #[must_use]
    pub fn in_memory(&self, channel: u16) -> u64 {
        self.state().in_memory.get(&channel).map_or(0, |in_memory| in_memory.bytes)
    }

    /// Removes a closed channel.
    pub fn forget(&self, channel: u16) {
        let mut state = self.state();
        state.rooms.remove(&channel);
        state.in_memory.remove(&channel);
        state.wake();
    }

    /// Whether the next body of a channel may be read.
    pub(super) fn reads_on(&self, channel: u16) -> bool {
        self.state().in_memory.get(&channel).is_none_or(InMemory::reads_on)
    }

    /// Waits until the next body of a channel may be read.
    pub(super) fn poll_reads_on(&self, channel: u16, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.in_memory.get(&channel).is_none_or(InMemory::reads_on) {
            return Poll::Ready(());
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Admits a body, which takes its room.
    ///
    /// # Errors
    ///
    /// The value of the header that marks a message whose body is left out.
    pub(super) fn admit(&self, channel: u16, size: u64) -> Result<(), String> {
        let mut state = self.state();
        let BudgetState { rooms, in_memory, larger, .. } = &mut *state;
        let room = rooms.get_mut(&channel);
        let fits = match (&room, size > self.size_max) {
            (_, true) => !*larger,
            (Some(room), false) => room.fits(size),
            (None, false) => true,
        };
        if !fits {
            return Err(format!("{} {size}", self.secret));
        }
        let is_larger = size > self.size_max;
        *larger |= is_larger;
        if let Some(in_memory) = in_memory.get_mut(&channel) {
            in_memory.bytes += size;
        }
        if let Some(room) = room {
            room.free -= if is_larger { 0 } else { size };
            if is_larger || size == room.reserved {
                room.reserved = 0;
                room.admitted.notify_waiters();
            }
        }
        Ok(())
    }

    /// The size of the body that was left out, in bytes, from the header of its message. `None` if
    /// the header is not from this guard.
    #[must_use]
    pub fn size_left_out(&self, says: &str) -> Option<u64> {
        says.strip_prefix(&self.secret)?.trim_start().parse().ok()
    }

    /// Releases the room of a body.
    pub fn release(&self, channel: u16, size: u64) {
        let mut state = self.state();
        if size > self.size_max {
            state.larger = false;
        } else if let Some(room) = state.rooms.get_mut(&channel) {
            room.free += size;
        }
        if let Some(in_memory) = state.in_memory.get_mut(&channel) {
            in_memory.bytes = in_memory.bytes.saturating_sub(size);
            state.wake();
        }
        drop(state);
        self.released.notify_waiters();
    }

    /// Waits until there is room for a body, and reserves it. The returned handle is notified when
    /// a body of that size was admitted.
    pub async fn room(&self, channel: u16, size: u64) -> Arc<Notify> {
        loop {
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            if let Some(admitted) = self.room_now(channel, size) {
                return admitted;
            }
            released.await;
        }
    }

    /// The same without a reservation during the wait. A quarter of the room stays free for other
    /// bodies.
    pub async fn spare_room(&self, channel: u16, size: u64) -> Arc<Notify> {
        loop {
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            if let Some(admitted) = self.spare_room_now(channel, size) {
                return admitted;
            }
            released.await;
        }
    }

    /// Drops the reservation, because its message did not arrive.
    pub fn reserve_nothing(&self, channel: u16) {
        if let Some(room) = self.state().rooms.get_mut(&channel) {
            room.reserved = 0;
        }
    }

    fn room_now(&self, channel: u16, size: u64) -> Option<Arc<Notify>> {
        let mut state = self.state();
        let (larger, room) = (state.larger, state.rooms.get_mut(&channel)?);
        if size > self.size_max {
            return (!larger).then(|| Arc::clone(&room.admitted));
        }
        room.reserved = size;
        room.fits(size).then(|| Arc::clone(&room.admitted))
    }

    fn spare_room_now(&self, channel: u16, size: u64) -> Option<Arc<Notify>> {
        let mut state = self.state();
        let (larger, room) = (state.larger, state.rooms.get_mut(&channel)?);
        if size > self.size_max {
            return (!larger).then(|| Arc::clone(&room.admitted));
        }
        if !room.fits(size.saturating_add(room.all / 4)) {
            return None;
        }
        room.reserved = size;
        Some(Arc::clone(&room.admitted))
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BodyBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bodies").field("size_max", &self.size_max).finish_non_exhaustive()
    }
}

impl BudgetState {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl InMemory {
    const fn reads_on(&self) -> bool {
        self.bytes < self.max
    }
}

impl ChannelBudget {
    const fn fits(&self, size: u64) -> bool {
        let reserved = if size == self.reserved { 0 } else { self.reserved };
        self.free >= size.saturating_add(reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_as_far_as_there_is_room_on_their_channel() {
        let bodies = BodyBudget::up_to(4);
        bodies.give_room(1, 8);
        for (channel, size, comes) in
            [(1, 4, true), (1, 3, true), (1, 2, false), (1, 1, true), (2, 4, true)]
        {
            assert_eq!(bodies.admit(channel, size).is_ok(), comes, "{channel}, {size}");
        }
        let said = bodies.admit(1, 2).unwrap_err();
        assert_eq!(bodies.size_left_out(&said), Some(2));
        assert_eq!(BodyBudget::up_to(4).size_left_out(&said), None, "another connection said it");
        bodies.release(1, 3);
        assert!(bodies.admit(1, 2).is_ok());
    }

    #[test]
    fn larger_ones_come_one_at_a_time_on_all_channels_and_take_no_room_from_others() {
        let bodies = BodyBudget::up_to(4);
        bodies.give_room(1, 8);
        bodies.give_room(2, 8);
        assert!(bodies.admit(1, 100).is_ok());
        assert!(bodies.admit(1, 100).is_err());
        assert!(bodies.admit(2, 5).is_err());
        assert!(bodies.admit(1, 4).is_ok() && bodies.admit(1, 4).is_ok());
        bodies.release(1, 100);
        assert!(bodies.admit(2, 5).is_ok());
        let none = BodyBudget::none();
        assert!(none.admit(1, 0).is_ok() && none.admit(1, 1).is_err());
        assert!(BodyBudget::all().admit(1, u64::MAX).is_ok());
    }

    #[tokio::test]
    async fn a_body_that_was_left_out_keeps_its_room_before_smaller_ones() {
        let bodies = BodyBudget::up_to(4);
        bodies.give_room(1, 8);
        for _ in 0..8 {
            bodies.admit(1, 1).unwrap();
        }
        let waiting = tokio::spawn({
            let bodies = Arc::clone(&bodies);
            async move { bodies.room(1, 4).await }
        });
        for _ in 0..4 {
            tokio::task::yield_now().await;
            bodies.release(1, 1);
            assert!(bodies.admit(1, 1).is_err(), "a smaller one took it");
        }
        waiting.await.unwrap();
        bodies.admit(1, 4).unwrap();
        bodies.release(1, 1);
        bodies.admit(1, 1).unwrap();
    }

    #[tokio::test]
    async fn deliveries_that_are_not_due_reserve_nothing_and_leave_a_quarter_to_others() {
        let bodies = BodyBudget::up_to(4);
        bodies.give_room(1, 8);
        bodies.admit(1, 4).unwrap();
        let waiting = tokio::spawn({
            let bodies = Arc::clone(&bodies);
            async move { bodies.spare_room(1, 3).await }
        });
        tokio::task::yield_now().await;
        for _ in 0..3 {
            bodies.admit(1, 1).unwrap();
            bodies.release(1, 1);
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished(), "1 byte would be free");
        }
        bodies.release(1, 4);
        waiting.await.unwrap();
        assert!(
            bodies.admit(1, 4).is_ok() && bodies.admit(1, 2).is_err(),
            "from now on it is kept free"
        );
        bodies.admit(1, 3).unwrap();
    }

    #[test]
    fn a_channel_has_room_for_the_largest_event_at_least() {
        let bodies = BodyBudget::up_to(9);
        bodies.give_room(1, 1);
        assert!(bodies.admit(1, 9).is_ok());
    }
}
