//! `roomcast dead …`: works directly on the broker's dead queues, with or without a daemon.
//!
//! Owns that acting on all dead letters must be requested explicitly (`--all`).
//!
//! Not here: the same over HTTP (`admin/dead_letters.rs`), and reading the queues (`broker`).

mod act;
mod export;
mod interrupt;
mod list;
mod notes;
mod show;

use std::{fmt::Display, path::PathBuf, str::FromStr, sync::Arc};

use self::interrupt::Interrupt;
pub(super) use self::{list::age, show::told};

use super::{
    args::{self, DeadFilterArgs},
    backend, broker_failure,
    exit::Failure,
    output::{bar, print_status},
};
use crate::{
    admin::{
        dead_letters::dead_filter,
        wire::{DeadQuery, filter_value},
    },
    app,
    broker::{DeadLetter, DeadLetterAction, DeadLetterFilter, DeadQueues, ScanReport, Topology},
    clock::Clock,
    config::Config,
    domain::{DeadReason, StoredReason, every},
};

pub(super) async fn run(config: &Config, command: args::Dead) -> Result<(), Failure> {
    match command {
        args::Dead::List { which, by, limit, json } => {
            let looking = DeadLetterReader::begin(config, &which).await?;
            match by {
                Some(by) => list::counted(looking, &by, limit, json).await,
                None if json => list::stream(looking, limit).await,
                None => list::table(looking, limit).await,
            }
        }
        args::Dead::Show { id, json } => show::run(config, id, json).await,
        args::Dead::Redrive { which, all, limit, dry_run, rate } => {
            named(&which, all)?;
            let rate = rate.as_deref().map(act::rate).transpose()?;
            let looking = DeadLetterReader::begin(config, &which).await?;
            act::run(
                looking,
                DeadLetterAction::Redrive,
                limit,
                rate,
                act::ConfirmMode::just(dry_run),
            )
            .await
        }
        args::Dead::Discard { which, all, limit, yes } => {
            named(&which, all)?;
            let looking = DeadLetterReader::begin(config, &which).await?;
            let asking = if yes { act::ConfirmMode::Never } else { act::ConfirmMode::BeforeActing };
            act::run(looking, DeadLetterAction::Discard, limit, None, asking).await
        }
        args::Dead::Export { which } => {
            export::run(DeadLetterReader::begin(config, &which).await?).await
        }
    }
}

/// Refuses to act on all dead letters unless `--all` is given.
fn named(which: &DeadFilterArgs, all: bool) -> Result<(), Failure> {
    if all || !which.id.is_empty() || !query(which)?.is_everything() {
        return Ok(());
    }
    Err(Failure::Usage(
        "which dead letters? name some (--id, --reason, --platform, …) or say --all".to_owned(),
    ))
}

fn query(which: &DeadFilterArgs) -> Result<DeadQuery, Failure> {
    let which = which.clone();
    Ok(DeadQuery {
        platform: value("platform", which.platform)?,
        reason: value("reason", which.reason)?,
        code: which.code,
        topic: which.topic,
        robot: value("robot", which.robot)?,
        subscription: value("subscription", which.subscription)?,
        event: which.event,
        generation: which.generation,
        text: which.text,
        older_than: which.older_than,
        newer_than: which.newer_than,
        ..DeadQuery::default()
    })
}

fn value<T: FromStr<Err: Display>>(
    field: &'static str,
    text: Option<String>,
) -> Result<Option<T>, Failure> {
    filter_value(field, text.as_deref()).map_err(|mistake| Failure::Usage(mistake.to_string()))
}

/// The dead queues, and the filter of their letters.
struct DeadLetterReader {
    queues: DeadQueues,
    filter: DeadLetterFilter,
    interrupt: Interrupt,
    /// Where a daemon may answer.
    socket: PathBuf,
}

impl DeadLetterReader {
    async fn begin(config: &Config, which: &DeadFilterArgs) -> Result<Self, Failure> {
        let filter = dead_filter(&query(which)?, &which.id, Clock::System.now())
            .map_err(backend::failure)?;
        if let Some(StoredReason::Unknown(name)) = &filter.reason {
            let known = every().map(DeadReason::as_str).collect::<Vec<_>>().join(", ");
            print_status(&format!(
                "{name:?} is not a reason of this version; \
                 only letters of another one can have it. The reasons are {known}"
            ));
        }
        let topology = Arc::new(Topology::new(app::topology_settings(config)));
        let queues =
            DeadQueues::open(&config.broker.address(), topology, config.broker.confirm_timeout)
                .await;
        let mut queues = queues.map_err(|error| broker_failure(&error))?;
        queues.on_waiting(|| {
            print_status(
                "another reader works on the dead letters: \
                 waiting until it is done, half a minute at most",
            )
        });
        let socket = config.admin.socket.clone();
        Ok(Self { queues, filter, interrupt: Interrupt::watch()?, socket })
    }

    /// Passes every matching letter to `seen`, and shows a progress bar.
    async fn scan(&self, mut seen: impl FnMut(DeadLetter)) -> Result<ScanReport, Failure> {
        let failed = |error| broker_failure(&error);
        let queues = self.filter.queues();
        let bar = bar("looking", Some(self.queues.depth(&queues).await.map_err(failed)?), false);
        let each = |letter: DeadLetter| {
            bar.inc(1);
            if !self.interrupt.stop().is_cancelled() && self.filter.matches(&letter) {
                seen(letter);
            }
        };
        // The broker delivers letters before the first one reaches this process.
        self.interrupt.holds(true);
        let looked = self.queues.scan(&queues, each).await.map_err(failed)?;
        bar.finish_and_clear();
        self.interrupt.holds(false);
        if self.interrupt.stop().is_cancelled() {
            return Err(Failure::No("interrupted; every letter is at its place".to_owned()));
        }
        if looked.missed > 0 {
            print_status(&format!(
                "another reader of the dead letters holds {} of them: try again",
                looked.missed
            ));
        }
        Ok(looked)
    }
}
