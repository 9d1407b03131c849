//! The state of `roomcast top`, and how keys and answers change it. Pure: requests are returned,
//! and the time is passed in.
//!
//! Owns the navigation between views, and that at most one snapshot is requested at a time.
//!
//! Not here: changes on the daemon (`act.rs`), and the loop that runs the requests (`cli/top.rs`).

use super::{
    dialog::{self, Dialog, RunningAction},
    frame_layout::FrameLayout,
    keymap::KeyAction,
    live_data::LiveData,
    navigation::{View, ViewData, ViewState, kind_name},
    requests::{ApiQuery, ApiRequest, ApiResponse},
};
use crate::{admin::phrases, cli::exit::Failure};

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
pub(super) struct TopState {
    pub(super) live: LiveData,
    pub(super) dialog: Option<Dialog>,
    pub(super) acting: Option<RunningAction>,
    /// The result of the last action.
    pub(super) status_line: Option<String>,
    /// The time of this machine, in milliseconds since 1970.
    pub(super) now: u64,
    /// The milliseconds between two snapshots.
    pub(super) every: u64,
    pub(super) tab: usize,
    tabs: Vec<ViewState>,
    deeper: Vec<ViewState>,
    /// How many rows are visible, from the last frame.
    pub(super) page: usize,
    pulse_awaited: bool,
    last_number: u64,
    over: bool,
}

impl TopState {
    pub(super) fn new(now: u64, every: u64) -> Self {
        Self {
            live: LiveData::default(),
            dialog: None,
            acting: None,
            status_line: None,
            now,
            every,
            tab: 0,
            tabs: TABS.into_iter().map(|(_, view)| ViewState::new(view)).collect(),
            deeper: Vec::new(),
            page: 10,
            pulse_awaited: false,
            last_number: PULSE,
            over: false,
        }
    }

    /// Whether the user has left.
    pub(super) const fn should_quit(&self) -> bool {
        self.over
    }

    /// The current view.
    pub(super) fn current_view(&self) -> Option<&ViewState> {
        self.deeper.last().or_else(|| self.tabs.get(self.tab))
    }

    /// The views from the tab to the current one.
    pub(super) fn path(&self) -> impl Iterator<Item = &View> {
        self.tabs.get(self.tab).into_iter().chain(&self.deeper).map(|place| &place.view)
    }

    fn current_view_mut(&mut self) -> Option<&mut ViewState> {
        self.deeper.last_mut().or_else(|| self.tabs.get_mut(self.tab))
    }

    /// The names of the rows of a view.
    pub(super) fn rows(&self, place: &ViewState) -> Vec<String> {
        let robots = |held: bool| {
            let all = self.live.robots().unwrap_or_default().iter();
            all.filter(|robot| !held || robot.cause.is_some())
                .map(|robot| robot.robot.to_string())
                .collect()
        };
        match &place.view {
            View::Overview => {
                let slowest =
                    self.live.overview().map(|overview| overview.robots.slowest.as_slice());
                slowest.unwrap_or_default().iter().map(|robot| robot.robot.to_string()).collect()
            }
            View::Robots => robots(false),
            View::Holds => robots(true),
            View::Budgets => self
                .live
                .groups()
                .unwrap_or_default()
                .iter()
                .map(|one| one.group.to_string())
                .collect(),
            View::Dead => place.kinds().iter().map(kind_name).collect(),
            View::Robot(_) | View::Letters(..) => {
                place.letters().iter().map(|letter| letter.id.clone()).collect()
            }
            View::Letter(_) => Vec::new(),
        }
    }

    /// The interval between two snapshots has passed.
    pub(super) fn tick(&mut self) -> Vec<ApiRequest> {
        // While an answer is missing, no second request is sent.
        if std::mem::replace(&mut self.pulse_awaited, true) {
            return Vec::new();
        }
        let view = self.current_view().map(|place| &place.view);
        let robots = matches!(view, Some(View::Robots | View::Holds | View::Robot(_)));
        let groups = matches!(view, Some(View::Budgets));
        vec![ApiRequest { number: PULSE, question: ApiQuery::Pulse { robots, groups } }]
    }

    /// An answer has arrived.
    pub(super) fn apply(
        &mut self,
        number: u64,
        answer: Result<ApiResponse, Failure>,
    ) -> Vec<ApiRequest> {
        if number == PULSE {
            self.pulse_awaited = false;
            match answer {
                Ok(ApiResponse::Pulse(pulse)) => self.live.apply(pulse, self.now),
                Ok(_) => (),
                Err(failure) => self.live.lost(failure.to_string()),
            }
            return Vec::new();
        }
        if let Some(Dialog::Counting { number: awaited, .. }) = &self.dialog
            && *awaited == number
        {
            self.counted(answer);
            return Vec::new();
        }
        if self.acting.as_ref().is_some_and(|acting| acting.number == number) {
            return self.acted(answer);
        }
        // If the user has left the view meanwhile, the answer is discarded.
        let awaiting =
            self.deeper.iter_mut().chain(&mut self.tabs).find(|place| place.awaits == Some(number));
        if let Some(place) = awaiting {
            place.apply(answer.map_err(|failure| failure.to_string()), self.now);
        }
        Vec::new()
    }

