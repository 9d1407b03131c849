//! The pacer: when a delivery may be sent, by the robot's windows, the monthly quota, the host's
//! rate and the limit in flight.
//!
//! It decides and waits. It never sends, and never reads a message's content.
//!
//! Owns the promise that no robot gets more messages in any window than its platform allows.
//!
//! Not here: the attempt (`send/`), and the store of the pacer's records (`store/journal.rs`).

mod ask;
mod group;
mod hold;
mod host;
mod inner;
mod lane;
mod notebook;
mod permit;
mod plan;
mod quota;
mod recall;
mod status;
mod timeline;
mod window;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use self::{
    group::Allowance,
    host::{Departure, HostWait},
    inner::Inner,
    lane::{Admission, Key, Limits, Look, Seat, Told},
};
use crate::domain::{Moment, Platform, RobotId};

pub use ask::{Ask, Folded, Later, Outcome, Place, Spoken, Turn};
pub use group::{AtEnd, GroupSettings, GroupStatus};
pub use hold::{Hold, HoldCause};
pub use notebook::{NotNoted, Note, Notebook};
pub use permit::{Changes, Permit};
pub use quota::{HealthPolicy, PlatformQuota, WindowQuota};
pub use status::{EndedHold, Outlook, RobotStatus, Swept};
pub use timeline::Timeline;

/// The limits of sending.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest wait of a new delivery in memory. A longer wait goes through the delay tiers.
    pub hold_max: Duration,
    /// The longest wait in memory of a delivery that comes back from the tiers before its slot.
    pub early_max: Duration,
    /// A robot's next message leaves after the answer to the one before, or this long after that
    /// one left, so that messages arrive in order. Zero switches this off.
    pub order_gap: Duration,
    /// The quota of each platform, in the order of [`Platform::ALL`].
    pub quotas: [PlatformQuota; 4],
    /// The host of each platform, in the same order. Platforms at one host share the smallest of
    /// their rates.
    pub hosts: [String; 4],
    /// The most attempts in flight, for each platform.
    pub in_flight_max: u32,
    /// When a robot that refuses for a reason other than speed is put on hold.
    pub health: HealthPolicy,
    /// The organisations with a monthly quota.
    pub groups: Vec<GroupSettings>,
}

/// The pacer of all robots of this process. Clones share its state.
#[derive(Clone)]
pub struct Pace(Arc<Inner>);

impl Pace {
    /// A pacer without any sent message, on the clock of `timeline`. It writes its records to
    /// `notebook`.
    #[must_use]
    pub fn new(settings: Settings, notebook: Arc<dyn Notebook>, timeline: Timeline) -> Self {
        Self(Arc::new(Inner::new(settings, notebook, timeline)))
    }

