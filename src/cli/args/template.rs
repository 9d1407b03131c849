//! The arguments of `roomcast template …`, and those by which an event names one. Owns names and help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

/// Texts with places for an event's tags.
#[derive(Subcommand)]
pub(in crate::cli) enum Template {
    /// Add a text, for every platform or for one; it is read from standard input or a file
    Add(Add),
    /// List templates and for which platforms they have texts
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show the texts of a template
    Show {
        /// Its name
        name: String,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Remove a template, or one of its texts
    Remove {
        /// Its name
        name: String,
        /// Only the text for this platform; `default` is the one for all others
        #[arg(long)]
        platform: Option<String>,
    },
    /// Print what a template says, as an event that names it would
    Render {
        /// Its name
        name: String,
        /// On this platform [default: what platforms without a text of their own hear]
        #[arg(long)]
        platform: Option<String>,
        /// With what
        #[command(flatten)]
        tags: Tags,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Add a text.
#[derive(Args)]
#[command(
    after_help = "With the engine tags, {host} is replaced by the value of the tag host, or by nothing if the event has none; other braces stay. \
With the engine jinja there are conditions, loops and filters, as in {% for host in hosts %}{{ host|upper }}{% endfor %}, and a tag that is missing is a mistake."
)]
pub(in crate::cli) struct Add {
    /// Its name: 1 to 64 of A-Z a-z 0-9 - _ .
    pub name: String,
    /// For this platform alone [default: for all that have no text of their own]
    #[arg(long)]
    pub platform: Option<String>,
    /// How the text is read
    #[arg(long, default_value = "tags")]
    pub engine: Engine,
    /// How what it says is written [default: as the event says]
    #[arg(long)]
    pub format: Option<Format>,
    /// Read the text from this file [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Put it in the place of another text
    #[arg(long)]
    pub replace: bool,
}

/// How a template's text is read.
#[derive(Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Engine {
    /// {tag} is replaced by the tag's value, as in Huawei Cloud SMN
    Tags,
    /// Jinja
    Jinja,
}

/// The tags of an event.
#[derive(Args)]
pub(in crate::cli) struct Tags {
    /// A tag and its value; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub tag: Vec<String>,
    /// Read tags from this file (`-`: standard input), a JSON object; those of --tag win
    #[arg(long, value_name = "FILE")]
    pub tags: Option<PathBuf>,
}
