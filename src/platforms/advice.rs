//! Advice: for each dead letter, one sentence that tells an operator what to do.
//!
//! Owns the general mapping from reason and code to that sentence.
//!
//! Not here: the advice for a platform's own codes (`advice.rs` in its folder), the reasons
//! (`domain/dead_reason.rs`), and how dead letters are shown (`admin/dead_letters.rs`).

use super::{answer::NO_SECRET, registry::profile, shared_advice::TOO_LARGE};
use crate::domain::{DeadReason, Platform};

/// The advice for an event, or one delivery of it, whose template is missing or fails.
const TEMPLATE_ADVICE: &str = "the detail says which template, tag or line: \
    add or correct the template (`roomcast template show`, `render`), then redrive; \
    if the publisher's tags are wrong, correct the publisher and discard";

const POISON_ADVICE: &str = "the broker redelivered it too often without an outcome: \
    look for crashes in the log, then redrive";
const EVICTED_ADVICE: &str = "a limit or policy of the broker removed it from its queue: \
    the code says which; correct it, then redrive";
const UNDECODABLE_ADVICE: &str = "the message is not an event: \
    the detail says where the mistake is; correct the publisher, discard";

const NO_SECRET_ADVICE: &str = "the robot asks for a signature, \
    and the subscription has no signing secret: \
    add it (`roomcast subscription update ID --secret-file FILE`), \
    or choose another security setting in the group, redrive";

/// The advice for an event of which a member would see nothing.
const EMPTY_ADVICE: &str = "the publisher sent a text without anything to see: \
    find out which value is missing there; discard this, because a redrive cannot add one";

/// The advice for a delivery that became a dead letter for this reason with this code.
#[must_use]
pub fn advice(platform: Platform, reason: DeadReason, code: &str) -> &'static str {
    if (reason, code) == (DeadReason::Security, NO_SECRET) {
        return NO_SECRET_ADVICE;
    }
    if let Some(own) = profile(platform).advice(reason, code) {
        return own;
    }
    match (reason, code) {
        (DeadReason::Security, _) => {
            "the robot's security setting refuses us: \
             allow this machine's address or correct the subscription, redrive"
        }
        (DeadReason::RobotGone, _) => {
            "the robot or its group does not exist any more: \
             remove the subscription, or add one with the new webhook; discard"
        }
        (DeadReason::Refused, "too_large") => TOO_LARGE,
        (DeadReason::Refused, "host_not_allowed") => {
            "the webhook is at a host that is not the platform's: \
             allow it in platforms.<name>.hosts and restart, \
             or give the subscription its new webhook \
             (`roomcast subscription update ID --endpoint-file -`), redrive"
        }
        (DeadReason::Refused, "no_keyword") => {
            "the publisher's message in the platform's own form lacks the keyword \
             on which the robot insists: \
             correct what the publisher sends, or the subscription's --keyword, and redrive"
        }
        (DeadReason::Refused, "no_content") => {
            "the event has no content for this platform: let the publisher add an entry for it, \
             or a default, to message_structure; discard this, because a redrive cannot add one"
        }
        (DeadReason::Refused, _) => {
            "the platform will not take this message as it is: the detail says why; \
             correct what the publisher sends, discard this"
        }
        (DeadReason::Exhausted, "timeout" | "connect" | "dns" | "broken") => {
            "the platform could not be reached: check this machine's way to it, redrive"
        }
        (DeadReason::Exhausted, "proxy") => {
            "the proxy on the way to the platform could not be used: `roomcast check` tries it; \
             when it is well again, redrive"
        }
        (DeadReason::Exhausted, _) => {
            "the platform failed in every attempt: redrive when it works again"
        }
        (DeadReason::Expired, "broker_expiration") => {
            "a policy of the broker gave it a time to live, which ended in its queue: \
             remove that policy, redrive it if it still matters"
        }
        (DeadReason::Evicted, _) => EVICTED_ADVICE,
        (DeadReason::Expired, _) => {
            "its time to live ended before it could be sent: redrive it if it still matters; \
             a longer time_to_live or fewer messages to this robot help next time"
        }
        (DeadReason::Superseded, _) => "a newer message took its place: discard",
        (DeadReason::Poison, _) => POISON_ADVICE,
        (DeadReason::UnreadableSubscription, _) => {
            "the record of this one subscription is damaged \
             (`roomcast store verify` names all that are): \
             give it its webhook again (`roomcast subscription update ID --endpoint-file -`, \
             with secret, keyword, name and mentions), or restore the store from a backup, redrive"
        }
        (DeadReason::Empty, _) => EMPTY_ADVICE,
        (DeadReason::Undecodable, "template") => TEMPLATE_ADVICE,
        (DeadReason::Undecodable, _) => UNDECODABLE_ADVICE,
    }
}

