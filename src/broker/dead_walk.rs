//! Going once through a dead queue. Owns that looking leaves it as it was: every letter at its place, none held longer than the walk.
//!
//! A quorum queue takes back what a channel held when the channel closes, in the order in which it was handed out, and puts it before what was never handed
//! out, but behind what came back earlier and was not handed out again. So a walk takes *all* letters, even if only some are wanted: one that took a
//! part would put that part behind the rest. (Refusing them one by one, `basic.nack`, was seen to shuffle them.) One consumer is handed at most its prefetch, so
//! there is one after the other, each cancelled when it is full: a cancelled one keeps what it holds, and its acks bring nothing new. When the
//! channel closes, what they hold goes back in the order of their names.
//!
//! How large a letter is shows when it comes. So the connection is read on only while few bytes are in memory: what the
//! broker has sent meanwhile waits in the network.

use std::{pin::pin, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{
        BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::FieldTable,
};
use tokio::time::Instant;

use super::{
    BrokerError, declare,
    error::{while_connecting, while_declaring},
    frame_guard::Bodies,
};

/// So many letters are asked for first, to learn how large they are.
const FIRST: u16 = 256;

/// About so many bytes of letters are on their way to us at a time.
const BYTES: u64 = 16 * 1024 * 1024;

/// While bodies of so many bytes are in memory no other comes. So it is these, and the rest of one letter, at the most.
const IN_MEMORY: u64 = 4 * 1024 * 1024;

/// What a letter takes up besides its body.
const OVERHEAD: u64 = 1024;

/// A queue that has letters and hands out none for this long has no more to hand out: others hold them.
const QUIET: Duration = Duration::from_secs(5);

/// Somebody else who goes through the queue is waited for, but not for longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// That others are waited for is said when it takes longer than this.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// What was held is waited for when it is given back, but not for longer than this: somebody without manners may have taken it meanwhile.
const RETURN_MAX: Duration = Duration::from_secs(30);

/// How often it is asked whether they are done.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Who began at the same moment and was second waits this long: the broker logs each refusal.
const SECOND: Duration = Duration::from_millis(200);

/// The connection of a walk.
#[derive(Clone, Copy)]
pub(super) struct Connected<'a> {
    pub(super) connection: &'a Connection,
    /// What is in memory of the bodies that come through it.
    pub(super) bodies: &'a Bodies,
    /// Where the broker is.
    pub(super) at: &'a str,
}

/// A walk through one dead queue. When it is dropped without an end, the letters return all the same, some of them behind the rest.
pub(super) struct Walk<'a> {
    /// On which letters are handed over, and acked.
    pub(super) channel: Channel,
    connected: Connected<'a>,
    queue: &'a str,
    lock: &'a str,
    /// How many letters lay there at the beginning; what comes later is left for the next walk.
    ready: u64,
    taken: u64,
    bytes: u64,
    consumers: u32,
    portion: Option<Portion>,
    /// How many bytes of bodies were handed on and not released.
    held: u64,
    /// Somebody else holds what is left.
    quiet: bool,
}

/// What one consumer is handed.
struct Portion {
    letters: lapin::Consumer,
    name: String,
    /// How many are still to come.
    left: u64,
}

impl<'a> Walk<'a> {
    /// Begins a walk, once nobody else is on one: `lock` is the exclusive queue of whoever is; `waiting` is told if that takes long. Two at a time would each see a part, and put it behind the other's.
    pub(super) async fn begin(
        connected: Connected<'a>,
        queue: &'a str,
        lock: &'a str,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Self, BrokerError> {
        let (began, mut said) = (Instant::now(), false);
        loop {
            match claim(connected, queue, lock, began.elapsed() < PATIENCE).await? {
                Claim::Ready(ready) => return Self::of(connected, queue, lock, ready).await,
                Claim::Taken(ask_again) => tokio::time::sleep(ask_again).await,
            }
            if !said && began.elapsed() > SAY_AFTER {
                said = true;
                waiting();
            }
        }
    }

    /// The same, but whoever else is on a walk, or consumes the queue, is left alone.
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

