//! `roomcast robot …` and `roomcast group …`: the daemon's state of robots and organisations.
//!
//! Owns that these commands need a running daemon: the state is in its memory.
//!
//! Not here: the live view of the same data (`top.rs`).

use super::{
    args,
    backend::parse_arg,
    client::Client,
    exit::Failure,
    output::{Table, print, print_json},
};
use crate::{
    admin::wire::{GroupView, Released, RobotView},
    config::Config,
    domain::RobotId,
};

/// `roomcast group …`
pub(super) async fn groups(config: &Config, command: args::Group) -> Result<(), Failure> {
    let args::Group::List { json } = command;
    let groups: Vec<GroupView> = daemon(config).await?.get("/v1/groups").await?;
    let mut table =
        Table::new(&["group", "used", "monthly", "forecast", "month ends", "spent until"]);
    for one in groups {
        if json {
            print_json(&one);
        } else {
            let monthly = one.monthly.map_or_else(|| "-".to_owned(), |monthly| monthly.to_string());
            let spent = one.spent_until.unwrap_or_else(|| "-".to_owned());
            table.row([
                one.group,
                one.used.to_string(),
                monthly,
                one.forecast.to_string(),
                one.month_ends,
                spent,
            ]);
        }
    }
    if !json {
        table.print("no organisation is configured or named by a delivery");
    }
    Ok(())
}

pub(super) async fn daemon(config: &Config) -> Result<Client, Failure> {
    let socket = &config.admin.socket;
    Client::find(socket).await.ok_or_else(|| {
        let socket = socket.display();
        Failure::Unavailable(format!(
            "no daemon answers on {socket}: what happens is known to a running daemon only"
        ))
    })
}

/// `roomcast robot …`
pub(super) async fn run(config: &Config, command: args::Robot) -> Result<(), Failure> {
    match command {
        args::Robot::List { json } => {
            let robots: Vec<RobotView> = daemon(config).await?.get("/v1/robots").await?;
            let mut table = Table::new(&[
                "robot",
                "platform",
                "used",
                "in flight",
                "waiting",
                "waits for",
                "drained in",
                "held",
                "for",
                "penalty",
            ]);
            for one in robots {
                if json {
                    print_json(&one);
                } else {
                    let span = |seconds: Option<u64>| {
                        seconds.map_or_else(|| "-".to_owned(), |one| format!("{one} s"))
                    };
                    // After its wait, a robot stays held until a message gets through.
                    let held_for = one.cause.as_ref().map(|_| one.held_for_seconds.unwrap_or(0));
                    let drained = format!("{} s", one.drained_in_seconds);
                    table.row([
                        one.robot,
                        one.platform,
                        one.used.to_string(),
                        one.in_flight.to_string(),
                        one.waiting.to_string(),
                        one.wait.map_or_else(|| "-".to_owned(), |wait| wait.label),
                        drained,
                        one.cause.unwrap_or_else(|| "-".to_owned()),
                        span(held_for),
                        span(one.penalty_seconds),
                    ]);
                }
            }
            if !json {
                table.print("no robot is busy or held");
            }
            Ok(())
        }
        args::Robot::Release { id } => {
            let id: RobotId = parse_arg(&id)?;
            let released: Released =
                daemon(config).await?.post(&format!("/v1/robots/{id}/release"), &()).await?;
            if !released.was_held {
                return Err(Failure::No("the robot was not held".to_owned()));
            }
            let Released { waiting, back_within_seconds: within, .. } = released;
            print(&match waiting {
                0 => "released".to_owned(),
                1 => format!(
                    "released; 1 delivery that waits in the broker comes back within {within} s"
                ),
                _ => {
                    format!(
                        "released; about {waiting} deliveries that wait in the broker come back within {within} s"
                    )
                }
            });
            Ok(())
        }
    }
}
