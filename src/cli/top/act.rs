//! The actions of `roomcast top`: opening a row, redriving letters, releasing a robot. Pure.
//!
//! Owns that each change is confirmed first, and that only one change runs at a time.
//!
//! Not here: the requests (`ask.rs`), and the words of a question (`dialog.rs`).

use super::{
    ask::{Asked, Question},
    dialog::{self, Acting, Dialog},
    place::{Place, View, kind_name, of_kind},
    press::Press,
    state::Top,
    words,
};
use crate::admin::wire::DeadQuery;

impl Top {
    /// The view that opens for the selected row.
    pub(super) fn chosen_view(&self) -> Option<View> {
        let place = self.place()?;
        let rows = self.rows(place);
        let row = place.chosen(&rows)?;
        Some(match &place.view {
            View::Overview | View::Robots | View::Holds => View::Robot(rows.get(row)?.clone()),
            View::Dead => {
                let kind = place.kinds().get(row)?;
                View::Letters(Box::new(of_kind(kind)), kind_name(kind))
            }
            View::Robot(_) | View::Letters(..) => View::Letter(rows.get(row)?.clone()),
            View::Budgets | View::Letter(_) => return None,
        })
    }

    /// The letters that a redrive is about: as text, and as the API's filter and ids.
    fn meant(&self, all: bool) -> Option<(String, DeadQuery, Vec<String>)> {
        let place = self.place()?;
        let everything = DeadQuery::default();
        Some(match (&place.view, all) {
            (View::Letter(id), _) => (format!("letter {id}"), everything, vec![id.clone()]),
            (View::Letters(which, what), true) => (format!("all that are {what}"), (**which).clone(), Vec::new()),
            (View::Robot(id), true) => {
                let which = DeadQuery { robot: Some(id.clone()), ..everything };
                (format!("all for robot {id}"), which, Vec::new())
            }
            (View::Letters(..) | View::Robot(_), false) => {
                let id = place.letters().get(place.chosen(&self.rows(place))?)?.id.clone();
                (format!("letter {id}"), everything, vec![id])
            }
            (View::Dead, false) => {
                let kind = place.kinds().get(place.chosen(&self.rows(place))?)?;
                (format!("all that are {}", kind_name(kind)), of_kind(kind), Vec::new())
            }
            // All dead letters at once can only be redriven from the command
            // line, where `--all` is required.
            (View::Dead, true) | (View::Overview | View::Robots | View::Holds | View::Budgets, _) => return None,
        })
    }

    pub(super) fn redrive(&mut self, all: bool) -> Vec<Asked> {
        if self.is_busy() {
            return Vec::new();
        }
        let Some((what, which, ids)) = self.meant(all) else {
            self.said = Some("choose dead letters first: view 5, or Enter on a robot".to_owned());
            return Vec::new();
        };
        self.said = None;
        let request = dialog::dry_run(which, ids);
        let asked = self.ask(Question::Redrive(request.clone()));
        self.dialog = Some(Dialog::Counting { number: asked.number, what, request });
        vec![asked]
    }

    pub(super) fn release(&mut self) {
        if self.is_busy() {
            return;
        }
        let robot = |view: View| if let View::Robot(id) = view { Some(id) } else { None };
        let here = self.place().and_then(|place| robot(place.view.clone()));
        let chosen = here.or_else(|| self.chosen_view().and_then(robot));
        let Some(robot) = chosen else {
            self.said = Some("choose a robot first: view 2 or 3".to_owned());
            return;
        };
        self.said = None;
        match self.live.robot(&robot).and_then(|known| known.cause.clone()) {
            Some(cause) => self.dialog = Some(Dialog::Release { robot, cause }),
            None => self.said = Some(format!("robot {robot} is not held")),
        }
    }

    /// A key that is pressed while a question is open.
    pub(super) fn answer(&mut self, press: Press) -> Vec<Asked> {
        let (question, doing) = match (self.dialog.take(), press) {
            (Some(Dialog::Redrive { what, request, would }), Press::Yes) => (
                Question::Redrive(dialog::in_earnest(request, &would)),
                format!("redriving {} ({what})", words::letters(would.done)),
            ),
            (Some(Dialog::Release { robot, .. }), Press::Yes) => {
                (Question::Release(robot.clone()), format!("releasing robot {robot}"))
            }
            (Some(Dialog::Help(from)), Press::Up) => {
                self.dialog = Some(Dialog::Help(from.saturating_sub(1)));
                return Vec::new();
            }
            (Some(Dialog::Help(from)), Press::Down) => {
                self.dialog = Some(Dialog::Help(from + 1));
                return Vec::new();
            }
            (Some(Dialog::Help(_)), _) => return Vec::new(),
            (Some(_), Press::Back | Press::No | Press::Quit) => {
                self.said = Some("nothing was changed".to_owned());
                return Vec::new();
            }
            // Any other key is neither yes nor no.
            (dialog, _) => {
                self.dialog = dialog;
                return Vec::new();
            }
        };
        let asked = self.ask(question);
        self.acting = Some(Acting { number: asked.number, doing, warned: false });
        vec![asked]
    }

    fn is_busy(&mut self) -> bool {
        let busy =
            self.acting.as_ref().map(|acting| format!("one thing at a time: {} is still under way", acting.doing));
        let is_busy = busy.is_some();
        self.said = busy.or(self.said.take());
        is_busy
    }
}

/// Whether a row of this view can be opened, for the line of keys.
pub(super) fn opens(place: &Place) -> bool {
    !matches!(place.view, View::Budgets | View::Letter(_))
}
