//! The meaning of WeCom's answers.
//!
//! Owns the table of error codes.
//!
//! Not here: answers that are not JSON (`platforms/reply.rs`).

use std::time::Duration;

use serde_json::Value;

use crate::{
    domain::MessageFeature,
    platforms::{
        answer_rule::{AnswerRule, Meaning, any_code, code, codes, judge},
        reply::{HttpReply, PlatformReply},
    },
};

/// The wait after a refusal for too many concurrent requests, a state that passes soon.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(5);

/// A refusal for the form of the message, if nothing more is known.
const FORM: Meaning = Meaning::Refused(&[MessageFeature::Markup]);

/// The codes of WeCom.
pub(super) const RULES: &[AnswerRule] = &[
    code(0, Meaning::Delivered),
    code(-1, Meaning::TryAgain),
    code(6_000, Meaning::TryAgain),
    code(45_009, Meaning::Throttled),
    code(45_033, Meaning::ThrottledFor(CONCURRENCY_WAIT)),
    any_code(Meaning::Throttled).says("freq out of limit"),
    code(49_008, Meaning::RobotGone),
    code(93_000, Meaning::RobotGone),
    code(93_004, Meaning::RobotGone),
    code(93_008, Meaning::RobotGone),
    code(60_020, Meaning::Security),
    codes(
        40_000,
        49_999,
        Meaning::Refused(&[MessageFeature::MentionAll, MessageFeature::Mentions]),
    )
    .says("mentioned"),
    code(40_009, Meaning::Refused(&[MessageFeature::Pictures])),
    code(41_016, Meaning::Refused(&[MessageFeature::Title])),
    // The documents list no other code from 40000 to 49999 that passes with time.
    codes(40_000, 49_999, FORM),
];

/// The meaning of an answer. A success with a warning in its message is a success.
pub(super) fn read(response: &HttpReply<'_>) -> PlatformReply {
    let Some(json) = response.json() else {
        return response.without_json();
    };
    let Some(code) = HttpReply::number(&json, "errcode") else {
        return response.without_code();
    };
    let words = json.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    judge(RULES, code, words, response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verdict;

    #[test]
    fn every_documented_code_has_its_verdict() {
        let again = Verdict::TryAgain { wait: None };
        let verdict = |code: i64, words: &str| {
            let response =
                HttpReply { status: 200, retry_after: None, rate_reset: None, body: b"" };
            judge(RULES, code, words, &response).verdict
        };
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
            (40_000, Verdict::Refused),
            (49_999, Verdict::Refused),
            (39_999, again),
            (50_000, again),
            (12_345, again),
        ] {
            assert_eq!(verdict(code, ""), expected, "{code}");
        }
        let slow = Verdict::Throttled { wait: None };
        assert_eq!(verdict(45_011, "api freq out of limit"), slow);
    }

    #[test]
    fn a_success_with_a_warning_is_a_success() {
        let body = br#"{"errcode":0,"errmsg":"ok. Warning: wrong json format. "}"#;
        let reading = read(&HttpReply { status: 200, retry_after: None, rate_reset: None, body });
        assert_eq!(reading.verdict, Verdict::Delivered);
    }
}
