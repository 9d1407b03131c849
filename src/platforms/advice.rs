//! Advice: for each dead letter, one sentence that tells an operator what to do.
//!
//! Owns the mapping from reason, platform and code to that sentence.
//!
//! Not here: the reasons (`domain/settlement.rs`), and how dead letters are shown
//! (`admin/dead_letters.rs`).

use crate::domain::{DeadReason, Platform};

/// The advice for an event, or one delivery of it, whose template is missing or fails.
pub const TEMPLATE_ADVICE: &str = "the detail says which template, tag or line: add or mend the template (`roomcast template show`, `render`), then redrive; if the publisher's tags are wrong, correct the publisher and discard";

/// The advice for a delivery that became a dead letter for this reason with this code.
#[must_use]
pub fn advice(platform: Platform, reason: DeadReason, code: &str) -> &'static str {
    match (reason, platform, code) {
        (DeadReason::Security, Platform::DingTalk | Platform::DingTalkInternal, _) => {
            "the robot's security setting refuses us: compare keyword, signing secret and address list with the detail, give the subscription the right secret or keyword (`roomcast subscription update`; one added anew has another id, and letters of the old one are dropped), redrive"
        }
        (DeadReason::Security, Platform::Lark, "19021") => {
            "the signature does not fit: check the signing secret of the subscription and this machine's clock, redrive"
        }
        (DeadReason::Security, Platform::Lark, "19024") => {
            "the bot insists on a keyword: `roomcast subscription update ID --keyword WORD`, redrive"
        }
        (DeadReason::Security, ..) => {
            "the robot's security setting refuses us: allow this machine's address or correct the subscription, redrive"
        }
        (DeadReason::RobotGone, Platform::DingTalk | Platform::DingTalkInternal, "400102")
        | (DeadReason::RobotGone, Platform::Lark, "19007") => {
            "the robot is switched off: switch it on in the group's settings, redrive; or remove the subscription"
        }
        (DeadReason::RobotGone, ..) => {
            "the robot or its group does not exist any more: remove the subscription, or add one with the new webhook; discard"
        }
        (DeadReason::Refused, _, "too_large" | "460101" | "40058" | "45002") => {
            "the message is larger than the platform takes: publish a shorter one, discard this"
        }
        (
            DeadReason::Refused,
            Platform::DingTalk | Platform::DingTalkInternal,
            "430101" | "430102" | "430103" | "430104",
        ) => "DingTalk's content review refuses the text: publish it in other words, discard this",
        (DeadReason::Refused, _, "no_keyword") => {
            "the publisher's message in the platform's own form lacks the keyword on which the robot insists: correct what the publisher sends, or the subscription's --keyword, and redrive"
        }
        (DeadReason::Refused, _, "no_content") => {
            "the event has no content for this platform: let the publisher add an entry for it, or a default, to message_structure; discard this, because a redrive cannot add one"
        }
        (DeadReason::Refused, ..) => {
            "the platform will not take this message as it is: the detail says why; correct what the publisher sends, discard this"
        }
        (DeadReason::Exhausted, Platform::DingTalk | Platform::DingTalkInternal, "310000") => {
            "DingTalk calls the signature's time invalid: set this machine's clock right, redrive"
        }
        (DeadReason::Exhausted, _, "timeout" | "connect" | "dns" | "broken") => {
            "the platform could not be reached: check this machine's way to it, redrive"
        }
        (DeadReason::Exhausted, ..) => {
            "the platform failed again and again: when it is well again, redrive"
        }
        (DeadReason::Expired, _, "broker_expiration") => {
            "a policy of the broker gave it a time to live, which ended in its queue: end that policy, redrive it if it still matters"
        }
        (DeadReason::Evicted, ..) => {
            "a limit or policy of the broker put it out of its queue: the code says which; mend that, then redrive"
        }
        (DeadReason::Expired, ..) => {
            "its time to live ended before it could be sent: redrive it if it still matters; a longer time_to_live or fewer messages to this robot help next time"
        }
        (DeadReason::Superseded, ..) => "a newer message took its place: discard",
        (DeadReason::Poison, ..) => {
            "the broker handed it over too often without an outcome: look for crashes in the log, then redrive"
        }
        (DeadReason::UnreadableSubscription, ..) => {
            "the record of this one subscription is damaged (`roomcast store verify` names all that are): give it its webhook again (`roomcast subscription update ID --endpoint-file -`, with secret, keyword, name and mentions), or restore the store from a backup, redrive"
        }
        (DeadReason::Undecodable, _, "template") => TEMPLATE_ADVICE,
        (DeadReason::Undecodable, ..) => {
            "the publisher sent what is no event: the detail says where the mistake is; correct the publisher, discard"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_advice_on_every_platform() {
        for platform in Platform::ALL {
            for reason in DeadReason::ALL {
                assert!(advice(platform, reason, "unknown").len() > 20);
            }
        }
    }
}
