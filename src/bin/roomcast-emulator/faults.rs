//! Injected faults: their kinds, the requests that they affect, and how often.
//!
//! Owns which fault applies to a request.
//!
//! Not here: the answer of an affected request (`reply.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::Platform;

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The message is accepted, and the answer comes late.
    Slow,
    /// No answer comes.
    Hang,
    /// The message is accepted, and the answer stops halfway.
    HangBody,
    /// The answer has another HTTP status.
    Status,
    /// The connection closes instead of an answer.
    Cut,
    /// The message is accepted, then the connection closes instead of an answer.
    CutAfter,
    /// The answer is a web page.
    Html,
    /// The answer has ten mebibytes.
    Huge,
    /// The answer is the given one.
    Answer,
    /// The answer is a redirect.
    Redirect,
    /// The message is accepted, and the answer is compressed.
    Gzip,
    /// The message is accepted, and the answer begins with a byte order mark.
    ByteOrderMark,
    /// The platform's clock is wrong.
    Skew,
}

impl Kind {
    /// The name in the control interface.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Hang => "hang",
            Self::HangBody => "hang_body",
            Self::Status => "status",
            Self::Cut => "cut",
            Self::CutAfter => "cut_after",
            Self::Html => "html",
            Self::Huge => "huge",
            Self::Answer => "answer",
            Self::Redirect => "redirect",
            Self::Gzip => "gzip",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Skew => "skew",
        }
    }

    /// Whether the platform still accepts the message.
    pub(crate) const fn lets_in(self) -> bool {
        matches!(
            self,
            Self::Slow | Self::HangBody | Self::CutAfter | Self::Gzip | Self::ByteOrderMark
        )
    }
}

/// A fault, as requested.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Affects only this platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    /// Affects only this robot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Affects only requests whose body contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    /// The kind.
    pub(crate) kind: Kind,
    /// The number of affected requests. Without it the fault stays until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    /// Affects only every n-th request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    /// The delay of a slow answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) milliseconds: Option<u64>,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The body of the answer: a string unchanged, any other value as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Value>,
    /// The headers of the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// The target of a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    /// By how many seconds the platform's clock is ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<i64>,
}

impl Fault {
    /// Why this request for a fault is invalid, if it is.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        let status_wrong = self.status.is_some_and(|status| {
            !(200..=599).contains(&status) || StatusCode::from_u16(status).is_err()
        });
        let header_wrong = self.headers.iter().any(|(name, value)| {
            HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err()
        });
        let location = self.location.as_deref().map(HeaderValue::try_from);
        match self.kind {
            _ if status_wrong => Some("status must be from 200 to 599"),
            _ if header_wrong => Some("a header has a bad name or value"),
            _ if self.every == Some(0) => Some("every must be at least 1"),
            Kind::Slow if self.milliseconds.is_none() => Some("slow needs milliseconds"),
            Kind::Status if self.status.is_none() => Some("status needs status"),
            Kind::Redirect if !matches!(location, Some(Ok(_))) => Some("redirect needs location"),
            Kind::Skew if self.seconds.is_none() => Some("skew needs seconds"),
            _ => None,
        }
    }

    fn strikes(&self, platform: Platform, token: &str, body: &str) -> bool {
        self.platform.is_none_or(|wanted| wanted == platform)
            && self.token.as_ref().is_none_or(|wanted| wanted == token)
            && self.contains.as_ref().is_none_or(|wanted| body.contains(wanted))
    }
}

/// An active fault.
#[derive(Debug)]
struct Armed {
    fault: Arc<Fault>,
    met: u64,
    left: Option<u64>,
}

/// The faults that apply to one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strike {
    /// The fault; `None` if only the clock is affected.
    pub(crate) fault: Option<Arc<Fault>>,
    /// By how many seconds the platform's clock is ahead.
    pub(crate) skew_seconds: i64,
}

/// All faults, in the order of their requests.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

