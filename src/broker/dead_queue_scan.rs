//! One walk through a dead queue.
//!
//! When a channel closes, a quorum queue takes back its unacked messages in order. It puts them
//! before the messages that were never delivered, but behind those that came back earlier. So a
//! walk takes *all* letters: one that took a part would put that part behind the rest.
//! (`basic.nack` of single letters was seen to shuffle them.)
//!
//! A consumer receives at most its prefetch, so there is one after the other, each cancelled when
//! it is full. A cancelled consumer keeps its letters, and their acks bring no new ones. When the
//! channel closes, the letters return in the order of the consumers' names.
//!
//! The size of a letter is known only when it arrives. So the connection is read only while few
//! bytes are in memory; the rest waits in the network.
//!
//! Owns the promise that a walk leaves each remaining letter at its place, and holds none
//! afterwards.
//!
//! Not here: the action on letters (`dead_letter_action.rs`), when a queue is counted
//! (`dead_count.rs`).

use std::{pin::pin, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{
        BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};
use tokio::time::Instant;

use super::{
    BrokerError, declare,
    error::{while_connecting, while_declaring},
    frame_guard::BodyBudget,
};

/// The first prefetch, which shows how large the letters are.
const FIRST: u16 = 256;

/// The maximum size of the letters on the way at a time, in bytes, as an estimate.
const BYTES: u64 = 16 * 1024 * 1024;

/// The size of bodies in memory at which the connection is not read further, in bytes. The maximum
/// is this plus the rest of one letter.
const IN_MEMORY: u64 = 4 * 1024 * 1024;

/// The size of a letter without its body, in bytes, as an estimate.
const OVERHEAD: u64 = 1024;

/// The time without a letter after which the remaining letters count as held by other consumers.
const QUIET: Duration = Duration::from_secs(5);

/// The maximum wait for another walk through the queue.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The wait after which the caller is notified of it.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// The maximum wait for the return of the letters. Another consumer may have taken them meanwhile.
const RETURN_MAX: Duration = Duration::from_secs(30);

/// The interval between two checks of the queue.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The wait after a refused lock. It is long, because the broker logs each refusal.
const SECOND: Duration = Duration::from_millis(200);

/// The connection of a walk.
#[derive(Clone, Copy)]
pub(super) struct Connected<'a> {
    pub(super) connection: &'a Connection,
    /// The room for the bodies on this connection.
    pub(super) bodies: &'a BodyBudget,
    /// Host and port.
    pub(super) at: &'a str,
}

/// A walk through one dead queue. If it is dropped before its end, the letters return too, but some
/// of them behind the rest.
pub(super) struct DeadQueueScan<'a> {
    /// The channel on which letters are received and acked.
    pub(super) channel: Channel,
    connected: Connected<'a>,
    queue: &'a str,
    lock: &'a str,
    /// The number of ready letters at the beginning. Later ones are left to the next walk.
    ready: u64,
    taken: u64,
    bytes: u64,
    consumers: u32,
    portion: Option<Portion>,
    /// The size of the received bodies that are not released, in bytes.
    held: u64,
    /// Other consumers hold the remaining letters.
    held_elsewhere: bool,
}

/// The letters of one consumer.
struct Portion {
    letters: lapin::Consumer,
    name: String,
    /// The number of letters still to come.
    left: u64,
}

impl<'a> DeadQueueScan<'a> {
    /// Begins a walk once no other one runs. Two walks at a time would each see a part, and put it
    /// behind the part of the other.
    ///
    /// `lock` is the exclusive queue of the walk that runs. `waiting` is called if the wait is
    /// long.
    pub(super) async fn begin(
        connected: Connected<'a>,
        queue: &'a str,
        lock: &'a str,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Self, BrokerError> {
        let (began, mut said) = (Instant::now(), false);
        loop {
            match claim(connected, queue, lock, began.elapsed() < LOCK_TIMEOUT).await? {
                Claim::Ready(ready) => return Self::of(connected, queue, lock, ready).await,
                Claim::Taken(ask_again) => tokio::time::sleep(ask_again).await,
            }
            if !said && began.elapsed() > SAY_AFTER {
                said = true;
                waiting();
            }
        }
    }

    /// The same without a wait: `None` if another walk runs or the queue has a consumer.
    pub(super) async fn begin_if_free(
        connected: Connected<'a>,
        queue: &'a str,
        lock: &'a str,
    ) -> Result<Option<Self>, BrokerError> {
        match claim(connected, queue, lock, true).await? {
            Claim::Ready(ready) => Self::of(connected, queue, lock, ready).await.map(Some),
            Claim::Taken(_) => Ok(None),
        }
    }

