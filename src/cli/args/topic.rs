//! The arguments of `roomcast topic …`.
//!
//! Owns their names and help.
//!
//! Not here: the command (`cli/topic.rs`).

use clap::Subcommand;

/// Show topics.
#[derive(Subcommand)]
pub(in crate::cli) enum Topic {
    /// List topics with subscriptions, and topics to which events were published since the daemon
    /// started
    List {
        /// Only topics without a subscription, whose events reach no chat
        #[arg(long)]
        without_subscription: bool,
        /// Only those whose name contains this text
        #[arg(long, value_name = "PART")]
        name: Option<String>,
        /// At most this many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Only those after this topic, which a listing with --limit prints at its end
        #[arg(long, value_name = "TOPIC")]
        after: Option<String>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
}
