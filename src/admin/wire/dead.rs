//! The shapes of dead letters: filters, views, results.
//!
//! Owns their names and forms.
//!
//! Not here: reading a filter and filling a view (`admin/dead_letters/filter.rs`, `…/view.rs`).

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{
    broker::DeadQueue,
    domain::{Platform, RobotId, StoredReason, SubscriptionId, invalid_value},
};

/// A filter for dead letters; a missing field matches all. It is the query of `GET /v1/dead` and
/// `GET /v1/dead/summary`, and a part of [`DeadRequest`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadQuery {
    /// Of this platform; `event` for messages that were not a readable event.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "platform")]
    pub platform: Option<DeadQueue>,
    /// With this reason.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "reason")]
    pub reason: Option<StoredReason>,
    /// With this code, of the platform or of roomcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// For this robot.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "robot")]
    pub robot: Option<RobotId>,
    /// For this subscription.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "subscription")]
    pub subscription: Option<SubscriptionId>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Redriven this many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The event or the detail contains this text, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Given up at least this long ago, such as `30m` or `2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<String>,
    /// Given up at most this long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_than: Option<String>,
    /// The size of a page; 1 to 1,000, by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The page after this cursor, which is `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The properties that a summary counts by, such as `reason,robot`: `platform`, `reason`,
    /// `code`, `topic`, `robot`, `subscription`, `event`, `generation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl DeadQuery {
    /// Whether the filter restricts nothing.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        // Every event contains the empty text. A script with an empty variable sends it, so it must
        // not count as a restriction.
        let text = self.text.clone().filter(|text| !text.is_empty());
        Self { text, limit: None, after: None, by: None, ..self.clone() } == Self::default()
    }
}

/// A value of a filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {mistake}")]
pub struct InvalidFilterValue {
    field: &'static str,
    mistake: String,
}

/// Reads a value of a filter from its text, without the blanks around it.
///
/// # Errors
///
/// If the text is not such a value.
pub fn filter_value<T: FromStr<Err: Display>>(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, InvalidFilterValue> {
    let value = text.map(|text| text.trim().parse()).transpose();
    value.map_err(|mistake: T::Err| InvalidFilterValue { field, mistake: mistake.to_string() })
}

/// Reads fields of a filter, each by its own name.
macro_rules! read_fields {
    ($($field:ident: $value:ty),+ $(,)?) => {$(
        fn $field<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<$value>, D::Error> {
            let text = Option::<String>::deserialize(reader)?;
            filter_value(stringify!($field), text.as_deref()).map_err(invalid_value)
        }
    )+};
}

read_fields!(
    platform: DeadQueue,
    reason: StoredReason,
    robot: RobotId,
    subscription: SubscriptionId,
);

/// One dead letter.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadLetterView {
    /// Its id, constant as long as it is in the queue.
    pub id: String,
    /// The platform; `null` for a message that was not a readable event.
    pub platform: Option<Platform>,
    /// The reason.
    pub reason: StoredReason,
    /// The code, of the platform or of roomcast.
    pub code: String,
    /// The platform's message, redacted.
    pub detail: String,
    /// Advice for the operator, in a sentence.
    pub advice: String,
    /// The topic.
    pub topic: String,
    /// The event's id.
    pub event: String,
    /// The publisher's `app_id`; `null` if it set none.
    #[serde(default)]
    pub app_id: Option<String>,
    /// The publisher's `user_id`, which the broker has checked; `null` if it set none.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The event's subject, or its beginning.
    pub says: String,
    /// The subscription's id.
    pub subscription: Option<SubscriptionId>,
    /// The robot's id.
    pub robot: Option<RobotId>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the event was received, or the delivery was last redriven, RFC 3339.
    pub received_at: Option<String>,
    /// When the first attempt was made, RFC 3339.
    pub first_attempt_at: Option<String>,
    /// When it was given up, RFC 3339.
    pub dead_at: Option<String>,
    /// How often it was redriven before.
    pub generation: u32,
    /// The part that could not be delivered, such as `2/3`. Earlier parts were delivered and are
    /// not sent again.
    pub part: Option<String>,
    /// What was left out after the platform had refused the message for it, such as `tables`.
    #[serde(default)]
    pub omitted: Vec<String>,
    /// Whether it was published as urgent.
    pub urgent: bool,
}

