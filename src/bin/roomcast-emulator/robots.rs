//! The robots: setup, used quota, recent message ids.
//!
//! Owns the order of quota and duplicate check for a valid message.
//!
//! Not here: how the quota is counted (`quota.rs`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::message::Mentionable;
use crate::platform::Platform;
use crate::quota::{Pace, Quota};

/// The most message ids that a robot remembers. The platform documents no period.
const REMEMBERED_IDS: usize = 100_000;

/// Whether a robot accepts messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RobotState {
    /// It accepts messages.
    #[default]
    Ok,
    /// It does not exist any more.
    Gone,
    /// It exists but is disabled.
    Disabled,
}

/// The setup of a robot. An absent field means the platform's documented behaviour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Setup {
    /// The signing secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
    /// A word that must occur in every message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keyword: Option<String>,
    /// The ids of the members that its chat knows. Without it, it knows every valid id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<Vec<String>>,
    /// Whether the owner of its chat forbids the mention of all members.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_mention_all: bool,
    /// Whether it accepts messages.
    pub(crate) state: RobotState,
    /// Messages per sixty seconds, scaled like every window. Zero removes all limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota: Option<usize>,
    /// How long the robot refuses everything after one message too many, in real seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) block_seconds: Option<f64>,
}

impl Setup {
    /// The members that may be mentioned.
    pub(crate) fn mentionable(&self) -> Mentionable<'_> {
        Mentionable { members: self.members.as_deref(), all: !self.no_mention_all }
    }

    /// Why this setup is invalid for the platform, if it is.
    pub(crate) fn complaint(&self, platform: Platform) -> Option<&'static str> {
        if !platform.dialect().has_security() && (self.secret.is_some() || self.keyword.is_some()) {
            return Some("robots of this platform have neither secret nor keyword");
        }
        if self.block_seconds.is_some_and(|seconds| Duration::try_from_secs_f64(seconds).is_err()) {
            return Some("block_seconds must be a period of zero or more seconds");
        }
        None
    }
}

/// A robot in the control interface.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    platform: Platform,
    token: String,
    #[serde(flatten)]
    setup: Setup,
}

/// The result for a message that passed all other checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It is shown in the chat.
    Shown,
    /// Its id was shown before, so it is not shown again.
    Repeated,
    /// The quota is used up.
    TooFast,
}

/// One robot.
#[derive(Debug)]
struct Robot {
    setup: Arc<Setup>,
    quota: Quota,
    seen: HashSet<String>,
    seen_order: VecDeque<String>,
}

impl Robot {
    fn enter(&mut self, id: Option<&str>, now: Instant) -> Entry {
        if id.is_some_and(|id| self.seen.contains(id)) {
            return Entry::Repeated;
        }
        if !self.quota.admit(now) {
            return Entry::TooFast;
        }
        if let Some(id) = id {
            self.seen.insert(id.to_owned());
            self.seen_order.push_back(id.to_owned());
            if self.seen_order.len() > REMEMBERED_IDS
                && let Some(oldest) = self.seen_order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
        Entry::Shown
    }
}

/// The behaviour of robots without a setup of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    /// The scale of all quota windows.
    pub(crate) pace: Pace,
    /// Whether quotas apply.
    pub(crate) quotas: bool,
    /// Whether only registered robots exist.
    pub(crate) strict: bool,
}

/// All robots.
#[derive(Debug)]
pub(crate) struct Robots {
    defaults: Defaults,
    known: HashMap<Platform, HashMap<String, Robot>>,
}

impl Robots {
    /// An empty set of robots.
    pub(crate) fn new(defaults: Defaults) -> Self {
        Self { defaults, known: HashMap::new() }
    }

    /// The kind of the robot with this token at a platform's endpoint: its twin if it is registered
    /// as such.
    pub(crate) fn kind(&self, platform: Platform, token: &str) -> Platform {
        platform.twin().filter(|twin| self.get(*twin, token).is_some()).unwrap_or(platform)
    }

    fn get(&self, platform: Platform, token: &str) -> Option<&Robot> {
        self.known.get(&platform).and_then(|robots| robots.get(token))
    }

    /// Registers a robot. Its quota is unused, and it remembers no ids.
    pub(crate) fn register(&mut self, platform: Platform, token: &str, setup: Setup) {
        if let Some(robots) = platform.twin().and_then(|twin| self.known.get_mut(&twin)) {
            robots.remove(token);
        }
        let block =
            setup.block_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let quota = if self.defaults.quotas {
            Quota::of(platform, setup.quota, block, self.defaults.pace)
        } else {
            Quota::unlimited()
        };
        let robot = Robot {
            setup: Arc::new(setup),
            quota,
            seen: HashSet::new(),
            seen_order: VecDeque::new(),
        };
        self.known.entry(platform).or_default().insert(token.to_owned(), robot);
    }

