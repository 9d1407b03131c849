//! A view, its selected row, and its data. Pure.
//!
//! Owns that the selection follows a row by its name, because rows change their order.
//!
//! Not here: moving between views (`state.rs`), and drawing them (`draw.rs`).

use super::requests::{ApiQuery, ApiResponse};
use crate::{
    admin::wire::{
        DeadLetterDetail, DeadLetterView, DeadPage, DeadQuery, DeadSummary, SubscriptionView,
        SummaryRow,
    },
    broker::DeadQueue,
    domain::{RobotId, StoredReason},
};

/// The views.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum View {
    Overview,
    Robots,
    Holds,
    Budgets,
    /// Dead letters by platform, reason and code.
    Dead,
    /// One robot: its hold and its dead letters.
    Robot(RobotId),
    /// The dead letters of a filter, and a name for them.
    Letters(Box<DeadQuery>, String),
    /// One letter with all its details.
    Letter(String),
}

/// The data of a view that needs a request of its own.
pub(super) enum ViewData {
    Nothing,
    Summary(DeadSummary),
    Letters(DeadPage),
    Robot { subscriptions: Vec<SubscriptionView>, letters: DeadPage },
    Letter(Box<DeadLetterDetail>),
    Failed(String),
}

/// A view and the position in it.
pub(super) struct ViewState {
    pub(super) view: View,
    pub(super) found: ViewData,
    /// The request that is not answered yet.
    pub(super) awaits: Option<u64>,
    /// When the data arrived, in milliseconds since 1970.
    pub(super) fetched_at: u64,
    /// The name of the selected row; rows change their order all the time.
    pub(super) chosen: Option<String>,
    /// The position of the selected row, for the case that the row disappears. In a
    /// text, the first visible line.
    pub(super) at: usize,
}

impl ViewState {
    pub(super) const fn new(view: View) -> Self {
        Self { view, found: ViewData::Nothing, awaits: None, fetched_at: 0, chosen: None, at: 0 }
    }

    /// The request for this view's data, if it needs one.
    pub(super) fn question(&self) -> Option<ApiQuery> {
        match &self.view {
            View::Overview | View::Robots | View::Holds | View::Budgets => None,
            View::Dead => Some(ApiQuery::Summary),
            View::Robot(id) => Some(ApiQuery::Robot(*id)),
            View::Letters(which, _) => Some(ApiQuery::Letters((**which).clone())),
            View::Letter(id) => Some(ApiQuery::Letter(id.clone())),
        }
    }

    /// Stores an answer.
    pub(super) fn apply(&mut self, answer: Result<ApiResponse, String>, now: u64) {
        self.awaits = None;
        self.fetched_at = now;
        self.found = match answer {
            Ok(ApiResponse::Summary(summary)) => ViewData::Summary(summary),
            Ok(ApiResponse::Letters(page)) => ViewData::Letters(page),
            Ok(ApiResponse::Robot { subscriptions, letters }) => {
                ViewData::Robot { subscriptions, letters }
            }
            Ok(ApiResponse::Letter(letter)) => ViewData::Letter(letter),
            // These answers never belong to a view.
            Ok(ApiResponse::Pulse(_) | ApiResponse::Redriven(_) | ApiResponse::Released { .. }) => {
                ViewData::Nothing
            }
            Err(why) => ViewData::Failed(why),
        };
    }

    /// The letters of the list.
    pub(super) fn letters(&self) -> &[DeadLetterView] {
        match &self.found {
            ViewData::Letters(page) | ViewData::Robot { letters: page, .. } => &page.letters,
            ViewData::Nothing
            | ViewData::Summary(_)
            | ViewData::Letter(_)
            | ViewData::Failed(_) => &[],
        }
    }

    /// The kinds of letters of the list.
    pub(super) fn kinds(&self) -> &[SummaryRow] {
        if let ViewData::Summary(summary) = &self.found { &summary.rows } else { &[] }
    }

    /// The index of the selected row.
    pub(super) fn chosen(&self, rows: &[String]) -> Option<usize> {
        let last = rows.len().checked_sub(1)?;
        let found =
            self.chosen.as_ref().and_then(|chosen| rows.iter().position(|row| row == chosen));
        Some(found.unwrap_or(self.at.min(last)))
    }

    /// Moves the selection by this many rows, within the list.
    pub(super) fn choose(&mut self, rows: &[String], by: isize) {
        let Some(now) = self.chosen(rows) else {
            return;
        };
        self.at = now.saturating_add_signed(by).min(rows.len() - 1);
        self.chosen = rows.get(self.at).cloned();
    }
}

/// The name of a kind of letters: its values, which are unique.
pub(super) fn kind_name(row: &SummaryRow) -> String {
    let values: Vec<_> = row.values.values().map(|value| value.as_str().unwrap_or("-")).collect();
    values.join(" ")
}

/// The filter for the letters of a kind; `None` for a platform of another version. A filter without
/// its platform would match other letters too.
pub(super) fn of_kind(row: &SummaryRow) -> Option<DeadQuery> {
    let value = |name| row.values.get(name).map(|value| value.as_str().unwrap_or_default());
    let queue = |name: &str| match name {
        "" => Some(DeadQueue::Event),
        name => name.parse().ok(),
    };
    Some(DeadQuery {
        platform: match value("platform") {
            Some(name) => Some(queue(name)?),
            None => None,
        },
        reason: value("reason").map(StoredReason::named),
        code: value("code").map(str::to_owned),
        ..DeadQuery::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::top::fixtures,
        domain::{DeadReason, Platform},
    };

    #[test]
    fn a_selected_row_stays_selected_when_rows_move() {
        let rows = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let mut place = ViewState::new(View::Robots);
        assert_eq!(place.chosen(&rows("")), None);
        assert_eq!(place.chosen(&rows("abc")), Some(0));
        place.choose(&rows("abc"), 1);
        assert_eq!(place.chosen(&rows("cab")), Some(2), "b is chosen, wherever it is");
        assert_eq!(place.chosen(&rows("ca")), Some(1), "b is gone: what lies where it lay");
        place.choose(&rows("cab"), 100);
        assert_eq!(place.chosen(&rows("cab")), Some(2));
        place.choose(&rows("cab"), -100);
        assert_eq!(place.chosen(&rows("cab")), Some(0));
    }

    #[test]
    fn a_kind_of_letters_is_requested_by_its_common_values() {
        let [kind, event, ..] = &fixtures::summary().rows[..] else { panic!("two kinds") };
        let which = of_kind(kind).unwrap();
        assert_eq!(
            (which.platform, which.reason),
            (Some(DeadQueue::Platform(Platform::WeCom)), Some(DeadReason::RobotGone.into()))
        );
        assert_eq!(
            of_kind(event).unwrap().platform,
            Some(DeadQueue::Event),
            "what was no event has no platform"
        );
        let mut later = fixtures::summary().rows.remove(0);
        later.values.insert("platform".to_owned(), "telegraph".into());
        assert_eq!(of_kind(&later), None, "not the letters of all platforms");
        assert_ne!(kind_name(kind), kind_name(event));
    }
}
