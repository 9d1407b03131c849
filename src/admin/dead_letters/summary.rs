//! Counts dead letters by common properties, and keeps the newest for a listing. Pure.
//!
//! Owns the order of a listing, and that memory stays bounded for any number of letters.
//!
//! Not here: the fields that are shown (`view.rs`).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use enum_map::Enum;
use serde_json::{Map, Value};

use super::view::{rfc3339, view};
use crate::{
    admin::{
        ApiError,
        wire::{DeadLetterView, SummaryRow},
    },
    broker::DeadLetter,
    domain::{Timestamp, every},
};

/// The largest number of rows of a summary. Letters beyond them are counted together.
const ROWS_MAX: usize = 10_000;

/// A property that letters are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum GroupBy {
    /// Platform.
    Platform,
    /// Reason.
    Reason,
    /// Code.
    Code,
    /// Topic.
    Topic,
    /// Robot.
    Robot,
    /// Subscription.
    Subscription,
    /// Event.
    Event,
    /// How often they were redriven.
    Generation,
}

impl GroupBy {
    /// The name on the command line and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Reason => "reason",
            Self::Code => "code",
            Self::Topic => "topic",
            Self::Robot => "robot",
            Self::Subscription => "subscription",
            Self::Event => "event",
            Self::Generation => "generation",
        }
    }

    /// Reads a list such as `reason,robot`.
    ///
    /// # Errors
    ///
    /// If a name is unknown, or the list is empty.
    pub fn list(text: &str) -> Result<Vec<Self>, ApiError> {
        let mut by = Vec::new();
        for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let one = one.parse()?;
            if !by.contains(&one) {
                by.push(one);
            }
        }
        if by.is_empty() {
            Err(ApiError::Invalid("by: it is empty, use by=reason".to_owned()))
        } else {
            Ok(by)
        }
    }

    fn of(self, letter: &DeadLetter) -> Option<String> {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match self {
            Self::Platform => letter.platform.map(|platform| platform.to_string()),
            Self::Reason => Some(letter.reason.to_string()),
            Self::Code => text(&letter.code),
            Self::Topic => text(&letter.topic),
            Self::Robot => letter.robot.map(|robot| robot.to_string()),
            Self::Subscription => letter.subscription.map(|id| id.to_string()),
            Self::Event => text(&letter.event),
            Self::Generation => Some(letter.generation.to_string()),
        }
    }
}

impl FromStr for GroupBy {
    type Err = ApiError;

    fn from_str(name: &str) -> Result<Self, ApiError> {
        every::<Self>().find(|one| one.as_str() == name).ok_or_else(|| {
            let known = every().map(Self::as_str).collect::<Vec<_>>().join(", ");
            ApiError::Invalid(format!("by: letters cannot be counted by {name:?}, only by {known}"))
        })
    }
}

/// The counts of letters, by their properties.
pub struct DeadLetterSummary {
    by: Vec<GroupBy>,
    rows: HashMap<Vec<Option<String>>, GroupCounts>,
    rest: u64,
    count: u64,
}

#[derive(Clone, Copy)]
struct GroupCounts {
    count: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

impl DeadLetterSummary {
    /// A summary by these properties.
    #[must_use]
    pub fn new(by: Vec<GroupBy>) -> Self {
        Self { by, rows: HashMap::new(), rest: 0, count: 0 }
    }

    /// By platform, reason and code: an operator needs these first.
    #[must_use]
    pub fn usual() -> Self {
        Self::new(vec![GroupBy::Platform, GroupBy::Reason, GroupBy::Code])
    }

    /// Counts a letter.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        let values: Vec<_> = self.by.iter().map(|one| one.of(letter)).collect();
        let full = self.rows.len() >= ROWS_MAX;
        let at = letter.dead_at;
        match self.rows.get_mut(&values) {
            Some(row) => {
                row.count += 1;
                row.oldest = [row.oldest, at].into_iter().flatten().min();
                row.newest = row.newest.max(at);
            }
            None if full => self.rest += 1,
            None => {
                self.rows.insert(values, GroupCounts { count: 1, oldest: at, newest: at });
            }
        }
    }

