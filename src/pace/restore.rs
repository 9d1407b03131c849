//! Restore and checkpoint: from an earlier process's records to the pacer's state, and back to the
//! records still needed.
//!
//! Owns the rule that an unanswered message of an earlier process counts as sent at the start of
//! this one.
//!
//! Not here: the records (`pace_log.rs`), and their files (`store/journal.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
};

use futures_util::future::Either;

use super::{AppendFailed, Pace, PaceLogUnavailable, PaceRecord, slot_schedule::Slot};
use crate::{
    domain::{Platform, RobotId, Timestamp},
    port::PortFuture,
};

/// A record of a checkpoint that is not durable yet.
type PendingRecord = PortFuture<'static, Result<(), AppendFailed>>;

/// The messages sent to a robot, as far as the records say.
struct RestoredRobot {
    platform: Platform,
    /// The messages of this segment that are not answered.
    open: usize,
    /// The unanswered messages of earlier segments, until a checkpoint replaces them.
    open_before: usize,
    answered: Vec<Timestamp>,
}

impl RestoredRobot {
    const fn empty(platform: Platform) -> Self {
        Self { platform, open: 0, open_before: 0, answered: Vec::new() }
    }

    const fn answer(&mut self) {
        match self.open.checked_sub(1) {
            Some(left) => self.open = left,
            None => self.open_before = self.open_before.saturating_sub(1),
        }
    }
}

impl Pace {
    /// Restores the state of an earlier process. An unanswered message may have arrived at any time
    /// until now.
    pub fn restore(&self, records: impl IntoIterator<Item = PaceRecord>) {
        let now = self.now();
        let mut sent = HashMap::<RobotId, RestoredRobot>::new();
        let (mut holds, mut outages, mut healths) =
            (HashMap::new(), HashMap::new(), HashMap::new());
        // A slot may be recorded twice, and urgent slots are not in order with the others.
        let mut slots = BTreeMap::new();
        for record in records {
            match record {
                PaceRecord::SegmentStart => sent
                    .values_mut()
                    .for_each(|sent| sent.open_before += std::mem::take(&mut sent.open)),
                PaceRecord::Checkpoint => sent.values_mut().for_each(|sent| sent.open_before = 0),
                PaceRecord::AttemptStarted { robot, platform, .. } => {
                    sent.entry(robot).or_insert(RestoredRobot::empty(platform)).open += 1;
                }
                PaceRecord::AttemptEnded { robot, platform, at } => {
                    let sent = sent.entry(robot).or_insert(RestoredRobot::empty(platform));
                    sent.answer();
                    if self.is_in_window(platform, at) {
                        sent.answered.push(at);
                    }
                }
                PaceRecord::SlotReserved { robot, platform, slot, reason } if slot > now => {
                    slots.insert((robot, slot), (platform, reason));
                }
                PaceRecord::HoldStarted { robot, platform, at, hold } => {
                    newest(&mut holds, robot, at, Some((platform, hold)));
                }
                PaceRecord::HoldEnded { robot, at, .. } => newest(&mut holds, robot, at, None),
                PaceRecord::OutageStarted { platform, at, hold } => {
                    newest(&mut outages, platform, at, Some(hold));
                }
                PaceRecord::OutageEnded { platform, at } => {
                    newest(&mut outages, platform, at, None);
                }
                PaceRecord::HealthChanged { robot, platform, at, health } => {
                    newest(&mut healths, robot, at, Some((platform, health)));
                }
                PaceRecord::QuotaUsed { group, month, used, refused_until } => {
                    self.0.groups().restore(
                        &group,
                        month,
                        used,
                        refused_until,
                        self.0.timeline.wall_now(),
                    );
                }
                PaceRecord::SlotReserved { .. } => (),
            }
        }
        for ((robot, at), (platform, reason)) in slots {
            let slot = Slot { at, reason };
            self.0.with_queue(robot, platform, |queue, _, rules| queue.restore_slot(slot, rules));
        }
        for (robot, RestoredRobot { platform, open, open_before, answered }) in sent {
            answered.into_iter().for_each(|at| self.charge(robot, platform, at.min(now)));
            for _ in 0..open + open_before {
                self.charge(robot, platform, now);
                // If this process also dies soon, the next one needs the same record.
                self.0.append(&PaceRecord::AttemptEnded { robot, platform, at: now });
            }
        }
        for (robot, (platform, hold)) in known(holds) {
            self.0.with_queue(robot, platform, |queue, now, rules| {
                queue.restore_hold(hold, now, rules)
            });
        }
        known(outages).for_each(|(platform, hold)| self.0.restore_outage(platform, hold));
        for (robot, (platform, health)) in known(healths) {
            self.0.restore_health(robot, platform, *health);
        }
    }