    async fn of(
        connected: Connected<'a>,
        queue: &'a str,
        lock: &'a str,
        ready: u32,
    ) -> Result<Self, BrokerError> {
        let Connected { connection, bodies, at } = connected;
        let channel = declare::open(connection, at).await?;
        bodies.read_on_below(channel.id(), IN_MEMORY);
        let (taken, bytes, held, consumers, portion, held_elsewhere) = (0, 0, 0, 0, None, false);
        Ok(Self {
            channel,
            connected,
            queue,
            lock,
            ready: ready.into(),
            taken,
            bytes,
            held,
            consumers,
            portion,
            held_elsewhere,
        })
    }

    /// Requests the next letters, at most `max`; returns whether there are any.
    /// [`DeadQueueScan::next`] receives them.
    pub(super) async fn fetch(&mut self, max: u16) -> Result<bool, BrokerError> {
        let left = self.ready - self.taken;
        if left == 0 || self.held_elsewhere {
            return Ok(false);
        }
        let prefetch = self.prefetch().min(max);
        let name = format!("roomcast-dead-{:06}", self.consumers);
        self.consumers += 1;
        let lost = |error: lapin::Error| while_connecting(self.connected.at, &error);
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(lost)?;
        let consuming = BasicConsumeOptions::default();
        let consumer = self.channel.basic_consume(
            self.queue.into(),
            name.as_str().into(),
            consuming,
            FieldTable::default(),
        );
        let letters = consumer.await.map_err(|error| {
            while_declaring(self.connected.at, &format!("queue {}", self.queue), &error)
        })?;
        self.portion = Some(Portion { letters, name, left: left.min(prefetch.into()) });
        Ok(true)
    }