/// The advice for an event that became a dead letter before its deliveries began.
#[must_use]
pub fn event_advice(reason: DeadReason, code: &str) -> &'static str {
    match (reason, code) {
        (DeadReason::Poison, _) => POISON_ADVICE,
        (DeadReason::Expired, _) => {
            "its expiration, set by the publisher or by a policy of the broker, \
             ended before the daemon took it: \
             redrive it if it still matters, and let roomcast count with time_to_live"
        }
        (DeadReason::Evicted, _) => EVICTED_ADVICE,
        (DeadReason::Empty, _) => EMPTY_ADVICE,
        (_, "template") => TEMPLATE_ADVICE,
        (_, "headers_too_large") => {
            "the headers are larger than what can go along with a message: \
             let the publisher send less in them, and more in the body; \
             redriven, it lacks those that the header x-roomcast-left-out names"
        }
        (_, "size") => {
            "the event is larger than event.size_max: \
             publish a smaller one and discard this, or allow more and redrive"
        }
        _ => UNDECODABLE_ADVICE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::every;

    #[test]
    fn a_platforms_own_code_gets_its_own_advice_and_others_the_general_one() {
        for (platform, reason, code, says) in [
            (Platform::DingTalk, DeadReason::Security, "310000", "compare keyword"),
            (Platform::DingTalk, DeadReason::Security, "no_secret", "has no signing secret"),
            (Platform::Lark, DeadReason::Security, "no_secret", "has no signing secret"),
            (Platform::DingTalkInternal, DeadReason::RobotGone, "400102", "switched off"),
            (Platform::DingTalk, DeadReason::Refused, "430104", "content review"),
            (Platform::DingTalk, DeadReason::Refused, "460101", "larger than the platform takes"),
            (Platform::DingTalk, DeadReason::Exhausted, "310000", "clock right"),
            (Platform::Lark, DeadReason::Security, "19021", "the signature does not fit"),
            (Platform::Lark, DeadReason::Security, "19024", "insists on a keyword"),
            (Platform::Lark, DeadReason::Security, "19022", "allow this machine's address"),
            (Platform::Lark, DeadReason::RobotGone, "19007", "switched off"),
            (Platform::Lark, DeadReason::Refused, "19036", "larger than the platform takes"),
            (Platform::Lark, DeadReason::Refused, "host_not_allowed", "platforms.<name>.hosts"),
            (Platform::Lark, DeadReason::RobotGone, "19001", "does not exist any more"),
            (Platform::WeCom, DeadReason::Refused, "45002", "larger than the platform takes"),
            (Platform::WeCom, DeadReason::Refused, "too_large", "larger than the platform takes"),
            (Platform::WeCom, DeadReason::Exhausted, "timeout", "could not be reached"),
        ] {
            let advice = advice(platform, reason, code);
            assert!(advice.contains(says), "{platform} {reason} {code}: {advice}");
        }
    }

    #[test]
    fn every_reason_has_advice_on_every_platform() {
        for platform in Platform::ALL {
            for reason in every() {
                assert!(advice(platform, reason, "unknown").len() > 20);
            }
        }
    }
}
