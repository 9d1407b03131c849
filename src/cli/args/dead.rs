//! The arguments of `roomcast dead …`.

use clap::{Args, Subcommand};

/// What was given up, and why.
#[derive(Subcommand)]
pub(in crate::cli) enum Dead {
    /// List dead letters, the newest first, or count them by what they have in common
    List {
        /// Which
        #[command(flatten)]
        which: Which,
        /// Count them by what they have in common, as in reason,robot: platform, reason, code, topic, robot, subscription, event, generation
        #[arg(long, value_name = "TRAITS")]
        by: Option<String>,
        /// At most so many [default: 50; as JSON all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter: what to do about it, its history, and what the platform would be sent
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put dead letters back to be tried again, each only for the subscription that failed
    Redrive {
        /// Which
        #[command(flatten)]
        which: Which,
        /// Every dead letter that matches; needed if nothing else is named
        #[arg(long)]
        all: bool,
        /// At most so many, the oldest of each queue first
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Only say what would be redriven
        #[arg(long)]
        dry_run: bool,
        /// At most so many in a time, as in 50/s or 600/m; each robot's quota is respected without it
        #[arg(long, value_name = "N/UNIT")]
        rate: Option<String>,
    },
    /// Delete dead letters for good
    Discard {
        /// Which
        #[command(flatten)]
        which: Which,
        /// Every dead letter that matches; needed if nothing else is named
        #[arg(long)]
        all: bool,
        /// At most so many, the oldest of each queue first
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Write dead letters as JSON, one object a line, each with its event as it was published
    Export {
        /// Which
        #[command(flatten)]
        which: Which,
    },
}

/// Which dead letters.
#[derive(Args, Clone, Default)]
pub(in crate::cli) struct Which {
    /// This letter alone; may be repeated
    #[arg(long)]
    pub id: Vec<String>,
    /// Of this platform; `event` for what was no readable event
    #[arg(long)]
    pub platform: Option<String>,
    /// Given up for this reason
    #[arg(long)]
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
    /// Redriven so often
    #[arg(long, value_name = "N")]
    pub generation: Option<u32>,
    /// Whose event or detail has this in it
    #[arg(long, value_name = "PART")]
    pub text: Option<String>,
    /// Given up at least this long ago, such as 30m or 2h
    #[arg(long, value_name = "SPAN")]
    pub older_than: Option<String>,
    /// Given up at most this long ago, such as 30m or 2h
    #[arg(long, value_name = "SPAN")]
    pub newer_than: Option<String>,
}
