//! The options for an event's tags.
//!
//! Owns their names and help.
//!
//! Not here: reading the tags (`cli/template.rs`).

use std::path::PathBuf;

use clap::Args;

/// The tags of an event.
#[derive(Args)]
pub(in crate::cli) struct Tags {
    /// A tag and its value; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub tag: Vec<String>,
    /// Read tags from this file (`-`: standard input), a JSON object; --tag wins over it
    #[arg(long, value_name = "FILE")]
    pub tags: Option<PathBuf>,
}
