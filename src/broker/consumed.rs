//! One consumer's messages: what is acked of them, and which bodies of theirs are in memory. Owns that a message whose
//! body was left out for want of room comes again when there is room.

use std::{
    collections::HashMap,
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
use tokio::sync::mpsc;

use super::{
    acks::AckBook,
    frame_guard::{Bodies, LEFT_OUT},
    session::Ended,
};

/// A message that was given back comes again at once. One that does not has expired, or was deleted.
const COMES_AGAIN: Duration = Duration::from_secs(5);

/// A message that came without its body.
pub(super) struct LeftOut {
    tag: u64,
    size: u64,
}

/// The messages of one consumer.
pub(super) struct Consumed {
    channel: Channel,
    book: Mutex<AckBook>,
    bodies: Arc<Bodies>,
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
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<LeftOut>) {
        bodies.give_room(channel.id(), room);
        // As many as the broker hands over unacked.
        let (left_out, waiting) = mpsc::unbounded_channel();
        let (book, sizes) = (Mutex::new(AckBook::new()), Mutex::default());
        (Arc::new(Self { channel, book, bodies, sizes, left_out }), waiting)
    }

    /// A message has come; whether with its body. One without comes again.
    pub(super) fn came(&self, delivery: &Delivery) -> bool {
        let tag = delivery.delivery_tag;
        let headers = delivery.properties.headers().as_ref();
        let says = match headers.and_then(|table| table.inner().get(LEFT_OUT)) {
            Some(AMQPValue::LongString(says)) => self.bodies.size_left_out(&says.to_string()),
            _ => None,
        };
        if let Some(size) = says {
            // Nothing waits for it any longer if the session has ended.
            let _ = self.left_out.send(LeftOut { tag, size });
            return false;
        }
        let size = u64::try_from(delivery.data.len()).unwrap_or(u64::MAX);
        locked(&self.sizes).insert(tag, size);
        true
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
            while let Some(LeftOut { tag, size }) = left_out.recv().await {
                let admitted = self.bodies.room(channel, size).await;
                let mut comes = std::pin::pin!(admitted.notified());
                comes.as_mut().enable();
                self.give_back(tag).await?;
                if tokio::time::timeout(COMES_AGAIN, comes).await.is_err() {
                    self.bodies.reserve_nothing(channel);
                }
            }
            Ok::<_, lapin::Error>(())
        };
        tokio::select! {
            () = ended.wait() => (),
            Err(error) = asking => ended.end(super::error::words(&error)),
        }
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
