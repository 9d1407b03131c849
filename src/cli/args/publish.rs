//! The arguments of `roomcast publish` and `roomcast explain`.
//!
//! Owns their names and help.
//!
//! Not here: how they become an event (`cli/publish.rs`).

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Tags;

/// The event's content.
#[derive(Args)]
pub(in crate::cli) struct EventArgs {
    /// The topic
    #[arg(long)]
    pub topic: String,
    /// A title
    #[arg(long)]
    pub subject: Option<String>,
    /// The format of the message
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Send it before messages that are not urgent
    #[arg(long)]
    pub urgent: bool,
    /// How many seconds after publishing it may still be sent
    #[arg(long, value_name = "SECONDS")]
    pub time_to_live: Option<u64>,
    /// Do not send it before this time: as in
    /// 2026-03-01T08:00:00+08:00, or a span from now as in 30m
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<String>,
    /// Use the text of this template instead of a message
    #[arg(long, value_name = "NAME", conflicts_with = "message")]
    pub template: Option<String>,
    /// The template's tags
    #[command(flatten)]
    pub tags: Tags,
    /// Mention all members
    #[arg(long)]
    pub mention_all: bool,
    /// Mention a member by mobile number
    #[arg(long, value_name = "NUMBER")]
    pub mention_mobile: Vec<String>,
    /// Mention a member by user id
    #[arg(long, value_name = "ID")]
    pub mention_user: Vec<String>,
    /// Read the body from this file (`-`: standard input), byte for byte as another publisher
    /// would send it, instead of a message
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "message", "template", "tag", "tags", "subject", "format", "time_to_live",
            "mention_all", "mention_mobile", "mention_user"
        ],
    )]
    pub event: Option<PathBuf>,
    /// A header of the message, such as an attribute; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<String>,
    /// The content type of the message, such as application/cloudevents+json
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// The content encoding of the message, such as gzip. A packed body is recognised without it
    #[arg(long, value_name = "CODING")]
    pub content_encoding: Option<String>,
    /// The message; `-` or nothing reads standard input
    pub message: Option<String>,
}

/// Publish an event.
#[derive(Args)]
pub(in crate::cli) struct Publish {
    /// The event
    #[command(flatten)]
    pub said: EventArgs,
    /// Request a receipt of each delivery, on the exchange `<prefix>.outcome` (see
    /// `outcome.receipts`)
    #[arg(long)]
    pub receipt: bool,
    /// The event's id; a repeat with the same id is recognised [default: a new one]
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,
}

/// Explain what would happen to an event.
#[derive(Args)]
#[command(after_help = "Nothing is sent and no slot is taken. \
        With a daemon the times follow its robots' quotas of now; without one they are unknown. \
        Exit code 1: not one subscription would get it.")]
pub(in crate::cli) struct Explain {
    /// The event
    #[command(flatten)]
    pub said: EventArgs,
    /// Only for this subscription
    #[arg(long, value_name = "ID")]
    pub subscription: Option<String>,
    /// Print each message as it would be sent, without its signature
    #[arg(long)]
    pub bodies: bool,
    /// As JSON, one object for each subscription
    #[arg(long)]
    pub json: bool,
}

/// The format of a message.
#[derive(Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Plain text
    Text,
    /// Markdown
    Markdown,
}
