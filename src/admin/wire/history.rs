//! The shapes of the history: filter, entries, the life of one event.
//!
//! Owns their names and forms.
//!
//! Not here: reading a filter and filling an entry (`admin/history.rs`, `admin/history_view.rs`).

use serde::{Deserialize, Serialize};

use super::WaitView;
use crate::{
    domain::{Platform, RobotId, SubscriptionId},
    history::{HistoryCursor, HistoryOutcome},
};

/// A filter for the history; a missing field matches all. It is the query of `GET /v1/history`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryFilter {
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Of this subscription, which need not exist any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Of this robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<String>,
    /// Of this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Not older than this: a span such as `2h`, or a time in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// With this outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The size of a page; 1 to 1,000, by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The page after this cursor, which is `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HistoryEntry {
    /// When it happened, RFC 3339.
    pub at: String,
    /// What it was, in one word.
    pub outcome: HistoryOutcome,
    /// The same in a sentence.
    pub says: String,
    /// The event's id.
    pub event: String,
    /// The topic.
    pub topic: String,
    /// The delivery; `null` if it concerns the event as a whole.
    pub delivery: Option<HistoryDelivery>,
    /// The attempt, if one was made.
    pub attempt: Option<HistoryAttempt>,
    /// Until when the delivery waits on the broker, and why.
    pub wait: Option<HistoryWait>,
    /// Why it became a dead letter.
    pub dead: Option<HistoryDead>,
    /// The id of the dead letter on which an operator acted.
    pub letter: Option<String>,
    /// The hold that began or ended.
    pub hold: Option<HistoryHold>,
    /// The beginning of the event's text, if `history.text` is on.
    pub text: Option<String>,
    /// How many subscriptions the topic had when the event was received.
    pub subscriptions: Option<u32>,
    /// How many deliveries began then.
    pub deliveries: Option<u32>,
}

/// The delivery of an entry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HistoryDelivery {
    /// The subscription's id.
    pub subscription: SubscriptionId,
    /// The subscription's name now; `null` if it has none or is removed.
    pub name: Option<String>,
    /// The platform of the robot.
    pub platform: Platform,
    /// The robot's id.
    pub robot: RobotId,
    /// How often it was redriven.
    pub generation: u32,
    /// How often it waited in a delay tier before.
    pub hops: u32,
    /// How many attempts of the current part count.
    pub attempts: u32,
    /// The part of a long text, such as `2/3`.
    pub part: Option<String>,
    /// What was left out after the platform had refused the message for it, such as `tables`.
    pub omitted: Vec<String>,
}

/// The attempt of an entry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HistoryAttempt {
    /// When it ended, RFC 3339.
    pub at: String,
    /// How long the platform took to answer.
    pub took_millis: u64,
    /// How long the delivery waited in memory before.
    pub waited_millis: u64,
    /// Why it waited in memory; `null` if it did not.
    pub waited_for: Option<String>,
    /// The meaning of the answer.
    pub verdict: String,
    /// The code, of the platform or of roomcast.
    pub code: String,
    /// The platform's message, redacted.
    pub detail: String,
    /// How many other deliveries the same message covers; `null` if the message of another delivery
    /// covers this one.
    pub covers: Option<u32>,
}

/// A wait on the broker.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HistoryWait {
    /// When it may be tried, RFC 3339.
    pub until: String,
    /// Why it waits.
    #[serde(flatten)]
    pub why: WaitView,
}

/// Why something became a dead letter.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HistoryDead {
    /// The reason.
    pub reason: String,
    /// The code, of the platform or of roomcast.
    pub code: String,
    /// The platform's message, redacted; empty for an event as a whole.
    pub detail: String,
}

/// The hold of an entry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HistoryHold {
    /// The platform.
    pub platform: Platform,
    /// The robot; `null` if all robots of the platform are held.
    pub robot: Option<RobotId>,
    /// Why.
    pub cause: String,
    /// When the next message may be tried, RFC 3339; `null` if the hold ended.
    pub until: Option<String>,
    /// The code of the answer that changed it.
    pub code: String,
    /// The message of that answer, redacted.
    pub detail: String,
}

/// `POST /v1/history/letters`: what the command line did with dead letters.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LettersActedOn {
    /// The letters; at most 1,000.
    pub letters: Vec<LetterActedOn>,
}

/// One of these letters.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LetterActedOn {
    /// Whether it was deleted; otherwise it was redriven.
    pub discarded: bool,
    /// When, in milliseconds since 1970.
    pub at_millis: u64,
    /// Its id.
    pub letter: String,
    /// The event.
    pub event: String,
    /// The topic.
    pub topic: String,
    /// Why it was dead.
    pub reason: String,
    /// The code, of the platform or of roomcast.
    pub code: String,
    /// How often it had been redriven before.
    pub generation: u32,
    /// The platform; `null` for an event as a whole, as the next two.
    pub platform: Option<Platform>,
    /// The subscription.
    pub subscription: Option<SubscriptionId>,
    /// The robot.
    pub robot: Option<RobotId>,
}

/// How many letters were noted.
#[derive(Debug, Deserialize, Serialize)]
pub struct LettersNoted {
    /// Their number.
    pub letters: usize,
}

/// `GET /v1/history`, one page: the newest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct HistoryEntries {
    /// The entries. A page may have fewer than its limit although another one follows.
    pub entries: Vec<HistoryEntry>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<HistoryCursor>,
}

/// `GET /v1/events/{id}`: the life of one event.
#[derive(Debug, Deserialize, Serialize)]
pub struct EventHistory {
    /// The event's id.
    pub event: String,
    /// Its deliveries, in the order in which they were first seen.
    pub deliveries: Vec<DeliverySummary>,
    /// Everything that happened, the oldest first: the newest 5,000 entries.
    pub entries: Vec<HistoryEntry>,
    /// The cursor of older entries, for `GET /v1/history`; `null` if all are here.
    pub next: Option<HistoryCursor>,
}

/// What became of one delivery so far.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeliverySummary {
    /// The topic.
    pub topic: String,
    /// The delivery as it was seen last.
    #[serde(flatten)]
    pub delivery: HistoryDelivery,
    /// What happened last, in one word.
    pub outcome: HistoryOutcome,
    /// The same in a sentence.
    pub says: String,
    /// How many attempts were made, redrives included.
    pub attempts_made: u32,
    /// When it happened, RFC 3339.
    pub at: String,
}
