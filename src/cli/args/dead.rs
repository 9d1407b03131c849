//! The arguments of `roomcast dead …`.
//!
//! Owns their names and help.
//!
//! Not here: the commands (`cli/dead.rs`).

use clap::{Args, Subcommand};

use super::suggestions::Suggestions;

/// Manage dead letters.
#[derive(Subcommand)]
pub(in crate::cli) enum Dead {
    /// List dead letters, the newest first, or count them by common properties
    List {
        /// The filter
        #[command(flatten)]
        which: DeadFilterArgs,
        /// Count them by these properties, as in reason,robot: platform, reason, code, topic,
        /// robot, subscription, event, generation
        #[arg(long, value_name = "TRAITS")]
        by: Option<String>,
        /// At most this many [default: 50; as JSON all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter: advice, its history, and the message that the platform would get
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put dead letters back to be tried again, each only for the subscription that failed
    Redrive {
        /// The filter
        #[command(flatten)]
        which: DeadFilterArgs,
        /// All that match; required if no filter is given
        #[arg(long)]
        all: bool,
        /// At most this many, the oldest of each queue first
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Only show what would be redriven
        #[arg(long)]
        dry_run: bool,
        /// At most this many in a time, as in 50/s or 600/m; each robot's
        /// quota is respected without it
        #[arg(long, value_name = "N/UNIT")]
        rate: Option<String>,
    },
    /// Delete dead letters for good
    Discard {
        /// The filter
        #[command(flatten)]
        which: DeadFilterArgs,
        /// All that match; required if no filter is given
        #[arg(long)]
        all: bool,
        /// At most this many, the oldest of each queue first
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
    /// Write dead letters as JSON, one object a line, each with its event as it was published
    Export {
        /// The filter
        #[command(flatten)]
        which: DeadFilterArgs,
    },
}

/// A filter for dead letters.
#[derive(Args, Clone, Default)]
pub(in crate::cli) struct DeadFilterArgs {
    /// Only this letter; may be repeated
    #[arg(long)]
    pub id: Vec<String>,
    /// Of this platform; `event` for messages that were not a readable event
    #[arg(long, value_parser = Suggestions::dead_platform(), hide_possible_values = true)]
    pub platform: Option<String>,
    /// With this reason
    #[arg(long, value_parser = Suggestions::dead_reason(), hide_possible_values = true)]
    pub reason: Option<String>,
    /// With this platform code
    #[arg(long)]
    pub code: Option<String>,
    /// Of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// For this robot
    #[arg(long)]
    pub robot: Option<String>,
    /// For this subscription
    #[arg(long)]
    pub subscription: Option<String>,
    /// Of this event
    #[arg(long)]
    pub event: Option<String>,
    /// Redriven this many times
    #[arg(long, value_name = "N")]
    pub generation: Option<u32>,
    /// With this text in the event or in the detail
    #[arg(long, value_name = "PART")]
    pub text: Option<String>,
    /// Given up at least this long ago, such as 30m or 2h
    #[arg(long, value_name = "SPAN")]
    pub older_than: Option<String>,
    /// Given up at most this long ago, such as 30m or 2h
    #[arg(long, value_name = "SPAN")]
    pub newer_than: Option<String>,
}
