//! The lane of one robot: whose turn it is. Decisions only; waiting is done by the room's door.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{Ask, PlatformQuota, WindowQuota, window::Window};
use crate::domain::{Platform, RobotId, Verdict};

/// How soon who waits for the outcome of a probe looks again.
const PROBE_PATIENCE: Duration = Duration::from_millis(250);

/// What a delivery is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Leave now; a permit is taken.
    Go,
    /// Wait in memory and ask again then.
    Wait(Instant),
    /// Leave memory and come back then.
    Later(Instant),
}

/// What a robot is doing, for people who watch.
#[derive(Clone, Debug)]
pub struct RobotStatus {
    /// Which robot.
    pub robot: RobotId,
    /// The platform it lives on.
    pub platform: Platform,
    /// How much of its longest window is used.
    pub used: u32,
    /// How many attempts are in the air.
    pub in_flight: u32,
    /// How many deliveries have a turn in the future.
    pub waiting: usize,
    /// How long until the last of them can leave; zero if none waits.
    pub drained_in: Duration,
    /// How much longer it is held after a refusal for speed.
    pub held_for: Option<Duration>,
}

pub(super) struct Lane {
    platform: Platform,
    window: Window,
    penalty_min: Duration,
    penalty_max: Duration,
    /// Turns given to deliveries that had to wait, ascending. They spread what waits over the slots in which it can leave;
    /// that no window is exceeded does not depend on them.
    booked: VecDeque<Instant>,
    held_until: Option<Instant>,
    /// How long the last hold was; doubles with every refusal, ends with a success.
    penalty: Duration,
    /// After a hold one message tries alone whether the platform listens again.
    probing: bool,
}

impl Lane {
    pub(super) fn new(platform: Platform, quota: Option<&PlatformQuota>) -> Self {
        let (windows, margin) = quota.map(|quota| (quota.windows.clone(), quota.margin)).unwrap_or_default();
        Self {
            platform,
            window: Window::new(windows, margin),
            penalty_min: quota.map_or(Duration::from_secs(60), |quota| quota.penalty_min),
            penalty_max: quota.map_or(Duration::from_secs(600), |quota| quota.penalty_max),
            booked: VecDeque::new(),
            held_until: None,
            penalty: Duration::ZERO,
            probing: false,
        }
    }

    /// Decides about one delivery. Who has not waited yet does not overtake who has, unless it is urgent.
    pub(super) fn ask(&mut self, now: Instant, ask: &Ask, hold_max: Duration) -> Decision {
        self.forget(now);
        let held = self.held_until.is_some_and(|until| until > now);
        let in_turn = ask.urgent || ask.returned || self.booked.is_empty();
        let probe_out = self.probing && self.window.in_flight() > 0;
        if !held && in_turn && !probe_out && self.window.take(now) {
            return Decision::Go;
        }
        let at = if in_turn && !held && !probe_out {
            // It is its turn, only the window is closed: wait for the exact moment, without booking behind others.
            match self.window.free_at(now) {
                Some(at) if at.duration_since(now) <= hold_max => return Decision::Wait(at),
                _ => self.book(now),
            }
        } else if probe_out {
            self.book(now).max(now + PROBE_PATIENCE)
        } else {
            self.book(now)
        };
        if at.duration_since(now) <= hold_max { Decision::Wait(at) } else { Decision::Later(at) }
    }

    /// Takes the permit back; says how long the robot is held if the platform refused for speed.
    pub(super) fn finish(&mut self, now: Instant, outcome: Option<Verdict>) -> Option<Duration> {
        self.window.finish(now);
        match outcome {
            Some(Verdict::Throttled { wait }) => Some(self.hold(now, wait)),
            // Whatever else the platform said, it was not that we are too fast.
            Some(Verdict::Delivered | Verdict::Refused | Verdict::RobotGone | Verdict::Security) => {
                self.penalty = Duration::ZERO;
                self.probing = false;
                None
            }
            Some(Verdict::TryAgain { .. }) | None => None,
        }
    }

    pub(super) fn give_back(&mut self) {
        self.window.give_back();
    }

    pub(super) fn charge(&mut self, at: Instant) {
        self.window.charge(at);
    }

    pub(super) fn release(&mut self) -> bool {
        self.probing = false;
        self.penalty = Duration::ZERO;
        self.held_until.take().is_some()
    }

    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.forget(now);
        let _ = self.window.free_at(now);
        self.window.used() == 0
            && self.booked.is_empty()
            && self.held_until.is_none_or(|until| until <= now)
            && !self.probing
    }

    pub(super) fn status(&self, robot: RobotId, now: Instant) -> RobotStatus {
        RobotStatus {
            robot,
            platform: self.platform,
            used: self.window.used(),
            in_flight: self.window.in_flight(),
            waiting: self.booked.len(),
            drained_in: self.booked.back().map_or(Duration::ZERO, |last| last.saturating_duration_since(now)),
            held_for: self.held_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero()),
        }
    }

    /// Holds the robot: as long as the platform says, else twice as long as the last time. Answers that were in the air when
    /// the hold began do not lengthen it.
    fn hold(&mut self, now: Instant, wait: Option<Duration>) -> Duration {
        if let Some(until) = self.held_until.filter(|until| *until > now) {
            return until - now;
        }
        let doubled = self.penalty.saturating_mul(2).clamp(self.penalty_min, self.penalty_max);
        self.penalty = doubled;
        let wait = wait.unwrap_or(doubled);
        self.held_until = Some(now + wait);
        self.probing = true;
        // Turns that were given before the hold are void: the deliveries come back, find the hold, and book anew.
        self.booked.clear();
        wait
    }

    /// Gives the next free turn.
    fn book(&mut self, now: Instant) -> Instant {
        let mut at = self.window.slot_after(now, &self.booked);
        if let Some(until) = self.held_until {
            at = at.max(until);
        }
        if let Some(last) = self.booked.back() {
            at = at.max(*last);
        }
        if self.window.quotas().is_empty() && self.held_until.is_none() {
            at = now;
        }
        self.booked.push_back(at);
        at
    }

    fn forget(&mut self, now: Instant) {
        while self.booked.front().is_some_and(|at| *at <= now) {
            self.booked.pop_front();
        }
    }
}

/// The longest window of a quota, for those who need one number.
impl PlatformQuota {
    /// The longest of the windows, if there is one.
    #[must_use]
    pub fn longest(&self) -> Option<WindowQuota> {
        self.windows.iter().max_by_key(|window| window.span).copied()
    }
}