impl Faults {
    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: Fault) {
        let left = fault.times;
        self.0.push(Armed { fault: Arc::new(fault), met: 0, left });
    }

    /// Removes all faults.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The active faults.
    pub(crate) fn list(&self) -> Vec<Arc<Fault>> {
        self.0.iter().map(|armed| Arc::clone(&armed.fault)).collect()
    }

    /// The faults of a request: the first one that applies, and all clock faults. Faults behind the
    /// first one do not count the request.
    pub(crate) fn strike(&mut self, platform: Platform, token: &str, body: &str) -> Strike {
        let mut strike = Strike::default();
        for armed in &mut self.0 {
            let is_skew = armed.fault.kind == Kind::Skew;
            if !armed.fault.strikes(platform, token, body) || (strike.fault.is_some() && !is_skew) {
                continue;
            }
            armed.met += 1;
            if !armed.met.is_multiple_of(armed.fault.every.unwrap_or(1)) || armed.left == Some(0) {
                continue;
            }
            armed.left = armed.left.map(|left| left - 1);
            if is_skew {
                let seconds = armed.fault.seconds.unwrap_or(0);
                strike.skew_seconds = strike.skew_seconds.saturating_add(seconds);
            } else {
                strike.fault = Some(Arc::clone(&armed.fault));
            }
        }
        self.0.retain(|armed| armed.left != Some(0));
        strike
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(list: Value) -> Faults {
        let mut faults = Faults::default();
        for fault in list.as_array().unwrap() {
            faults.add(serde_json::from_value(fault.clone()).unwrap());
        }
        faults
    }

    fn struck(faults: &mut Faults, count: usize) -> Vec<Option<Kind>> {
        (0..count)
            .map(|_| faults.strike(Platform::Lark, "t", "").fault.map(|fault| fault.kind))
            .collect()
    }

    #[test]
    fn a_fault_strikes_as_often_as_asked_and_is_then_gone() {
        let mut faults = faults(json!([{"kind": "cut", "times": 2}]));
        assert_eq!(struck(&mut faults, 3), [Some(Kind::Cut), Some(Kind::Cut), None]);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_fault_may_strike_every_third_request_only() {
        let mut faults = faults(json!([{"kind": "hang", "every": 3, "times": 1}]));
        let none = None;
        assert_eq!(struck(&mut faults, 6), [none, none, Some(Kind::Hang), none, none, none]);
    }

    #[test]
    fn a_fault_for_one_robot_or_platform_spares_the_others() {
        let mut faults = faults(json!([
            {"kind": "cut", "platform": "wecom"},
            {"kind": "html", "platform": "lark", "token": "other"}]));
        assert_eq!(struck(&mut faults, 1), [None]);
        assert!(faults.strike(Platform::WeCom, "t", "").fault.is_some());
        assert!(faults.strike(Platform::Lark, "other", "").fault.is_some());
    }

    #[test]
    fn a_fault_may_strike_only_messages_with_a_text() {
        let mut faults = faults(json!([{"kind": "answer", "contains": "<at", "times": 1}]));
        assert!(faults.strike(Platform::Lark, "t", "plain").fault.is_none());
        assert!(faults.strike(Platform::Lark, "t", "a <at id=all>").fault.is_some());
        assert!(faults.strike(Platform::Lark, "t", "a <at id=all>").fault.is_none());
    }

    #[test]
    fn the_next_fault_takes_over_when_the_first_is_used_up_and_clocks_add_up() {
        let mut faults = faults(json!([
            {"kind": "status", "status": 503, "times": 1},
            {"kind": "cut", "times": 1},
            {"kind": "skew", "seconds": 100},
            {"kind": "skew", "seconds": -30}]));
        let first = faults.strike(Platform::Lark, "t", "");
        assert_eq!(first.fault.map(|fault| fault.kind), Some(Kind::Status));
        assert_eq!(first.skew_seconds, 70);
        assert_eq!(struck(&mut faults, 2), [Some(Kind::Cut), None]);
    }

    #[test]
    fn a_fault_without_its_parameters_is_refused() {
        for bad in [
            json!({"kind": "slow"}),
            json!({"kind": "status"}),
            json!({"kind": "status", "status": 99}),
            json!({"kind": "redirect"}),
            json!({"kind": "skew"}),
            json!({"kind": "cut", "every": 0}),
            json!({"kind": "answer", "headers": {"a b": "c"}}),
        ] {
            let fault: Fault = serde_json::from_value(bad).unwrap();
            assert!(fault.complaint().is_some());
        }
        let good: Fault = serde_json::from_value(json!({"kind": "answer"})).unwrap();
        assert_eq!(good.complaint(), None);
    }
}