    async fn of(connected: Connected<'a>, queue: &'a str, lock: &'a str, ready: u32) -> Result<Self, BrokerError> {
        let Connected { connection, bodies, at } = connected;
        let channel = declare::open(connection, at).await?;
        bodies.read_on_below(channel.id(), IN_MEMORY);
        let (taken, bytes, held, consumers, portion, quiet) = (0, 0, 0, 0, None, false);
        Ok(Self { channel, connected, queue, lock, ready: ready.into(), taken, bytes, held, consumers, portion, quiet })
    }

    /// Asks for the next letters, at most so many; answers whether there are any. [`Walk::next`] gives them.
    pub(super) async fn ask(&mut self, max: u16) -> Result<bool, BrokerError> {
        let left = self.ready - self.taken;
        if left == 0 || self.quiet {
            return Ok(false);
        }
        let prefetch = self.prefetch().min(max);
        let name = format!("roomcast-dead-{:06}", self.consumers);
        self.consumers += 1;
        let lost = |error: lapin::Error| while_connecting(self.connected.at, &error);
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(lost)?;
        let consuming = BasicConsumeOptions::default();
        let consumer =
            self.channel.basic_consume(self.queue.into(), name.as_str().into(), consuming, FieldTable::default());
        let letters = consumer
            .await
            .map_err(|error| while_declaring(self.connected.at, &format!("queue {}", self.queue), &error))?;
        self.portion = Some(Portion { letters, name, left: left.min(prefetch.into()) });
        Ok(true)
    }

