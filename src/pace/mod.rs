//! When a delivery may leave: the robot's window, the organisation's month, the host's rate, the
//! room in the air, and the turn of each.
//!
//! Owns the promise that a robot is never sent more than its platform allows in any window. It decides and waits; it never
//! sends, and it does not read what it is about.

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

/// What bounds sending.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What has just come waits up to this long in memory; a longer wait goes through the delay tiers.
    pub hold_max: Duration,
    /// What comes back from the tiers waits up to this long in memory for its slot.
    pub early_max: Duration,
    /// A robot's next message leaves when the one before it was answered, or this long after that left, so that they arrive in
    /// order. Zero means that they need not.
    pub order_gap: Duration,
    /// Each platform's quota, in the order of [`Platform::ALL`].
    pub quotas: [PlatformQuota; 4],
    /// At which host each platform is called, in the same order. Those at one host share its rate,
    /// which is the smallest of theirs.
    pub hosts: [String; 4],
    /// How many attempts of each platform may be in the air, at the most.
    pub in_flight_max: u32,
    /// When robots that refuse for a reason other than speed are left alone.
    pub health: HealthPolicy,
    /// The organisations that have a monthly quota.
    pub groups: Vec<GroupSettings>,
}

/// Paces every robot of this process. Clones are the same pace.
#[derive(Clone)]
pub struct Pace(Arc<Inner>);

impl Pace {
    /// A pace at which no robot has been sent anything yet, by the time of `timeline`. What has to survive the process is written into `notebook`.
    #[must_use]
    pub fn new(settings: Settings, notebook: Arc<dyn Notebook>, timeline: Timeline) -> Self {
        Self(Arc::new(Inner::new(settings, notebook, timeline)))
    }

    /// Takes a delivery's place in its robot's lane. Whoever asks first is first, so this is called in the order in which deliveries came;
    /// what it answers is brought to an end by [`Pace::turn`]. Never waits.
    #[must_use]
    pub fn ask(&self, ask: &Ask<'_>) -> Asked {
        // A used-up month moves the slots of what comes now behind its end, so that it comes back one after the other.
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
            // Who has to wait was given a seat.
            (Admission::Wait(_), None) => First::Turn(Turn::Left),
        };
        Asked { first, at }
    }

    /// Waits for the turn of a delivery that has asked, if it comes soon, and no longer than until `leave`.
    ///
    /// Cancel safe: a delivery that stops waiting leaves nothing behind but a slot that passes unused.
    pub async fn turn(&self, ask: &Ask<'_>, asked: Asked, leave: &CancellationToken) -> Turn {
        match asked.first {
            First::Wait(waiting, seat) => self.wait(ask, &waiting, &seat, leave).await,
            first => self.go(ask, first, leave).await,
        }
    }

    /// For a delivery that has asked, and for which there is no room in memory: it comes back, with
    /// its place.
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

    /// A permit of the robot's windows is taken; what is left is the organisation's month, and the
    /// host's rate and room, which are asked for in the order in which deliveries come here.
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
            // It has not come so far.
            First::Wait(..) => Turn::Left,
        }
    }

    /// The host has no time or room for a delivery: it comes back, with those that it speaks for.
    /// Its permit comes back by itself.
    fn comes_back(&self, ask: &Ask<'_>, permit: Permit, folded: Vec<Folded>, wait: Duration) -> Turn {
        let later = self.postponed(ask, permit.place(), wait);
        tell_later(folded, later);
        Turn::Later(later)
    }

    fn postponed(&self, ask: &Ask<'_>, place: Moment, wait: Duration) -> Later {
        self.0.lane(ask.robot, ask.platform, |lane, now, _| lane.put_off(now, (ask.place, place), now.after(wait)))
    }

    /// A delivery leaves memory; a slot that was booked for it is known to the next process as well.
    fn later(&self, ask: &Ask<'_>, later: Later, booked: Option<Moment>) -> Turn {
        if let Some(slot) = booked {
            self.0.note(&Note::Booked { robot: ask.robot, platform: ask.platform, slot });
        }
        Turn::Later(later)
    }

    /// For a permit that was taken of the robot's windows. It comes back by itself, however this ends.
    fn permit(&self, ask: &Ask<'_>, place: Moment) -> Permit {
        Permit::new(Arc::clone(&self.0), ask.robot, ask.platform, place)
    }

    /// Takes a call out of the organisation's allowance; nothing if it is given. Who does not get one keeps its place.
    fn out_of_budget(&self, ask: &Ask<'_>, place: Moment) -> Option<Turn> {
        match self.0.allowance(ask.group?, true) {
            Allowance::Open => None,
            Allowance::Until(due) => Some(Turn::Later(Later { due, slot: Some(place) })),
            Allowance::Dead => Some(Turn::BudgetSpent),
        }
    }

    /// Counts a message that another process may have sent to this robot at `at`, if that still matters.
    pub fn charge(&self, robot: RobotId, platform: Platform, at: Moment) {
        if !self.still_matters(platform, at) {
            return;
        }
        self.0.lane(robot, platform, |lane, _, rules| lane.charge(at, rules));
    }

    /// Ends the hold of a robot. Who waits in memory is called; what waits in the broker comes back at its time.
    #[must_use]
    pub fn release(&self, robot: RobotId) -> Option<EndedHold> {
        self.0.release(robot)
    }

    /// Takes on new limits; what is planned stays planned.
    pub fn configure(&self, settings: Settings) {
        self.0.configure(settings);
    }

    /// The pace's own time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.timeline.now()
    }

    /// The pace's own time, and its relation to the wall clock.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.0.timeline
    }
}

fn tell_later(folded: Vec<Folded>, later: Later) {
    for one in folded {
        // Who does not listen any longer comes back by itself.
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

/// What a delivery that has asked was told; dropped, it has not asked.
pub struct Asked {
    first: First,
    at: Moment,
}

impl Asked {
    /// When it asked, in the pace's own time.
    #[must_use]
    pub const fn at(&self) -> Moment {
        self.at
    }
}

enum First {
    /// It may leave.
    Go(Permit, Vec<Folded>),
    /// It waits in its robot's lane.
    Wait(Waiting, Arc<Seat>),
    /// Its robot has let it go; it waits for the host.
    Leaving(Permit, Vec<Folded>, HostWait),
    /// It was told.
    Turn(Turn),
}

/// A delivery that waits in memory; when it is dropped, it does not any longer.
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
