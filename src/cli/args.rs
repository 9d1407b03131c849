//! The command tree: subcommands, options, help.
//!
//! Owns their names and their help; the doc comments in `args/` are what `--help` prints.
//!
//! Not here: what a command does (the file of its family, such as `subscription.rs`).

mod dead;
mod history;
mod publish;
mod suggestions;
mod tags;
mod template;
mod top;
mod topic;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::suggestions::Suggestions;
use crate::domain::Platform;

pub(super) use dead::{Dead, DeadFilterArgs};
pub(super) use history::{Event, History};
pub(super) use publish::{EventArgs, Explain, Format, Publish};
pub(super) use tags::Tags;
pub(super) use template::{Add as AddTemplate, Engine, Template};
pub(super) use top::Top;
pub(super) use topic::Topic;

/// One publish to a RabbitMQ exchange reaches every group chat that subscribed.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 done, 1 nothing matched, 64 usage or configuration, \
        69 unreachable, 70 internal."
)]
pub(super) struct Cli {
    /// The configuration file [default: /etc/roomcast/roomcast.toml if it exists]
    #[arg(long, short, global = true, env = "ROOMCAST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The command to run.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    Run,
    /// Check configuration, key, store and broker without changing anything
    Check,
    /// Print exchanges, queues and bindings as RabbitMQ definitions
    Topology,
    /// Manage subscriptions: which robot gets which topic
    #[command(subcommand, visible_alias = "sub")]
    Subscription(Subscription),
    /// Show topics: their subscriptions, their events, and those that reach no chat
    #[command(subcommand)]
    Topic(Topic),
    /// Manage templates: texts with places for an event's tags
    #[command(subcommand)]
    Template(Template),
    /// Publish an event
    Publish(Publish),
    /// Explain an event without sending it: which subscriptions would get it, when, each message
    Explain(Explain),
    /// Manage dead letters: messages that were given up, and why
    #[command(subcommand)]
    Dead(Dead),
    /// Look back at one event: what became of it
    #[command(subcommand)]
    Event(Event),
    /// Look back at deliveries, the newest first
    History(History),
    /// Watch the daemon in the terminal: traffic, robots, dead letters; redrive and release
    Top(Top),
    /// Show robots that are busy or held
    #[command(subcommand)]
    Robot(Robot),
    /// Show organisations and their monthly quotas
    #[command(subcommand)]
    Group(Group),
    /// Manage the master key
    #[command(subcommand)]
    Key(Key),
    /// Manage the data on the disk: backups, checks, proofs of erasure
    #[command(subcommand)]
    Store(Store),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Manage subscriptions.
#[derive(Subcommand)]
pub(super) enum Subscription {
    /// Subscribe a robot to a topic; its webhook URL is read from
    /// standard input, a file or a prompt
    Add(Add),
    /// List subscriptions, with masked webhooks
    List {
        /// Only of this topic
        #[arg(long)]
        topic: Option<String>,
        /// Only on this platform
        #[arg(long, value_parser = Suggestions::platform(), hide_possible_values = true)]
        platform: Option<String>,
        /// Only of this robot
        #[arg(long)]
        robot: Option<String>,
        /// Only those with this state: active or paused
        #[arg(long)]
        state: Option<String>,
        /// Only those that use this organisation's quota
        #[arg(long)]
        group: Option<String>,
        /// Only those whose name contains this text
        #[arg(long, value_name = "PART")]
        name: Option<String>,
        /// At most this many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Only those after this cursor, which a listing with --limit prints at its end
        #[arg(long, value_name = "TOPIC/ID")]
        after: Option<String>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one subscription, with its webhook masked
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a subscription; options that are not given keep their value
    Update(Update),
    /// Remove a subscription, or all of a topic, and destroy the keys of their webhooks
    Remove {
        /// Its id
        #[arg(required_unless_present = "topic", conflicts_with = "topic")]
        id: Option<String>,
        /// All subscriptions of this topic
        #[arg(long)]
        topic: Option<String>,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
    /// Add subscriptions from a file, as CSV or as JSON, one object a line
    Import(Import),
    /// Write subscriptions as CSV or as JSON, one object a line: with masked webhooks, or
    /// completely and sealed for another machine
    Export(Export),
    /// Send a test message to the robot of a subscription, and print the platform's answer
    #[command(after_help = "The message is marked as a test, mentions no member and uses the \
        robot's quota. Quiet hours and the filter do not count. A daemon must run. \
        Exit codes: 0 the platform accepted it, 1 the platform did not accept it or the \
        subscription does not exist, 64 the subscription is paused, 69 no message was sent: \
        no daemon runs, or the robot is on hold or has used up its quota.")]
    Test {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Pause a subscription: it gets no events until it is resumed
    Pause {
        /// Its id
        id: String,
    },
    /// Resume a paused subscription
    Resume {
        /// Its id
        id: String,
    },
}

/// Subscribe a robot to a topic.
#[derive(Args)]
pub(super) struct Add {
    /// The topic
    #[arg(long)]
    pub topic: String,
    #[arg(
        long,
        help = Platform::names(),
        value_parser = Suggestions::platform(),
        hide_possible_values = true
    )]
    pub platform: String,
    /// Read the webhook URL from this file (`-`: standard input), and the signing secret from its
    /// second line, if it has one [default: standard input, or a prompt]
    #[arg(long, value_name = "FILE")]
    pub endpoint_file: Option<PathBuf>,
    /// Read the signing secret from this file
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The options of the subscription
    #[command(flatten)]
    pub options: OptionArgs,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// The options of a subscription.
#[derive(Args)]
pub(super) struct OptionArgs {
    /// The robot's keyword, if its security setting is a keyword; it is
    /// added to messages that lack it
    #[arg(long)]
    pub keyword: Option<String>,
    /// A display name
    #[arg(long)]
    pub name: Option<String>,
    /// Mention all members in every message
    #[arg(long)]
    pub mention_all: bool,
    /// Mention a member by mobile number in every message
    #[arg(long, value_name = "NUMBER")]
    pub mention_mobile: Vec<String>,
    /// Mention a member by user id in every message
    #[arg(long, value_name = "ID")]
    pub mention_user: Vec<String>,
    /// For messages that must wait for the robot's quota: queue (each waits), digest (many become
    /// one message) or latest (only the newest waits) [queue if never given]
    #[arg(long, value_name = "POLICY")]
    pub overflow: Option<String>,
    /// The organisation whose monthly quota the robot uses
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Accept only events with these attributes: JSON as in `{"severity": ["critical", {"prefix":
    /// "high"}]}`, or a list of SMN's policies [all if never given]
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
    /// Hours in which only urgent messages are sent, such as 22:00-07:00, or `mon-fri 20:00-08:00,
    /// sat-sun 00:00-24:00` [none if never given]
    #[arg(long, value_name = "SPANS")]
    pub quiet: Option<String>,
    /// The time zone of the quiet hours [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", requires = "quiet")]
    pub quiet_zone: Option<String>,
    /// For texts that are too long for one message of the platform: split (into numbered parts, at
    /// most ten) or cut (with a notice) [split if never given]
    #[arg(long, value_name = "POLICY")]
    pub too_long: Option<String>,
    /// The language of what roomcast itself writes into the chat, such as "3 messages": zh or en
    /// [if never given: en for a webhook of larksuite.com, else zh]
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,
}

/// Add subscriptions from a file.
#[derive(Args)]
pub(super) struct Import {
    /// The file; `-` or nothing reads standard input
    pub file: Option<PathBuf>,
    /// Its format [default: by its extension, else by its first character]
    #[arg(long)]
    pub format: Option<ListFormat>,
    /// The key file that was used for the sealed export
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Only report which lines would be refused
    #[arg(long)]
    pub dry_run: bool,
}

/// Write subscriptions.
#[derive(Args)]
pub(super) struct Export {
    /// The format
    #[arg(long, default_value = "jsonl")]
    pub format: ListFormat,
    /// Write everything, sealed under this key file (`roomcast key init FILE` makes one), for
    /// `import --key FILE` on another machine
    #[arg(long, value_name = "FILE")]
    pub sealed: Option<PathBuf>,
    /// Only of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Only on this platform
    #[arg(long, value_parser = Suggestions::platform(), hide_possible_values = true)]
    pub platform: Option<String>,
}

/// The format of a file of subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// Comma-separated values; the first line names the columns
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// Manage the data on the disk.
#[derive(Subcommand)]
pub(super) enum Store {
    /// Search every file of the store for remains of a removed subscription
    ProveErased {
        /// Its id
        id: String,
    },
    /// Write a backup into a new folder; the daemon may run
    Backup {
        /// The folder; the daemon's user must be able to create it
        dir: PathBuf,
    },
    /// Create the store from a backup; store.dir must be missing or empty
    Restore {
        /// The backup
        dir: PathBuf,
        /// Leave out the subscriptions that this list names as removed: the file `removed` of a
        /// newer store or backup; may be repeated
        #[arg(long, value_name = "FILE")]
        removed: Vec<PathBuf>,
        /// Do not ask for confirmation, although removals since the backup are unknown
        #[arg(long, short)]
        yes: bool,
    },
    /// Open every record, and count broken references; the daemon may run
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Change a subscription.
#[derive(Args)]
#[command(after_help = "Options that are not given keep their value; an empty text removes one. \
        Mentions replace all earlier ones.")]
pub(super) struct Update {
    /// Its id
    pub id: String,
    /// Read a new webhook URL from this file (`-`: standard input), and a new signing secret from
    /// its second line, if it has one
    #[arg(long, value_name = "FILE")]
    pub endpoint_file: Option<PathBuf>,
    /// Read a new signing secret from this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "no_secret")]
    pub secret_file: Option<PathBuf>,
    /// Remove the robot's signing secret
    #[arg(long)]
    pub no_secret: bool,
    /// The options to change
    #[command(flatten)]
    pub options: OptionArgs,
    /// Mention no members any more
    #[arg(long, conflicts_with_all = ["mention_all", "mention_mobile", "mention_user"])]
    pub no_mentions: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Show robots that are busy or held.
#[derive(Subcommand)]
pub(super) enum Robot {
    /// List them, the busiest first
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// End the hold of a robot
    Release {
        /// Its id
        id: String,
    },
}

/// Show organisations and their monthly quotas.
#[derive(Subcommand)]
pub(super) enum Group {
    /// List them: the use of this month, and its forecast
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
}

/// Manage the master key.
#[derive(Subcommand)]
pub(super) enum Key {
    /// Create a new master key file; an existing one is never overwritten
    Init {
        /// The path of the file [default: key.file of the configuration]
        path: Option<PathBuf>,
    },
    /// Change the master key, or with --data the data keys, while the daemon runs
    Rotate {
        /// Seal every subscription again under a new data key instead
        #[arg(long, conflicts_with_all = ["new_key", "in_place"])]
        data: bool,
        /// Rotate to the key in this file, and leave it to you to put it where key.file is
        /// [default: create a key, and put it there]
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
        /// Confirm, after --new-key, that the new key is where the daemon looks for it
        #[arg(long, conflicts_with = "new_key")]
        in_place: bool,
    },
    /// Show which master key is in use, and the progress of a rotation
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}
