//! Which robots a window gets: the busiest of those that match its filter, and the held ones. Pure.
//!
//! Owns the bound on the size of a snapshot.
//!
//! Not here: the order of robots (`pace`), and their fields (`admin/wire/pace.rs`).

use crate::{
    admin::{
        ApiError,
        pace_views::robot_view,
        wire::{RobotsPage, RobotsQuery},
    },
    domain::Platform,
    pace::RobotStatus,
};

/// How many robots are listed by their order, and how many in all with the held ones after them. A
/// robot takes about 200 bytes a second.
const ROBOTS_SHOWN: usize = 200;
const HELD_ROBOTS_SHOWN: usize = 500;

/// The filter of a window.
#[derive(Debug, Default)]
pub(super) struct RobotFilter {
    id: Option<String>,
    platform: Option<Platform>,
    held: Option<bool>,
}

impl RobotFilter {
    /// Reads the filter of a query.
    ///
    /// # Errors
    ///
    /// If the platform or the state is unknown.
    pub(super) fn read(query: RobotsQuery) -> Result<Self, ApiError> {
        let platform = query.platform.map(|name| name.parse::<Platform>()).transpose();
        let held = match query.state.as_deref() {
            None => None,
            Some("held") => Some(true),
            Some("waiting") => Some(false),
            Some(other) => {
                return Err(ApiError::Invalid(format!("a robot is held or waiting, not {other}")));
            }
        };
        Ok(Self {
            id: query.robot.map(|id| id.to_ascii_lowercase()),
            platform: platform.map_err(|mistake| ApiError::Invalid(mistake.to_string()))?,
            held,
        })
    }

    pub(super) const fn matches_all(&self) -> bool {
        self.id.is_none() && self.platform.is_none() && self.held.is_none()
    }

    fn is(&self, robot: &RobotStatus) -> bool {
        let state = match self.held {
            None => true,
            Some(true) => robot.hold.is_some(),
            Some(false) => robot.hold.is_none() && robot.waiting > 0,
        };
        state
            && self.platform.is_none_or(|platform| robot.platform == platform)
            && self.id.as_ref().is_none_or(|id| robot.robot.to_string().contains(id))
    }
}

/// The robots of a snapshot. `at` is in milliseconds since 1970; `all` has the busiest first.
pub(super) fn robots_json(at: u64, all: &[RobotStatus], wanted: &RobotFilter) -> RobotsPage {
    let matching = || all.iter().filter(|robot| wanted.is(robot));
    let matched = matching().count();
    let told = matching()
        .enumerate()
        .filter(|(place, robot)| *place < ROBOTS_SHOWN || robot.hold.is_some());
    let robots: Vec<_> =
        told.take(HELD_ROBOTS_SHOWN).map(|(_, robot)| robot_view(robot.clone())).collect();
    RobotsPage { at, more: matched - robots.len(), of: all.len(), robots }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{HoldCause, Timestamp, WaitCounts},
        pace::Hold,
    };

    const HELD: Hold = Hold {
        cause: HoldCause::Throttled,
        since: Timestamp::from_unix_millis(0),
        until: Timestamp::from_unix_millis(0),
        wait: Duration::ZERO,
    };

    /// Robots in the order of their waiting deliveries; every tenth is held.
    fn robots(count: u16) -> Vec<RobotStatus> {
        let robot = |number: u16| RobotStatus {
            robot: format!("{number:032x}").parse().unwrap(),
            platform: if number.is_multiple_of(2) { Platform::WeCom } else { Platform::Lark },
            used: 0,
            allowed: None,
            in_flight: 0,
            waiting: u32::from(count - 1 - number),
            drained_in: Some(Duration::ZERO),
            wait_reason: None,
            waits: WaitCounts::default(),
            hold: number.is_multiple_of(10).then_some(HELD),
            held_for: None,
            held_since: None,
            health: None,
            success_share: None,
        };
        (0..count).map(robot).collect()
    }

    fn asked(
        robot: Option<&str>,
        platform: Option<&str>,
        state: Option<&str>,
    ) -> Result<RobotFilter, ApiError> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        RobotFilter::read(RobotsQuery {
            robot: owned(robot),
            platform: owned(platform),
            state: owned(state),
        })
    }

    #[test]
    fn the_busiest_and_the_held_robots_are_listed_and_the_others_are_counted() {
        let told = |count| {
            let told = robots_json(0, &robots(count), &RobotFilter::default());
            (told.robots.len(), told.more, told.of)
        };
        assert_eq!(told(150), (150, 0, 150));
        assert_eq!(told(1000), (200 + 80, 720, 1000), "the held ones wherever they stand");
        assert_eq!(told(10_000), (HELD_ROBOTS_SHOWN, 9500, 10_000));
    }

    #[test]
    fn a_filter_selects_its_letters_and_no_others() {
        let all = robots(1000);
        let count = |wanted: RobotFilter| {
            let told = robots_json(0, &all, &wanted);
            (told.robots.len() + told.more, told.of)
        };
        for (robot, platform, state, matched) in [
            (None, None, None, 1000),
            (Some("00000000003E7"), None, None, 1),
            (None, Some("wecom"), None, 500),
            (None, Some("wecom"), Some("held"), 100),
            (None, Some("lark"), Some("held"), 0),
            // The last robot has nothing waiting.
            (None, None, Some("waiting"), 899),
            (Some("no id at all"), None, None, 0),
        ] {
            let wanted = asked(robot, platform, state).unwrap();
            assert_eq!(wanted.matches_all(), matched == 1000);
            assert_eq!(count(wanted), (matched, 1000), "{robot:?} {platform:?} {state:?}");
        }
        assert!(matches!(asked(None, Some("telegram"), None), Err(ApiError::Invalid(_))));
        assert!(matches!(asked(None, None, Some("idle")), Err(ApiError::Invalid(_))));
    }
}
