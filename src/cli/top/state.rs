//! The state of `roomcast top`, and how keys and answers change it. Pure: requests are returned,
//! and the time is passed in.
//!
//! Owns the navigation between views, and that at most one snapshot is requested at a time.
//!
//! Not here: changes on the daemon (`act.rs`), and the loop that runs the requests (`cli/top.rs`).

use super::{
    ask::{Answer, Asked, Question},
    dialog::{self, Acting, Dialog},
    draw::Drawn,
    live::Live,
    place::{Found, Place, View, kind_name},
    press::Press,
};
use crate::cli::exit::Failure;

/// The views with a tab of their own.
pub(super) const TABS: [(&str, View); 5] = [
    ("Overview", View::Overview),
    ("Robots", View::Robots),
    ("Holds", View::Holds),
    ("Budgets", View::Budgets),
    ("Dead letters", View::Dead),
];

/// The number of requests for a snapshot; every other request has a number of its own.
const PULSE: u64 = 0;

/// The whole state.
pub(super) struct Top {
    pub(super) live: Live,
    pub(super) dialog: Option<Dialog>,
    pub(super) acting: Option<Acting>,
    /// The result of the last action.
    pub(super) said: Option<String>,
    /// The time of this machine, in milliseconds since 1970.
    pub(super) now: u64,
    /// The milliseconds between two snapshots.
    pub(super) every: u64,
    pub(super) tab: usize,
    tabs: Vec<Place>,
    deeper: Vec<Place>,
    /// How many rows are visible, from the last frame.
    pub(super) page: usize,
    pulse_awaited: bool,
    last_number: u64,
    over: bool,
}

impl Top {
    pub(super) fn new(now: u64, every: u64) -> Self {
        Self {
            live: Live::default(),
            dialog: None,
            acting: None,
            said: None,
            now,
            every,
            tab: 0,
            tabs: TABS.into_iter().map(|(_, view)| Place::new(view)).collect(),
            deeper: Vec::new(),
            page: 10,
            pulse_awaited: false,
            last_number: PULSE,
            over: false,
        }
    }

    /// Whether the user has left.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// The current view.
    pub(super) fn place(&self) -> Option<&Place> {
        self.deeper.last().or_else(|| self.tabs.get(self.tab))
    }

    /// The views from the tab to the current one.
    pub(super) fn path(&self) -> impl Iterator<Item = &View> {
        self.tabs.get(self.tab).into_iter().chain(&self.deeper).map(|place| &place.view)
    }

    fn place_mut(&mut self) -> Option<&mut Place> {
        self.deeper.last_mut().or_else(|| self.tabs.get_mut(self.tab))
    }

    /// The names of the rows of a view.
    pub(super) fn rows(&self, place: &Place) -> Vec<String> {
        let robots = |held: bool| {
            let all = self.live.robots().unwrap_or_default().iter();
            all.filter(|robot| !held || robot.cause.is_some()).map(|robot| robot.robot.clone()).collect()
        };
        match &place.view {
            View::Overview => {
                let slowest = self.live.overview().map(|overview| overview.robots.slowest.as_slice());
                slowest.unwrap_or_default().iter().map(|robot| robot.robot.clone()).collect()
            }
            View::Robots => robots(false),
            View::Holds => robots(true),
            View::Budgets => self.live.groups().unwrap_or_default().iter().map(|one| one.group.clone()).collect(),
            View::Dead => place.kinds().iter().map(kind_name).collect(),
            View::Robot(_) | View::Letters(..) => place.letters().iter().map(|letter| letter.id.clone()).collect(),
            View::Letter(_) => Vec::new(),
        }
    }

    /// The interval between two snapshots has passed.
    pub(super) fn tick(&mut self) -> Vec<Asked> {
        // While an answer is missing, no second request is sent.
        if std::mem::replace(&mut self.pulse_awaited, true) {
            return Vec::new();
        }
        let view = self.place().map(|place| &place.view);
        let robots = matches!(view, Some(View::Robots | View::Holds | View::Robot(_)));
        let groups = matches!(view, Some(View::Budgets));
        vec![Asked { number: PULSE, question: Question::Pulse { robots, groups } }]
    }

    /// An answer has arrived.
    pub(super) fn told(&mut self, number: u64, answer: Result<Answer, Failure>) -> Vec<Asked> {
        if number == PULSE {
            self.pulse_awaited = false;
            match answer {
                Ok(Answer::Pulse(pulse)) => self.live.told(pulse, self.now),
                Ok(_) => (),
                Err(failure) => self.live.lost(failure.to_string()),
            }
            return Vec::new();
        }
        if matches!(&self.dialog, Some(Dialog::Counting { number: awaited, .. }) if *awaited == number) {
            self.counted(answer);
            return Vec::new();
        }
        if self.acting.as_ref().is_some_and(|acting| acting.number == number) {
            return self.acted(answer);
        }
        // If the user has left the view meanwhile, the answer is discarded.
        let awaiting = self.deeper.iter_mut().chain(&mut self.tabs).find(|place| place.awaits == Some(number));
        if let Some(place) = awaiting {
            place.told(answer.map_err(|failure| failure.to_string()), self.now);
        }
        Vec::new()
    }

