//! The hold of a whole platform, most of whose robots fail.
//!
//! Owns that during an outage one message at a time probes, whatever the number of robots. The
//! others wait for its answer.
//!
//! Not here: when a platform counts as failing (`breaker.rs`), and the hold of one robot
//! (`robot_queue/finish.rs`).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{BreakerPolicy, Hold};
use crate::domain::{HoldCause, Timestamp};

/// The robots are counted at most this often, because a count visits all of them.
const COUNT_EVERY: Duration = Duration::from_millis(250);

/// A message that probes is given up after this time, which is longer than an attempt takes.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// The robot whose message probed last waits this much longer, so that a robot that fails for a
/// reason of its own does not hold its platform.
const PROBE_TURN: Duration = Duration::from_secs(2);

/// The outage of one platform, if there is one. No other lock is taken under this one.
#[derive(Default)]
pub(super) struct Outage(Mutex<OutageState>);

#[derive(Default)]
struct OutageState {
    hold: Option<Hold>,
    /// When the message that probes got its permit.
    probe: Option<Timestamp>,
    /// When the robots were last counted.
    counted_at: Timestamp,
}

impl Outage {
    /// The hold of the platform.
    pub(super) fn hold(&self) -> Option<Hold> {
        self.state().hold
    }

    /// When a message may probe, or an earlier probe counts as lost; `None` if that is now, or if
    /// there is no outage. A message of the robot that probed last waits for others first.
    pub(super) fn opens_at(&self, now: Timestamp, probed_last: bool) -> Option<Timestamp> {
        let turn = if probed_last { PROBE_TURN } else { Duration::ZERO };
        self.state().opens_at(now, turn)
    }

    /// Whether a message may leave at `now`: there is no outage, or the message is its probe.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        if state.opens_at(now, Duration::ZERO).is_some() {
            return false;
        }
        if state.hold.is_some() {
            state.probe = Some(now);
        }
        true
    }

    /// Whether the robots may be counted now.
    pub(super) fn is_count_due(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let due = state.hold.is_none() && now.since(state.counted_at) >= COUNT_EVERY;
        if due {
            state.counted_at = now;
        }
        due
    }

    /// Begins the outage, if there is none. `record` runs under its lock.
    pub(super) fn begin(
        &self,
        since: Timestamp,
        now: Timestamp,
        policy: &BreakerPolicy,
        record: impl FnOnce(&Hold),
    ) -> Option<Hold> {
        let mut state = self.state();
        if state.hold.is_some() {
            return None;
        }
        let began = Hold::after(None, HoldCause::Failing, None, policy.bounds(), now);
        let began = Hold { since, ..began };
        state.hold = Some(began);
        record(&began);
        Some(began)
    }

    /// Lets the next message probe at `now`. Returns the hold before.
    pub(super) fn probe_at(&self, now: Timestamp) -> Option<Hold> {
        let mut state = self.state();
        let before = state.hold?;
        state.hold = Some(Hold { until: before.until.min(now), ..before });
        state.probe = None;
        Some(before)
    }

    /// The probe has ended without an answer. Returns whether there was one.
    pub(super) fn probe_ended(&self) -> bool {
        self.state().probe.take().is_some()
    }

    /// Lengthens the hold, because a probe has failed. Returns the longer one; `None` for an
    /// attempt that was in flight when the outage began. `record` runs under its lock.
    pub(super) fn probe_failed(
        &self,
        now: Timestamp,
        policy: &BreakerPolicy,
        record: impl FnOnce(&Hold),
    ) -> Option<Hold> {
        let mut state = self.state();
        let hold = state.hold.filter(|hold| hold.until <= now)?;
        let longer = Hold::after(Some(&hold), hold.cause, None, policy.bounds(), now);
        (state.hold, state.probe) = (Some(longer), None);
        record(&longer);
        Some(longer)
    }

    /// Calls `record` with the hold, if there is one, under its lock.
    pub(super) fn keep(&self, record: impl FnOnce(&Hold)) {
        self.state().hold.as_ref().inspect(|hold| record(hold));
    }

    /// Ends the outage. Returns its hold.
    pub(super) fn end(&self, record: impl FnOnce()) -> Option<Hold> {
        let mut state = self.state();
        let ended = state.hold.take()?;
        state.probe = None;
        record();
        Some(ended)
    }

    /// Restores an outage of an earlier process.
    pub(super) fn restore(&self, hold: Hold, now: Timestamp, policy: &BreakerPolicy) {
        self.state().hold = Some(hold.restored(policy.bounds(), now));
    }

    fn state(&self) -> MutexGuard<'_, OutageState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutageState {
    fn opens_at(&self, now: Timestamp, turn: Duration) -> Option<Timestamp> {
        let until = self.hold?.until.after(turn);
        if until > now {
            return Some(until);
        }
        self.probe.map(|probe| probe.after(PROBE_MAX)).filter(|lost| *lost > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Section as _;

    const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    #[test]
    fn an_outage_admits_one_probe_after_each_wait_and_the_waits_double() {
        let (outage, policy) = (Outage::default(), BreakerPolicy::by_default().unwrap());
        assert!(outage.admits(T0) && outage.admits(T0));
        assert!(outage.begin(T0, T0, &policy, |_| ()).is_some());
        assert!(outage.begin(T0, T0, &policy, |_| ()).is_none(), "it is the same outage");
        assert_eq!(outage.probe_failed(T0, &policy, |_| ()), None, "it left before");
        let probes = (0..3600_u64).filter(|second| {
            let now = T0.after(Duration::from_secs(*second));
            let first = outage.admits(now);
            assert!(!outage.admits(now), "only one message probes");
            first && outage.probe_failed(now, &policy, |_| ()).is_some()
        });
        let probes: Vec<_> = probes.take(8).collect();
        assert_eq!(probes, [10, 30, 70, 150, 310, 610, 910, 1210]);
        let ended = outage.end(|| ()).unwrap();
        assert_eq!((ended.since, ended.cause), (T0, HoldCause::Failing));
        assert!(outage.admits(T0) && outage.end(|| ()).is_none());
    }

    #[test]
    fn the_others_wait_for_the_answer_to_the_probe_and_one_that_is_lost_is_followed_by_another() {
        let (outage, policy) = (Outage::default(), BreakerPolicy::by_default().unwrap());
        let at = |second| T0.after(Duration::from_secs(second));
        let _ = outage.begin(T0, T0, &policy, |_| ());
        let opens_at = |second| outage.opens_at(at(second), false);
        assert_eq!((opens_at(9), opens_at(10)), (Some(at(10)), None));
        assert_eq!(outage.opens_at(at(10), true), Some(at(12)), "another robot comes first");
        assert!(outage.admits(at(10)));
        assert_eq!(opens_at(11), Some(at(70)), "the probe may be lost");
        assert!(!outage.admits(at(69)) && outage.admits(at(70)));
        assert!(outage.probe_ended() && outage.admits(at(71)), "it returned its permit");
        assert!(outage.probe_failed(at(71), &policy, |_| ()).is_some());
        assert_eq!((outage.probe_ended(), opens_at(71)), (false, Some(at(91))));
        assert!(!outage.admits(at(72)) && outage.probe_at(at(72)).is_some());
        assert!(outage.admits(at(72)), "an operator asked for it");
    }
}
