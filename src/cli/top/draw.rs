//! Renders the state of `roomcast top` as a frame. Pure.
//!
//! Owns the layout and the styles. No information is in colour alone,
//! so colour can be switched off.
//!
//! Not here: the terminal (`screen.rs`), and the formats of numbers and texts (`words.rs`).

mod budgets;
mod letters;
mod overlay;
mod overview;
mod robots;
mod table;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    actions::opens,
    format,
    frame_layout::FrameLayout,
    navigation::{View, ViewState},
    state::{TABS, TopState},
};

/// From this many rows on, blank lines and additional information are shown.
const TALL: u16 = 9;

/// The appearance.
#[derive(Clone, Copy)]
pub(super) struct Theme {
    /// Whether colours are used.
    pub(super) colour: bool,
}

impl Theme {
    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// For an error.
    fn alarm(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// For a warning.
    fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn heading(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, top: &TopState, theme: Theme) -> FrameLayout {
    let Some(place) = top.current_view() else {
        return FrameLayout::default();
    };
    let area = frame.area();
    let width = usize::from(area.width).saturating_sub(2);
    let tall = area.height >= 16;
    let (mut banner, path) =
        (format::lines(&banner(top).unwrap_or_default(), width), path(top, width));
    banner.truncate(if tall { 3 } else { 2 });
    let mut said = said(top, area.width);
    said.truncate(if tall { 4 } else { 2 });
    let height = |there: bool| Constraint::Length(u16::from(there));
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(banner.len()).unwrap_or(1)),
        height(path.is_some()),
        height(tall),
        Constraint::Min(1),
        Constraint::Length(u16::try_from(said.len()).unwrap_or(1)),
        Constraint::Length(1),
    ]);
    let [head, tabs, warning, trail, _, body, below, keys] = parts.areas(area);
    frame.render_widget(header(top, area.width, theme), head);
    frame.render_widget(tab_line(top, area.width, theme), tabs);
    let banner: Vec<_> = banner.into_iter().map(|line| Line::raw(format!(" {line}"))).collect();
    frame.render_widget(Paragraph::new(banner).style(theme.alarm()), warning);
    if let Some(path) = path {
        frame.render_widget(Paragraph::new(path).style(theme.heading()), trail);
    }
    let mut drawn = body_of(frame, body, top, place, theme);
    let said: Vec<_> = said.into_iter().map(|line| Line::styled(line, theme.strong())).collect();
    frame.render_widget(Paragraph::new(said), below);
    frame.render_widget(Paragraph::new(key_line(place, width)).style(theme.quiet()), keys);
    drawn.help_last = overlay::draw(frame, area, top, theme);
    drawn
}

fn body_of(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &TopState,
    place: &ViewState,
    theme: Theme,
) -> FrameLayout {
    let (rows, mut drawn) = (top.rows(place), FrameLayout::default());
    let chosen = place.chosen(&rows);
    drawn.page = match &place.view {
        View::Overview => overview::draw(frame, area, top, chosen, theme),
        View::Robots => robots::list(frame, area, top, chosen, theme),
        View::Holds => robots::holds(frame, area, top, chosen, theme),
        View::Budgets => budgets::draw(frame, area, top, chosen, theme),
        View::Dead => letters::kinds(frame, area, top, place, chosen, theme),
        View::Robot(id) => robots::one(frame, area, top, place, *id, chosen, theme),
        View::Letters(..) => letters::list(frame, area, top, place, chosen, theme),
        View::Letter(_) => {
            drawn.last_line = letters::one(frame, area, top, place, theme);
            usize::from(area.height)
        }
    };
    drawn
}

fn header(top: &TopState, width: u16, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::styled(" roomcast top", theme.strong()), Span::raw("  ")];
    if let Some(overview) = top.live.overview() {
        let robots = &overview.robots;
        let (known, waiting) =
            (format::number(robots.known as u64), format::number(robots.waiting));
        if width < 68 {
            // The name of the program is left out: the user has just typed it.
            spans = vec![Span::raw(format!(" {waiting} waiting  {known} busy  "))];
        } else {
            spans.push(Span::raw(format!("{waiting} waiting  {known} robots busy  ")));
        }
        let held = format!("{} held", format::number(robots.held as u64));
        spans
            .push(Span::styled(held, if robots.held > 0 { theme.warning() } else { Style::new() }));
    } else {
        spans.push(Span::raw("asking the daemon…"));
    }
    let seconds = top.now / 1000 % 86_400;
    let clock = format!("  {:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let line = Line::from(spans);
    // A cut time would be misleading, so it is shown completely or not at all.
    let left = usize::from(width).saturating_sub(line.width());
    let clock = [clock.as_str(), clock.trim_end_matches(" UTC")]
        .into_iter()
        .find(|clock| clock.len() <= left);
    line + Span::styled(clock.unwrap_or_default().to_owned(), theme.quiet())
}

/// The text before the first answer of the daemon.
const NOTHING_KNOWN: &str = "nothing is known yet";