    /// The next of the letters that were asked for; nothing after the last of them: acks bring nothing new then. Whoever
    /// has it [releases](Self::release) its body before others can come.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let Some(portion) = &mut self.portion else { return Ok(None) };
        if portion.left > 0 {
            portion.left -= 1;
            let Connected { bodies, .. } = self.connected;
            let next = loop {
                match tokio::time::timeout(QUIET, portion.letters.next()).await {
                    // A large one is on its way.
                    Err(_) if bodies.in_memory(self.channel.id()) > self.held => (),
                    next => break next,
                }
            };
            match next {
                Ok(Some(letter)) => {
                    let letter = letter.map_err(|error| while_connecting(self.connected.at, &error))?;
                    self.taken += 1;
                    self.held += size(&letter);
                    self.bytes += OVERHEAD + size(&letter);
                    return Ok(Some(letter));
                }
                Ok(None) => {
                    let why = format!("it cancelled the consumer of {}: was the queue deleted?", self.queue);
                    return Err(BrokerError::Unreachable { at: self.connected.at.to_owned(), why });
                }
                Err(_) => self.quiet = true,
            }
        }
        self.cancel().await.map(|()| None)
    }

    /// Ends a portion. A letter that comes now was given up as held by others; its body is not to stop the answer.
    async fn cancel(&mut self) -> Result<(), BrokerError> {
        let Some(Portion { mut letters, name, .. }) = self.portion.take() else { return Ok(()) };
        let mut cancelled = pin!(self.channel.basic_cancel(name.as_str().into(), BasicCancelOptions::default()));
        loop {
            tokio::select! {
                biased;
                cancelled = &mut cancelled => return cancelled.map_err(|error| while_connecting(self.connected.at, &error)),
                Some(Ok(late)) = letters.next() => self.connected.bodies.release(self.channel.id(), size(&late)),
            }
        }
    }

    /// The body of a letter, of so many bytes, is in memory no more.
    pub(super) fn release(&mut self, size: u64) {
        self.held -= size;
        self.connected.bodies.release(self.channel.id(), size);
    }

    /// Takes what is left, so that everything returns to its place, and waits until it has; so many of what was taken were acked. Answers how many letters others held.
    pub(super) async fn end(mut self, acked: u64) -> Result<u64, BrokerError> {
        while self.portion.is_some() || self.ask(u16::MAX).await? {
            while let Some(letter) = self.next().await? {
                self.release(size(&letter));
            }
        }
        self.connected.bodies.forget(self.channel.id());
        close(&self.channel, self.connected.at).await?;
        self.returned(self.taken.saturating_sub(acked)).await?;
        let unlocking = declare::open(self.connected.connection, self.connected.at).await?;
        // A lock that is not ours stays as it is; the broker has closed the channel then.
        if unlocking.queue_delete(self.lock.into(), QueueDeleteOptions::default()).await.is_ok() {
            close(&unlocking, self.connected.at).await?;
        }
        Ok(self.ready - self.taken)
    }

    /// Waits until the broker has taken back what was held: it answers the close before, and whoever asked then would find fewer letters than there are.
    async fn returned(&self, held: u64) -> Result<(), BrokerError> {
        let began = Instant::now();
        while held > 0 && began.elapsed() < RETURN_MAX {
            let channel = declare::open(self.connected.connection, self.connected.at).await?;
            let (ready, consumers) = lengths(&channel, self.connected.at, self.queue).await?;
            close(&channel, self.connected.at).await?;
            if u64::from(ready) >= held || (ready > 0 && consumers == 0) {
                break;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        Ok(())
    }

    /// As many letters as have about [`BYTES`], if the next ones are like those before.
    fn prefetch(&self) -> u16 {
        let average = self.bytes.checked_div(self.taken);
        average.map_or(FIRST, |average| u16::try_from(BYTES / average.max(OVERHEAD)).unwrap_or(u16::MAX).max(1))
    }
}

/// How many bytes the body of a letter has.
pub(super) fn size(letter: &Delivery) -> u64 {
    u64::try_from(letter.data.len()).unwrap_or(u64::MAX)
}

/// Whether a queue is free to be gone through.
enum Claim {
    /// It is, and so many letters lie ready.
    Ready(u32),
    /// Somebody else is at it; it is worth asking again after this time.
    Taken(Duration),
}

/// Takes the lock, if nobody is at the queue; who is not `patient` goes ahead all the same.
async fn claim(
    Connected { connection, at, .. }: Connected<'_>,
    queue: &str,
    lock: &str,
    patient: bool,
) -> Result<Claim, BrokerError> {
    // Who is done is seen to be done when the broker has taken back what they held.
    if patient && depth(connection, at, queue).await?.1 > 0 {
        return Ok(Claim::Taken(ASK_AGAIN));
    }
    let locking = declare::open(connection, at).await?;
    match declare::lock(&locking, at, lock).await {
        Err(BrokerError::Locked { .. }) if patient => return Ok(Claim::Taken(SECOND)),
        // The broker has closed the channel. Who may not lock has to hope that nobody begins at the same moment.
        Err(BrokerError::Locked { .. } | BrokerError::Permission { .. }) => (),
        locked => locked.map(|()| close(&locking, at))?.await?,
    }
    let (ready, consumers) = depth(connection, at, queue).await?;
    Ok(if consumers == 0 || !patient { Claim::Ready(ready) } else { Claim::Taken(ASK_AGAIN) })
}

/// Waits until the broker has done everything that was asked for on a channel. (lapin cannot close a connection while a dropped channel still closes.)
pub(super) async fn close(channel: &Channel, at: &str) -> Result<(), BrokerError> {
    channel.close(200, "done".into()).await.map_err(|error| while_connecting(at, &error))
}

/// How many letters lie ready in a queue, and how many consumers it has.
///
/// A queue that is too busy to answer in time, because it takes a hundred thousand letters back, is said to have neither (RabbitMQ 3.10). So an empty
/// one is asked for a letter; if it has one, it goes back, and the queue is asked again.
pub(super) async fn depth(connection: &Connection, at: &str, queue: &str) -> Result<(u32, u32), BrokerError> {
    let failed = |error: lapin::Error| unanswered(at, queue, &error);
    loop {
        let channel = declare::open(connection, at).await?;
        let found = lengths(&channel, at, queue).await?;
        let busy = found == (0, 0)
            && channel.basic_get(queue.into(), BasicGetOptions::default()).await.map_err(failed)?.is_some();
        close(&channel, at).await?;
        if !busy {
            return Ok(found);
        }
    }
}

/// What a queue says of itself: how many letters lie ready, and how many consumers it has; neither if it is too busy to say.
async fn lengths(channel: &Channel, at: &str, queue: &str) -> Result<(u32, u32), BrokerError> {
    let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
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