    /// How many letters were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The names of the properties.
    #[must_use]
    pub fn by(&self) -> Vec<String> {
        self.by.iter().map(|one| one.as_str().to_owned()).collect()
    }

    /// The rows with the largest counts first, and the number of letters in no row.
    #[must_use]
    pub fn rows(self, limit: usize) -> (Vec<SummaryRow>, u64) {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_by(|(one, left), (other, right)| {
            right.count.cmp(&left.count).then_with(|| one.cmp(other))
        });
        let rest = rows.iter().skip(limit).map(|(_, row)| row.count).sum::<u64>() + self.rest;
        let row = |(values, row): (Vec<Option<String>>, GroupCounts)| SummaryRow {
            values: self
                .by
                .iter()
                .zip(values)
                .map(|(one, value)| (one.as_str().to_owned(), value.into()))
                .collect::<Map<String, Value>>(),
            count: row.count,
            oldest: row.oldest.map(rfc3339),
            newest: row.newest.map(rfc3339),
        };
        (rows.into_iter().take(limit).map(row).collect(), rest)
    }
}

/// The newest letters after a cursor, at most `limit` of them.
pub struct NewestDeadLetters {
    limit: usize,
    after: Option<PageCursor>,
    letters: BTreeMap<PageCursor, DeadLetterView>,
    matched: u64,
}

/// The time of death and the id: the order of a listing. The number tells equal letters apart by
/// their order of arrival.
type PageCursor = (Reverse<u64>, String, u64);

/// The sort key for the newest first. Equal letters keep the order of their queues.
#[must_use]
pub fn newest_first(letter: &DeadLetter) -> (Reverse<u64>, String) {
    (Reverse(letter.dead_at.unwrap_or_default().unix_millis()), letter.id.clone())
}

impl NewestDeadLetters {
    /// At most `limit` letters, after the cursor with which the page before ended.
    ///
    /// # Errors
    ///
    /// If `after` is not a cursor.
    pub fn new(limit: usize, after: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self {
            limit,
            after: after.map(place).transpose()?,
            letters: BTreeMap::new(),
            matched: 0,
        })
    }

    /// Counts a letter, and keeps it if it is among the newest.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.matched += 1;
        let (at, id) = newest_first(letter);
        if self.after.as_ref().is_some_and(|after| (at, &letter.id) <= (after.0, &after.1)) {
            return;
        }
        let last = self.letters.last_key_value().map(|(place, _)| (place.0, &place.1));
        if self.letters.len() >= self.limit && last.is_some_and(|last| last <= (at, &letter.id)) {
            return;
        }
        self.letters.insert((at, id, self.matched), view(letter));
        if self.letters.len() > self.limit {
            self.letters.pop_last();
        }
    }

    /// How many letters were counted.
    #[must_use]
    pub const fn matched(&self) -> u64 {
        self.matched
    }

    /// The letters, and the cursor of the next page if this page is full.
    #[must_use]
    pub fn page(self) -> (Vec<DeadLetterView>, Option<String>) {
        let full = self.letters.len() >= self.limit;
        let last =
            self.letters.last_key_value().map(|(place, _)| format!("{}/{}", place.0.0, place.1));
        (self.letters.into_values().collect(), last.filter(|_| full))
    }
}