    fn counted(&mut self, answer: Result<Answer, Failure>) {
        let Some(Dialog::Counting { what, request, .. }) = self.dialog.take() else {
            return;
        };
        match answer {
            Ok(Answer::Redriven(would)) => match dialog::nothing_to_redrive(&would) {
                Some(nothing) => self.said = Some(nothing),
                None => self.dialog = Some(Dialog::Redrive { what, request, would }),
            },
            Ok(_) => (),
            Err(failure) => self.said = Some(format!("nothing was redriven: {failure}")),
        }
    }

    fn acted(&mut self, answer: Result<Answer, Failure>) -> Vec<Asked> {
        let Some(acting) = self.acting.take() else {
            return Vec::new();
        };
        self.said = Some(match answer {
            Ok(Answer::Redriven(outcome)) => dialog::redriven(&outcome),
            Ok(Answer::Released { was_held: true }) => {
                "released: what comes now is sent at once, what waits in the broker comes back at its time".to_owned()
            }
            Ok(Answer::Released { was_held: false }) => "the robot was not held any more".to_owned(),
            Ok(_) => return Vec::new(),
            Err(failure) => format!("{} failed: {failure}", acting.doing),
        });
        let mut asked = self.look();
        asked.extend(self.tick());
        asked
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, press: Press) -> Vec<Asked> {
        match press {
            Press::Leave => self.over = true,
            _ if self.dialog.is_some() => return self.answer(press),
            Press::Quit => self.quit(),
            Press::Help => self.dialog = Some(Dialog::Help(0)),
            Press::Up => self.go(-1),
            Press::Down => self.go(1),
            Press::PageUp => self.go(-self.page_rows()),
            Press::PageDown => self.go(self.page_rows()),
            Press::First => self.go(isize::MIN / 2),
            Press::Last => self.go(isize::MAX / 2),
            Press::Open => return self.open(),
            Press::Back | Press::No => self.back(),
            Press::NextTab => return self.turn_to((self.tab + 1) % TABS.len()),
            Press::LastTab => return self.turn_to((self.tab + TABS.len() - 1) % TABS.len()),
            Press::Tab(tab) => return self.turn_to(tab),
            Press::Look => {
                self.said = None;
                return self.look();
            }
            Press::Redrive => return self.redrive(false),
            Press::RedriveAll => return self.redrive(true),
            Press::Release => self.release(),
            Press::Yes => (),
        }
        Vec::new()
    }

    fn page_rows(&self) -> isize {
        isize::try_from(self.page).unwrap_or(10).max(1)
    }

    /// The first `q` during a change only warns, so that a user does not
    /// interrupt a redrive by accident.
    fn quit(&mut self) {
        match &mut self.acting {
            Some(acting) if !acting.warned => {
                acting.warned = true;
                self.said = Some(format!(
                    "{} is still under way: wait until it is said what happened, or press q again to break it off (nothing is lost)",
                    acting.doing
                ));
            }
            _ => self.over = true,
        }
    }

    fn go(&mut self, by: isize) {
        let Some(place) = self.place() else {
            return;
        };
        let text = matches!(place.view, View::Letter(_));
        let rows = if text { Vec::new() } else { self.rows(place) };
        if let Some(place) = self.place_mut() {
            if text {
                place.at = place.at.saturating_add_signed(by);
            } else {
                place.choose(&rows, by);
            }
        }
    }

    fn back(&mut self) {
        self.said = None;
        self.deeper.pop();
    }

    fn turn_to(&mut self, tab: usize) -> Vec<Asked> {
        self.deeper.clear();
        self.tab = tab;
        let unseen = self.place().is_some_and(|place| matches!(place.found, Found::Nothing));
        let mut asked = if unseen { self.look() } else { Vec::new() };
        asked.extend(self.tick());
        asked
    }

    /// Requests the data that is not fetched continuously.
    fn look(&mut self) -> Vec<Asked> {
        let Some(question) = self.place().filter(|place| place.awaits.is_none()).and_then(Place::question) else {
            return Vec::new();
        };
        let asked = self.ask(question);
        if let Some(place) = self.place_mut() {
            place.awaits = Some(asked.number);
        }
        vec![asked]
    }

    fn open(&mut self) -> Vec<Asked> {
        let Some(view) = self.chosen_view() else {
            return Vec::new();
        };
        self.deeper.push(Place::new(view));
        let mut asked = self.look();
        asked.extend(self.tick());
        asked
    }

    pub(super) fn ask(&mut self, question: Question) -> Asked {
        self.last_number += 1;
        Asked { number: self.last_number, question }
    }

    /// The last frame limits how far the user can scroll.
    pub(super) fn drawn(&mut self, drawn: Drawn) {
        self.page = drawn.page;
        if let Some(Dialog::Help(from)) = &mut self.dialog {
            *from = (*from).min(drawn.help_last);
        }
        if let Some(place) = self.place_mut().filter(|place| matches!(place.view, View::Letter(_))) {
            place.at = place.at.min(drawn.last_line);
        }
    }
}