    /// The next requested letter, or `None` after the last one; then acks bring no further letters.
    /// The caller must [release](Self::release) its body, because the next letters wait for that.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let Some(portion) = &mut self.portion else { return Ok(None) };
        if portion.left > 0 {
            portion.left -= 1;
            let Connected { bodies, .. } = self.connected;
            let next = loop {
                match tokio::time::timeout(QUIET, portion.letters.next()).await {
                    // A large letter is still arriving.
                    Err(_) if bodies.in_memory(self.channel.id()) > self.held => (),
                    next => break next,
                }
            };
            match next {
                Ok(Some(letter)) => {
                    let letter =
                        letter.map_err(|error| while_connecting(self.connected.at, &error))?;
                    self.taken += 1;
                    self.held += size(&letter);
                    self.bytes += OVERHEAD + size(&letter);
                    return Ok(Some(letter));
                }
                Ok(None) => {
                    let why = format!(
                        "it cancelled the consumer of {}: was the queue deleted?",
                        self.queue
                    );
                    return Err(BrokerError::Unreachable { at: self.connected.at.to_owned(), why });
                }
                Err(_) => self.held_elsewhere = true,
            }
        }
        self.cancel().await.map(|()| None)
    }

    /// Cancels the consumer. A letter that arrives now counted as held by others, and its body must
    /// not block the answer.
    async fn cancel(&mut self) -> Result<(), BrokerError> {
        let Some(Portion { mut letters, name, .. }) = self.portion.take() else { return Ok(()) };
        let mut cancelled =
            pin!(self.channel.basic_cancel(name.as_str().into(), BasicCancelOptions::default()));
        loop {
            tokio::select! {
                biased;
                cancelled = &mut cancelled => {
                    return cancelled.map_err(|error| while_connecting(self.connected.at, &error));
                }
                Some(Ok(late)) = letters.next() => {
                    self.connected.bodies.release(self.channel.id(), size(&late));
                }
            }
        }
    }

    /// Releases the room of a letter's body of `size` bytes.
    pub(super) fn release(&mut self, size: u64) {
        self.held -= size;
        self.connected.bodies.release(self.channel.id(), size);
    }

    /// Takes the remaining letters, so that each returns to its place, and waits until they are
    /// back.
    ///
    /// `acked` is the number of acked letters. Returns the number of letters that other consumers
    /// held.
    pub(super) async fn end(mut self, acked: u64) -> Result<u64, BrokerError> {
        while self.portion.is_some() || self.fetch(u16::MAX).await? {
            while let Some(letter) = self.next().await? {
                self.release(size(&letter));
            }
        }
        self.connected.bodies.forget(self.channel.id());
        close(&self.channel, self.connected.at).await?;
        self.returned(self.taken.saturating_sub(acked)).await?;
        let unlocking = declare::open(self.connected.connection, self.connected.at).await?;
        // The lock of another walk stays; the broker has closed the channel then.
        if unlocking.queue_delete(self.lock.into(), QueueDeleteOptions::default()).await.is_ok() {
            close(&unlocking, self.connected.at).await?;
        }
        Ok(self.ready - self.taken)
    }

    /// Waits until the letters are back in the queue. The broker answers the close earlier, and
    /// until then the queue looks shorter than it is.
    async fn returned(&self, held: u64) -> Result<(), BrokerError> {
        let began = Instant::now();
        while held > 0 && began.elapsed() < RETURN_MAX {
            let channel = declare::open(self.connected.connection, self.connected.at).await?;
            let (ready, consumers) = lengths(&channel, self.connected.at, self.queue).await?;
            close(&channel, self.connected.at).await?;
            if u64::from(ready) >= held || (ready > 0 && consumers == 0) {
                break;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        Ok(())
    }

    /// The number of letters with about [`BYTES`] bytes, estimated from the letters so far.
    fn prefetch(&self) -> u16 {
        let average = self.bytes.checked_div(self.taken);
        average.map_or(FIRST, |average| {
            u16::try_from(BYTES / average.max(OVERHEAD)).unwrap_or(u16::MAX).max(1)
        })
    }
}

/// The size of a letter's body, in bytes.
pub(super) fn size(letter: &Delivery) -> u64 {
    u64::try_from(letter.data.len()).unwrap_or(u64::MAX)
}

/// Whether a walk may begin.
enum Claim {
    /// It may; the number of ready letters.
    Ready(u32),
    /// Another walk or consumer uses the queue; the time until the next check.
    Taken(Duration),
}

/// Takes the lock if no other walk or consumer uses the queue. Without `patient` the walk begins
/// anyway.
async fn claim(
    Connected { connection, at, .. }: Connected<'_>,
    queue: &str,
    lock: &str,
    patient: bool,
) -> Result<Claim, BrokerError> {
    // Another walk is over only when the broker has taken its letters back.
    if patient && depth(connection, at, queue).await?.1 > 0 {
        return Ok(Claim::Taken(RETRY_INTERVAL));
    }
    let locking = declare::open(connection, at).await?;
    match declare::lock(&locking, at, lock).await {
        Err(BrokerError::Locked { .. }) if patient => return Ok(Claim::Taken(SECOND)),
        // The broker has closed the channel. Without the permission to lock, two walks may begin at
        // once.
        Err(BrokerError::Locked { .. } | BrokerError::Permission { .. }) => (),
        locked => locked.map(|()| close(&locking, at))?.await?,
    }
    let (ready, consumers) = depth(connection, at, queue).await?;
    Ok(if consumers == 0 || !patient { Claim::Ready(ready) } else { Claim::Taken(RETRY_INTERVAL) })
}

/// Closes a channel and waits until the broker has processed all its frames. (lapin cannot close a
/// connection while a dropped channel is closing.)
pub(super) async fn close(channel: &Channel, at: &str) -> Result<(), BrokerError> {
    channel.close(200, "done".into()).await.map_err(|error| while_connecting(at, &error))
}

/// The numbers of ready letters and of consumers of a queue.
///
/// RabbitMQ 3.10 reports zero for both if the queue is too busy to answer, as after the return of a
/// hundred thousand letters. So an empty queue is asked for a letter. If it has one, the letter
/// goes back, and the queue is asked again.
pub(super) async fn depth(
    connection: &Connection,
    at: &str,
    queue: &str,
) -> Result<(u32, u32), BrokerError> {
    let failed = |error: lapin::Error| unanswered(at, queue, &error);
    loop {
        let channel = declare::open(connection, at).await?;
        let found = lengths(&channel, at, queue).await?;
        let busy = found == (0, 0)
            && channel
                .basic_get(queue.into(), BasicGetOptions::default())
                .await
                .map_err(failed)?
                .is_some();
        close(&channel, at).await?;
        if !busy {
            return Ok(found);
        }
    }
}

/// The numbers of ready letters and of consumers as reported; both zero if the queue is too busy.
async fn lengths(channel: &Channel, at: &str, queue: &str) -> Result<(u32, u32), BrokerError> {
    let passive =
        QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
    let found = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
    let found = found.map_err(|error| unanswered(at, queue, &error))?;
    Ok((found.message_count(), found.consumer_count()))
}

fn unanswered(at: &str, queue: &str, error: &lapin::Error) -> BrokerError {
    match while_declaring(at, &format!("queue {queue}"), error) {
        BrokerError::Missing { .. } => BrokerError::NoDeadQueue { queue: queue.to_owned() },
        other => other,
    }
}
