//! Questions to the history, for the API.
//!
//! Owns the forms of a filter, the sizes of pages, and that a subscription is shown with the name
//! that it has now. The history itself has ids alone, so a removed subscription has no name.
//!
//! Not here: the words of an entry (`history_view.rs`), and the port (`history/port.rs`).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    ApiError, SubscriptionService,
    history_view::{entry, summaries, times_in_order},
    phrases,
    subscriptions::invalid,
    wire::{EventHistory, HistoryEntries, HistoryEntry, HistoryFilter, LettersActedOn},
};
use crate::{
    clock::Clock,
    domain::{EventId, SubscriptionId, Timestamp, UnknownEvent, duration},
    history::{
        DeliveryHistory, HistoryPage, HistoryQuery, HistoryRecord, HistoryUnavailable, LetterAction,
    },
    telemetry::{
        Telemetry,
        events::{DeadLetterActedOn, LetterFacts},
        with_causes,
    },
};

/// The default size of a page.
const PAGE: usize = 100;
/// The largest size of a page.
const PAGE_MAX: usize = 1000;
/// How many letters the command line may report at once.
const LETTERS_MAX: usize = 1000;
/// How many entries the life of one event shows.
const EVENT_ENTRIES_MAX: usize = 5000;
/// How many pages are read for it. A page of an event reads little else.
const EVENT_PAGES_MAX: usize = 20;

/// Answers questions to the history.
#[derive(Clone)]
pub struct HistoryService {
    /// The history; `None` if it is off.
    pub history: Option<Arc<dyn DeliveryHistory>>,
    /// Knows the names of subscriptions.
    pub subscriptions: SubscriptionService,
    /// The source of time.
    pub clock: Clock,
}

impl HistoryService {
    /// One page, the newest entry first.
    pub async fn page(&self, filter: &HistoryFilter) -> Result<HistoryEntries, ApiError> {
        let history = self.history()?;
        let query = query(filter, self.clock.now())?;
        let after = parsed("after", &filter.after)?;
        let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let HistoryPage { records, next } = history.page(query, after, limit).await?;
        Ok(HistoryEntries { entries: self.entries(records).await, next })
    }

    /// The life of one event.
    pub async fn event(&self, id: &str) -> Result<EventHistory, ApiError> {
        let history = self.history()?;
        let query = HistoryQuery { event: Some(EventId::new(id)), ..HistoryQuery::default() };
        let (mut records, mut next) = (Vec::new(), None);
        for _ in 0..EVENT_PAGES_MAX {
            let limit = PAGE_MAX.min(EVENT_ENTRIES_MAX - records.len());
            let page = Arc::clone(&history).page(query.clone(), next, limit).await?;
            records.extend(page.records);
            next = page.next;
            if next.is_none() || records.len() >= EVENT_ENTRIES_MAX {
                break;
            }
        }
        if records.is_empty() {
            return Err(ApiError::NotFound(UnknownEvent(id.to_owned()).to_string()));
        }
        records.reverse();
        let times = times_in_order(&records);
        let entries = self.entries(records).await;
        // The clock may have been set back, so the last outcome is that of the last record.
        let deliveries = summaries(&entries);
        let mut timed: Vec<_> = times.into_iter().zip(entries).collect();
        timed.sort_by_key(|(at, _)| *at);
        let entries = timed.into_iter().map(|(_, entry)| entry).collect();
        Ok(EventHistory { event: id.to_owned(), deliveries, entries, next })
    }

    /// Notes what the command line did with dead letters. Returns their number.
    pub fn note_letters(
        &self,
        request: LettersActedOn,
        telemetry: &Telemetry,
    ) -> Result<usize, ApiError> {
        self.history()?;
        let (letters, now) = (request.letters, self.clock.now());
        if letters.len() > LETTERS_MAX {
            return Err(invalid(format!("letters: there are more than {LETTERS_MAX}")));
        }
        for one in &letters {
            let letter = LetterFacts {
                id: &one.letter,
                event: &one.event,
                topic: &one.topic,
                reason: &one.reason,
                code: &one.code,
                generation: one.generation,
                platform: one.platform,
                subscription: one.subscription,
                robot: one.robot,
            };
            let action = match one.discarded {
                true => LetterAction::Discarded,
                false => LetterAction::Redriven,
            };
            let at = Timestamp::from_unix_millis(one.at_millis).min(now);
            DeadLetterActedOn { letter, action, at }.emit(telemetry);
        }
        Ok(letters.len())
    }

