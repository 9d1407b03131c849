//! Dead letters for the admin API: lists, counts, shows, redrives and discards them.
//!
//! Owns the limits of a request, and that only one request at a time scans the queues. Each request
//! opens a connection of its own. The command line uses the same parts without a daemon.
//!
//! Not here: reading letters, and the guarantee that none is lost (`broker`); HTTP
//! (`dead_letter_routes.rs`).

mod filter;
mod render;
mod subscriber;
mod summary;
mod view;

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use self::{
    filter::{dead_filter, letter_id},
    render::render,
    subscriber::Subscriber,
    summary::{DeadLetterSummary, GroupBy, NewestDeadLetters, newest_first},
    view::{rfc3339, view, whole},
};
use super::{
    ApiError, SubscriptionService, phrases,
    wire::{
        DeadLetterDetail, DeadOutcome, DeadPage, DeadQuery, DeadRequest, DeadSummary, SummaryRow,
    },
};
use crate::{
    broker::{
        ActionOptions, Address, BrokerError, DeadLetter, DeadLetterAction, DeadLetterFilter,
        DeadLetterSelection, DeadQueue, DeadQueues, ScanReport, Topology,
    },
    clock::Clock,
    fanout::Decoder,
    history::LetterAction,
    telemetry::{
        Telemetry,
        events::{DeadLetterActedOn, LetterFacts},
    },
};

/// A page or a summary has this many rows by default.
const PAGE: usize = 100;
/// The largest number of rows.
const PAGE_MAX: usize = 1000;
/// A request acts on this many letters by default.
const ACT: u64 = 1000;
/// A request never acts on more letters than this, so that it ends.
const ACT_MAX: u64 = 10_000;
/// A request whose rate needs more seconds than this is refused: no client waits so long.
const ACT_SECONDS_MAX: f64 = 600.0;
/// How many ids a request may name.
const IDS_MAX: usize = 1000;

/// The settings and dependencies of [`DeadLetterService`].
pub struct DeadLetterServiceSettings {
    /// The address of the broker.
    pub address: Address,
    /// The names of the dead queues.
    pub topology: Arc<Topology>,
    /// How long the broker may take to confirm a publish.
    pub confirm_timeout: Duration,
    /// Decodes events, to show how they would be sent.
    pub decoder: Decoder,
    /// The clock.
    pub clock: Clock,
    /// Keeps the history of actions.
    pub telemetry: Arc<Telemetry>,
    /// Stops an action after its current batch.
    pub stop: CancellationToken,
}

/// The dead letters of one daemon. Clones share their state.
#[derive(Clone)]
pub struct DeadLetterService(Arc<Inner>);

struct Inner {
    settings: DeadLetterServiceSettings,
    /// Two scans at a time would only wait for each other, each with a connection.
    turn: Mutex<()>,
}

impl DeadLetterService {
    /// The letters in the queues of this topology.
    #[must_use]
    pub fn new(settings: DeadLetterServiceSettings) -> Self {
        Self(Arc::new(Inner { settings, turn: Mutex::new(()) }))
    }

    /// One page of a listing.
    pub async fn list(&self, query: &DeadQuery) -> Result<DeadPage, ApiError> {
        refuse("by", query.by.is_some())?;
        let filter = self.filter(query, &[])?;
        let mut newest = NewestDeadLetters::new(limit(query), query.after.as_deref())?;
        let report = self.scan(&filter, |letter| newest.add(&letter)).await?;
        let matched = newest.matched();
        let (letters, next) = newest.page();
        Ok(DeadPage { letters, matched, total: report.letters, missed: report.missed, next })
    }

    /// Counts letters by the requested properties.
    pub async fn summary(&self, query: &DeadQuery) -> Result<DeadSummary, ApiError> {
        refuse("after", query.after.is_some())?;
        let filter = self.filter(query, &[])?;
        let mut summary = query.by.as_deref().map_or_else(
            || Ok(DeadLetterSummary::usual()),
            |by| GroupBy::list(by).map(DeadLetterSummary::new),
        )?;
        let report = self.scan(&filter, |letter| summary.add(&letter)).await?;
        let (by, matched) = (summary.by(), summary.count());
        let (rows, rest) = summary.rows(limit(query));
        Ok(DeadSummary { by, rows, rest, matched, total: report.letters, missed: report.missed })
    }

