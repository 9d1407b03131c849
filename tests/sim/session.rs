//! One session with the broker's double: consuming, confirms, and its end.
//!
//! Owns the faults of confirms.
//!
//! Not here: the queues (`broker.rs`).

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use roomcast::{
    broker::{Message, SessionEnd},
    domain::SubscriptionId,
    settle::{AckTag, NextStep, SessionEnded, StepPublishError, StepPublisher},
};
use tokio::sync::Notify;

use crate::{
    broker::{Broker, RECORDED_WITHIN, name_of, name_of_receipt},
    dice::Seed,
    faults::{Faults, StepEnd, Storing},
    time::{Micros, SECOND, Time},
};

/// The longest wait for a confirm, equal to `broker.confirm_timeout`.
const CONFIRM_TIMEOUT: Micros = 30 * SECOND;

#[derive(Clone)]
pub struct Session {
    pub broker: Arc<Mutex<Broker>>,
    pub id: u64,
    pub ended: SessionEnd,
    pub time: Time,
    pub seed: Seed,
    pub faults: Arc<Faults>,
    wake: Arc<Notify>,
}

impl Session {
    pub fn open(broker: &Arc<Mutex<Broker>>, time: Time, seed: Seed, faults: &Arc<Faults>) -> Self {
        let id = broker.lock().unwrap().open_session();
        Self {
            broker: Arc::clone(broker),
            id,
            ended: SessionEnd::default(),
            time,
            seed,
            faults: Arc::clone(faults),
            wake: Arc::default(),
        }
    }

    /// The next message; `None` after the end of the session.
    pub async fn next(&self) -> Option<Message> {
        loop {
            if self.ended.has_ended() {
                return None;
            }
            let due = {
                let mut broker = self.broker.lock().unwrap();
                if let Some(message) = broker.take(self.time.now()) {
                    return Some(message);
                }
                broker.due()
            };
            tokio::select! {
                biased;
                () = self.ended.wait() => return None,
                () = self.wake.notified() => (),
                () = self.time.sleep_until(due), if due < Micros::MAX => (),
            }
        }
    }

    fn fate(&self, step: &NextStep) -> Storing {
        let (one, two) = match step {
            NextStep::Defer { delivery, .. } | NextStep::DeadDelivery { delivery, .. } => {
                let (event, subscription) = name_of(delivery);
                let id = subscription.as_bytes();
                (
                    u64::from(event) | self.id << 32,
                    u64::from(id[15]) << 40 | u64::from(id[14]) << 48 | u64::from(delivery.hops),
                )
            }
            NextStep::DeadEvent { .. } => (self.time.now(), 0),
            NextStep::Receipt(receipt) => {
                let (event, subscription) = name_of_receipt(receipt);
                let id = subscription.map_or([0; 16], |id| *id.as_bytes());
                (
                    u64::from(event) | self.id << 32,
                    u64::from(id[15]) << 40 | u64::from(id[14]) << 48 | 1 << 32,
                )
            }
        };
        // A step that was refused is tried again at another time.
        let now = self.time.now();
        self.faults.storing(self.seed.dice("store", one, two ^ now << 16), now)
    }
}

#[async_trait]
impl StepPublisher for Session {
    async fn store(&self, step: Arc<NextStep>) -> Result<(), StepPublishError> {
        let over = || StepPublishError::SessionOver(self.ended.cause());
        if self.ended.has_ended() {
            return Err(over());
        }
        let (began, fate) = (self.time.now(), self.fate(&step));
        let mut unknown = None;
        let receipt = match &*step {
            NextStep::Receipt(receipt) => Some(name_of_receipt(receipt)),
            _ => None,
        };
        if fate.end == StepEnd::Stored {
            let mut broker = self.broker.lock().unwrap();
            broker.settle(began);
            broker.store(&step, began);
            unknown = Unknown::of(&self.broker, &step);
            self.wake.notify_one();
        }
        tokio::select! {
            biased;
            () = self.ended.wait() => return Err(over()),
            () = self.time.sleep_until(began + fate.known_in.unwrap_or(CONFIRM_TIMEOUT)) => (),
        }
        match fate {
            // Receipts have a connection of their own: no failure of a receipt ends the session.
            Storing { end, known_in }
                if receipt.is_some() && !(end == StepEnd::Stored && known_in.is_some()) =>
            {
                self.broker.lock().unwrap().receipts_refused.extend(receipt);
                Err(StepPublishError::Refused("it is full".to_owned()))
            }
            Storing { known_in: None, .. } => {
                self.ended.end("no confirm within 30 s".to_owned());
                Err(over())
            }
            Storing { end: StepEnd::Stored, .. } => {
                unknown.into_iter().for_each(|unknown| unknown.end(self.time.now()));
                Ok(())
            }
            Storing { end: StepEnd::Refused, .. } => {
                Err(StepPublishError::Refused("it is full".to_owned()))
            }
            Storing { end: StepEnd::Lost, .. } => {
                self.ended.end("a message was routed to no queue".to_owned());
                Err(over())
            }
        }
    }

    async fn acknowledge(&self, ack_tags: &[AckTag]) -> Result<(), SessionEnded> {
        if self.ended.has_ended() || ack_tags.iter().any(|ack_tag| ack_tag.session != self.id) {
            return Err(SessionEnded);
        }
        self.broker.lock().unwrap().ack(ack_tags, self.time.now());
        self.wake.notify_one();
        Ok(())
    }
}

/// A stored step whose sender has no confirm yet. If it never gets one, the step is repeated, and
/// the broker records that.
struct Unknown {
    broker: Arc<Mutex<Broker>>,
    name: (u32, SubscriptionId),
    told: bool,
}

impl Unknown {
    fn of(broker: &Arc<Mutex<Broker>>, step: &NextStep) -> Option<Self> {
        match step {
            NextStep::Defer { delivery, .. } | NextStep::DeadDelivery { delivery, .. } => {
                Some(Self { broker: Arc::clone(broker), name: name_of(delivery), told: false })
            }
            NextStep::DeadEvent { .. } | NextStep::Receipt(_) => None,
        }
    }
}

impl Unknown {
    fn end(mut self, now: Micros) {
        self.told = true;
        let mut broker = self.broker.lock().unwrap();
        broker.told.push_back((now, self.name));
        while broker.told.front().is_some_and(|(at, _)| at + RECORDED_WITHIN < now) {
            broker.told.pop_front();
        }
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        if !self.told {
            self.broker.lock().unwrap().stored_unknown.insert(self.name);
        }
    }
}