    /// Begins a new segment of the log if one is due, and writes a checkpoint to it. Called every
    /// few seconds.
    ///
    /// # Errors
    ///
    /// The log is not available. Earlier records stay until a later call succeeds.
    pub async fn rotate_log(&self) -> Result<(), PaceLogUnavailable> {
        let log = &self.0.pace_log;
        let Some(due) = Arc::clone(log).begin_checkpoint().await? else { return Ok(()) };
        let unavailable = |error: AppendFailed| PaceLogUnavailable(error.into());
        let pace = self.clone();
        // A checkpoint has many records, and each may have to wait for the disk.
        let appended = match tokio::task::spawn_blocking(move || pace.checkpoint()).await {
            Ok(appended) => appended.map_err(unavailable)?,
            Err(panicked) => return Err(PaceLogUnavailable(panicked.into())),
        };
        for record in appended {
            record.await.map_err(unavailable)?;
        }
        Arc::clone(log).complete_checkpoint(due).await
    }

    /// Appends a checkpoint: the records that are still needed when old segments are deleted. Each
    /// is appended under the lock of the object that it describes, so that the last record is
    /// always the valid one. Returns the records that are not durable yet.
    ///
    /// # Errors
    ///
    /// A record could not be written.
    pub(super) fn checkpoint(&self) -> Result<Vec<PendingRecord>, AppendFailed> {
        let (now, mut pending) = (self.now(), Vec::new());
        let mut append = |record: &PaceRecord| match self.0.pace_log.append(record) {
            Either::Left(appended) => appended.into_inner(),
            later => {
                pending.push(later);
                Ok(())
            }
        };
        let mut noted = Ok(());
        self.0.retain(|robot, queue, _, _| {
            let platform = queue.platform();
            let (in_flight, slots, hold) = queue.snapshot(now);
            let begun =
                (0..in_flight).map(|_| PaceRecord::AttemptStarted { robot, platform, at: now });
            let booked = slots.into_iter().map(|Slot { at: slot, reason }| {
                PaceRecord::SlotReserved { robot, platform, slot, reason }
            });
            let held = hold.map(|hold| PaceRecord::HoldStarted { robot, platform, at: now, hold });
            let mut records = begun.chain(booked).chain(held);
            if noted.is_ok() {
                noted = records.try_for_each(|record| append(&record));
            }
            true
        });
        noted?;
        let mut noted = Ok(());
        self.0.retain_known(|robot, known| {
            let (platform, health) = (known.platform, Box::new(known.health.clone()));
            if noted.is_ok() {
                noted = append(&PaceRecord::HealthChanged { robot, platform, at: now, health });
            }
            true
        });
        noted?;
        self.0.keep_outages(|platform, hold| {
            append(&PaceRecord::OutageStarted { platform, at: now, hold })
        })?;
        let mut groups = self.0.groups();
        for group in groups.names() {
            let (month, used, refused_until) = groups.spent(&group, self.0.timeline.wall_now());
            append(&PaceRecord::QuotaUsed { group, month, used, refused_until })?;
        }
        append(&PaceRecord::Checkpoint)?;
        Ok(pending)
    }

    /// Whether a message sent at `at` still counts in one of the current windows.
    #[must_use]
    pub fn is_in_window(&self, platform: Platform, at: Timestamp) -> bool {
        self.0.remembers(platform).is_some_and(|span| at.after(span) > self.now())
    }
}

/// The newest record of each thing, with its time. `None` if it has ended.
type Newest<K, V> = HashMap<K, (Timestamp, Option<V>)>;

/// Keeps the newest record: a checkpoint may repeat an older one.
fn newest<K: Eq + Hash, V>(records: &mut Newest<K, V>, of: K, at: Timestamp, record: Option<V>) {
    if records.get(&of).is_none_or(|(since, _)| *since <= at) {
        records.insert(of, (at, record));
    }
}

/// The records of what has not ended.
fn known<K, V>(records: Newest<K, V>) -> impl Iterator<Item = (K, V)> {
    records.into_iter().filter_map(|(of, (_, record))| Some((of, record?)))
}
