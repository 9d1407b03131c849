//! The meaning of WeCom's answers.
//!
//! Owns the table of error codes.
//!
//! Not here: answers that are not JSON (`platforms/reply.rs`).

use std::time::Duration;

use serde_json::Value;

use crate::{
    domain::Verdict,
    platforms::reply::{HttpReply, PlatformReply},
};

/// The wait after a refusal for too many concurrent requests, a state that passes soon.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(5);

/// The meaning of an answer. A success with a warning in its message is a success.
pub(super) fn read(response: &HttpReply<'_>) -> PlatformReply {
    let Some(json) = response.json() else {
        return response.without_json();
    };
    let Some(code) = HttpReply::number(&json, "errcode") else {
        return response.without_code();
    };
    let words = json.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    PlatformReply::new(verdict(code, words), code, words)
}

fn verdict(code: i64, words: &str) -> Verdict {
    match code {
        0 => Verdict::Delivered,
        -1 | 6_000 => Verdict::TryAgain { wait: None },
        45_009 => Verdict::Throttled { wait: None },
        45_033 => Verdict::Throttled { wait: Some(CONCURRENCY_WAIT) },
        49_008 | 93_000 | 93_004 | 93_008 => Verdict::RobotGone,
        40_007 | 40_008 | 40_009 | 40_033 | 40_035 | 40_058 | 41_016 | 44_001 | 44_004 | 45_001
        | 45_002 | 45_007 | 45_008 | 45_034 => Verdict::Refused,
        60_020 => Verdict::Security,
        _ if words.contains("freq out of limit") => Verdict::Throttled { wait: None },
        _ => Verdict::TryAgain { wait: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_its_verdict() {
        let again = Verdict::TryAgain { wait: None };
        for (code, expected) in [
            (0, Verdict::Delivered),
            (-1, again),
            (6_000, again),
            (45_009, Verdict::Throttled { wait: None }),
            (45_033, Verdict::Throttled { wait: Some(CONCURRENCY_WAIT) }),
            (93_000, Verdict::RobotGone),
            (93_004, Verdict::RobotGone),
            (93_008, Verdict::RobotGone),
            (49_008, Verdict::RobotGone),
            (40_008, Verdict::Refused),
            (40_058, Verdict::Refused),
            (45_002, Verdict::Refused),
            (44_004, Verdict::Refused),
            (40_007, Verdict::Refused),
            (40_009, Verdict::Refused),
            (40_033, Verdict::Refused),
            (40_035, Verdict::Refused),
            (41_016, Verdict::Refused),
            (44_001, Verdict::Refused),
            (45_001, Verdict::Refused),
            (45_007, Verdict::Refused),
            (45_008, Verdict::Refused),
            (45_034, Verdict::Refused),
            (60_020, Verdict::Security),
            (12_345, again),
        ] {
            assert_eq!(verdict(code, ""), expected, "{code}");
        }
    }

    #[test]
    fn a_success_with_a_warning_is_a_success() {
        let body = br#"{"errcode":0,"errmsg":"ok. Warning: wrong json format. "}"#;
        let reading = read(&HttpReply { status: 200, retry_after: None, rate_reset: None, body });
        assert_eq!(reading.verdict, Verdict::Delivered);
    }
}