/// The most important condition: the daemon, the broker or a platform does not answer.
fn banner(top: &TopState) -> Option<String> {
    let then = |silence: Option<u64>| match silence {
        Some(seconds) => format!("the data is {seconds} s old"),
        None => NOTHING_KNOWN.to_owned(),
    };
    let silence = top.live.silent_for(top.now, top.every);
    if let Some(why) = top.live.why_lost() {
        return Some(format!("CONNECTION LOST, {}: {}", then(silence), format::line(why)));
    }
    if silence.is_some() {
        return Some(format!("THE DAEMON DOES NOT ANSWER, {}", then(silence)));
    }
    let overview = top.live.overview()?;
    if !overview.broker_up {
        return Some(
            "NO SESSION WITH THE BROKER: nothing is received or sent until there is one".to_owned(),
        );
    }
    if overview.broker_blocked {
        let blocked =
            "THE BROKER BLOCKS PUBLISHERS (memory or disk alarm): deferrals and dead letters wait";
        return Some(blocked.to_owned());
    }
    let outages = &overview.robots.outages;
    let failing: Vec<_> = outages
        .iter()
        .map(|one| format!("{} since {}", one.platform, format::line(&one.since)))
        .collect();
    let most = "most of its robots get no usable answer; deliveries wait in order";
    (!failing.is_empty()).then(|| format!("PLATFORM FAILS, {}: {most}", failing.join(", ")))
}

fn tab_line(top: &TopState, width: u16, theme: Theme) -> Line<'static> {
    let whole: usize = TABS.iter().map(|(name, _)| name.len() + 4).sum();
    let spans = TABS.iter().enumerate().map(|(at, (name, _))| {
        if at != top.tab && whole > usize::from(width) {
            Span::raw(format!(" {} ", at + 1))
        } else if at == top.tab {
            Span::styled(format!("[{} {name}]", at + 1), theme.chosen())
        } else {
            Span::raw(format!(" {} {name} ", at + 1))
        }
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// The path to this view, if it is deeper than a tab: as many last steps as fit.
fn path(top: &TopState, width: usize) -> Option<String> {
    let steps: Vec<_> = top
        .path()
        .map(|view| match view {
            View::Robot(id) => format!("robot {}", short(&id.to_string(), 120, 0)),
            View::Letters(_, what) => format::line(what),
            View::Letter(id) => format!("letter {}", short(id, 120, 0)),
            of_a_tab => TABS
                .iter()
                .find(|(_, view)| view == of_a_tab)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        })
        .collect();
    let from = (0..steps.len()).find(|from| {
        let shown = steps
            .iter()
            .skip(*from)
            .map(|step| Line::raw(step.as_str()).width() + 3)
            .sum::<usize>();
        shown <= width + if *from == 0 { 3 } else { 0 }
    });
    let from = from.unwrap_or(steps.len().saturating_sub(1));
    let before = if from > 0 { "› " } else { "" };
    let shown = steps.iter().skip(from).map(String::as_str).collect::<Vec<_>>();
    (steps.len() > 1).then(|| format!(" {before}{}", shown.join(" › ")))
}

fn said(top: &TopState, width: u16) -> Vec<String> {
    let doing = top.acting.as_ref().map(|acting| format!("{}…", acting.doing));
    let said = top.status_line.clone().or(doing).unwrap_or_default();
    let lines = format::lines(&said, usize::from(width).saturating_sub(2));
    lines.into_iter().map(|line| format!(" {line}")).collect()
}

fn key_line(place: &ViewState, width: usize) -> String {
    let mut keys = vec!["↑↓ choose"];
    if opens(place) {
        keys.push("Enter open");
    }
    match place.view {
        View::Overview | View::Robots | View::Holds => keys.push("L release"),
        View::Budgets => (),
        View::Dead => keys.extend(["R redrive kind", "r look"]),
        View::Letters(..) => keys.extend(["R redrive", "A all", "r look", "Esc back"]),
        View::Robot(_) => keys.extend(["R redrive", "A all", "L release", "Esc back"]),
        View::Letter(_) => {
            keys = vec!["↑↓ scroll", "R redrive", "Esc back"];
        }
    }
    if TABS.iter().any(|(_, view)| *view == place.view) {
        keys.push("1-5 views");
    }
    keys.extend(["? help", "q quit"]);
    let keys: Vec<_> = keys.into_iter().map(str::to_owned).collect();
    format!(" {}", format::fitting(&keys, "  ", 2, width))
}

/// An id, shortened if the screen is narrower than `from`.
fn short(id: &str, from: u16, width: u16) -> String {
    let few = 12;
    if width >= from || id.chars().count() <= few + 1 {
        format::line(id)
    } else {
        format::line(&id.chars().take(few).chain(['…']).collect::<String>())
    }
}

/// A message in place of an empty list.
fn nothing(frame: &mut Frame<'_>, area: Rect, why: &str, theme: Theme) {
    let lines = format::lines(why, usize::from(area.width).saturating_sub(2));
    let lines: Vec<_> =
        lines.into_iter().map(|line| Line::styled(format!(" {line}"), theme.quiet())).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// A heading and a text below it.
fn text(frame: &mut Frame<'_>, area: Rect, heading: &str, text: &str, theme: Theme) {
    let tall = area.height >= 5;
    let mut lines =
        if tall { vec![Line::styled(format!(" {heading}"), theme.heading())] } else { Vec::new() };
    let wrapped = format::lines(text, usize::from(area.width).saturating_sub(2));
    lines.extend(wrapped.into_iter().map(|line| Line::raw(format!(" {line}"))));
    frame.render_widget(Paragraph::new(lines), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_head_of_a_column_is_cut_from_forty_columns_on() {
        for width in 40..220 {
            let all: [&[table::Column]; 6] = [
                &overview::PLATFORMS,
                &robots::robot_columns(width),
                &robots::hold_columns(width),
                &budgets::COLUMNS,
                &letters::kind_columns(width),
                &letters::LETTERS,
            ];
            for (at, columns) in all.into_iter().enumerate() {
                assert!(table::fits(columns, width), "table {at} at {width}");
            }
        }
    }
}
