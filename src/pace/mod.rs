//! When a delivery may leave: the robot's window, the platform's bucket, and the turn of each.
//!
//! Owns the promise that a robot is never sent more than its platform allows in any window. It decides and waits; it never
//! sends, and it knows nothing of events. The only room that names governor.

mod bucket;
mod lane;
mod permit;
mod quota;
mod window;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use self::{bucket::Bucket, lane::Lane};
use crate::domain::{Platform, RobotId};

pub use lane::RobotStatus;
pub use permit::Permit;
pub use quota::{PlatformQuota, WindowQuota};

/// What bounds sending.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A wait up to this long is waited out in memory; a longer one goes through the delay tiers.
    pub hold_max: Duration,
    /// Each platform's quota, in the order of [`Platform::ALL`].
    pub quotas: [PlatformQuota; 4],
}

/// What a delivery asks with.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The robot it is for.
    pub robot: RobotId,
    /// The platform the robot lives on.
    pub platform: Platform,
    /// Whether it overtakes what is not urgent.
    pub urgent: bool,
    /// Whether it has already waited for its turn in a delay tier.
    pub returned: bool,
}

/// Whether a delivery may leave.
pub enum Turn {
    /// It may leave now. The permit is given back with the outcome of the attempt.
    Go(Permit),
    /// Its turn is too far away to be waited for in memory.
    Later(Instant),
}

/// How many locks the robots are spread over, so that two cores rarely meet at one.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<RobotId, Lane>>;

/// Paces every robot of this process.
pub struct Pace {
    settings: Settings,
    buckets: [Bucket; 4],
    shards: Arc<[Shard]>,
}

impl Pace {
    /// A pace at which no robot has been sent anything yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let buckets =
            std::array::from_fn(|at| Bucket::new(settings.quotas.get(at).and_then(|quota| quota.rate_per_second)));
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { settings, buckets, shards }
    }

    /// Waits for the delivery's turn, if it comes soon.
    ///
    /// Cancel safe: a delivery that stops waiting leaves nothing behind but a slot that passes unused.
    pub async fn turn(&self, ask: Ask) -> Turn {
        let mut ask = ask;
        loop {
            match self.lane(&ask, |lane, now| lane.ask(now, &ask, self.settings.hold_max)) {
                lane::Decision::Go => break,
                lane::Decision::Later(at) => return Turn::Later(at),
                lane::Decision::Wait(at) => {
                    tokio::time::sleep_until(at).await;
                    ask.returned = true;
                }
            }
        }
        let permit = Permit::new(Arc::clone(&self.shards), ask.robot);
        if let Some(bucket) = self.buckets.get(index_of(ask.platform)) {
            bucket.take().await;
        }
        Turn::Go(permit)
    }

    /// Counts a message that a former run, or a lost session, may have sent to this robot at `at`.
    pub fn charge(&self, robot: RobotId, platform: Platform, at: Instant) {
        let ask = Ask { robot, platform, urgent: false, returned: false };
        self.lane(&ask, |lane, _| lane.charge(at));
    }

    /// Ends the hold of a robot; says whether there was one.
    #[must_use]
    pub fn release(&self, robot: RobotId) -> bool {
        with_lane(&self.shards, robot, Lane::release).unwrap_or(false)
    }

    /// The robots that have something to say about them, the busiest first.
    #[must_use]
    pub fn robots(&self) -> Vec<RobotStatus> {
        let now = Instant::now();
        let mut robots: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| {
                let lanes = shard.lock().unwrap_or_else(PoisonError::into_inner);
                lanes.iter().map(|(robot, lane)| lane.status(*robot, now)).collect::<Vec<_>>()
            })
            .collect();
        robots.sort_by_key(|robot| std::cmp::Reverse((robot.waiting, robot.used)));
        robots
    }

    /// Forgets robots whose windows are empty. Called from time to time; costs a look at each active robot.
    pub fn drop_idle(&self) {
        let now = Instant::now();
        for shard in &*self.shards {
            let mut lanes = shard.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.retain(|_, lane| !lane.is_idle(now));
            lanes.shrink_to_fit();
        }
    }

    fn lane<T>(&self, ask: &Ask, act: impl FnOnce(&mut Lane, Instant) -> T) -> T {
        let shard = shard_of(&self.shards, ask.robot);
        let mut lanes = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .entry(ask.robot)
            .or_insert_with(|| Lane::new(ask.platform, self.settings.quotas.get(index_of(ask.platform))));
        act(lane, Instant::now())
    }
}

fn with_lane<T>(shards: &[Shard], robot: RobotId, act: impl FnOnce(&mut Lane) -> T) -> Option<T> {
    let mut lanes = shard_of(shards, robot).lock().unwrap_or_else(PoisonError::into_inner);
    lanes.get_mut(&robot).map(act)
}

#[expect(clippy::indexing_slicing, reason = "the index is taken modulo the length, and the length is SHARDS")]
fn shard_of(shards: &[Shard], robot: RobotId) -> &Shard {
    // The id is a keyed hash, so any of its bytes spreads evenly.
    &shards[usize::from(robot.as_bytes()[0]) % shards.len()]
}

const fn index_of(platform: Platform) -> usize {
    match platform {
        Platform::DingTalk => 0,
        Platform::DingTalkInternal => 1,
        Platform::Lark => 2,
        Platform::WeCom => 3,
    }
}

#[cfg(test)]
mod tests;
