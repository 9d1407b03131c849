//! The log of received requests, and counters.
//!
//! Owns both; the counters remain even if requests are not logged.
//!
//! Not here: how a request becomes an entry (`reception.rs`).

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::message::Mentions;
use crate::platform::Platform;

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The platform accepted the message.
    Accepted,
    /// The platform refused the message.
    Refused,
    /// An injected fault kept the message from the platform.
    Fault,
}

impl Outcome {
    /// The name in the control interface.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }
}

/// One request to a platform.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Received {
    /// Its number in the order of arrival.
    pub(crate) seq: u64,
    /// The time of arrival, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// The platform.
    pub(crate) platform: Platform,
    /// The robot's token.
    pub(crate) token: String,
    /// The declared message type.
    pub(crate) msgtype: String,
    /// The title, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// The text that a chat member reads.
    pub(crate) text: String,
    /// Its mentions.
    pub(crate) mentions: Mentions,
    /// Its end.
    pub(crate) outcome: Outcome,
    /// The platform's code, or the kind of fault.
    pub(crate) code: String,
    /// Whether the chat showed its id before, so it was not shown again.
    pub(crate) duplicate: bool,
    /// Its id, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) msg_uuid: Option<String>,
    /// Whether it had a signature.
    pub(crate) signed: bool,
    /// The parsed body, or null if it is not JSON.
    pub(crate) body: Value,
}

/// The number of requests by their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Accepted messages, without repeats.
    pub(crate) accepted: u64,
    /// Messages refused.
    pub(crate) refused: u64,
    /// Requests that a fault kept from the platform.
    pub(crate) fault: u64,
    /// Accepted messages that were not shown, because their id was shown before.
    pub(crate) duplicate: u64,
    /// Messages refused because of the quota; `refused` includes them.
    pub(crate) throttled: u64,
}

impl Counts {
    /// Counts one request.
    pub(crate) fn add(&mut self, outcome: Outcome, duplicate: bool, throttled: bool) {
        match outcome {
            Outcome::Accepted if duplicate => self.duplicate += 1,
            Outcome::Accepted => self.accepted += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Fault => self.fault += 1,
        }
        self.throttled += u64::from(throttled);
    }
}

/// The log, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The counters.
    pub(crate) counts: Counts,
    entries: Vec<Arc<Received>>,
    last: u64,
}

impl Log {
    /// Appends an entry and numbers it.
    pub(crate) fn push(&mut self, mut entry: Received) {
        self.last += 1;
        entry.seq = self.last;
        self.entries.push(Arc::new(entry));
    }

    /// The entries so far. The list is copied, so that the caller does not hold the lock.
    pub(crate) fn entries(&self) -> Vec<Arc<Received>> {
        self.entries.clone()
    }

    /// Removes all entries and counters. Numbers keep increasing.
    pub(crate) fn clear(&mut self) {
        self.counts = Counts::default();
        self.entries = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_is_not_among_the_accepted_and_a_throttled_one_is_among_the_refused() {
        let mut counts = Counts::default();
        counts.add(Outcome::Accepted, false, false);
        counts.add(Outcome::Accepted, true, false);
        counts.add(Outcome::Refused, false, true);
        counts.add(Outcome::Refused, false, false);
        counts.add(Outcome::Fault, false, false);
        let expected = Counts { accepted: 1, refused: 2, fault: 1, duplicate: 1, throttled: 1 };
        assert_eq!(counts, expected);
    }
}
