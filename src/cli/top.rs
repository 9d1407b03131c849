//! `roomcast top`: a live view of the daemon in the terminal, over its admin socket.
//!
//! Owns the main loop. Requests run in tasks beside it, so a slow answer never delays a key.
//!
//! Not here:
//!
//! | module | what it does |
//! | --- | --- |
//! | `state`, `act`, `place`, `live`, `dialog`, `press`, `words` | pure: state and its changes |
//! | `draw` | pure: renders the state as a frame |
//! | `ask` | requests to the daemon |
//! | `screen` | the terminal, which is always restored |

mod actions;
mod dialog;
mod draw;
#[cfg(test)]
mod fixtures;
mod format;
mod frame_layout;
#[cfg(test)]
mod frame_tests;
mod keymap;
mod live_data;
mod navigation;
mod requests;
mod screen;
#[cfg(test)]
mod screen_tests;
mod state;
#[cfg(test)]
mod state_tests;

use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use self::{
    draw::Theme,
    keymap::press,
    requests::{ApiRequest, ApiResponse, ask},
    screen::{Screen, TerminalEvent},
    state::TopState,
};
use super::{args, client::Client, exit::Failure, robot};
use crate::{clock::Clock, config::Config};

type ApiResponses = JoinSet<(u64, Result<ApiResponse, Failure>)>;

/// Runs `roomcast top` until the user leaves.
pub(super) async fn run(config: &Config, args: &args::Top) -> Result<(), Failure> {
    let client = Arc::new(robot::daemon(config).await?);
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "top needs a terminal; for programs there are `roomcast robot list --json`, \
             `dead list --json` and the admin API"
                .to_owned(),
        ));
    }
    let theme = Theme { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    // Signals are caught before the terminal is taken. Otherwise a signal would end the process and
    // leave the terminal in raw mode.
    let stop = StopSignals::new().map_err(failed)?;
    let screen = Screen::open().map_err(failed)?;
    watch(&client, screen, stop, theme, Duration::from_secs(args.every)).await
}

fn failed(error: io::Error) -> Failure {
    Failure::Unavailable(format!("the terminal does not do as asked: {error}"))
}

/// The signals that end the program as `q` does: SIGTERM, SIGINT, and
/// SIGHUP when the terminal is closed.
struct StopSignals([Signal; 3]);

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn came(&mut self) {
        let [terminate, interrupt, hang_up] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
            _ = hang_up.recv() => (),
        }
    }
}

async fn watch(
    client: &Arc<Client>,
    mut screen: Screen,
    mut stop: StopSignals,
    theme: Theme,
    every: Duration,
) -> Result<(), Failure> {
    let (clock, mut answers) = (Clock::System, ApiResponses::new());
    let mut top = TopState::new(
        clock.now().unix_millis(),
        u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
    );
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !top.should_quit() {
        top.now = clock.now().unix_millis();
        let Some(drawn) = screen.draw(&top, theme).map_err(failed)? else {
            return Ok(());
        };
        top.drawn(drawn);
        let asked = tokio::select! {
            happened = screen.next() => match happened {
                Some(TerminalEvent::Key(key)) => {
                    press(key).map(|press| top.press(press)).unwrap_or_default()
                }
                Some(TerminalEvent::Resized) => Vec::new(),
                None => {
                    let says = "the terminal is not read any more".to_owned();
                    return Err(Failure::Internal(says));
                }
            },
            Some(answered) = answers.join_next() => {
                // The report of a panic is kept until the terminal is restored.
                let (number, answer) = answered
                    .map_err(|fault| Failure::Internal(format!("a question failed: {fault}")))?;
                top.now = clock.now().unix_millis();
                top.apply(number, answer)
            }
            _ = ticks.tick() => top.tick(),
            () = stop.came() => return Ok(()),
        };
        for ApiRequest { number, question } in asked {
            let client = Arc::clone(client);
            answers.spawn(async move { (number, ask(&client, question).await) });
        }
    }
    Ok(())
}
