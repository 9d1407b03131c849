//! What robots and organisations are doing, for people who watch.

use std::time::Duration;

use super::{GroupStatus, Hold, HoldCause, Pace, group::Allowance, lane::Lane};
use crate::domain::{GroupName, Platform, RobotId};

/// What a robot is doing.
#[derive(Clone, Debug)]
pub struct RobotStatus {
    /// Which robot.
    pub robot: RobotId,
    /// The platform it lives on.
    pub platform: Platform,
    /// How much of its longest window is used.
    pub used: u32,
    /// How much there is of it; nothing if no window bounds the robot.
    pub allowed: Option<u32>,
    /// How many attempts are in the air.
    pub in_flight: u32,
    /// How many deliveries wait for their turn, in memory and in the broker; after a restart as many as are known of.
    pub waiting: u32,
    /// How long until the last of them can leave; zero if none waits.
    pub drained_in: Duration,
    /// Why it is left alone, and how long the last wait was, until it takes a message again.
    pub hold: Option<Hold>,
    /// How much longer nothing is sent to it.
    pub held_for: Option<Duration>,
}

/// A hold that was ended by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedHold {
    /// The robot's platform.
    pub platform: Platform,
    /// The hold that there was.
    pub hold: Hold,
    /// How many deliveries wait in the broker and are not called by this; as far as is known.
    pub parked: u32,
    /// Within how long the last of them comes back; zero if there are none.
    pub back_within: Duration,
}

/// What all robots of one platform are doing together, as a sweep finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many robots are left alone, by cause in the order of [`HoldCause::ALL`].
    pub held: [u32; 4],
    /// How many deliveries wait for their turn although their robot is not left alone, in memory and in the broker; after a restart as many as are known of.
    pub waiting: u64,
    /// How many wait for robots that are left alone, by cause in the same order.
    pub waiting_held: [u64; 4],
    /// In how long the last of them can leave; zero if none waits.
    pub drained_in: Duration,
    /// How many attempts are in the air.
    pub in_flight: u64,
    /// How many may be, as its platform answers by now.
    pub in_flight_limit: u32,
}

/// What would become of messages that came now.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    /// In how long the first would leave.
    pub first_in: Duration,
    /// In how long the last would leave.
    pub last_in: Duration,
    /// Why the robot is left alone, if it is.
    pub hold: Option<Hold>,
    /// The organisation's month is used up, and the setting is not to wait for the next.
    pub out_of_budget: bool,
}

impl Swept {
    fn add(&mut self, robot: &RobotStatus) {
        let causes = HoldCause::ALL.into_iter().zip(self.held.iter_mut().zip(&mut self.waiting_held));
        match causes.into_iter().find(|(cause, _)| robot.hold.is_some_and(|hold| hold.cause == *cause)) {
            Some((_, (held, waiting))) => {
                *held += 1;
                *waiting += u64::from(robot.waiting);
            }
            None => self.waiting += u64::from(robot.waiting),
        }
        self.drained_in = self.drained_in.max(robot.drained_in);
        self.in_flight += u64::from(robot.in_flight);
    }
}

impl Pace {
    /// When so many messages for a robot would leave that came now. Nothing is planned by asking.
    #[must_use]
    pub fn outlook(
        &self,
        robot: RobotId,
        platform: Platform,
        group: Option<&GroupName>,
        urgent: bool,
        messages: u32,
    ) -> Outlook {
        let (now, known) = (
            self.now(),
            self.0.with(robot, |lane, now, rules| (lane.outlook(now, urgent, messages, rules), lane.hold().copied())),
        );
        let (first, last, hold) = match known {
            Some(((first, last), hold)) => (first, last, hold),
            None => {
                let (first, last) =
                    self.0.idle(platform, |rules| Lane::new(platform).outlook(now, urgent, messages, rules));
                (first, last, None)
            }
        };
        let (floor, out_of_budget) = match group.map(|group| self.0.allowance(group, false)) {
            None | Some(Allowance::Open) => (now, false),
            Some(Allowance::Until(due)) => (due, false),
            Some(Allowance::Dead) => (now, true),
        };
        Outlook { first_in: first.max(floor).since(now), last_in: last.max(floor).since(now), hold, out_of_budget }
    }

    /// The robots that have something to say about them, the busiest first.
    #[must_use]
    pub fn robots(&self) -> Vec<RobotStatus> {
        let (now, mut robots) = (self.now(), Vec::new());
        self.0.retain(|robot, lane, rules| {
            robots.push(lane.status(robot, now, rules));
            true
        });
        robots.sort_by_key(|robot| std::cmp::Reverse((robot.waiting, robot.used)));
        robots
    }

    /// The organisations with a monthly quota, and those that deliveries have named.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.0.groups().status(self.0.timeline.wall_now())
    }

    /// Forgets robots about which there is nothing to remember, and says what the others do, by platform in the order of [`Platform::ALL`]. Called from
    /// time to time; costs a look at each robot.
    pub fn sweep(&self) -> [Swept; 4] {
        let (now, mut swept) = (self.now(), [Swept::default(); 4]);
        self.0.retain(|robot, lane, rules| {
            if lane.is_idle(now, rules) {
                return false;
            }
            let of = Platform::ALL.into_iter().zip(&mut swept).find(|(platform, _)| *platform == lane.platform());
            if let Some((_, swept)) = of {
                swept.add(&lane.status(robot, now, rules));
            }
            true
        });
        self.0.sweep_hosts();
        for (platform, swept) in Platform::ALL.into_iter().zip(&mut swept) {
            swept.in_flight_limit = self.0.in_flight_limit(platform);
        }
        swept
    }
}
