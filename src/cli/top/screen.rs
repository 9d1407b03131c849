//! The terminal: taken at the start, and given back as it was on every way out. The only place that touches it. What panics have to say is kept
//! meanwhile, and said when the terminal is the shell's again: said before, it would vanish with the screen or stand in the middle of it.

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
    draw::{self, Drawn, Look},
    state::Top,
};
use crate::cli::screen::complain;

/// What panics have said since the terminal was taken; nothing while it is the shell's. A process has one terminal.
static TAKEN: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// What happened at the terminal.
pub(super) enum Happened {
    Key(KeyEvent),
    Resized,
}

/// The terminal, in raw mode and on its other screen. Dropping it gives it back.
pub(super) struct Screen {
    /// Never dropped: it would show the cursor once more, and panic where the terminal is gone.
    terminal: ManuallyDrop<DefaultTerminal>,
    happened: mpsc::Receiver<Happened>,
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
                    Event::Key(key) => tell.blocking_send(Happened::Key(key)),
                    Event::Resize(..) => tell.blocking_send(Happened::Resized),
                    _ => Ok(()),
                };
                if told.is_err() {
                    return;
                }
            }
        });
        Ok(Self { terminal: ManuallyDrop::new(terminal), happened })
    }

    /// Draws what is shown; nothing if the terminal is gone. Its size is looked up each time.
    pub(super) fn draw(&mut self, top: &Top, look: Look) -> io::Result<Option<Drawn>> {
        let mut drawn = Drawn::default();
        match self.terminal.draw(|frame| drawn = draw::draw(frame, top, look)) {
            Ok(_) => Ok(Some(drawn)),
            Err(_) if !io::stdout().is_terminal() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What happens next; nothing if the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<Happened> {
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

/// Gives the terminal back, once: leaving the other screen a second time would put the cursor back before what was said in between. Then says
/// what panics have said. Where the terminal is gone there is nobody to tell.
fn give_back() {
    let Some(reports) = taken().take() else {
        return;
    };
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    for report in reports {
        complain(&report);
    }
}

/// Keeps what a panic says, unless the terminal is the shell's.
fn keep(panic: &PanicHookInfo<'_>) -> bool {
    let kept = {
        let mut taken = taken();
        let Some(reports) = taken.as_mut() else {
            return false;
        };
        reports.push(report(panic));
        reports.len()
    };
    // A panic while one is on its way out ends the process, and nothing would be given back any more.
    if kept > 1 {
        give_back();
    }
    true
}

fn report(panic: &PanicHookInfo<'_>) -> String {
    let (thread, trace) = (thread::current(), Backtrace::capture());
    let trace = if trace.status() == BacktraceStatus::Captured { format!("\n{trace}") } else { String::new() };
    format!("thread '{}' {panic}{trace}", thread.name().unwrap_or("without a name"))
}

fn taken() -> MutexGuard<'static, Option<Vec<String>>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
