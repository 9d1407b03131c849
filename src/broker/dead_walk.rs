//! Going once through a dead queue. Owns that looking leaves it as it was: every letter at its place, none held longer than the walk.
//!
//! A quorum queue takes back what a channel held when the channel closes, in the order in which it was handed out, and puts it before what was never handed
//! out, but behind what came back earlier and was not handed out again. So a walk takes *all* letters, even if only some are wanted: one that took a
//! part would put that part behind the rest. (Refusing them one by one, `basic.nack`, was seen to shuffle them.) One consumer is handed at most its prefetch, so
//! there is one after the other, each cancelled when it is full: a cancelled one keeps what it holds, and its acks bring nothing new. When the
//! channel closes, what they hold goes back in the order of their names.

use std::time::Duration;

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
};

/// So many letters are asked for first, to learn how large they are.
const FIRST: u16 = 256;

/// About so many bytes of letters are on their way to us at a time.
const BYTES: u64 = 16 * 1024 * 1024;

/// What a letter takes up besides its body.
const OVERHEAD: u64 = 1024;

/// A queue that has letters and hands out none for this long has no more to hand out: others hold them.
const QUIET: Duration = Duration::from_secs(5);

/// Somebody else who goes through the queue is waited for, but not for longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// That others are waited for is said when it takes longer than this.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// What was held is waited for when it is given back, but not for longer than this: somebody without manners may have taken it meanwhile.
const RETURN_MAX: Duration = Duration::from_secs(10);

/// How often it is asked whether they are done.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Who began at the same moment and was second waits this long: the broker logs each refusal.
const SECOND: Duration = Duration::from_millis(200);

/// A walk through one dead queue. When it is dropped without an end, the letters return all the same, some of them behind the rest.
pub(super) struct Walk<'a> {
    /// On which letters are handed over, and acked.
    pub(super) channel: Channel,
    queue: &'a str,
    lock: &'a str,
    at: &'a str,
    /// How many letters lay there at the beginning; what comes later is left for the next walk.
    ready: u64,
    taken: u64,
    bytes: u64,
    consumers: u32,
    /// Somebody else holds what is left.
    quiet: bool,
}

impl<'a> Walk<'a> {
    /// Begins a walk, once nobody else is on one: `lock` is the exclusive queue of whoever is; `waiting` is told if that takes long. Two at a time would each see a part, and put it behind the other's.
    pub(super) async fn begin(
        connection: &Connection,
        at: &'a str,
        queue: &'a str,
        lock: &'a str,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Self, BrokerError> {
        let (began, mut said) = (Instant::now(), false);
        loop {
            match claim(connection, at, queue, lock, began.elapsed() < PATIENCE).await? {
                Claim::Ready(ready) => return Self::of(connection, at, queue, lock, ready).await,
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
        connection: &Connection,
        at: &'a str,
        queue: &'a str,
        lock: &'a str,
    ) -> Result<Option<Self>, BrokerError> {
        match claim(connection, at, queue, lock, true).await? {
            Claim::Ready(ready) => Self::of(connection, at, queue, lock, ready).await.map(Some),
            Claim::Taken(_) => Ok(None),
        }
    }

    async fn of(
        connection: &Connection,
        at: &'a str,
        queue: &'a str,
        lock: &'a str,
        ready: u32,
    ) -> Result<Self, BrokerError> {
        let channel = declare::open(connection, at).await?;
        Ok(Self { channel, queue, lock, at, ready: ready.into(), taken: 0, bytes: 0, consumers: 0, quiet: false })
    }

    /// Takes the next letters, some megabytes of them; answers whether there were any.
    pub(super) async fn fill(&mut self, mut each: impl FnMut(Delivery)) -> Result<bool, BrokerError> {
        let lost = |error: lapin::Error| while_connecting(self.at, &error);
        let left = self.ready - self.taken;
        if left == 0 || self.quiet {
            return Ok(false);
        }
        let prefetch = self.prefetch();
        let name = format!("roomcast-dead-{:06}", self.consumers);
        self.consumers += 1;
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(lost)?;
        let consuming = BasicConsumeOptions::default();
        let consumer =
            self.channel.basic_consume(self.queue.into(), name.as_str().into(), consuming, FieldTable::default());
        let mut letters =
            consumer.await.map_err(|error| while_declaring(self.at, &format!("queue {}", self.queue), &error))?;
        for _ in 0..left.min(prefetch.into()) {
            let Ok(next) = tokio::time::timeout(QUIET, letters.next()).await else {
                self.quiet = true;
                break;
            };
            let Some(next) = next else {
                let why = format!("it cancelled the consumer of {}: was the queue deleted?", self.queue);
                return Err(BrokerError::Unreachable { at: self.at.to_owned(), why });
            };
            let letter = next.map_err(lost)?;
            self.taken += 1;
            self.bytes += OVERHEAD + u64::try_from(letter.data.len()).unwrap_or(u64::MAX);
            each(letter);
        }
        self.channel.basic_cancel(name.as_str().into(), BasicCancelOptions::default()).await.map_err(lost)?;
        Ok(true)
    }

    /// Takes what is left, so that everything returns to its place, and waits until it has; so many of what was taken were acked. Answers how many letters others held.
    pub(super) async fn end(mut self, connection: &Connection, acked: u64) -> Result<u64, BrokerError> {
        while self.fill(drop).await? {}
        close(&self.channel, self.at).await?;
        self.returned(connection, self.taken.saturating_sub(acked)).await?;
        let unlocking = declare::open(connection, self.at).await?;
        // A lock that is not ours stays as it is; the broker has closed the channel then.
        if unlocking.queue_delete(self.lock.into(), QueueDeleteOptions::default()).await.is_ok() {
            close(&unlocking, self.at).await?;
        }
        Ok(self.ready - self.taken)
    }

    /// Waits until the broker has taken back what was held: it answers the close before, and whoever asked then would find fewer letters than there are.
    async fn returned(&self, connection: &Connection, held: u64) -> Result<(), BrokerError> {
        let began = Instant::now();
        while held > 0 && began.elapsed() < RETURN_MAX {
            let channel = declare::open(connection, self.at).await?;
            let (ready, consumers) = lengths(&channel, self.at, self.queue).await?;
            close(&channel, self.at).await?;
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

/// Whether a queue is free to be gone through.
enum Claim {
    /// It is, and so many letters lie ready.
    Ready(u32),
    /// Somebody else is at it; it is worth asking again after this time.
    Taken(Duration),
}

/// Takes the lock, if nobody is at the queue; who is not `patient` goes ahead all the same.
async fn claim(
    connection: &Connection,
    at: &str,
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