    /// One letter with all its details.
    pub async fn show(
        &self,
        id: &str,
        subscriptions: &SubscriptionService,
    ) -> Result<DeadLetterDetail, ApiError> {
        let filter = DeadLetterFilter { ids: vec![letter_id(id)?], ..DeadLetterFilter::default() };
        let mut found = None;
        let report = self.scan(&filter, |letter| found = Some(letter)).await?;
        let Some(letter) = found else {
            return Err(match report.missed {
                0 => ApiError::NotFound(phrases::no_such_letter(id)),
                missed => ApiError::Unavailable(format!(
                    "no dead letter {id} was found, \
                     but another reader holds {missed} at this moment: try again"
                )),
            });
        };
        let (decoder, clock) = (self.0.settings.decoder.clone(), self.0.settings.clock.clone());
        let subscriber = Subscriber::of(&letter, &*subscriptions.store).await;
        let detail = tokio::task::spawn_blocking(move || {
            shown(&letter, render(&letter, &decoder, subscriber.known(), clock.now()), &subscriber)
        });
        detail.await.map_err(|_| {
            ApiError::Internal(
                "the letter could not be shown; the daemon's log says why".to_owned(),
            )
        })
    }

    /// Redrives or discards letters.
    pub async fn act(
        &self,
        act: DeadLetterAction,
        request: &DeadRequest,
    ) -> Result<DeadOutcome, ApiError> {
        for (name, there) in [
            ("which.limit", request.which.limit.is_some()),
            ("which.after", request.which.after.is_some()),
            ("which.by", request.which.by.is_some()),
        ] {
            refuse(name, there)?;
        }
        if request.which.is_everything() && request.ids.is_empty() && !request.all {
            return Err(ApiError::Invalid(
                "which dead letters? name some (which, ids) or say \"all\": true".to_owned(),
            ));
        }
        if request.ids.len() > IDS_MAX {
            return Err(ApiError::Invalid(format!("ids: it names more than {IDS_MAX} letters")));
        }
        if request.limit == Some(0) {
            return Err(ApiError::Invalid("limit must be at least 1".to_owned()));
        }
        let limit = request.limit.unwrap_or(ACT).min(ACT_MAX);
        let filter = self.filter(&request.which, &request.ids)?;
        let turn = self.0.turn.lock().await;
        let queues = self.open().await?;
        let (mut selection, mut matched, mut chosen) =
            (DeadLetterSelection::default(), 0, DeadLetterSummary::usual());
        let look = |letter: DeadLetter| {
            if filter.matches(&letter) {
                matched += 1;
                if selection.count() < limit {
                    selection.choose(&letter);
                    chosen.add(&letter);
                }
            }
        };
        let report = queues.scan(&filter.queues(), look).await?;
        if request.dry_run {
            let (done, (rows, _)) = (chosen.count(), chosen.rows(PAGE_MAX));
            queues.close().await?;
            return Ok(DeadOutcome { matched, done, rows, missed: report.missed });
        }
        let acting = ActionOptions {
            act,
            per_second: rate(request.per_second, selection.count())?,
            stop: &self.0.settings.stop,
        };
        // An action may take minutes. Other scans may run meanwhile; a second action on the same
        // letters finds them gone.
        drop(turn);
        let mut acted = DeadLetterSummary::usual();
        let (clock, telemetry) = (&self.0.settings.clock, &self.0.settings.telemetry);
        let each = |letter: &DeadLetter| {
            acted.add(letter);
            let (letter, at) = (facts(letter), clock.now());
            DeadLetterActedOn { letter, action: done_by(act), at }.emit(telemetry);
        };
        let done = queues.act(&acting, selection, each).await?;
        queues.close().await?;
        Ok(DeadOutcome { matched, done, rows: acted.rows(PAGE_MAX).0, missed: report.missed })
    }

    async fn scan(
        &self,
        filter: &DeadLetterFilter,
        mut seen: impl FnMut(DeadLetter),
    ) -> Result<ScanReport, ApiError> {
        let _turn = self.0.turn.lock().await;
        let queues = self.open().await?;
        let pick = |letter: DeadLetter| {
            if filter.matches(&letter) {
                seen(letter);
            }
        };
        let report = queues.scan(&filter.queues(), pick).await?;
        queues.close().await?;
        Ok(report)
    }

