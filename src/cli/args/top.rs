//! The arguments of `roomcast top`.
//!
//! Owns their names and help.
//!
//! Not here: the keys (`cli/top/keymap.rs`).

use clap::Args;

/// Watch the daemon in the terminal.
#[derive(Args)]
#[command(
    after_help = "Keys are on the screen; ? explains them. The environment's NO_COLOR is respected."
)]
pub(in crate::cli) struct Top {
    /// How many seconds pass between two requests to the daemon
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=60),
    )]
    pub every: u64,
}