    fn counted(&mut self, answer: Result<ApiResponse, Failure>) {
        let Some(Dialog::Counting { what, request, .. }) = self.dialog.take() else {
            return;
        };
        match answer {
            Ok(ApiResponse::Redriven(would)) => match dialog::nothing_to_redrive(&would) {
                Some(nothing) => self.status_line = Some(nothing),
                None => self.dialog = Some(Dialog::Redrive { what, request, would }),
            },
            Ok(_) => (),
            Err(failure) => self.status_line = Some(format!("nothing was redriven: {failure}")),
        }
    }

    fn acted(&mut self, answer: Result<ApiResponse, Failure>) -> Vec<ApiRequest> {
        let Some(acting) = self.acting.take() else {
            return Vec::new();
        };
        self.status_line = Some(match answer {
            Ok(ApiResponse::Redriven(outcome)) => dialog::redriven(&outcome),
            Ok(ApiResponse::Released { was_held: true }) => {
                "released: new deliveries leave at once, \
                 those in the broker come back at their time"
                    .to_owned()
            }
            Ok(ApiResponse::Released { was_held: false }) => phrases::NOT_HELD.to_owned(),
            Ok(_) => return Vec::new(),
            Err(failure) => format!("{} failed: {failure}", acting.doing),
        });
        let mut asked = self.refresh();
        asked.extend(self.tick());
        asked
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, press: KeyAction) -> Vec<ApiRequest> {
        match press {
            KeyAction::Leave => self.over = true,
            _ if self.dialog.is_some() => return self.answer(press),
            KeyAction::Quit => self.quit(),
            KeyAction::Help => self.dialog = Some(Dialog::Help(0)),
            KeyAction::Up => self.go(-1),
            KeyAction::Down => self.go(1),
            KeyAction::PageUp => self.go(-self.page_rows()),
            KeyAction::PageDown => self.go(self.page_rows()),
            KeyAction::First => self.go(isize::MIN / 2),
            KeyAction::Last => self.go(isize::MAX / 2),
            KeyAction::Open => return self.open(),
            KeyAction::Back | KeyAction::No => self.back(),
            KeyAction::NextTab => return self.select_tab((self.tab + 1) % TABS.len()),
            KeyAction::LastTab => return self.select_tab((self.tab + TABS.len() - 1) % TABS.len()),
            KeyAction::Tab(tab) => return self.select_tab(tab),
            KeyAction::Refresh => {
                self.status_line = None;
                return self.refresh();
            }
            KeyAction::Redrive => return self.redrive(false),
            KeyAction::RedriveAll => return self.redrive(true),
            KeyAction::Release => self.release(),
            KeyAction::Yes => (),
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
                self.status_line = Some(format!(
                    "{} is still under way: wait for its result, \
                     or press q again to break it off (nothing is lost)",
                    acting.doing
                ));
            }
            _ => self.over = true,
        }
    }

    fn go(&mut self, by: isize) {
        let Some(place) = self.current_view() else {
            return;
        };
        let text = matches!(place.view, View::Letter(_));
        let rows = if text { Vec::new() } else { self.rows(place) };
        if let Some(place) = self.current_view_mut() {
            if text {
                place.at = place.at.saturating_add_signed(by);
            } else {
                place.choose(&rows, by);
            }
        }
    }

    fn back(&mut self) {
        self.status_line = None;
        self.deeper.pop();
    }

    fn select_tab(&mut self, tab: usize) -> Vec<ApiRequest> {
        self.deeper.clear();
        self.tab = tab;
        let unseen =
            self.current_view().is_some_and(|place| matches!(place.found, ViewData::Nothing));
        let mut asked = if unseen { self.refresh() } else { Vec::new() };
        asked.extend(self.tick());
        asked
    }

    /// Requests the data that is not fetched continuously.
    fn refresh(&mut self) -> Vec<ApiRequest> {
        let Some(question) = self
            .current_view()
            .filter(|place| place.awaits.is_none())
            .and_then(ViewState::question)
        else {
            return Vec::new();
        };
        let asked = self.ask(question);
        if let Some(place) = self.current_view_mut() {
            place.awaits = Some(asked.number);
        }
        vec![asked]
    }

    fn open(&mut self) -> Vec<ApiRequest> {
        let Some(view) = self.chosen_view() else {
            return Vec::new();
        };
        self.deeper.push(ViewState::new(view));
        let mut asked = self.refresh();
        asked.extend(self.tick());
        asked
    }

    pub(super) fn ask(&mut self, question: ApiQuery) -> ApiRequest {
        self.last_number += 1;
        ApiRequest { number: self.last_number, question }
    }

    /// The last frame limits how far the user can scroll.
    pub(super) fn drawn(&mut self, drawn: FrameLayout) {
        self.page = drawn.page;
        if let Some(Dialog::Help(from)) = &mut self.dialog {
            *from = (*from).min(drawn.help_last);
        }
        if let Some(place) =
            self.current_view_mut().filter(|place| matches!(place.view, View::Letter(_)))
        {
            place.at = place.at.min(drawn.last_line);
        }
    }
}
