//! The tables of answers: which answer of a platform has which meaning.
//!
//! Owns the shape of a rule, and the search for the first one that fits.
//!
//! Not here: the tables (`answer.rs` of each platform), and answers without a code (`reply.rs`).

use std::time::Duration;

use super::reply::{HttpReply, PlatformReply};
use crate::domain::{MessageFeature, Verdict};

/// One rule: an answer that has all that it names has its meaning. The first rule that fits counts.
#[derive(Clone, Copy, Debug)]
pub struct AnswerRule {
    first: i64,
    last: i64,
    inner: Option<i64>,
    says: Option<&'static str>,
    status: Option<u16>,
    about_signature: bool,
    meaning: Meaning,
}

/// The meaning of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The platform accepted the message.
    Delivered,
    /// It may succeed later.
    TryAgain,
    /// A quota is used up, and the answer's headers may say for how long.
    Throttled,
    /// A quota is used up for this long.
    ThrottledFor(Duration),
    /// The monthly quota is used up; a probe after this wait.
    BudgetSpent(Duration),
    /// The message is refused, perhaps for one of these features. The likeliest comes first.
    Refused(&'static [MessageFeature]),
    /// The robot does not exist any more, or is disabled.
    RobotGone,
    /// The robot's security setting rejects the message.
    Security,
}

/// A rule for one code.
pub(super) const fn code(code: i64, meaning: Meaning) -> AnswerRule {
    codes(code, code, meaning)
}

/// A rule for all codes from the first to the last.
pub(super) const fn codes(first: i64, last: i64, meaning: Meaning) -> AnswerRule {
    AnswerRule {
        first,
        last,
        inner: None,
        says: None,
        status: None,
        about_signature: false,
        meaning,
    }
}

/// A rule for any code.
pub(super) const fn any_code(meaning: Meaning) -> AnswerRule {
    codes(i64::MIN, i64::MAX, meaning)
}

impl AnswerRule {
    /// The same rule, if the platform's message contains this text, written in lower case.
    pub(super) const fn says(mut self, text: &'static str) -> Self {
        self.says = Some(text);
        self
    }

    /// The same rule, if the platform's message names this code as the cause.
    pub(super) const fn inner(mut self, code: i64) -> Self {
        self.inner = Some(code);
        self
    }

    /// The same rule, if the answer has this HTTP status.
    pub(super) const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same rule, for an answer that refuses the signature. A subscription without a secret has
    /// none, so another attempt cannot succeed.
    pub(super) const fn about_signature(mut self) -> Self {
        self.about_signature = true;
        self
    }

    /// The first and the last code; equal for a rule about one code.
    #[must_use]
    pub const fn range(&self) -> (i64, i64) {
        (self.first, self.last)
    }

    /// The meaning of the answers that fit.
    #[must_use]
    pub const fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// An answer to which the rule applies: its code, its message and its HTTP status. An earlier
    /// rule of the table may take precedence.
    #[must_use]
    pub fn example(&self) -> (i64, String, u16) {
        let code = if self.first == i64::MIN { 777_777_777 } else { self.first };
        let inner =
            self.inner.map(|inner| format!("ErrCode: {inner}; ErrMsg: ")).unwrap_or_default();
        (code, format!("{inner}{}", self.says.unwrap_or_default()), self.status.unwrap_or(200))
    }

    fn fits(&self, code: i64, words: &str, inner: Option<i64>, status: u16) -> bool {
        (self.first..=self.last).contains(&code)
            && self.says.is_none_or(|text| words.contains(text))
            && self.inner.is_none_or(|wanted| inner == Some(wanted))
            && self.status.is_none_or(|wanted| status == wanted)
    }
}

