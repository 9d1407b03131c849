//! The last known content of the dead queues, for snapshots and as metrics.
//!
//! Owns that a queue of unknown content is absent from both.
//!
//! Not here: how dead letters are counted (`broker/dead_count.rs`).

use std::sync::{Mutex, PoisonError, atomic::AtomicU64};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::DeadLabels;
use crate::domain::{DeadQueueStats, DeadReason, every};

/// The label of events that could not be read, in place of a platform.
const EVENT: &str = "event";

/// The label of the reasons of other versions, because labels come from a closed set.
const UNKNOWN: &str = "unknown";

/// The last counts, and their metrics.
#[derive(Default)]
pub(super) struct DeadLetters {
    seen: Mutex<Vec<DeadQueueStats>>,
    present: Family<DeadLabels, Gauge>,
    oldest: Family<DeadLabels, Gauge<f64, AtomicU64>>,
}

impl DeadLetters {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "dead_letters_present",
            "Letters in the dead queues, by reason",
            self.present.clone(),
        );
        to.register(
            "dead_letters_oldest_timestamp_seconds",
            "When the oldest letter in the dead queues was given up, by reason",
            self.oldest.clone(),
        );
    }

    /// Takes over these counts. A queue that is missing from them is not shown.
    pub(super) fn see(&self, queues: &[DeadQueueStats]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let gone =
            seen.iter().any(|known| queues.iter().all(|queue| queue.platform != known.platform));
        if gone {
            self.present.clear();
            self.oldest.clear();
        }
        for queue in queues {
            self.show(queue);
        }
        queues.clone_into(&mut seen);
    }

    /// The last counts. A queue of unknown content is missing.
    pub(super) fn last(&self) -> Vec<DeadQueueStats> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, queue: &DeadQueueStats) {
        let platform = queue.platform.map_or(EVENT, |platform| platform.as_str());
        for reason in every::<DeadReason>().map(Some).chain([None]) {
            let counts = || queue.counts.iter().filter(|count| count.reason.known() == reason);
            let of = DeadLabels { platform, reason: reason.map_or(UNKNOWN, DeadReason::as_str) };
            let letters = counts().map(|count| count.letters).sum::<u64>();
            self.present.get_or_create(&of).set(i64::try_from(letters).unwrap_or(i64::MAX));
            match counts().filter_map(|count| count.oldest).min() {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "milliseconds since 1970 are far below 2^52"
                )]
                Some(oldest) => {
                    self.oldest.get_or_create(&of).set(oldest.unix_millis() as f64 / 1000.0);
                }
                None => drop(self.oldest.remove(&of)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Platform, StoredReason, Timestamp},
        telemetry::{Telemetry, events::DeadLettersCounted},
    };

    #[test]
    fn letters_in_the_dead_queues_are_shown_by_reason_and_an_uncounted_queue_is_not() {
        let (telemetry, now) = (Telemetry::new(), Timestamp::from_unix_millis(90_000));
        let shown = |name: &str| {
            let text = telemetry.render();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("roomcast_dead_letters_{name} ")));
            line.map(str::to_owned)
        };
        let gone = "{platform=\"wecom\",reason=\"robot_gone\"}";
        assert_eq!(shown(&format!("present{gone}")), None, "nothing was counted yet");
        let (mut wecom, mut event) =
            (DeadQueueStats::empty(Some(Platform::WeCom), now), DeadQueueStats::empty(None, now));
        wecom.add(DeadReason::RobotGone.into(), Some(Timestamp::from_unix_millis(12_500)));
        event.add(DeadReason::Undecodable.into(), None);
        event.add(StoredReason::Unknown("haunted".to_owned()), None);
        event.add(StoredReason::Unknown("cursed".to_owned()), None);
        DeadLettersCounted { queues: &[wecom.clone(), event] }.emit(&telemetry);
        assert_eq!(shown(&format!("present{gone}")).as_deref(), Some("1"));
        assert_eq!(shown(&format!("oldest_timestamp_seconds{gone}")).as_deref(), Some("12.5"));
        assert_eq!(shown("present{platform=\"wecom\",reason=\"expired\"}").as_deref(), Some("0"));
        assert_eq!(
            shown("present{platform=\"event\",reason=\"undecodable\"}").as_deref(),
            Some("1")
        );
        assert_eq!(
            shown("present{platform=\"event\",reason=\"unknown\"}").as_deref(),
            Some("2"),
            "reasons of other versions have one label"
        );
        assert_eq!(telemetry.dead_letters().len(), 2);
        DeadLettersCounted { queues: &[DeadQueueStats::empty(Some(Platform::WeCom), now)] }
            .emit(&telemetry);
        assert_eq!(shown(&format!("present{gone}")).as_deref(), Some("0"));
        assert_eq!(shown(&format!("oldest_timestamp_seconds{gone}")), None);
        assert_eq!(
            shown("present{platform=\"event\",reason=\"undecodable\"}"),
            None,
            "it is not known any more"
        );
    }
}
