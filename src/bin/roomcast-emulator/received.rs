//! Owns the log of what was received, and the counters that remain when nothing is logged.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::message::Mentions;
use crate::platform::Platform;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The platform took the message.
    Accepted,
    /// The platform said no.
    Refused,
    /// An injected fault kept the message from the platform.
    Fault,
}

impl Outcome {
    /// The name used in the control interface.
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
    /// Its place in the order of arrival.
    pub(crate) seq: u64,
    /// When it came, in milliseconds of Unix time.
    pub(crate) at_ms: i64,
    /// Where it went.
    pub(crate) platform: Platform,
    /// The robot's token.
    pub(crate) token: String,
    /// The message type it claims.
    pub(crate) msgtype: String,
    /// The title, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// What a chat member would read.
    pub(crate) text: String,
    /// Whom it calls.
    pub(crate) mentions: Mentions,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The platform's code, or the kind of fault.
    pub(crate) code: String,
    /// Whether its id was shown before, so that it was not shown again.
    pub(crate) duplicate: bool,
    /// Its id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) msg_uuid: Option<String>,
    /// Whether it carried a signature.
    pub(crate) signed: bool,
    /// The parsed body, or null when it was not JSON.
    pub(crate) body: Value,
}

/// How many requests came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Messages taken, without repeated ones.
    pub(crate) accepted: u64,
    /// Messages refused.
    pub(crate) refused: u64,
    /// Requests kept away by a fault.
    pub(crate) fault: u64,
    /// Messages taken and not shown, because their id was shown before.
    pub(crate) duplicate: u64,
    /// Messages refused because of the quota; they are among the refused ones, too.
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

/// The log in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The counters.
    pub(crate) counts: Counts,
    entries: Vec<Arc<Received>>,
    last: u64,
}

impl Log {
    /// Appends an entry, giving it its place.
    pub(crate) fn push(&mut self, mut entry: Received) {
        self.last += 1;
        entry.seq = self.last;
        self.entries.push(Arc::new(entry));
    }

    /// The entries so far. The list is copied so that the caller can work without the lock.
    pub(crate) fn entries(&self) -> Vec<Arc<Received>> {
        self.entries.clone()
    }

    /// Forgets entries and counters; places keep rising.
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
