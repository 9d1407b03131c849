//! The arguments of `roomcast template …`.
//!
//! Owns their names and help.
//!
//! Not here: the options for an event's tags (`tags.rs`), and the commands (`cli/template.rs`).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, suggestions::Suggestions, tags::Tags};

/// Manage templates.
#[derive(Subcommand)]
pub(in crate::cli) enum Template {
    /// Add a text, for all platforms or for one; it is read from standard input or a file
    Add(Add),
    /// List templates, and the platforms of their texts
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
        #[arg(
            long,
            value_parser = Suggestions::template_platform(),
            hide_possible_values = true
        )]
        platform: Option<String>,
    },
    /// Print the rendered text, as for an event that names the template
    Render {
        /// Its name
        name: String,
        /// On this platform [default: the text for platforms without one of their own]
        #[arg(long, value_parser = Suggestions::platform(), hide_possible_values = true)]
        platform: Option<String>,
        /// The tags
        #[command(flatten)]
        tags: Tags,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Add a text.
#[derive(Args)]
#[command(after_help = "With the engine tags, {host} is replaced by the value of the tag host, \
        or by nothing if the event has none; other braces stay. \
        With the engine jinja there are conditions, loops and filters, \
        as in {% for host in hosts %}{{ host|upper }}{% endfor %}, \
        and a tag that is missing is a mistake.")]
pub(in crate::cli) struct Add {
    /// Its name: 1 to 64 of A-Z a-z 0-9 - _ .
    pub name: String,
    /// Only for this platform [default: for all that have no text of their own]
    #[arg(long, value_parser = Suggestions::platform(), hide_possible_values = true)]
    pub platform: Option<String>,
    /// The syntax of the text
    #[arg(long, default_value = "tags")]
    pub engine: Engine,
    /// The format of the rendered text [default: the event's own]
    #[arg(long)]
    pub format: Option<Format>,
    /// Read the text from this file [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Replace another text
    #[arg(long)]
    pub replace: bool,
}

/// The syntax of a template's text.
#[derive(Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Engine {
    /// {tag} is replaced by the tag's value, as in Huawei Cloud SMN
    Tags,
    /// Jinja
    Jinja,
}
