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
    output::{Table, print, print_hint, print_json},
};
use crate::{
    admin::{
        phrases,
        wire::{GroupView, Released, RobotView},
    },
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
                one.group.to_string(),
                one.used.to_string(),
                monthly,
                one.forecast.to_string(),
                one.month_ends,
                spent,
            ]);
        }
    }
    if !json {
        table.print(phrases::NO_GROUP);
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

/// Why a robot gets nothing, in a few words, and how many of its deliveries wait for other reasons.
fn waits_for(robot: &RobotView) -> String {
    let Some(wait) = &robot.wait else { return "-".to_owned() };
    let others = robot.waits.iter().filter(|one| one.reason != wait.reason);
    match others.fold(0_u32, |sum, one| sum.saturating_add(one.count)) {
        0 => wait.label.clone(),
        others => format!("{}, {others} other", wait.label),
    }
}

/// The code of the last failure of a robot that fails now, and how many there are in a row.
fn failing(robot: &RobotView) -> String {
    let failing = robot.health.as_ref().filter(|health| health.failures_in_a_row > 0);
    let last = failing.and_then(|health| Some((health, health.last_failure.as_ref()?)));
    last.map_or_else(
        || "-".to_owned(),
        |(health, last)| format!("{} ({} in a row)", last.code, health.failures_in_a_row),
    )
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
                "since",
                "next try in",
                "penalty",
                "last failure",
            ]);
            for one in robots {
                if json {
                    print_json(&one);
                } else {
                    let span = |seconds: Option<u64>| {
                        seconds.map_or_else(|| "-".to_owned(), |one| format!("{one} s"))
                    };
                    // After its wait, a robot stays held until a message gets through.
                    let next_try = one.cause.as_ref().map(|_| one.held_for_seconds.unwrap_or(0));
                    let drained = one
                        .drained_in_seconds
                        .map_or_else(|| phrases::UNKNOWN.to_owned(), |one| format!("{one} s"));
                    let failure = failing(&one);
                    table.row([
                        one.robot.to_string(),
                        one.platform.to_string(),
                        one.used.to_string(),
                        one.in_flight.to_string(),
                        one.waiting.to_string(),
                        waits_for(&one),
                        drained,
                        one.cause.unwrap_or_else(|| "-".to_owned()),
                        one.held_since.unwrap_or_else(|| "-".to_owned()),
                        span(next_try),
                        span(one.penalty_seconds),
                        failure,
                    ]);
                }
            }
            if !json {
                table.print(phrases::NO_ROBOT);
                print_hint("what a robot got: roomcast history --robot ID");
            }
            Ok(())
        }
        args::Robot::Release { id } => {
            let id: RobotId = parse_arg(&id)?;
            let released: Released =
                daemon(config).await?.post(&format!("/v1/robots/{id}/release"), &()).await?;
            if !released.was_held {
                return Err(Failure::No(phrases::NOT_HELD.to_owned()));
            }
            let Released { waiting, back_within_seconds: within, .. } = released;
            print(&match waiting {
                0 => "released".to_owned(),
                1 => format!(
                    "released; 1 delivery that waits in the broker comes back within {within} s"
                ),
                _ => {
                    format!(
                        "released; about {waiting} deliveries that wait in the broker come back \
                         within {within} s"
                    )
                }
            });
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robot_says_the_most_frequent_reason_and_how_many_deliveries_wait_for_others() {
        let robot = |waits: &str| -> RobotView {
            let wait = match waits {
                "[]" => "null",
                _ => r#"{"reason": "robot_quota", "label": "quota used up", "sentence": "s"}"#,
            };
            serde_json::from_str(&format!(
                r#"{{"robot": "{}", "platform": "lark", "used": 1, "in_flight": 0, "waiting": 3,
                    "drained_in_seconds": 1, "wait": {wait}, "waits": {waits}}}"#,
                "0".repeat(32)
            ))
            .unwrap()
        };
        let count = |reason: &str, count: u32| {
            format!(r#"{{"reason": "{reason}", "label": "l", "count": {count}}}"#)
        };
        let (quota, order, month) =
            (count("robot_quota", 9), count("order", 2), count("monthly_budget", 1));
        for (waits, said) in [
            ("[]".to_owned(), "-"),
            (format!("[{quota}]"), "quota used up"),
            (format!("[{quota}, {order}, {month}]"), "quota used up, 3 other"),
        ] {
            assert_eq!(waits_for(&robot(&waits)), said);
        }
    }
}
