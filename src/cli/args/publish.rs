//! The arguments of `roomcast publish` and `roomcast explain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Tags;

/// What an event says.
#[derive(Args)]
pub(in crate::cli) struct Said {
    /// The topic
    #[arg(long)]
    pub topic: String,
    /// A title
    #[arg(long)]
    pub subject: Option<String>,
    /// How the message is written
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Overtake what is not urgent
    #[arg(long)]
    pub urgent: bool,
    /// For how many seconds it is worth sending
    #[arg(long, value_name = "SECONDS")]
    pub time_to_live: Option<u64>,
    /// Not to be sent before then: a time as in 2026-03-01T08:00:00+08:00, or a span from now as in 30m
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<String>,
    /// Say what this template says, instead of a message
    #[arg(long, value_name = "NAME", conflicts_with = "message")]
    pub template: Option<String>,
    /// The template's tags
    #[command(flatten)]
    pub tags: Tags,
    /// The message; `-` or nothing reads standard input
    pub message: Option<String>,
}

/// Publish an event.
#[derive(Args)]
pub(in crate::cli) struct Publish {
    /// The event
    #[command(flatten)]
    pub said: Said,
    /// Ask for a receipt of each delivery, on the exchange `<prefix>.outcome` (see `outcome.receipts`)
    #[arg(long)]
    pub receipt: bool,
    /// The event's name; a repeat under the same name is recognised [default: a new one]
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,
}

/// Say what would become of an event.
#[derive(Args)]
#[command(
    after_help = "Nothing is sent and nothing is planned. With a daemon the times are what its robots' quotas allow now; without one nothing is known of them. Exit code 1: nobody would hear it."
)]
pub(in crate::cli) struct Explain {
    /// The event
    #[command(flatten)]
    pub said: Said,
    /// The body as a publisher would publish it, from this file (`-`: standard input), instead of a message
    #[arg(long, value_name = "FILE", conflicts_with_all = ["message", "template", "tag", "tags", "subject", "format", "time_to_live"])]
    pub event: Option<PathBuf>,
    /// A header of the message, such as an attribute
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<String>,
    /// The content type of the message, such as application/cloudevents+json
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// Only for this subscription
    #[arg(long, value_name = "ID")]
    pub subscription: Option<String>,
    /// Print what each would read, as it goes over the wire but for its signature
    #[arg(long)]
    pub bodies: bool,
    /// As JSON, one object for each subscription
    #[arg(long)]
    pub json: bool,
}

/// How a message is written.
#[derive(Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Plain text
    Text,
    /// Markdown
    Markdown,
}