    /// Enqueues a delivery at its robot. Requests are served in the order of calls, so call it in
    /// the order in which deliveries arrived. [`Pace::turn`] waits for the decision. Never blocks.
    #[must_use]
    pub fn ask(&self, ask: &Ask<'_>) -> Asked {
        // A used-up month moves the slots of new deliveries behind its end, so that they come back
        // one after the other.
        let floor = match ask.group.map(|group| self.0.allowance(group, false)) {
            None | Some(Allowance::Open) => Moment::default(),
            Some(Allowance::Until(due)) => due,
            Some(Allowance::Dead) => return Asked { first: First::Turn(Turn::BudgetSpent), at: self.now() },
        };
        let limits = Limits { floor, expires: self.0.timeline.at_wall(ask.event.expires_at) };
        let (mut seat, mut at) = (None, Moment::default());
        let act = |lane: &mut lane::Lane, now, rules: &lane::Rules<'_>| {
            at = now;
            lane.admit(now, limits, ask, &mut seat, rules)
        };
        let admission = self.0.lane(ask.robot, ask.platform, act);
        let first = match (admission, seat) {
            (Admission::Go(place), _) => self.depart(ask, self.permit(ask, place), Vec::new()),
            (Admission::Wait(key), Some(seat)) => {
                First::Wait(Waiting { pace: Arc::clone(&self.0), robot: ask.robot, key }, seat)
            }
            (Admission::Later(later, booked), _) => First::Turn(self.later(ask, later, booked)),
            (Admission::Superseded, _) => First::Turn(Turn::Superseded),
            // `admit` sets the wake-up handle of every delivery that waits, so this case does not
            // occur.
            (Admission::Wait(_), None) => First::Turn(Turn::Left),
        };
        Asked { first, at }
    }

    /// Waits for the decision about an enqueued delivery, at most until `leave` is cancelled.
    ///
    /// Cancel safe: a delivery that stops waiting leaves nothing but an unused slot.
    pub async fn turn(&self, ask: &Ask<'_>, asked: Asked, leave: &CancellationToken) -> Turn {
        match asked.first {
            First::Wait(waiting, seat) => self.wait(ask, &waiting, &seat, leave).await,
            first => self.go(ask, first, leave).await,
        }
    }

    /// Defers an enqueued delivery for which there is no memory. It keeps its position.
    #[must_use]
    pub fn put_off(&self, ask: &Ask<'_>, asked: Asked) -> Asked {
        let wait = || self.0.host(ask.platform).put_off(&Inner::entry(ask));
        let turn = match asked.first {
            First::Go(permit, folded) | First::Leaving(permit, folded, _) => {
                self.comes_back(ask, permit, folded, wait())
            }
            First::Wait(waiting, seat) => match waiting.stand_up() {
                true => Turn::Later(self.postponed(ask, waiting.key.place(), wait())),
                false => told(&seat),
            },
            First::Turn(turn) => turn,
        };
        Asked { first: First::Turn(turn), at: asked.at }
    }

    async fn wait(&self, ask: &Ask<'_>, waiting: &Waiting, seat: &Seat, leave: &CancellationToken) -> Turn {
        let key = waiting.key;
        loop {
            let look = self.0.lane(ask.robot, ask.platform, |lane, now, rules| lane.look(now, key, rules));
            let until = match look {
                Look::Go(place, folded) => {
                    let first = self.depart(ask, self.permit(ask, place), folded);
                    return self.go(ask, first, leave).await;
                }
                Look::Later(later, booked) => return self.later(ask, later, booked),
                Look::Told => return told(seat),
                Look::Until(at) => Some(self.0.timeline.instant(at)),
                Look::Listen => None,
            };
            tokio::select! {
                biased;
                () = leave.cancelled() => return if waiting.stand_up() { Turn::Left } else { told(seat) },
                () = seat.call.notified() => (),
                () = sleep(until) => (),
            }
        }
    }

    /// Uses a permit of the robot's windows to ask for the monthly quota and the host. Both are
    /// asked in the order in which deliveries arrive here.
    fn depart(&self, ask: &Ask<'_>, mut permit: Permit, folded: Vec<Folded>) -> First {
        if let Some(turn) = self.out_of_budget(ask, permit.place()) {
            if let Turn::Later(later) = turn {
                tell_later(folded, later);
            }
            return First::Turn(turn);
        }
        permit.draws_on(ask.group.cloned());
        match self.0.host(ask.platform).enter(&Inner::entry(ask)) {
            Departure::Go(host) => First::Go(permit.departs(host), folded),
            Departure::Wait(wait) => First::Leaving(permit, folded, wait),
            Departure::Later(wait) => First::Turn(self.comes_back(ask, permit, folded, wait)),
        }
    }

    /// Waits for the host.
    async fn go(&self, ask: &Ask<'_>, first: First, leave: &CancellationToken) -> Turn {
        match first {
            First::Go(permit, folded) => Turn::Go(permit, folded),
            First::Leaving(permit, folded, wait) => match wait.turn(leave).await {
                Some(Departure::Go(host)) => Turn::Go(permit.departs(host), folded),
                Some(Departure::Later(wait)) => self.comes_back(ask, permit, folded, wait),
                Some(Departure::Wait(_)) | None => Turn::Left,
            },
            First::Turn(turn) => turn,
            // `turn` handles this case before.
            First::Wait(..) => Turn::Left,
        }
    }

    /// Defers a delivery for which the host has no token or concurrency permit, with the deliveries
    /// coalesced into it. Dropping `permit` returns it.
    fn comes_back(&self, ask: &Ask<'_>, permit: Permit, folded: Vec<Folded>, wait: Duration) -> Turn {
        let later = self.postponed(ask, permit.place(), wait);
        tell_later(folded, later);
        Turn::Later(later)
    }

    fn postponed(&self, ask: &Ask<'_>, place: Moment, wait: Duration) -> Later {
        self.0.lane(ask.robot, ask.platform, |lane, now, _| lane.put_off(now, (ask.place, place), now.after(wait)))
    }

    /// Defers a delivery. A reserved slot is recorded, so that the next process knows it.
    fn later(&self, ask: &Ask<'_>, later: Later, booked: Option<Moment>) -> Turn {
        if let Some(slot) = booked {
            self.0.note(&Note::Booked { robot: ask.robot, platform: ask.platform, slot });
        }
        Turn::Later(later)
    }

    /// Wraps a permit of the robot's windows. It is returned on drop.
    fn permit(&self, ask: &Ask<'_>, place: Moment) -> Permit {
        Permit::new(Arc::clone(&self.0), ask.robot, ask.platform, place)
    }

    /// Reserves a call of the monthly quota; `None` if that succeeds. Otherwise the delivery keeps
    /// its position.
    fn out_of_budget(&self, ask: &Ask<'_>, place: Moment) -> Option<Turn> {
        match self.0.allowance(ask.group?, true) {
            Allowance::Open => None,
            Allowance::Until(due) => Some(Turn::Later(Later { due, slot: Some(place) })),
            Allowance::Dead => Some(Turn::BudgetSpent),
        }
    }

    /// Counts a message that another process may have sent to this robot at `at`, if `at` is still
    /// within a window.
    pub fn charge(&self, robot: RobotId, platform: Platform, at: Moment) {
        if !self.still_matters(platform, at) {
            return;
        }
        self.0.lane(robot, platform, |lane, _, rules| lane.charge(at, rules));
    }

    /// Ends the hold of a robot. Deliveries in memory are woken; those in the broker come back at
    /// their due time.
    #[must_use]
    pub fn release(&self, robot: RobotId) -> Option<EndedHold> {
        self.0.release(robot)
    }

    /// Sets new limits. Reserved slots stay.
    pub fn configure(&self, settings: Settings) {
        self.0.configure(settings);
    }

    /// The pacer's time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.timeline.now()
    }

    /// The pacer's clock, and its relation to the wall clock.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.0.timeline
    }
}