    async fn open(&self) -> Result<DeadQueues, BrokerError> {
        let settings = &self.0.settings;
        DeadQueues::open(
            &settings.address,
            Arc::clone(&settings.topology),
            settings.confirm_timeout,
        )
        .await
    }

    fn filter(&self, query: &DeadQuery, ids: &[String]) -> Result<DeadLetterFilter, ApiError> {
        dead_filter(query, ids, self.0.settings.clock.now())
    }
}

/// What the history keeps of a letter.
#[must_use]
pub fn facts(letter: &DeadLetter) -> LetterFacts<'_> {
    LetterFacts {
        id: &letter.id,
        event: &letter.event,
        topic: &letter.topic,
        reason: letter.reason.as_str(),
        code: &letter.code,
        generation: letter.generation,
        platform: letter.platform,
        subscription: letter.subscription,
        robot: letter.robot,
    }
}

/// What an action does with a letter.
#[must_use]
pub const fn done_by(act: DeadLetterAction) -> LetterAction {
    match act {
        DeadLetterAction::Redrive => LetterAction::Redriven,
        DeadLetterAction::Discard => LetterAction::Discarded,
    }
}

/// A letter with the message that its platform would get.
#[must_use]
pub fn shown(
    letter: &DeadLetter,
    rendered: Result<serde_json::Value, String>,
    subscriber: &Subscriber,
) -> DeadLetterDetail {
    let (rendered, why) = match rendered {
        Ok(rendered) => (Some(rendered), None),
        Err(why) => (None, Some(why)),
    };
    let mut detail = DeadLetterDetail {
        rendered,
        rendered_note: why.or_else(|| subscriber.note()),
        ..whole(letter)
    };
    if let Some(advice) = subscriber.advice() {
        advice.clone_into(&mut detail.letter.advice);
    }
    detail
}

/// A row of a summary as a line of text: the count, then the common values.
#[must_use]
pub fn counted(row: &SummaryRow) -> String {
    format!("{:>7}  {}", row.count, common_values(row).join(" "))
}

/// The common values of a row, as text.
#[must_use]
pub fn common_values(row: &SummaryRow) -> Vec<&str> {
    let none =
        |of: &str| if of == GroupBy::Platform.as_str() { DeadQueue::Event.as_str() } else { "-" };
    row.values.iter().map(|(of, value)| value.as_str().unwrap_or_else(|| none(of))).collect()
}

fn limit(query: &DeadQuery) -> usize {
    query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)
}

fn refuse(name: &str, there: bool) -> Result<(), ApiError> {
    if there { Err(ApiError::Invalid(format!("{name} is not taken here"))) } else { Ok(()) }
}

fn rate(per_second: Option<f64>, letters: u64) -> Result<Option<f64>, ApiError> {
    #[expect(clippy::cast_precision_loss, reason = "at most ACT_MAX")]
    let letters = letters as f64;
    match per_second {
        Some(rate) if !(rate.is_finite() && rate > 0.0) => {
            Err(ApiError::Invalid("per_second must be more than 0".to_owned()))
        }
        Some(rate) if letters / rate > ACT_SECONDS_MAX => Err(ApiError::Invalid(format!(
            "at that rate it would take longer than {ACT_SECONDS_MAX} s: \
             name fewer letters, or use `roomcast dead redrive --rate`"
        ))),
        rate => Ok(rate),
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the broker failed a request for dead letters"
        );
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_letters_have_nothing_of_a_kind_in_common_that_is_said_as_the_filters_have_it() {
        let row = |values: &str| {
            serde_json::from_str(&format!(r#"{{"values": {values}, "count": 7}}"#)).unwrap()
        };
        for (values, said) in [
            (
                r#"{"platform": "lark", "reason": "refused", "code": "9499"}"#,
                "      7  lark refused 9499",
            ),
            (r#"{"platform": null, "reason": "poison", "code": null}"#, "      7  event poison -"),
        ] {
            assert_eq!(counted(&row(values)), said);
        }
    }
}
