//! One consumer's messages: what is acked of them, and which bodies of theirs are in memory. Owns that a message whose
//! body was left out for want of room comes again when there is room, those first that are due first.

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
use tokio::sync::{Notify, mpsc};

use super::{
    acks::AckBook,
    frame_guard::{Bodies, LEFT_OUT},
    session::Ended,
};
use crate::{clock::Clock, domain::Moment};

/// A message that was given back comes again at once. One that does not has expired, or was deleted.
const COMES_AGAIN: Duration = Duration::from_secs(5);

/// One that is due within this time is asked for as if it were due.
const SOON: Duration = Duration::from_secs(2);

/// A message that came without its body.
pub(super) struct LeftOut {
    pub(super) tag: u64,
    /// In bytes.
    pub(super) size: u64,
    /// Before when it is of no use.
    pub(super) due: Moment,
}

/// What waits for its body: the earliest due first, then as they came.
#[derive(Default)]
struct Waiting(BTreeMap<(Moment, u64), u64>);

impl Waiting {
    fn add(&mut self, LeftOut { tag, size, due }: LeftOut) {
        self.0.insert((due, tag), size);
    }

    fn first(&self) -> Option<LeftOut> {
        self.0.first_key_value().map(|(&(due, tag), &size)| LeftOut { tag, size, due })
    }

    fn remove(&mut self, LeftOut { tag, due, .. }: &LeftOut) {
        self.0.remove(&(*due, *tag));
    }
}

/// The messages of one consumer.
pub(super) struct Consumed {
    channel: Channel,
    book: Mutex<AckBook>,
    bodies: Arc<Bodies>,
    clock: Clock,
    /// How many bytes the bodies in memory have, by delivery tag.
    sizes: Mutex<HashMap<u64, u64>>,
    left_out: mpsc::UnboundedSender<LeftOut>,
}

impl Consumed {
    /// Nothing was consumed yet. Bodies of `room` bytes may be in memory at a time.
    pub(super) fn new(
        channel: Channel,
        bodies: Arc<Bodies>,
        room: u64,
        clock: Clock,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<LeftOut>) {
        bodies.give_room(channel.id(), room);
        // As many as the broker hands over unacked.
        let (left_out, waiting) = mpsc::unbounded_channel();
        let (book, sizes) = (Mutex::new(AckBook::new()), Mutex::default());
        (Arc::new(Self { channel, book, bodies, clock, sizes, left_out }), waiting)
    }

    /// A message has come. Answers how many bytes its body has if it came without; then it is to be asked for again.
    pub(super) fn came(&self, delivery: &Delivery) -> Option<u64> {
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

    /// Lets a message come again that came without its body.
    pub(super) fn ask_for(&self, left_out: LeftOut) {
        // Nothing waits for it any longer if the session has ended.
        let _ = self.left_out.send(left_out);
    }

    /// Acks messages that are in memory no more.
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
        let sent = frames.map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        try_join_all(sent).await.map(|_| ())
    }

    /// Asks for what was left out, one after the other, as there is room.
    pub(super) async fn ask_again(self: Arc<Self>, mut left_out: mpsc::UnboundedReceiver<LeftOut>, ended: Ended) {
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
                self.give_back(first.tag).await?;
                if tokio::time::timeout(COMES_AGAIN, comes).await.is_err() {
                    self.bodies.reserve_nothing(channel);
                }
            }
        };
        tokio::select! {
            () = ended.wait() => (),
            Err(error) = asking => ended.end(super::error::words(&error)),
        }
    }

    /// Waits for room for a body. One that is not due yet takes no room that one that is due may need: it would only
    /// wait in memory.
    async fn room_for(&self, one: &LeftOut) -> Arc<Notify> {
        let channel = self.channel.id();
        let early = one.due.since(self.clock.now()).saturating_sub(SOON);
        if !early.is_zero() {
            self.bodies.reserve_nothing(channel);
            if let Ok(admitted) = tokio::time::timeout(early, self.bodies.spare_room(channel, one.size)).await {
                return admitted;
            }
        }
        self.bodies.room(channel, one.size).await
    }

    /// Gives a message back to its queue, at whose head it lies then.
    async fn give_back(&self, tag: u64) -> Result<(), lapin::Error> {
        self.channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await?;
        // Not before it is sent: an ack for a later message would ack this one too.
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
    fn what_is_due_first_is_asked_for_first_and_events_as_they_came() {
        let mut waiting = Waiting::default();
        let due = |second: u64| Moment::from_unix_millis(second * 1000);
        for (tag, at) in [(1, 90), (2, 80), (3, 0), (4, 80), (5, 0)] {
            waiting.add(LeftOut { tag, size: tag, due: due(at) });
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