    /// Marks a robot as gone, whether it was registered or not.
    pub(crate) fn remove(&mut self, platform: Platform, token: &str) {
        let setup = Setup { state: RobotState::Gone, ..Setup::default() };
        self.register(platform, token, setup);
    }

    /// The setup of a robot. An unknown token is a robot without security, unless only registered
    /// robots exist.
    pub(crate) fn find(&mut self, platform: Platform, token: &str) -> Option<Arc<Setup>> {
        if let Some(robot) = self.get(platform, token) {
            return Some(Arc::clone(&robot.setup));
        }
        if self.defaults.strict {
            return None;
        }
        self.register(platform, token, Setup::default());
        self.get(platform, token).map(|robot| Arc::clone(&robot.setup))
    }

    /// Adds a valid message to its chat, and counts it against the quota.
    pub(crate) fn enter(
        &mut self,
        platform: Platform,
        token: &str,
        id: Option<&str>,
        now: Instant,
    ) -> Entry {
        self.known
            .get_mut(&platform)
            .and_then(|robots| robots.get_mut(token))
            .map_or(Entry::Shown, |robot| robot.enter(id, now))
    }

    /// All robots, by platform and token.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let mut listed: Vec<Listed> = self
            .known
            .iter()
            .flat_map(|(platform, robots)| {
                robots.iter().map(|(token, robot)| Listed {
                    platform: *platform,
                    token: token.clone(),
                    setup: Setup::clone(&robot.setup),
                })
            })
            .collect();
        listed.sort_by(|a, b| (a.platform, &a.token).cmp(&(b.platform, &b.token)));
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn robots(strict: bool) -> Robots {
        Robots::new(Defaults { pace: Pace::REAL, quotas: true, strict })
    }

    #[test]
    fn an_unknown_token_is_a_robot_without_security() {
        let mut robots = robots(false);
        assert_eq!(robots.find(Platform::Lark, "t").as_deref(), Some(&Setup::default()));
        assert_eq!(robots.list().len(), 1);
    }

    #[test]
    fn in_strict_mode_only_registered_robots_exist() {
        let mut robots = robots(true);
        assert!(robots.find(Platform::Lark, "t").is_none());
        robots.register(Platform::Lark, "t", Setup::default());
        assert!(robots.find(Platform::Lark, "t").is_some());
    }

    #[test]
    fn a_removed_robot_is_gone_until_it_is_registered_again() {
        let mut robots = robots(false);
        robots.remove(Platform::WeCom, "k");
        assert_eq!(robots.find(Platform::WeCom, "k").map(|s| s.state), Some(RobotState::Gone));
        robots.register(Platform::WeCom, "k", Setup::default());
        assert_eq!(robots.find(Platform::WeCom, "k").map(|s| s.state), Some(RobotState::Ok));
    }

    #[test]
    fn a_dingtalk_token_is_of_one_kind_only() {
        let mut robots = robots(false);
        assert_eq!(robots.kind(Platform::DingTalk, "t"), Platform::DingTalk);
        robots.register(Platform::DingTalkInternal, "t", Setup::default());
        assert_eq!(robots.kind(Platform::DingTalk, "t"), Platform::DingTalkInternal);
        robots.register(Platform::DingTalk, "t", Setup::default());
        assert_eq!(robots.kind(Platform::DingTalk, "t"), Platform::DingTalk);
    }

    #[test]
    fn a_repeated_id_is_not_shown_again_and_uses_no_quota() {
        let mut robots = robots(false);
        let setup = Setup { quota: Some(2), ..Setup::default() };
        robots.register(Platform::DingTalk, "t", setup);
        let now = Instant::now();
        let mut enter = |id| robots.enter(Platform::DingTalk, "t", Some(id), now);
        assert_eq!(enter("a"), Entry::Shown);
        assert_eq!(enter("a"), Entry::Repeated);
        assert_eq!(enter("b"), Entry::Shown);
        assert_eq!(enter("c"), Entry::TooFast);
        assert_eq!(enter("a"), Entry::Repeated);
        assert_eq!(enter("c"), Entry::TooFast, "a refused id was never shown");
    }

    #[test]
    fn a_setup_the_platform_cannot_have_is_complained_about() {
        let signed = Setup { secret: Some("s".into()), ..Setup::default() };
        assert!(signed.complaint(Platform::WeCom).is_some());
        assert!(signed.complaint(Platform::Lark).is_none());
        let endless = Setup { block_seconds: Some(-1.0), ..Setup::default() };
        assert!(endless.complaint(Platform::Lark).is_some());
    }
}
