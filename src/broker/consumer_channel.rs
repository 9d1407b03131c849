//! The messages of one consumer: their acks, and the bodies of theirs that are in memory.
//!
//! Owns the rule that a message whose body was left out is delivered again once there is room, in
//! the order of due times.
//!
//! Not here: leaving out a body (`frame_guard/bodies.rs`), grouping acks (`ack_coalescer.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions},
    types::AMQPValue,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{
    ack_coalescer::AckCoalescer,
    frame_guard::{BodyBudget, LEFT_OUT},
    session_end::SessionEnd,
};

/// A requeued message is delivered again at once. If it is not, it has expired or was deleted.
const REDELIVERY_DELAY: Duration = Duration::from_secs(5);

/// A message that is due within this time counts as due.
const SOON: Duration = Duration::from_secs(2);

/// A message that arrived without its body.
pub(super) struct SkippedBody {
    pub(super) tag: u64,
    /// The size of its body, in bytes.
    pub(super) size: u64,
    /// The time before which it is not needed, whatever happens to the wall clock.
    pub(super) due: Instant,
}

/// The messages without a body, by due time and then by arrival.
#[derive(Default)]
struct Waiting(BTreeMap<(Instant, u64), u64>);

impl Waiting {
    fn add(&mut self, SkippedBody { tag, size, due }: SkippedBody) {
        self.0.insert((due, tag), size);
    }

    fn first(&self) -> Option<SkippedBody> {
        self.0.first_key_value().map(|(&(due, tag), &size)| SkippedBody { tag, size, due })
    }

    fn remove(&mut self, SkippedBody { tag, due, .. }: &SkippedBody) {
        self.0.remove(&(*due, *tag));
    }
}

/// The messages of one consumer.
pub(super) struct ConsumerChannel {
    channel: Channel,
    book: Mutex<AckCoalescer>,
    bodies: Arc<BodyBudget>,
    /// The sizes of the bodies in memory, in bytes, by delivery tag.
    sizes: Mutex<HashMap<u64, u64>>,
    left_out: mpsc::UnboundedSender<SkippedBody>,
}

impl ConsumerChannel {
    /// A consumer before its first message. At most `room` bytes of bodies may be in memory.
    pub(super) fn new(
        channel: Channel,
        bodies: Arc<BodyBudget>,
        room: u64,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<SkippedBody>) {
        bodies.give_room(channel.id(), room);
        // The prefetch of the consumer bounds this queue.
        let (left_out, waiting) = mpsc::unbounded_channel();
        let (book, sizes) = (Mutex::new(AckCoalescer::new()), Mutex::default());
        (Arc::new(Self { channel, book, bodies, sizes, left_out }), waiting)
    }

    /// Registers a message. Returns the size of its body if the body was left out; then
    /// [`ConsumerChannel::ask_for`] requests it again.
    pub(super) fn on_delivery(&self, delivery: &Delivery) -> Option<u64> {
        let headers = delivery.properties.headers().as_ref();
        let left_out = match headers.and_then(|table| table.inner().get(LEFT_OUT)) {
            Some(AMQPValue::LongString(says)) => self.bodies.size_left_out(&says.to_string()),
            _ => None,
        };
        if left_out.is_none() {
            let size = u64::try_from(delivery.data.len()).unwrap_or(u64::MAX);
            locked(&self.sizes).insert(delivery.delivery_tag, size);
        }
        left_out
    }

    /// Requests a message that arrived without its body.
    pub(super) fn ask_for(&self, left_out: SkippedBody) {
        // After the end of the session, the receiver is gone.
        let _ = self.left_out.send(left_out);
    }

    /// Acks messages and releases the room of their bodies.
    pub(super) async fn ack(&self, tags: Vec<u64>) -> Result<(), lapin::Error> {
        for tag in &tags {
            let size = locked(&self.sizes).remove(tag);
            if let Some(size) = size {
                self.bodies.release(self.channel.id(), size);
            }
        }
        let acks = locked(&self.book).settle(tags);
        let up_to = acks.up_to.map(|tag| (tag, true)).into_iter();
        let frames = up_to.chain(acks.single.into_iter().map(|tag| (tag, false)));
        let sent =
            frames.map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        try_join_all(sent).await.map(|_| ())
    }

    /// Requests the messages without a body, one after the other, as room becomes free.
    pub(super) async fn schedule_redelivery(
        self: Arc<Self>,
        mut left_out: mpsc::UnboundedReceiver<SkippedBody>,
        ended: SessionEnd,
    ) {
        let channel = self.channel.id();
        let asking = async {
            let mut waiting = Waiting::default();
            loop {
                while let Ok(one) = left_out.try_recv() {
                    waiting.add(one);
                }
                let Some(first) = waiting.first() else {
                    match left_out.recv().await {
                        Some(one) => waiting.add(one),
                        None => return Ok::<_, lapin::Error>(()),
                    }
                    continue;
                };
                let admitted = tokio::select! {
                    biased;
                    admitted = self.room_for(&first) => admitted,
                    one = left_out.recv() => {
                        one.into_iter().for_each(|one| waiting.add(one));
                        continue;
                    }
                };
                waiting.remove(&first);
                let mut comes = std::pin::pin!(admitted.notified());
                comes.as_mut().enable();
                self.requeue(first.tag).await?;
                if tokio::time::timeout(REDELIVERY_DELAY, comes).await.is_err() {
                    self.bodies.reserve_nothing(channel);
                }
            }
        };
        tokio::select! {
            () = ended.wait() => (),
            Err(error) = asking => ended.end(super::error::describe(&error)),
        }
    }

    /// Waits for room for a body. A message that is not due yet leaves room for those that are,
    /// because it would only wait in memory.
    async fn room_for(&self, one: &SkippedBody) -> Arc<Notify> {
        let channel = self.channel.id();
        let early = one.due.saturating_duration_since(Instant::now()).saturating_sub(SOON);
        if !early.is_zero() {
            self.bodies.reserve_nothing(channel);
            if let Ok(admitted) =
                tokio::time::timeout(early, self.bodies.spare_room(channel, one.size)).await
            {
                return admitted;
            }
        }
        self.bodies.room(channel, one.size).await
    }

    /// Requeues a message, which puts it at the head of its queue.
    async fn requeue(&self, tag: u64) -> Result<(), lapin::Error> {
        self.channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await?;
        // Only after the nack was sent: before it, a cumulative ack of a later message would
        // include this one.
        locked(&self.book).set_aside(tag);
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_due_body_is_requested_first_and_events_in_order_of_arrival() {
        let mut waiting = Waiting::default();
        let start = Instant::now();
        let due = |second: u64| start + Duration::from_secs(second);
        for (tag, at) in [(1, 90), (2, 80), (3, 0), (4, 80), (5, 0)] {
            waiting.add(SkippedBody { tag, size: tag, due: due(at) });
        }
        let mut tags = Vec::new();
        while let Some(first) = waiting.first() {
            assert_eq!(first.size, first.tag);
            tags.push(first.tag);
            waiting.remove(&first);
        }
        assert_eq!(tags, [3, 5, 2, 4, 1]);
    }
}