fn tell_later(folded: Vec<Folded>, later: Later) {
    for one in folded {
        // If the receiver is gone, its message is redelivered by the broker.
        let _ = one.tell.send(Spoken::Later(later));
    }
}

fn told(seat: &Seat) -> Turn {
    match seat.told() {
        Some(Told::Spoken(hear)) => Turn::Spoken(hear),
        Some(Told::Superseded) => Turn::Superseded,
        None => Turn::Left,
    }
}

async fn sleep(until: Option<tokio::time::Instant>) {
    match until {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The state of an enqueued delivery. Dropping it leaves the queue.
pub struct Asked {
    first: First,
    at: Moment,
}

impl Asked {
    /// When it was enqueued, in the pacer's time.
    #[must_use]
    pub const fn at(&self) -> Moment {
        self.at
    }
}

enum First {
    /// It may be sent.
    Go(Permit, Vec<Folded>),
    /// It waits in its robot's queue.
    Wait(Waiting, Arc<Seat>),
    /// It has the robot's permit and waits for the host.
    Leaving(Permit, Vec<Folded>, HostWait),
    /// The decision is final.
    Turn(Turn),
}

/// A delivery that waits in memory. Dropping it leaves the queue.
struct Waiting {
    pace: Arc<Inner>,
    robot: RobotId,
    key: Key,
}

impl Waiting {
    fn stand_up(&self) -> bool {
        self.pace.with(self.robot, |lane, _, _| lane.stand_up(self.key)).unwrap_or(false)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.stand_up();
    }
}

#[cfg(test)]
mod tests;