/// The meaning of an answer with this code and message. Without a rule it may succeed later.
pub(super) fn judge(
    rules: &[AnswerRule],
    code: i64,
    words: &str,
    reply: &HttpReply<'_>,
) -> PlatformReply {
    let rule = find(rules, code, words, reply.status);
    let again = Verdict::TryAgain { wait: reply.retry_after };
    let (verdict, refused_for): (_, &'static [MessageFeature]) =
        match rule.map_or(Meaning::TryAgain, AnswerRule::meaning) {
            Meaning::Delivered => (Verdict::Delivered, &[]),
            Meaning::TryAgain => (again, &[]),
            Meaning::Throttled => {
                (Verdict::Throttled { wait: reply.rate_reset.or(reply.retry_after) }, &[])
            }
            Meaning::ThrottledFor(wait) => (Verdict::Throttled { wait: Some(wait) }, &[]),
            Meaning::BudgetSpent(wait) => (Verdict::BudgetSpent { wait }, &[]),
            Meaning::Refused(features) => (Verdict::Refused, features),
            Meaning::RobotGone => (Verdict::RobotGone, &[]),
            Meaning::Security => (Verdict::Security, &[]),
        };
    let about_signature = rule.is_some_and(|rule| rule.about_signature);
    PlatformReply { refused_for, about_signature, ..PlatformReply::new(verdict, code, words) }
}

/// The first rule that fits an answer.
pub(super) fn find<'a>(
    rules: &'a [AnswerRule],
    code: i64,
    words: &str,
    status: u16,
) -> Option<&'a AnswerRule> {
    let lower = words.to_lowercase();
    let inner = inner_code(&lower);
    rules.iter().find(|rule| rule.fits(code, &lower, inner, status))
}

/// The code of the cause that a message names: `ErrCode: 11310; ErrMsg: …`.
fn inner_code(lower: &str) -> Option<i64> {
    let (_, rest) = lower.split_once("errcode")?;
    let digits = rest.trim_start_matches([':', '=', ' ', '"']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [AnswerRule; 5] = [
        code(7, Meaning::Refused(&[MessageFeature::Tables])).inner(11_310),
        code(7, Meaning::Security).says("keyword"),
        code(7, Meaning::RobotGone),
        codes(100, 199, Meaning::Refused(&[])),
        any_code(Meaning::Throttled).status(429),
    ];

    #[test]
    fn the_first_rule_whose_code_cause_text_and_status_fit_counts() {
        let reply = |status| HttpReply {
            status,
            retry_after: Some(Duration::from_secs(9)),
            rate_reset: None,
            body: b"",
        };
        let again = Verdict::TryAgain { wait: Some(Duration::from_secs(9)) };
        for (code, words, status, verdict) in [
            (
                7,
                "Failed, ext=ErrCode: 11310; ErrMsg: card table number over limit",
                400,
                Verdict::Refused,
            ),
            (7, "No KEYWORD", 200, Verdict::Security),
            (7, "ErrCode: 113105", 200, Verdict::RobotGone),
            (99, "", 200, again),
            (100, "", 200, Verdict::Refused),
            (199, "", 200, Verdict::Refused),
            (200, "", 429, Verdict::Throttled { wait: Some(Duration::from_secs(9)) }),
            (200, "", 500, again),
        ] {
            assert_eq!(
                judge(&RULES, code, words, &reply(status)).verdict,
                verdict,
                "{code} {words}"
            );
        }
        let tables = judge(&RULES, 7, "ErrCode: 11310", &reply(200));
        assert_eq!(tables.refused_for, [MessageFeature::Tables]);
        assert!(judge(&RULES, 7, "", &reply(200)).refused_for.is_empty());
    }

    #[test]
    fn the_cause_is_read_in_each_form_in_which_it_is_written() {
        for (words, cause) in [
            ("errcode: 100290; errmsg: there is", Some(100_290)),
            ("failed to create card content, ext=errcode: 11310; errmsg: x", Some(11_310)),
            ("errcode=5", Some(5)),
            ("\"errcode\":12,", Some(12)),
            ("errcode: none", None),
            ("11310", None),
            ("errcode", None),
        ] {
            assert_eq!(inner_code(words), cause, "{words}");
        }
    }
}
