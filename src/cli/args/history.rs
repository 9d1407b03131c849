//! The arguments of `roomcast event …` and `roomcast history`.
//!
//! Owns their names and help.
//!
//! Not here: the commands (`cli/history.rs`).

use clap::{Args, Subcommand};

use super::suggestions::Suggestions;

/// Look back at events.
#[derive(Subcommand)]
pub(in crate::cli) enum Event {
    /// Show what became of one event: its deliveries to all subscriptions, and a time line
    Show {
        /// Its id: the publisher's message_id, or the id that `publish`, receipts, log lines and
        /// dead letters name
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Look back at deliveries, the newest first.
#[derive(Args)]
pub(in crate::cli) struct History {
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// Of this subscription, which need not exist any more
    #[arg(long, value_name = "ID")]
    pub subscription: Option<String>,
    /// Of this robot
    #[arg(long, value_name = "ID")]
    pub robot: Option<String>,
    /// Of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Not older than this: a span such as 2h, or a time such as 2026-11-30T03:00:00Z
    #[arg(long, value_name = "SPAN|TIME")]
    pub since: Option<String>,
    /// With this outcome
    #[arg(long, value_parser = Suggestions::history_outcome(), hide_possible_values = true)]
    pub outcome: Option<String>,
    /// At most this many
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub limit: u64,
    /// Only those before this cursor, which a listing prints at its end
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// As JSON, one object a line
    #[arg(long)]
    pub json: bool,
}