    fn history(&self) -> Result<Arc<dyn DeliveryHistory>, ApiError> {
        let off = || ApiError::NotFound(phrases::HISTORY_OFF.to_owned());
        self.history.clone().ok_or_else(off)
    }

    async fn entries(&self, records: Vec<HistoryRecord>) -> Vec<HistoryEntry> {
        let (mut names, mut entries) = (HashMap::new(), Vec::with_capacity(records.len()));
        for record in records {
            let name = match record.subscription() {
                Some(id) => self.name(id, &mut names).await,
                None => None,
            };
            entries.push(entry(record, name));
        }
        entries
    }

    async fn name(
        &self,
        id: SubscriptionId,
        known: &mut HashMap<SubscriptionId, Option<String>>,
    ) -> Option<String> {
        if let Entry::Vacant(new) = known.entry(id) {
            let shown = self.subscriptions.store.show(id).await;
            new.insert(shown.ok().and_then(|shown| shown.private.name));
        }
        known.get(&id).cloned().flatten()
    }
}

impl From<HistoryUnavailable> for ApiError {
    fn from(failure: HistoryUnavailable) -> Self {
        let error = &failure as &dyn std::error::Error;
        tracing::error!(error, "the history failed a request");
        Self::Unavailable(with_causes(&failure))
    }
}

/// The question of a filter. Spans count back from `now`. An error says which value is wrong.
fn query(filter: &HistoryFilter, now: Timestamp) -> Result<HistoryQuery, ApiError> {
    let since = filter.since.as_deref().map(|text| since(text.trim(), now)).transpose()?;
    Ok(HistoryQuery {
        event: filter.event.as_deref().map(EventId::new),
        subscription: parsed("subscription", &filter.subscription)?,
        robot: parsed("robot", &filter.robot)?,
        topic: filter.topic.clone(),
        since,
        outcome: parsed("outcome", &filter.outcome)?,
    })
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_unix_millis(time.as_millisecond().try_into().unwrap_or(0)));
    }
    let span = duration(text).map_err(|_| {
        invalid(format!(
            "since: {text:?} is neither a span such as 2h nor a time such as 2026-11-30T03:00:00Z"
        ))
    })?;
    Ok(now.before(span))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &Option<String>,
) -> Result<Option<T>, ApiError> {
    let value = text.as_deref().map(|text| text.trim().parse()).transpose();
    value.map_err(|mistake| invalid(format!("{name}: {mistake}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryOutcome;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    #[test]
    fn a_filter_is_read_with_its_types_and_a_wrong_value_says_which() {
        let id = "0190a0b0c0d0e0f00112233445566778";
        let filter = HistoryFilter {
            event: Some("deploy 7".into()),
            subscription: Some(id.into()),
            since: Some("2h".into()),
            outcome: Some("dead".into()),
            ..HistoryFilter::default()
        };
        let read = query(&filter, NOW).unwrap();
        assert_eq!(read.event, Some(EventId::new("deploy 7")));
        assert_eq!(read.subscription, id.parse().ok());
        assert_eq!(read.since, Some(Timestamp::from_unix_millis(1_699_992_800_000)));
        assert_eq!(read.outcome, Some(HistoryOutcome::Dead));
        let at = HistoryFilter { since: Some("2023-11-14T22:13:20Z".into()), ..filter.clone() };
        assert_eq!(query(&at, NOW).unwrap().since, Some(NOW));
        for (wrong, says) in [
            (HistoryFilter { since: Some("soon".into()), ..filter.clone() }, "since: \"soon\""),
            (HistoryFilter { outcome: Some("lost".into()), ..filter.clone() }, "outcome: unknown"),
            (HistoryFilter { robot: Some("r".into()), ..filter.clone() }, "robot: \"r\" is not"),
        ] {
            let refused = query(&wrong, NOW).unwrap_err().to_string();
            assert!(refused.starts_with(says), "{refused}");
        }
    }
}
