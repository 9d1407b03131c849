//! The actions of `roomcast top`: opening a row, redriving letters, releasing a robot. Pure.
//!
//! Owns that each change is confirmed first, and that only one change runs at a time.
//!
//! Not here: the requests (`requests.rs`), and the words of a question (`dialog.rs`).

use super::{
    dialog::{self, Dialog, RunningAction},
    format,
    keymap::KeyAction,
    navigation::{View, ViewState, kind_name, of_kind},
    requests::{ApiQuery, ApiRequest},
    state::TopState,
};
use crate::admin::{phrases, wire::DeadQuery};

impl TopState {
    /// The view that opens for the selected row.
    pub(super) fn chosen_view(&self) -> Option<View> {
        let place = self.current_view()?;
        let rows = self.rows(place);
        let row = place.chosen(&rows)?;
        Some(match &place.view {
            View::Overview | View::Robots | View::Holds => {
                View::Robot(rows.get(row)?.parse().ok()?)
            }
            View::Dead => {
                let kind = place.kinds().get(row)?;
                View::Letters(Box::new(of_kind(kind)?), kind_name(kind))
            }
            View::Robot(_) | View::Letters(..) => View::Letter(rows.get(row)?.clone()),
            View::Budgets | View::Letter(_) => return None,
        })
    }

    /// The letters that a redrive is about: as text, and as the API's filter and ids.
    fn meant(&self, all: bool) -> Option<(String, DeadQuery, Vec<String>)> {
        let place = self.current_view()?;
        let everything = DeadQuery::default();
        Some(match (&place.view, all) {
            (View::Letter(id), _) => (format!("letter {id}"), everything, vec![id.clone()]),
            (View::Letters(which, what), true) => {
                (format!("all that are {what}"), (**which).clone(), Vec::new())
            }
            (View::Robot(id), true) => {
                let which = DeadQuery { robot: Some(*id), ..everything };
                (format!("all for robot {id}"), which, Vec::new())
            }
            (View::Letters(..) | View::Robot(_), false) => {
                let id = place.letters().get(place.chosen(&self.rows(place))?)?.id.clone();
                (format!("letter {id}"), everything, vec![id])
            }
            (View::Dead, false) => {
                let kind = place.kinds().get(place.chosen(&self.rows(place))?)?;
                (format!("all that are {}", kind_name(kind)), of_kind(kind)?, Vec::new())
            }
            // All dead letters at once can only be redriven from the command
            // line, where `--all` is required.
            (View::Dead, true)
            | (View::Overview | View::Robots | View::Holds | View::Budgets, _) => return None,
        })
    }

    pub(super) fn redrive(&mut self, all: bool) -> Vec<ApiRequest> {
        if self.is_busy() {
            return Vec::new();
        }
        let Some((what, which, ids)) = self.meant(all) else {
            self.status_line =
                Some("choose dead letters first: view 5, or Enter on a robot".to_owned());
            return Vec::new();
        };
        self.status_line = None;
        let request = dialog::dry_run(which, ids);
        let asked = self.ask(ApiQuery::Redrive(request.clone()));
        self.dialog = Some(Dialog::Counting { number: asked.number, what, request });
        vec![asked]
    }

    pub(super) fn release(&mut self) {
        if self.is_busy() {
            return;
        }
        let robot = |view: View| if let View::Robot(id) = view { Some(id) } else { None };
        let here = self.current_view().and_then(|place| robot(place.view.clone()));
        let chosen = here.or_else(|| self.chosen_view().and_then(robot));
        let Some(robot) = chosen else {
            self.status_line = Some("choose a robot first: view 2 or 3".to_owned());
            return;
        };
        self.status_line = None;
        match self.live.robot(robot).filter(|known| known.cause.is_some()) {
            Some(known) => self.dialog = Some(Dialog::Release { robot: Box::new(known.clone()) }),
            None => self.status_line = Some(format!("robot {robot} is not held")),
        }
    }

    /// A key that is pressed while a question is open.
    pub(super) fn answer(&mut self, press: KeyAction) -> Vec<ApiRequest> {
        let (question, doing) = match (self.dialog.take(), press) {
            (Some(Dialog::Redrive { what, request, would }), KeyAction::Yes) => (
                ApiQuery::Redrive(dialog::confirmed(request, &would)),
                format!("redriving {} ({what})", format::letters(would.done)),
            ),
            (Some(Dialog::Release { robot, .. }), KeyAction::Yes) => {
                (ApiQuery::Release(robot.robot), format!("releasing robot {}", robot.robot))
            }
            (Some(Dialog::Help(from)), KeyAction::Up) => {
                self.dialog = Some(Dialog::Help(from.saturating_sub(1)));
                return Vec::new();
            }
            (Some(Dialog::Help(from)), KeyAction::Down) => {
                self.dialog = Some(Dialog::Help(from + 1));
                return Vec::new();
            }
            (Some(Dialog::Help(_)), _) => return Vec::new(),
            (Some(_), KeyAction::Back | KeyAction::No | KeyAction::Quit) => {
                self.status_line = Some(phrases::NOTHING_CHANGED.to_owned());
                return Vec::new();
            }
            // Any other key is neither yes nor no.
            (dialog, _) => {
                self.dialog = dialog;
                return Vec::new();
            }
        };
        let asked = self.ask(question);
        self.acting = Some(RunningAction { number: asked.number, doing, warned: false });
        vec![asked]
    }

    fn is_busy(&mut self) -> bool {
        let busy = self
            .acting
            .as_ref()
            .map(|acting| format!("one thing at a time: {} is still under way", acting.doing));
        let is_busy = busy.is_some();
        self.status_line = busy.or(self.status_line.take());
        is_busy
    }
}

/// Whether a row of this view can be opened, for the line of keys.
pub(super) fn opens(place: &ViewState) -> bool {
    !matches!(place.view, View::Budgets | View::Letter(_))
}