fn place(text: &str) -> Result<PageCursor, ApiError> {
    let parts = text
        .split_once('/')
        .and_then(|(at, id)| Some((Reverse(at.parse().ok()?), id.to_owned(), 0)));
    parts.ok_or_else(|| {
        ApiError::Invalid(format!(
            "after: {text:?} is not a place of a listing: take `next` of its last page"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::DeadQueue,
        domain::{DeadReason, Platform, PublishedMessage},
    };

    fn letter(id: &str, reason: DeadReason, at: Option<u64>) -> DeadLetter {
        DeadLetter {
            id: id.into(),
            queue: DeadQueue::Platform(Platform::Lark),
            platform: Some(Platform::Lark),
            reason: reason.into(),
            code: "c".into(),
            detail: String::new(),
            topic: "ops".into(),
            event: "e".into(),
            subscription: None,
            robot: None,
            attempts: 1,
            hops: 0,
            received_at: None,
            first_attempt_at: None,
            dead_at: at.map(Timestamp::from_unix_millis),
            generation: 0,
            part: crate::domain::Part::default(),
            omitted: crate::domain::FeatureSet::EMPTY,
            urgent: false,
            published: PublishedMessage::default(),
        }
    }

    #[test]
    fn letters_are_counted_by_what_they_have_in_common_the_most_first() {
        let mut summary = DeadLetterSummary::new(GroupBy::list("reason, robot,reason").unwrap());
        for (reason, at) in [
            (DeadReason::Expired, Some(5)),
            (DeadReason::Refused, None),
            (DeadReason::Refused, Some(3000)),
            (DeadReason::Refused, Some(2000)),
        ] {
            summary.add(&letter("x", reason, at));
        }
        assert_eq!(
            (summary.count(), summary.by()),
            (4, vec!["reason".to_owned(), "robot".to_owned()])
        );
        let (rows, rest) = summary.rows(1);
        assert_eq!((rows.len(), rest), (1, 1), "the one that is expired is in no row");
        assert_eq!(
            serde_json::to_string(&rows[0].values).unwrap(),
            r#"{"reason":"refused","robot":null}"#
        );
        assert_eq!(rows[0].count, 3);
        assert_eq!(rows[0].oldest.as_deref(), Some("1970-01-01T00:00:02Z"));
        assert_eq!(rows[0].newest.as_deref(), Some("1970-01-01T00:00:03Z"));
    }

    #[test]
    fn an_unknown_property_of_a_summary_is_named() {
        let Err(refusal) = GroupBy::list("reason,colour") else { panic!("there is no colour") };
        assert!(
            refusal.to_string().contains("\"colour\"")
                && refusal.to_string().contains("subscription"),
            "{refusal}"
        );
        assert!(GroupBy::list(" , ").is_err());
    }

    #[test]
    fn pages_follow_one_another_whatever_the_order_of_the_queue_and_whatever_is_gone_meanwhile() {
        let all: Vec<_> = [3, 1, 9, 7, 5]
            .iter()
            .map(|at| letter(&format!("l{at}"), DeadReason::Expired, Some(*at)))
            .collect();
        let page = |letters: &[DeadLetter], after: Option<&str>| {
            let mut newest = NewestDeadLetters::new(2, after).unwrap();
            letters.iter().for_each(|letter| newest.add(letter));
            let (letters, next) = newest.page();
            (letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>(), next)
        };
        let (first, next) = page(&all, None);
        assert_eq!(first, ["l9", "l7"]);
        // The last letter of the page is redriven before the next page is requested.
        let left: Vec<_> = all.into_iter().filter(|letter| letter.id != "l7").collect();
        let (second, next) = page(&left, next.as_deref());
        assert_eq!(second, ["l5", "l3"]);
        assert_eq!(page(&left, next.as_deref()), (vec!["l1".to_owned()], None));
        assert!(NewestDeadLetters::new(2, Some("nowhere")).is_err());
    }

    #[test]
    fn equal_letters_are_all_shown() {
        let mut newest = NewestDeadLetters::new(5, None).unwrap();
        for _ in 0..3 {
            newest.add(&letter("twin", DeadReason::Poison, None));
        }
        assert_eq!((newest.matched(), newest.page().0.len()), (3, 3));
    }
}
