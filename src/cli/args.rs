//! The command tree. Owns names and help; what each command does is in the file of its family.

mod dead;
mod publish;
mod template;
mod top;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use dead::{Dead, Which};
pub(super) use publish::{Explain, Format, Publish, Said};
pub(super) use template::{Add as AddTemplate, Engine, Tags, Template};
pub(super) use top::Top;

/// One publish to a RabbitMQ exchange reaches every group chat that subscribed.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 done, 1 nothing matched, 64 usage or configuration, 69 unreachable, 70 internal."
)]
pub(super) struct Cli {
    /// The configuration file [default: /etc/roomcast/roomcast.toml if it exists]
    #[arg(long, short, global = true, env = "ROOMCAST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the daemon
    Run,
    /// Check configuration, key, store and broker without changing anything
    Check,
    /// Print exchanges, queues and bindings as RabbitMQ definitions
    Topology,
    /// Who hears which topic
    #[command(subcommand, visible_alias = "sub")]
    Subscription(Subscription),
    /// Texts with places for an event's tags
    #[command(subcommand)]
    Template(Template),
    /// Publish an event
    Publish(Publish),
    /// Say what would become of an event, without sending it: who hears it, who does not and why, what each would read, and when
    Explain(Explain),
    /// What was given up, and why
    #[command(subcommand)]
    Dead(Dead),
    /// Watch the daemon in the terminal: what flows, who waits, who is held, what was given up; redrive and release
    Top(Top),
    /// Robots that are busy or held
    #[command(subcommand)]
    Robot(Robot),
    /// Organisations and their monthly quotas
    #[command(subcommand)]
    Group(Group),
    /// The master key
    #[command(subcommand)]
    Key(Key),
    /// What is on the disk: backups, checks, proofs
    #[command(subcommand)]
    Store(Store),
    /// Print shell completions
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
}

