//! The meaning of DingTalk's answers.
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

/// The wait before the next probe after a used-up monthly quota. The quota refills at the end of
/// the month, or when the organisation buys more.
const MONTHLY_WAIT: Duration = Duration::from_secs(3600);
/// The wait that the platform's documents ask for after throttling: seconds to a minute.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// The platform bans a source address that called too often for this long.
const BANNED_WAIT: Duration = Duration::from_secs(300);

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
    PlatformReply::new(verdict(code, words), code, words)
}

fn verdict(code: i64, words: &str) -> Verdict {
    let says = |part: &str| words.to_lowercase().contains(part);
    match code {
        0 => Verdict::Delivered,
        -1 => Verdict::TryAgain { wait: None },
        88 | 404 | 300_005 | 400_013 | 400_101 | 400_102 | 400_106 => Verdict::RobotGone,
        // One code with two meanings: the token is missing or unknown, or the message is malformed.
        40_035 | 300_001 if says("token") => Verdict::RobotGone,
        // Caused by our clock or a slow network. The next attempt has a new signature.
        310_000 if says("timestamp") => Verdict::TryAgain { wait: None },
        310_000 => Verdict::Security,
        40_035
        | 43_002
        | 43_004
        | 44_002
        | 47_001
        | 300_001
        | 400_105
        | 400_403
        | 430_101..=430_104
        | 460_101 => Verdict::Refused,
        130_101 | 410_100 => Verdict::Throttled { wait: None },
        90_020 | 90_030 => Verdict::BudgetSpent { wait: MONTHLY_WAIT },
        90_001..=90_019 => Verdict::Throttled { wait: Some(BUSY_WAIT) },
        _ if says("too fast") || says("too many") => Verdict::Throttled { wait: None },
        _ => Verdict::TryAgain { wait: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_its_verdict() {
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
            (400_403, "markdown → text", refused),
            (410_100, "", throttled(None)),
            (130_101, "send too fast, exceed 20 times per minute", throttled(None)),
            (430_101, "", refused),
            (430_104, "", refused),
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
