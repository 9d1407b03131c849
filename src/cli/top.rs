//! `roomcast top`: the daemon in the terminal, live. Everything comes from its admin socket.
//!
//! | | |
//! | --- | --- |
//! | `state`, `act`, `place`, `live`, `dialog`, `press`, `words` | pure: what is shown, and what keys and answers do to it |
//! | `draw` | pure: from that to a frame |
//! | `ask` | what the daemon is asked |
//! | `screen` | the terminal, which is left as it was, whatever happens |
//!
//! Here is the loop that ties them together. Questions are asked beside it, so that a slow answer never holds up a key.

mod act;
mod ask;
mod dialog;
mod draw;
#[cfg(test)]
mod frame_tests;
mod live;
mod place;
mod press;
#[cfg(test)]
mod samples;
mod screen;
mod state;
#[cfg(test)]
mod state_tests;
mod words;

use std::{io::IsTerminal, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use self::{
    ask::{Answer, Asked, ask},
    draw::Look,
    press::press,
    screen::{Happened, Screen},
    state::Top,
};
use super::{args, client::Client, exit::Failure, robot};
use crate::{clock::Clock, config::Config};

type Answers = JoinSet<(u64, Result<Answer, Failure>)>;

/// `roomcast top`, until somebody leaves it.
pub(super) async fn run(config: &Config, args: &args::Top) -> Result<(), Failure> {
    let client = Arc::new(robot::daemon(config).await?);
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "top needs a terminal; for programs there are `roomcast robot list --json`, `dead list --json` and the admin API".to_owned(),
        ));
    }
    let look = Look { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    let failed = |error: std::io::Error| Failure::Unavailable(format!("the terminal does not do as asked: {error}"));
    let mut screen = Screen::open().map_err(failed)?;
    watch(&client, &mut screen, look, Duration::from_secs(args.every)).await
}

async fn watch(client: &Arc<Client>, screen: &mut Screen, look: Look, every: Duration) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Unavailable(format!("the terminal does not do as asked: {error}"));
    let stopped = |kind| signal(kind).map_err(failed);
    let (mut terminate, mut interrupt, mut hang_up) =
        (stopped(SignalKind::terminate())?, stopped(SignalKind::interrupt())?, stopped(SignalKind::hangup())?);
    let (clock, mut answers) = (Clock::System, Answers::new());
    let mut top = Top::new(clock.now().unix_millis(), u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !top.is_over() {
        top.now = clock.now().unix_millis();
        let drawn = screen.draw(&top, look).map_err(failed)?;
        top.drawn(drawn);
        let asked = tokio::select! {
            happened = screen.next() => match happened {
                Some(Happened::Key(key)) => press(key).map(|press| top.press(press)).unwrap_or_default(),
                Some(Happened::Resized) => Vec::new(),
                // The terminal is gone.
                None => return Ok(()),
            },
            Some(answered) = answers.join_next() => {
                // A panic has given the terminal back already, and has said what it was.
                let (number, answer) = answered.map_err(|fault| Failure::Internal(format!("a question failed: {fault}")))?;
                top.now = clock.now().unix_millis();
                top.told(number, answer)
            }
            _ = ticks.tick() => top.tick(),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
        };
        for Asked { number, question } in asked {
            let client = Arc::clone(client);
            answers.spawn(async move { (number, ask(&client, question).await) });
        }
    }
    Ok(())
}
