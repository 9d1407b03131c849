//! The last snapshots of the daemon, and the rates between them. Pure.
//!
//! Owns how a rate is computed, and when a connection counts as lost.
//!
//! Not here: fetching the snapshots (`requests.rs`, `state.rs`).

use std::collections::{BTreeMap, VecDeque};

use crate::{
    admin::wire::{GroupView, Overview, PlatformFlow, RobotView},
    domain::{RobotId, StoredReason, VerdictKind},
};

/// Rates are averages over this many milliseconds: long enough to be
/// steady, short enough to be current.
const SPAN_MS: u64 = 10_000;

/// One snapshot. `robots` and `groups` are fetched only for views that need them.
pub(super) struct Pulse {
    pub(super) overview: Overview,
    pub(super) robots: Option<Vec<RobotView>>,
    pub(super) groups: Option<Vec<GroupView>>,
}

/// What the daemon has sent.
#[derive(Default)]
pub(super) struct LiveData {
    samples: VecDeque<Overview>,
    robots: Option<Vec<RobotView>>,
    groups: Option<Vec<GroupView>>,
    updated_at: Option<u64>,
    lost: Option<String>,
}

/// Rates for one second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) events: f64,
    pub(super) urgent: f64,
    pub(super) unheard: f64,
    pub(super) undecodable: f64,
    /// In the order of the overview; for each platform: delivered, deferred, retried, dead.
    pub(super) platforms: Vec<[f64; 4]>,
    /// By verdict.
    pub(super) attempts: Vec<(VerdictKind, f64)>,
}

impl LiveData {
    /// Stores a snapshot. `now` is the time of this machine in milliseconds since 1970.
    pub(super) fn apply(&mut self, pulse: Pulse, now: u64) {
        self.lost = None;
        self.updated_at = Some(now);
        if self.samples.back().is_some_and(|last| last.since != pulse.overview.since) {
            // The daemon was restarted, so its counters begin at zero again.
            self.samples.clear();
        }
        let begin = pulse.overview.at.saturating_sub(SPAN_MS);
        self.samples.retain(|sample| sample.at >= begin);
        self.samples.push_back(pulse.overview);
        self.robots = pulse.robots.or(self.robots.take());
        self.groups = pulse.groups.or(self.groups.take());
    }

    /// A request for a snapshot failed.
    pub(super) fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// Why the last request failed, if it did.
    pub(super) fn why_lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// The age of the last snapshot in seconds, if it is too old.
    pub(super) fn silent_for(&self, now: u64, every_ms: u64) -> Option<u64> {
        let silence = now.saturating_sub(self.updated_at?);
        (self.lost.is_some() || silence > every_ms + 3000).then_some(silence / 1000)
    }

    pub(super) fn overview(&self) -> Option<&Overview> {
        self.samples.back()
    }

    /// Robots that are busy or held, the busiest first; `None` before they were fetched.
    pub(super) fn robots(&self) -> Option<&[RobotView]> {
        self.robots.as_deref()
    }

    pub(super) fn groups(&self) -> Option<&[GroupView]> {
        self.groups.as_deref()
    }

    /// A robot's state, if it is busy or held.
    pub(super) fn robot(&self, id: RobotId) -> Option<&RobotView> {
        let few =
            self.overview().map(|overview| overview.robots.slowest.as_slice()).unwrap_or_default();
        self.robots().unwrap_or(few).iter().find(|robot| robot.robot == id)
    }

    /// The rates; `None` before there are two snapshots to compare.
    pub(super) fn rates(&self) -> Option<Rates> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let millis = last.at.checked_sub(first.at).filter(|millis| *millis > 0)?;
        let per_second =
            |first: u64, last: u64| last.saturating_sub(first) as f64 * 1000.0 / millis as f64;
        let both = first.platforms.iter().zip(&last.platforms);
        let platforms = both.clone().map(|(first, last)| {
            [
                per_second(first.done, last.done),
                per_second(first.deferred, last.deferred),
                per_second(first.retried, last.retried),
                per_second(first.dead, last.dead),
            ]
        });
        let attempts = attempts(last).into_iter().zip(attempts(first));
        Some(Rates {
            events: per_second(first.events, last.events),
            urgent: per_second(first.events_urgent, last.events_urgent),
            unheard: per_second(first.events_unheard, last.events_unheard),
            undecodable: per_second(first.events_undecodable, last.events_undecodable),
            platforms: platforms.collect(),
            attempts: attempts
                .map(|((verdict, last), (_, first))| (verdict, per_second(first, last)))
                .collect(),
        })
    }
}

/// Attempts on all platforms, by verdict.
pub(super) fn attempts(overview: &Overview) -> Vec<(VerdictKind, u64)> {
    summed(overview, |flow| &flow.attempts)
}

/// Dead letters of all platforms, by reason.
pub(super) fn reasons(overview: &Overview) -> Vec<(StoredReason, u64)> {
    summed(overview, |flow| &flow.reasons)
}

fn summed<K: Clone + Ord>(
    overview: &Overview,
    of: impl Fn(&PlatformFlow) -> &BTreeMap<K, u64>,
) -> Vec<(K, u64)> {
    let mut sums = BTreeMap::new();
    for (key, count) in overview.platforms.iter().flat_map(of) {
        *sums.entry(key.clone()).or_insert(0) += count;
    }
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::fixtures;

    fn pulse(at: u64, events: u64) -> Pulse {
        Pulse {
            overview: Overview { at, events, ..fixtures::overview() },
            robots: None,
            groups: None,
        }
    }

    #[test]
    fn a_rate_needs_two_looks_and_is_that_of_the_last_ten_seconds() {
        let mut live = LiveData::default();
        live.apply(pulse(100_000, 50), 0);
        assert_eq!(live.rates(), None);
        live.apply(pulse(102_000, 60), 0);
        assert!((live.rates().unwrap().events - 5.0).abs() < 1e-9);
        live.apply(pulse(112_000, 60), 0);
        assert!(live.rates().unwrap().events.abs() < 1e-9, "the look at 100 s is too old");
    }

    #[test]
    fn a_daemon_that_began_anew_counts_anew() {
        let mut live = LiveData::default();
        live.apply(pulse(100_000, 50), 0);
        let mut other = pulse(101_000, 1);
        other.overview.since += 1;
        live.apply(other, 0);
        assert_eq!(live.rates(), None);
    }

    #[test]
    fn silence_is_said_when_it_is_longer_than_an_answer_may_take() {
        let mut live = LiveData::default();
        assert_eq!(live.silent_for(1_000_000, 1000), None, "nothing was asked yet");
        live.apply(pulse(100_000, 50), 10_000);
        assert_eq!(live.silent_for(13_900, 1000), None);
        assert_eq!(live.silent_for(15_000, 1000), Some(5));
        live.lost("gone".to_owned());
        assert_eq!(live.silent_for(11_000, 1000), Some(1));
        live.apply(pulse(112_000, 50), 12_000);
        assert_eq!((live.silent_for(12_000, 1000), live.why_lost()), (None, None));
    }
}
