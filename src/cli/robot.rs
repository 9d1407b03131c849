//! `roomcast robot …`: what the daemon knows of robots. Without a daemon there is nothing to know.

use super::{
    args,
    client::Client,
    exit::Failure,
    screen::{Table, print, print_json},
};
use crate::{
    admin::wire::{Released, RobotView},
    config::Config,
};

pub(super) async fn run(config: &Config, command: args::Robot) -> Result<(), Failure> {
    let socket = &config.admin.socket;
    let Some(client) = Client::find(socket).await else {
        return Err(Failure::Unavailable(format!(
            "no daemon answers on {}: robots are known to a running daemon only",
            socket.display()
        )));
    };
    match command {
        args::Robot::List { json } => {
            let robots: Vec<RobotView> = client.get("/v1/robots").await?;
            let mut table =
                Table::new(&["robot", "platform", "used", "in flight", "waiting", "drained in", "held for"]);
            for one in robots {
                if json {
                    print_json(&one);
                } else {
                    let held = one.held_for_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
                    let drained = format!("{} s", one.drained_in_seconds);
                    table.row([
                        one.robot,
                        one.platform,
                        one.used.to_string(),
                        one.in_flight.to_string(),
                        one.waiting.to_string(),
                        drained,
                        held,
                    ]);
                }
            }
            if !json {
                table.print("no robot is busy or held");
            }
            Ok(())
        }
        args::Robot::Release { id } => {
            let released: Released = client.post(&format!("/v1/robots/{}/release", id.trim()), &()).await?;
            if released.was_held {
                print("released");
                Ok(())
            } else {
                Err(Failure::No("the robot was not held".to_owned()))
            }
        }
    }
}
