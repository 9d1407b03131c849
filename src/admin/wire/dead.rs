//! Dead letters: which are meant, how they are shown, what became of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which dead letters are meant; what is left out matches all. The query of `GET /v1/dead` and `GET /v1/dead/summary`, and a part of what is posted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadQuery {
    /// Of this platform; `event` for what was no readable event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Given up for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With this code of the platform, or of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// For this robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<String>,
    /// For this subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Redriven so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Whose event or detail has this in it, in capitals or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Given up at least this long ago, as in `30m` or `2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<String>,
    /// Given up at most this long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_than: Option<String>,
    /// How many are shown; 1 to 1,000, by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A listing's page behind this place, as `next` of the page before says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// By what a summary counts, as in `reason,robot`: `platform`, `reason`, `code`, `topic`, `robot`, `subscription`, `event`, `generation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl DeadQuery {
    /// Whether it names anything that a letter has to be.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        // Every event has the empty text in it, so who asks for that, as a script with an empty variable does, has named nothing.
        let text = self.text.clone().filter(|text| !text.is_empty());
        Self { text, limit: None, after: None, by: None, ..self.clone() } == Self::default()
    }
}

/// One dead letter.
#[derive(Debug, Deserialize, Serialize)]
pub struct LetterView {
    /// Its name, which it keeps as long as it lies there.
    pub id: String,
    /// The platform; `null` for what was no readable event.
    pub platform: Option<String>,
    /// Why it was given up.
    pub reason: String,
    /// The platform's code, or ours.
    pub code: String,
    /// The platform's words, redacted.
    pub detail: String,
    /// What to do about it, in a sentence.
    pub advice: String,
    /// The topic.
    pub topic: String,
    /// The event's name.
    pub event: String,
    /// The event's subject, or how it begins.
    pub says: String,
    /// For whom.
    pub subscription: Option<String>,
    /// To which robot.
    pub robot: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the event was received, or the delivery redriven the last time, RFC 3339.
    pub received_at: Option<String>,
    /// When the first attempt was made, RFC 3339.
    pub first_attempt_at: Option<String>,
    /// When it was given up, RFC 3339.
    pub dead_at: Option<String>,
    /// How often it was redriven before.
    pub generation: u32,
    /// Which part of its text could not be delivered, as in `2/3`; those before it were, and are not sent again.
    pub part: Option<String>,
    /// Whether it overtook what was not urgent.
    pub urgent: bool,
}

/// `GET /v1/dead/{id}`, and one line of an export.
#[derive(Debug, Deserialize, Serialize)]
pub struct LetterDetail {
    /// What a listing shows of it.
    #[serde(flatten)]
    pub letter: LetterView,
    /// What the publisher sent along: AMQP headers, without those of roomcast and of the broker.
    pub headers: Map<String, Value>,
    /// The publisher's `content_type`.
    pub content_type: Option<String>,
    /// When the publisher says that it published, RFC 3339.
    pub published_at: Option<String>,
    /// How often it waited in a delay tier.
    pub hops: u32,
    /// The event byte for byte as it was published, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The same in base 64, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// What the platform would be sent, without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Value>,
    /// Why nothing could be rendered, or what is missing in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered_note: Option<String>,
}

/// `GET /v1/dead`, one page: the newest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadPage {
    /// The letters.
    pub letters: Vec<LetterView>,
    /// How many match, on all pages.
    pub matched: u64,
    /// How many there are in the queues that were looked through.
    pub total: u64,
    /// How many more somebody else held at the time, who looked at them as well.
    pub missed: u64,
    /// Behind which place the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// `GET /v1/dead/summary`: how many match, by what was asked for, the most first.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadSummary {
    /// By what they are counted.
    pub by: Vec<String>,
    /// The counts.
    pub rows: Vec<SummaryRow>,
    /// How many letters match that are in no row, because there would be too many rows.
    pub rest: u64,
    /// How many match.
    pub matched: u64,
    /// How many there are in the queues that were looked through.
    pub total: u64,
    /// How many more somebody else held at the time.
    pub missed: u64,
}

/// Letters that have something in common.
#[derive(Debug, Deserialize, Serialize)]
pub struct SummaryRow {
    /// What they have in common; `null` where they have nothing of the kind.
    pub values: Map<String, Value>,
    /// How many there are.
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
    /// Which; `limit`, `after` and `by` are not taken here.
    pub which: DeadQuery,
    /// Of these, only those with such an id; up to 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Needed if neither a filter nor an id is named.
    pub all: bool,
    /// At most so many, the oldest of each queue first; 1 to 10,000, by default 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// At most so many letters a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Only count.
    pub dry_run: bool,
}

/// What became of letters.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeadOutcome {
    /// How many match.
    pub matched: u64,
    /// How many of them were redriven or discarded; or would be, in a dry run.
    pub done: u64,
    /// The same by platform, reason and code.
    pub rows: Vec<SummaryRow>,
    /// How many more somebody else held at the time; they were left alone.
    pub missed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

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
