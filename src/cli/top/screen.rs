//! The terminal: taken at the start, and restored on every way out.
//!
//! Owns all access to the terminal. Reports of panics are kept until it is restored; otherwise they
//! would disappear with the alternate screen, or be printed into it.
//!
//! Not here: the frame (`draw.rs`), and the output of other commands (`cli/output.rs`).

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    mem::ManuallyDrop,
    panic::{self, PanicHookInfo},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use ratatui::{
    DefaultTerminal, Terminal,
    crossterm::{
        cursor::Show,
        event::{self, Event, KeyEvent},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    prelude::CrosstermBackend,
};
use tokio::sync::mpsc;

use super::{
    draw::{self, Theme},
    frame_layout::FrameLayout,
    state::TopState,
};
use crate::cli::output::print_error;

/// The reports of panics while the terminal is taken; `None` at other times. It is global because a
/// process has one terminal.
static TAKEN: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// An event of the terminal.
pub(super) enum TerminalEvent {
    Key(KeyEvent),
    Resized,
}

/// The terminal, in raw mode and on its alternate screen. Dropping it restores the terminal.
pub(super) struct Screen {
    /// Never dropped: its `Drop` would show the cursor again, and would
    /// panic if the terminal is gone.
    terminal: ManuallyDrop<DefaultTerminal>,
    happened: mpsc::Receiver<TerminalEvent>,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        *taken() = Some(Vec::new());
        let terminal = take().inspect_err(|_| give_back())?;
        let (tell, happened) = mpsc::channel(64);
        // Reading blocks; the thread ends with the process.
        thread::spawn(move || {
            while let Ok(event) = event::read() {
                let told = match event {
                    Event::Key(key) => tell.blocking_send(TerminalEvent::Key(key)),
                    Event::Resize(..) => tell.blocking_send(TerminalEvent::Resized),
                    _ => Ok(()),
                };
                if told.is_err() {
                    return;
                }
            }
        });
        Ok(Self { terminal: ManuallyDrop::new(terminal), happened })
    }

    /// Draws the state; `None` if the terminal is gone. The size of the terminal is read each time.
    pub(super) fn draw(&mut self, top: &TopState, theme: Theme) -> io::Result<Option<FrameLayout>> {
        let mut drawn = FrameLayout::default();
        match self.terminal.draw(|frame| drawn = draw::draw(frame, top, theme)) {
            Ok(_) => Ok(Some(drawn)),
            Err(_) if !io::stdout().is_terminal() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next event; `None` if the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<TerminalEvent> {
        self.happened.recv().await
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<DefaultTerminal> {
    let otherwise = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !keep(panic) {
            otherwise(panic);
        }
    }));
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen)?;
    Terminal::new(CrosstermBackend::new(io::stdout()))
}

/// Restores the terminal once, then prints the reports of panics. Leaving the alternate screen
/// twice would move the cursor back before text that was printed in between.
fn give_back() {
    let Some(reports) = taken().take() else {
        return;
    };
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    for report in reports {
        print_error(&report);
    }
}

/// Keeps the report of a panic. Returns `false` if the terminal is not taken.
fn keep(panic: &PanicHookInfo<'_>) -> bool {
    let kept = {
        let mut taken = taken();
        let Some(reports) = taken.as_mut() else {
            return false;
        };
        reports.push(report(panic));
        reports.len()
    };
    // A second panic during the first aborts the process, and no `Drop` would restore the terminal.
    if kept > 1 {
        give_back();
    }
    true
}

fn report(panic: &PanicHookInfo<'_>) -> String {
    let (thread, trace) = (thread::current(), Backtrace::capture());
    let trace = if trace.status() == BacktraceStatus::Captured {
        format!("\n{trace}")
    } else {
        String::new()
    };
    format!("thread '{}' {panic}{trace}", thread.name().unwrap_or("?"))
}

fn taken() -> MutexGuard<'static, Option<Vec<String>>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
