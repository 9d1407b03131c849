//! A filter of dead letters. Pure.
//!
//! Owns the meaning of each criterion.
//!
//! Not here: reading a letter (`dead_letter.rs`), the names of the queues (`dead_queue_name.rs`),
//! walking a queue (`dead_queue_scan.rs`).

use serde_json::Value;

use super::{dead_letter::DeadLetter, dead_queue_name::DeadQueue};
use crate::{
    domain::{RobotId, StoredReason, SubscriptionId, Timestamp},
    fanout,
};

/// Criteria for dead letters. A missing criterion matches every letter.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// The queue.
    pub queue: Option<DeadQueue>,
    /// The ids of the letters; empty for all.
    pub ids: Vec<String>,
    /// The topic.
    pub topic: Option<String>,
    /// The reason.
    pub reason: Option<StoredReason>,
    /// The code.
    pub code: Option<String>,
    /// The robot.
    pub robot: Option<RobotId>,
    /// The subscription.
    pub subscription: Option<SubscriptionId>,
    /// The event id.
    pub event: Option<String>,
    /// The number of redrives.
    pub generation: Option<u32>,
    /// A text in the event or in the detail, case-insensitive.
    pub text: Option<String>,
    /// Given up at this time or before.
    pub until: Option<Timestamp>,
    /// Given up at this time or after.
    pub since: Option<Timestamp>,
}

impl DeadLetterFilter {
    /// Whether the letter meets all criteria. A letter without a time of death meets neither bound.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        self.queue.is_none_or(|queue| queue == letter.queue)
            && (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.topic.as_ref().is_none_or(|topic| *topic == letter.topic)
            && self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.code.as_ref().is_none_or(|code| *code == letter.code)
            && self.robot.is_none_or(|robot| Some(robot) == letter.robot)
            && self.subscription.is_none_or(|id| Some(id) == letter.subscription)
            && self.event.as_ref().is_none_or(|event| *event == letter.event)
            && self.generation.is_none_or(|generation| generation == letter.generation)
            && self.until.is_none_or(|bound| letter.dead_at.is_some_and(|at| at <= bound))
            && self.since.is_none_or(|bound| letter.dead_at.is_some_and(|at| at >= bound))
            // Last, because it searches the body.
            && self.text.as_ref().is_none_or(|text| says(letter, &text.to_lowercase()))
    }

    /// The dead queues that may contain matching letters.
    #[must_use]
    pub fn queues(&self) -> Vec<DeadQueue> {
        DeadQueue::all().filter(|one| self.queue.is_none_or(|queue| queue == *one)).collect()
    }
}

/// Whether the detail or the event contains the text. JSON is searched in decoded form as well,
/// because a publisher may write a character as `\u…`.
fn says(letter: &DeadLetter, lower: &str) -> bool {
    let body = fanout::shown_text(&letter.published);
    letter.detail.to_lowercase().contains(lower)
        || body.to_lowercase().contains(lower)
        || (body.contains('\\')
            && serde_json::from_str(&body).is_ok_and(|value| value_says(&value, lower)))
}

fn value_says(value: &Value, lower: &str) -> bool {
    match value {
        Value::String(text) => text.to_lowercase().contains(lower),
        Value::Array(list) => list.iter().any(|one| value_says(one, lower)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, one)| name.to_lowercase().contains(lower) || value_says(one, lower)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeadReason, Platform, PublishedMessage};

    pub(crate) fn letter() -> DeadLetter {
        DeadLetter {
            id: "l1".into(),
            queue: DeadQueue::Platform(Platform::WeCom),
            platform: Some(Platform::WeCom),
            reason: DeadReason::Refused.into(),
            code: "40058".into(),
            detail: "Missing field".into(),
            topic: "ops".into(),
            event: "e1".into(),
            subscription: Some(SubscriptionId::from_bytes([1; 16])),
            robot: Some(RobotId::from_bytes([2; 16])),
            attempts: 1,
            hops: 0,
            received_at: None,
            first_attempt_at: None,
            dead_at: Some(Timestamp::from_unix_millis(60_000)),
            generation: 2,
            part: crate::domain::Part::default(),
            omitted: crate::domain::FeatureSet::EMPTY,
            urgent: false,
            published: PublishedMessage {
                body: br#"{"message": "\u6570\u636e\u5e93 DB-1", "a": ["plain \"words\""]}"#
                    .to_vec(),
                ..PublishedMessage::default()
            },
        }
    }

    #[test]
    fn a_filter_picks_what_agrees_in_everything_it_names() {
        let at = |seconds: u64| Some(Timestamp::from_unix_millis(seconds * 1000));
        let text = |text: &str| DeadLetterFilter {
            text: Some(text.into()),
            ..DeadLetterFilter::default()
        };
        for (filter, matches) in [
            (DeadLetterFilter::default(), true),
            (
                DeadLetterFilter {
                    queue: Some(DeadQueue::Platform(Platform::WeCom)),
                    ..DeadLetterFilter::default()
                },
                true,
            ),
            (
                DeadLetterFilter { queue: Some(DeadQueue::Event), ..DeadLetterFilter::default() },
                false,
            ),
            (
                DeadLetterFilter {
                    ids: vec!["l0".into(), "l1".into()],
                    topic: Some("ops".into()),
                    ..DeadLetterFilter::default()
                },
                true,
            ),
            (DeadLetterFilter { ids: vec!["l0".into()], ..DeadLetterFilter::default() }, false),
            (
                DeadLetterFilter {
                    reason: Some(DeadReason::Refused.into()),
                    code: Some("40058".into()),
                    ..DeadLetterFilter::default()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    reason: Some(DeadReason::Expired.into()),
                    code: Some("40058".into()),
                    ..DeadLetterFilter::default()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    robot: Some(RobotId::from_bytes([2; 16])),
                    ..DeadLetterFilter::default()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    robot: Some(RobotId::from_bytes([3; 16])),
                    ..DeadLetterFilter::default()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    subscription: Some(SubscriptionId::from_bytes([3; 16])),
                    ..DeadLetterFilter::default()
                },
                false,
            ),
            (DeadLetterFilter { event: Some("e2".into()), ..DeadLetterFilter::default() }, false),
            (DeadLetterFilter { generation: Some(2), ..DeadLetterFilter::default() }, true),
            (DeadLetterFilter { generation: Some(0), ..DeadLetterFilter::default() }, false),
            (
                DeadLetterFilter { until: at(60), since: at(60), ..DeadLetterFilter::default() },
                true,
            ),
            (DeadLetterFilter { until: at(59), ..DeadLetterFilter::default() }, false),
            (DeadLetterFilter { since: at(61), ..DeadLetterFilter::default() }, false),
            (text("missing FIELD"), true),
            (text("数据库 db-1"), true),
            (text("plain \"words\""), true),
            (text("elsewhere"), false),
        ] {
            assert_eq!(filter.matches(&letter()), matches, "{filter:?}");
        }
    }

    #[test]
    fn a_letter_that_does_not_say_when_it_was_given_up_is_neither_old_nor_new() {
        let dateless = DeadLetter { dead_at: None, ..letter() };
        let any = Some(Timestamp::from_unix_millis(0));
        assert!(!DeadLetterFilter { since: any, ..DeadLetterFilter::default() }.matches(&dateless));
        assert!(!DeadLetterFilter { until: any, ..DeadLetterFilter::default() }.matches(&dateless));
    }
}
