//! The meaning of Lark's answers.
//!
//! Owns the table of error codes.
//!
//! Not here: answers that are not JSON (`platforms/reply.rs`).

use serde_json::Value;

use crate::{
    domain::Verdict,
    platforms::reply::{HttpReply, PlatformReply},
};

/// The meaning of an answer. Success is `code` 0, or `StatusCode` 0 if there is no `code`. Some
/// failures have `StatusCode` 0 beside their code.
pub(super) fn read(response: &HttpReply<'_>) -> PlatformReply {
    let Some(json) = response.json() else {
        return response.without_json();
    };
    let code = HttpReply::number(&json, "code").or_else(|| HttpReply::number(&json, "StatusCode"));
    let Some(code) = code else {
        return response.without_code();
    };
    let words = ["msg", "StatusMessage"]
        .into_iter()
        .find_map(|name| json.get(name).and_then(Value::as_str))
        .unwrap_or_default();
    PlatformReply::new(verdict(code, words, response), code, words)
}

fn verdict(code: i64, words: &str, response: &HttpReply<'_>) -> Verdict {
    let says = |part: &str| words.to_lowercase().contains(part);
    let wait = response.rate_reset.or(response.retry_after);
    match code {
        0 => Verdict::Delivered,
        // One code with two meanings.
        9_499 if says("too many request") => Verdict::Throttled { wait },
        9_499 => Verdict::Refused,
        11_220 | 11_232 | 11_247 | 99_991_400 => Verdict::Throttled { wait },
        2_200 => Verdict::TryAgain { wait: response.retry_after },
        19_001 | 19_007 => Verdict::RobotGone,
        19_021 | 19_022 | 19_024 => Verdict::Security,
        // Invalid parameters, then the codes for cards that cannot be parsed or created.
        19_002 | 11_246 | 11_310 | 200_000..=200_999 | 230_099 => Verdict::Refused,
        _ if response.status == 429 || says("too many request") || says("frequency limit") => {
            Verdict::Throttled { wait }
        }
        _ => Verdict::TryAgain { wait: response.retry_after },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn response(status: u16, body: &str) -> HttpReply<'_> {
        HttpReply { status, retry_after: None, rate_reset: None, body: body.as_bytes() }
    }

    #[test]
    fn every_documented_code_has_its_verdict() {
        let (again, slow) = (Verdict::TryAgain { wait: None }, Verdict::Throttled { wait: None });
        for (body, expected) in [
            (
                r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
                Verdict::Delivered,
            ),
            (r#"{"Extra":null,"StatusCode":0,"StatusMessage":"success"}"#, Verdict::Delivered),
            (
                r#"{"StatusCode":0,"StatusMessage":"","code":9499,"msg":"Bad Request"}"#,
                Verdict::Refused,
            ),
            (r#"{"code":9499,"msg":"Bad Request: fail to parse content"}"#, Verdict::Refused),
            (r#"{"code":9499,"msg":"too many request"}"#, slow),
            (
                r#"{"code":11232,"msg":"frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"}"#,
                slow,
            ),
            (r#"{"code":11247,"msg":""}"#, slow),
            (r#"{"code":11220,"msg":"too many requests"}"#, slow),
            (r#"{"code":2200,"msg":"internal error"}"#, again),
            (
                r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#,
                Verdict::RobotGone,
            ),
            (r#"{"code":19002,"msg":"params error, msg_type need"}"#, Verdict::Refused),
            (r#"{"code":19007,"msg":"Bot Not Enabled"}"#, Verdict::RobotGone),
            (
                r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}"#,
                Verdict::Security,
            ),
            (r#"{"code":19022,"msg":"Ip Not Allowed"}"#, Verdict::Security),
            (r#"{"code":19024,"msg":"Key Words Not Found"}"#, Verdict::Security),
            (r#"{"code":11246,"msg":""}"#, Verdict::Refused),
            (r#"{"code":200621,"msg":""}"#, Verdict::Refused),
            (r#"{"code":230099,"msg":""}"#, Verdict::Refused),
            (r#"{"code":11310,"msg":"card table number over limit"}"#, Verdict::Refused),
            (r#"{"code":19036,"msg":"?"}"#, again),
            ("<html></html>", again),
            ("{}", again),
        ] {
            assert_eq!(read(&response(200, body)).verdict, expected, "{body}");
        }
    }

    #[test]
    fn the_gateway_says_how_long_to_wait() {
        let body = r#"{"code":99991400,"msg":"request trigger frequency limit"}"#;
        let answer = HttpReply { rate_reset: Some(Duration::from_secs(7)), ..response(429, body) };
        assert_eq!(
            read(&answer).verdict,
            Verdict::Throttled { wait: Some(Duration::from_secs(7)) }
        );
        assert_eq!(read(&response(429, "slow down")).verdict, Verdict::Throttled { wait: None });
        assert_eq!(read(&response(502, "<html>")).verdict, Verdict::TryAgain { wait: None });
    }
}