/// `GET /v1/dead/{id}`, and one line of an export.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadLetterDetail {
    /// The fields that a listing shows.
    #[serde(flatten)]
    pub letter: DeadLetterView,
    /// The publisher's AMQP headers, without those of roomcast and of the broker.
    pub headers: Map<String, Value>,
    /// The publisher's `content_type`.
    pub content_type: Option<String>,
    /// The publisher's timestamp, RFC 3339.
    pub published_at: Option<String>,
    /// How often it waited in a delay tier.
    pub hops: u32,
    /// The event exactly as it was published, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The same in base 64, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// The message that the platform would get, without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Value>,
    /// Why there is no rendered message, or what it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered_note: Option<String>,
}

/// `GET /v1/dead`, one page: the newest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadPage {
    /// The letters.
    pub letters: Vec<DeadLetterView>,
    /// How many match, on all pages.
    pub matched: u64,
    /// How many the scanned queues contain.
    pub total: u64,
    /// How many more another consumer held during the scan, so that they were not seen.
    pub missed: u64,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}

/// `GET /v1/dead/summary`: the number of matching letters, by properties, the largest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadSummary {
    /// The properties that letters are counted by.
    pub by: Vec<String>,
    /// The counts.
    pub rows: Vec<SummaryRow>,
    /// How many matching letters are in no row, because there are too many rows.
    pub rest: u64,
    /// How many match.
    pub matched: u64,
    /// How many the scanned queues contain.
    pub total: u64,
    /// How many more another consumer held during the scan.
    pub missed: u64,
}

/// Letters with common properties.
#[derive(Debug, Deserialize, Serialize)]
pub struct SummaryRow {
    /// The common values; `null` if the letters have no such value.
    pub values: Map<String, Value>,
    /// How many letters.
    pub count: u64,
    /// When the oldest was given up, RFC 3339.
    pub oldest: Option<String>,
    /// When the newest was given up, RFC 3339.
    pub newest: Option<String>,
}

/// `POST /v1/dead/redrive` and `POST /v1/dead/discard`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadRequest {
    /// The filter; `limit`, `after` and `by` are refused here.
    pub which: DeadQuery,
    /// Only those of the filtered letters that have one of these ids; up to 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Must be `true` if neither a filter nor an id is given.
    pub all: bool,
    /// The largest number of letters, the oldest of each queue first;
    /// 1 to 10,000, by default 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The largest number of letters a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Count only, change nothing.
    pub dry_run: bool,
}

/// The result of a redrive or a discard.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadOutcome {
    /// How many match.
    pub matched: u64,
    /// How many of them were redriven or discarded; in a dry run, how many would be.
    pub done: u64,
    /// The same letters by platform, reason and code.
    pub rows: Vec<SummaryRow>,
    /// How many more another consumer held at the time; they were not touched.
    pub missed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refused_value;

    #[test]
    fn a_filter_is_written_as_it_is_read_and_a_wrong_value_is_named_with_its_field() {
        let read = |text: &str| serde_json::from_str::<DeadQuery>(text);
        let id = "0123456789abcdef0123456789abcdef";
        for (text, written) in [
            (r#"{"platform":" event "}"#, r#"{"platform":"event"}"#),
            (r#"{"platform":null,"reason":"haunted"}"#, r#"{"reason":"haunted"}"#),
            (r#"{"platform":"lark","reason":"expired"}"#, ""),
            (&format!(r#"{{"robot":"{id}","subscription":"{id}"}}"#), ""),
        ] {
            let written = if written.is_empty() { text } else { written };
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), written);
        }
        for (text, says) in [
            (r#"{"platform":"slack"}"#, "platform: unknown platform \"slack\": use "),
            (r#"{"robot":"r"}"#, "robot: "),
            (r#"{"subscription":""}"#, "subscription: "),
        ] {
            let refused = refused_value(&read(text).unwrap_err()).unwrap();
            assert!(refused.starts_with(says), "{refused}");
        }
    }

    #[test]
    fn what_every_letter_has_names_none() {
        let query = |text: &str| serde_json::from_str::<DeadQuery>(text).unwrap();
        for everything in ["{}", r#"{"text": ""}"#, r#"{"limit": 5, "by": "reason", "text": ""}"#] {
            assert!(query(everything).is_everything(), "{everything}");
        }
        for some in [r#"{"text": "db-1"}"#, r#"{"text": "", "topic": "ops"}"#, r#"{"code": ""}"#] {
            assert!(!query(some).is_everything(), "{some}");
        }
    }
}
