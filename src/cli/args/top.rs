//! The arguments of `roomcast top`.

use clap::Args;

/// Watch the daemon in the terminal.
#[derive(Args)]
#[command(after_help = "Keys are on the screen; ? explains them. The environment's NO_COLOR is respected.")]
pub(in crate::cli) struct Top {
    /// How many seconds pass between two looks at the daemon
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub every: u64,
}
