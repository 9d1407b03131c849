//! The meaning of DingTalk's answers.
//!
//! Owns the table of error codes.
//!
//! Not here: answers that are not JSON (`platforms/reply.rs`).

use std::time::Duration;

use serde_json::Value;

use crate::{
    domain::{MessageFeature, Verdict},
    platforms::{
        answer_rule::{AnswerRule, Meaning, any_code, code, codes, judge},
        reply::{HttpReply, PlatformReply},
    },
};

/// The wait before the next probe after a used-up monthly quota. The quota refills at the end of
/// the month, or when the organisation buys more.
const MONTHLY_WAIT: Duration = Duration::from_secs(3600);
/// The wait that the platform's documents ask for after throttling: seconds to a minute.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// The platform bans a source address that called too often for this long.
const BANNED_WAIT: Duration = Duration::from_secs(300);

/// A refusal for the form of the message, if nothing more is known.
const FORM: Meaning = Meaning::Refused(&[MessageFeature::Markup]);

/// The codes of DingTalk.
pub(super) const RULES: &[AnswerRule] = &[
    code(0, Meaning::Delivered),
    code(-1, Meaning::TryAgain),
    code(88, Meaning::RobotGone),
    code(404, Meaning::RobotGone),
    // One code with two meanings: the token is missing or unknown, or the message is malformed.
    code(40_035, Meaning::RobotGone).says("token"),
    code(40_035, FORM),
    code(300_001, Meaning::RobotGone).says("token"),
    code(300_001, FORM),
    code(300_005, Meaning::RobotGone),
    // Caused by our clock or a slow network. The next attempt has a new signature.
    code(310_000, Meaning::TryAgain).says("timestamp").about_signature(),
    code(310_000, Meaning::Security).says("sign").about_signature(),
    code(310_000, Meaning::Security).says("签名").about_signature(),
    code(310_000, Meaning::Security),
    code(400_013, Meaning::RobotGone),
    code(400_101, Meaning::RobotGone),
    code(400_102, Meaning::RobotGone),
    code(400_106, Meaning::RobotGone),
    code(410_100, Meaning::Throttled),
    code(130_101, Meaning::Throttled),
    code(90_020, Meaning::BudgetSpent(MONTHLY_WAIT)),
    code(90_030, Meaning::BudgetSpent(MONTHLY_WAIT)),
    codes(90_001, 90_019, Meaning::ThrottledFor(BUSY_WAIT)),
    any_code(Meaning::Throttled).says("too fast"),
    any_code(Meaning::Throttled).says("too many"),
    code(43_002, FORM),
    code(43_004, FORM),
    code(44_002, FORM),
    code(47_001, FORM),
    code(400_105, FORM),
    // A field is missing or malformed. The text names it.
    codes(400_300, 400_499, Meaning::Refused(&[MessageFeature::MentionAll])).says("isatall"),
    codes(400_300, 400_499, Meaning::Refused(&[MessageFeature::Mentions])).says("atmobiles"),
    codes(400_300, 400_499, Meaning::Refused(&[MessageFeature::Mentions])).says("atuserids"),
    codes(400_300, 400_499, Meaning::Refused(&[MessageFeature::Title])).says("title"),
    codes(400_300, 400_499, FORM),
    // The content review: an unsafe link, a text, a picture, all of it.
    code(430_103, Meaning::Refused(&[MessageFeature::Pictures])),
    codes(430_100, 430_199, FORM),
    codes(460_100, 460_199, FORM),
];

/// The meaning of an answer.
pub(super) fn read(response: &HttpReply<'_>) -> PlatformReply {
    let Some(json) = response.json() else {
        return response.without_json();
    };
    if json.get("status").and_then(Value::as_i64) == Some(1111) || json.get("punish").is_some() {
        let detail =
            "this machine's address called DingTalk too often and is banned for some minutes";
        return PlatformReply::new(Verdict::Throttled { wait: Some(BANNED_WAIT) }, "1111", detail);
    }
    let Some(code) = HttpReply::number(&json, "errcode") else {
        return response.without_code();
    };
    let words = json.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    judge(RULES, code, words, response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_its_verdict() {
        let verdict = |code: i64, words: &str| {
            let response =
                HttpReply { status: 200, retry_after: None, rate_reset: None, body: b"" };
            judge(RULES, code, words, &response).verdict
        };
        let (gone, again, refused) =
            (Verdict::RobotGone, Verdict::TryAgain { wait: None }, Verdict::Refused);
        let throttled = |wait| Verdict::Throttled { wait };
        for (code, words, expected) in [
            (0, "ok", Verdict::Delivered),
            (-1, "system busy", again),
            (88, "access_token is blank", gone),
            (404, "URI unknown", gone),
            (40_035, "缺少参数 access_token", gone),
            (40_035, "缺少参数 json", refused),
            (43_002, "", refused),
            (43_004, "", refused),
            (44_002, "", refused),
            (47_001, "", refused),
            (300_001, "token is not exist", gone),
            (300_001, "msgtype is null", refused),
            (300_001, "session 不存在", refused),
            (300_005, "token is not exist", gone),
            (310_000, "keywords not in content", Verdict::Security),
            (310_000, "invalid timestamp", again),
            (310_000, "sign not match", Verdict::Security),
            (310_000, "ip 1.2.3.4 not in whitelist", Verdict::Security),
            (400_013, "", gone),
            (400_101, "", gone),
            (400_102, "", gone),
            (400_105, "", refused),
            (400_106, "", gone),
            (400_301, "", refused),
            (400_402, "", refused),
            (400_403, "markdown → text", refused),
            (400_499, "", refused),
            (400_500, "", again),
            (400_299, "", again),
            (400_403, "send too fast", throttled(None)),
            (410_100, "", throttled(None)),
            (130_101, "send too fast, exceed 20 times per minute", throttled(None)),
            (430_101, "", refused),
            (430_104, "", refused),
            (430_199, "", refused),
            (460_101, "", refused),
            (660_026, "sending too many messages per minute", throttled(None)),
            (660_026, "发送失败", again),
            (90_002, "", throttled(Some(BUSY_WAIT))),
            (90_018, "", throttled(Some(BUSY_WAIT))),
            (90_020, "", Verdict::BudgetSpent { wait: MONTHLY_WAIT }),
            (
                90_030,
                "您的企业本月webhook调用量已超过限制",
                Verdict::BudgetSpent { wait: MONTHLY_WAIT },
            ),
            (130_103, "", again),
            (999_999, "send too fast", throttled(None)),
        ] {
            assert_eq!(verdict(code, words), expected, "{code} {words}");
        }
    }

    #[test]
    fn a_code_may_be_a_number_or_text_and_a_ban_has_none() {
        let read = |body: &str| {
            super::read(&HttpReply {
                status: 200,
                retry_after: None,
                rate_reset: None,
                body: body.as_bytes(),
            })
        };
        assert_eq!(read(r#"{"errcode":"0","errmsg":"ok"}"#).verdict, Verdict::Delivered);
        assert_eq!(read(r#"{"errmsg":"ok","errcode":0}"#).verdict, Verdict::Delivered);
        let ban = read(r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}"#);
        assert_eq!(ban.verdict, Verdict::Throttled { wait: Some(BANNED_WAIT) });
        assert_eq!(read("<html>").verdict, Verdict::TryAgain { wait: None });
        assert_eq!(read("{}").verdict, Verdict::TryAgain { wait: None });
    }
}