/// Who hears which topic.
#[derive(Subcommand)]
pub(super) enum Subscription {
    /// Subscribe a robot to a topic; its webhook URL is read from standard input, a file or a prompt
    Add(Add),
    /// List subscriptions, webhooks masked
    List {
        /// Only of this topic
        #[arg(long)]
        topic: Option<String>,
        /// Only on this platform
        #[arg(long)]
        platform: Option<String>,
        /// Only of this robot
        #[arg(long)]
        robot: Option<String>,
        /// Only those that are active, or paused
        #[arg(long)]
        state: Option<String>,
        /// Only those that draw on this organisation's quota
        #[arg(long)]
        group: Option<String>,
        /// Only those whose name has this in it
        #[arg(long, value_name = "PART")]
        name: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Those behind this place: where a listing with --limit ended
        #[arg(long, value_name = "TOPIC/ID")]
        after: Option<String>,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one subscription, its webhook masked
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a subscription; what is not named stays as it is
    Update(Update),
    /// Remove a subscription, or all of a topic, and destroy the keys of their webhooks
    Remove {
        /// Its id
        #[arg(required_unless_present = "topic", conflicts_with = "topic")]
        id: Option<String>,
        /// All subscriptions of this topic
        #[arg(long)]
        topic: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Add subscriptions from a file, as CSV or as JSON, one object a line
    Import(Import),
    /// Write subscriptions as CSV or as JSON, one object a line: webhooks masked, or everything sealed for another machine
    Export(Export),
    /// Let events pass a subscription by
    Pause {
        /// Its id
        id: String,
    },
    /// Let a paused subscription hear its topic again
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
    /// dingtalk, dingtalk_internal, lark or wecom
    #[arg(long)]
    pub platform: String,
    /// Read the webhook URL from this file (`-`: standard input), and the signing secret from its second line, if it has one [default: standard input, or a prompt]
    #[arg(long, value_name = "FILE")]
    pub endpoint_file: Option<PathBuf>,
    /// Read the signing secret from this file
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// What it wants
    #[command(flatten)]
    pub wishes: Wishes,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a subscription wants, apart from topic and robot.
#[derive(Args)]
pub(super) struct Wishes {
    /// The robot's keyword, if its security setting is one; added to messages that lack it
    #[arg(long)]
    pub keyword: Option<String>,
    /// What people call it
    #[arg(long)]
    pub name: Option<String>,
    /// Mention everybody in every message
    #[arg(long)]
    pub mention_all: bool,
    /// Mention a member by mobile number in every message
    #[arg(long, value_name = "NUMBER")]
    pub mention_mobile: Vec<String>,
    /// Mention a member by user id in every message
    #[arg(long, value_name = "ID")]
    pub mention_user: Vec<String>,
    /// What becomes of messages that have to wait for the robot's quota: queue (each waits), digest (they are folded into one) or latest (only the newest waits) [queue if never named]
    #[arg(long, value_name = "POLICY")]
    pub overflow: Option<String>,
    /// The organisation on whose monthly quota the robot draws
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Which events it wants, by their attributes: JSON as in `{"severity": ["critical", {"prefix": "high"}]}`, or a list of SMN's policies [all if never named]
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
    /// When it is not to be disturbed by what is not urgent, such as 22:00-07:00, or `mon-fri 20:00-08:00, sat-sun 00:00-24:00` [none if never named]
    #[arg(long, value_name = "SPANS")]
    pub quiet: Option<String>,
    /// The time zone of the quiet hours [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", requires = "quiet")]
    pub quiet_zone: Option<String>,
    /// What becomes of a text that is too long for one message of the platform: split (into numbered parts, at most ten) or cut (with a notice) [split if never named]
    #[arg(long, value_name = "POLICY")]
    pub too_long: Option<String>,
}

/// Add subscriptions from a file.
#[derive(Args)]
pub(super) struct Import {
    /// The file; `-` or nothing reads standard input
    pub file: Option<PathBuf>,
    /// How it is written [default: by its ending, else by its first character]
    #[arg(long)]
    pub format: Option<ListFormat>,
    /// The key file that a sealed export was made with
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Only say what would be refused
    #[arg(long)]
    pub dry_run: bool,
}

/// Write subscriptions.
#[derive(Args)]
pub(super) struct Export {
    /// How
    #[arg(long, default_value = "jsonl")]
    pub format: ListFormat,
    /// Write everything, sealed under this key file (`roomcast key init FILE` makes one), for `import --key FILE` on another machine
    #[arg(long, value_name = "FILE")]
    pub sealed: Option<PathBuf>,
    /// Only of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Only on this platform
    #[arg(long)]
    pub platform: Option<String>,
}

/// How many subscriptions are written in one file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// Comma-separated values, with a line of names first
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// What is on the disk.
#[derive(Subcommand)]
pub(super) enum Store {
    /// Look for what is left of a removed subscription in every file of the store
    ProveErased {
        /// Its id
        id: String,
    },
    /// Write a backup into a new folder; the daemon may run
    Backup {
        /// The folder; the daemon's user must be able to make it
        dir: PathBuf,
    },
    /// Make the store from a backup; store.dir must be missing or empty
    Restore {
        /// The backup
        dir: PathBuf,
        /// Leave out what this list says was removed: the file `removed` of a newer store or backup; may be repeated
        #[arg(long, value_name = "FILE")]
        removed: Vec<PathBuf>,
        /// Do not ask, though nothing says what was removed since the backup was made
        #[arg(long, short)]
        yes: bool,
    },
    /// Open every record, and count what leads nowhere; the daemon may run
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Change a subscription.
#[derive(Args)]
#[command(
    after_help = "What is not named stays as it is; an empty text takes a value away. Mentions take the place of all there were."
)]
pub(super) struct Update {
    /// Its id
    pub id: String,
    /// Read a new webhook URL from this file (`-`: standard input), and a new signing secret from its second line, if it has one
    #[arg(long, value_name = "FILE")]
    pub endpoint_file: Option<PathBuf>,
    /// Read a new signing secret from this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "no_secret")]
    pub secret_file: Option<PathBuf>,
    /// The robot has no signing secret any more
    #[arg(long)]
    pub no_secret: bool,
    /// What it wants
    #[command(flatten)]
    pub wishes: Wishes,
    /// Mention nobody any more
    #[arg(long, conflicts_with_all = ["mention_all", "mention_mobile", "mention_user"])]
    pub no_mentions: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Robots that are busy or held.
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

/// Organisations and their monthly quotas.
#[derive(Subcommand)]
pub(super) enum Group {
    /// List them: what is used, and how it will go on
    List {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
}

/// The master key.
#[derive(Subcommand)]
pub(super) enum Key {
    /// Make a new master key file; an existing one is never overwritten
    Init {
        /// Where [default: key.file of the configuration]
        path: Option<PathBuf>,
    },
    /// Change the master key, or with --data the data keys, while the daemon runs
    Rotate {
        /// Seal every subscription anew under a new data key instead
        #[arg(long, conflicts_with_all = ["new_key", "in_place"])]
        data: bool,
        /// Rotate to the key in this file, and leave it to you to put it where key.file is [default: make a key, and put it there]
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
        /// Say that the new key is where the daemon will look for it, after --new-key
        #[arg(long, conflicts_with = "new_key")]
        in_place: bool,
    },
    /// Show which master key is in use, and how far a change has come
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}
