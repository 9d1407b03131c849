//! The meaning of Lark's answers.
//!
//! Owns the table of error codes.
//!
//! Not here: answers that are not JSON (`platforms/reply.rs`).

use serde_json::Value;

use crate::{
    domain::MessageFeature,
    platforms::{
        answer_rule::{AnswerRule, Meaning, any_code, code, codes, judge},
        reply::{HttpReply, PlatformReply},
    },
};

/// A member that Lark does not know, or may not be mentioned.
const MENTION: Meaning = Meaning::Refused(&[MessageFeature::Mentions, MessageFeature::MentionAll]);
/// More tables than a card may have.
const TABLES: Meaning = Meaning::Refused(&[MessageFeature::Tables]);
/// The content of a card. A group whose owner does not allow the mention of all refuses it with the
/// same code.
const CARD: Meaning = Meaning::Refused(&[MessageFeature::MentionAll, MessageFeature::Markup]);
/// The form of the message.
const FORM: Meaning = Meaning::Refused(&[MessageFeature::Markup]);

/// The codes of Lark. A failed card names its cause by a second code in the text.
pub(super) const RULES: &[AnswerRule] = &[
    code(0, Meaning::Delivered),
    // One code with two meanings.
    code(9_499, Meaning::Throttled).says("too many request"),
    code(9_499, CARD),
    code(11_220, Meaning::Throttled),
    code(11_232, Meaning::Throttled),
    code(11_247, Meaning::Throttled),
    code(99_991_400, Meaning::Throttled),
    code(2_200, Meaning::TryAgain),
    code(19_001, Meaning::RobotGone),
    code(19_007, Meaning::RobotGone),
    code(19_021, Meaning::Security).about_signature(),
    code(19_022, Meaning::Security),
    code(19_024, Meaning::Security),
    any_code(Meaning::Throttled).status(429),
    any_code(Meaning::Throttled).says("too many request"),
    any_code(Meaning::Throttled).says("frequency limit"),
    any_code(MENTION).inner(100_290),
    any_code(TABLES).inner(11_310),
    code(11_310, TABLES),
    code(11_246, MENTION).says("invalid user"),
    code(11_246, CARD),
    code(230_099, TABLES).says("table"),
    code(230_099, Meaning::Refused(&[MessageFeature::Pictures, MessageFeature::Markup]))
        .says("image"),
    code(230_099, CARD),
    codes(200_000, 200_999, CARD),
    // All other codes of custom bots are about the message, too: 19002 and 19036 are known.
    codes(19_000, 19_999, FORM),
];

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
    judge(RULES, code, words, response)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Verdict;

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
                concat!(
                    r#"{"code":11232,"msg":"frequency limited "#,
                    r#"psm[lark.oapi.app_platform_runtime]appID[1500]"}"#
                ),
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
                concat!(
                    r#"{"code":19021,"msg":"sign match fail or timestamp "#,
                    r#"is not within one hour from current time"}"#
                ),
                Verdict::Security,
            ),
            (r#"{"code":19022,"msg":"Ip Not Allowed"}"#, Verdict::Security),
            (r#"{"code":19024,"msg":"Key Words Not Found"}"#, Verdict::Security),
            (r#"{"code":11246,"msg":""}"#, Verdict::Refused),
            (r#"{"code":200621,"msg":""}"#, Verdict::Refused),
            (r#"{"code":230099,"msg":""}"#, Verdict::Refused),
            (r#"{"code":11310,"msg":"card table number over limit"}"#, Verdict::Refused),
            (
                r#"{"code":19036,"msg":"The message exceeds the size limit of 30KB"}"#,
                Verdict::Refused,
            ),
            (r#"{"code":19999,"msg":""}"#, Verdict::Refused),
            (r#"{"code":18999,"msg":""}"#, again),
            (r#"{"code":20000,"msg":""}"#, again),
            (r#"{"code":1,"msg":"ErrCode: 100290; ErrMsg: x"}"#, Verdict::Refused),
            ("<html></html>", again),
            ("{}", again),
        ] {
            assert_eq!(read(&response(200, body)).verdict, expected, "{body}");
        }
    }

    #[test]
    fn a_refused_card_says_which_feature_it_is_refused_for() {
        use MessageFeature::{Markup, MentionAll, Mentions, Pictures, Tables};
        let tables = "Failed to create card content, ext=ErrCode: 11310; \
            ErrMsg: card table number over limit";
        let user = "ErrCode: 100290; \
            ErrMsg: there is an invalid user resource (at/person) in your card; \
            ErrorValue: z****; ";
        for (code, words, features) in [
            (230_099, tables, &[Tables][..]),
            (11_310, "card table number over limit", &[Tables]),
            (11_246, user, &[Mentions, MentionAll]),
            (230_099, user, &[Mentions, MentionAll]),
            (11_246, "", &[MentionAll, Markup]),
            (230_099, "Failed to create card content", &[MentionAll, Markup]),
            (230_099, "ErrCode: 300314; ErrMsg: invalid image key", &[Pictures, Markup]),
            (200_621, "parse card json err", &[MentionAll, Markup]),
            (9_499, "Bad Request: fail to parse content", &[MentionAll, Markup]),
            (19_002, "params error, msg_type need", &[Markup]),
            (19_036, "The message exceeds the size limit of 30KB", &[Markup]),
        ] {
            let body = serde_json::json!({"code": code, "data": {}, "msg": words}).to_string();
            for status in [200, 400] {
                let answer = read(&response(status, &body));
                assert_eq!(answer.verdict, Verdict::Refused, "{body}");
                assert_eq!(answer.refused_for, features, "{body}");
            }
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
