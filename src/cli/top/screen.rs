//! The terminal: taken at the start, and given back as it was on every way out, a panic included. The only place that touches it.

use std::{io, thread};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEvent},
};
use tokio::sync::mpsc;

use super::{
    draw::{self, Drawn, Look},
    state::Top,
};

/// What happened at the terminal.
pub(super) enum Happened {
    Key(KeyEvent),
    Resized,
}

/// The terminal, in raw mode and on its other screen. Dropping it gives it back; a panic does before it is reported.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    happened: mpsc::Receiver<Happened>,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        let (tell, happened) = mpsc::channel(64);
        // Reading blocks; the thread ends with the process, or with the terminal.
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
        Ok(Self { terminal, happened })
    }

    /// Draws what is shown. The terminal's size is looked up each time.
    pub(super) fn draw(&mut self, top: &Top, look: Look) -> io::Result<Drawn> {
        let mut drawn = Drawn::default();
        self.terminal.draw(|frame| drawn = draw::draw(frame, top, look))?;
        Ok(drawn)
    }

    /// What happens next; nothing if the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<Happened> {
        self.happened.recv().await
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
