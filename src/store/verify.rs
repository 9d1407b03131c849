//! The verification of an open store: opens every record, and counts entries that lead nowhere.
//!
//! Owns the definition of a sound store. Changes may go on meanwhile and must not count as damage.
//!
//! Not here: the inspection of a store that is not open (`inspect.rs`).

use std::collections::HashSet;

use super::{
    ListCursor, StoreError, StoreRefusal,
    key_slot::KeySlotContent,
    key_slots::{FoundSlot, RUN},
    subscriptions::{Store, StoreInner},
};
use crate::{
    admin::ports::Verified,
    domain::{SubscriptionId, Template},
};

/// The maximum number of broken subscriptions in the result.
const NAMED_MAX: usize = 100;

fn add_broken(verified: &mut Verified, id: SubscriptionId) {
    if verified.broken.len() < NAMED_MAX {
        verified.broken.push(id);
    }
}

impl Store {
    /// Verifies the store. Blocks on the disk, for seconds to minutes.
    ///
    /// Reads and changes go on meanwhile. Each subscription is checked in its old or its new state.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let (open, mut verified, mut named) = (&self.0, Verified::default(), HashSet::new());
        let mut after: Option<ListCursor> = None;
        let mut rows_seen = 0;
        loop {
            // A change holds the writer lock, so a row and its key belong together here.
            let writer = open.writer();
            let rows = open.db.each(after.as_ref(), RUN)?;
            let Some(last) = rows.last() else { break };
            after = Some(ListCursor::of_each(last));
            for row in &rows {
                rows_seen += 1;
                let row = match row {
                    Ok(row) => row,
                    Err(damaged) => {
                        add_broken(&mut verified, damaged.id);
                        continue;
                    }
                };
                match open.unseal(row) {
                    Ok(Some(_)) => verified.sound += 1,
                    Ok(None) => verified.without_key += 1,
                    Err(StoreError::Refused(StoreRefusal::DamagedRecord { id, .. })) => {
                        add_broken(&mut verified, id)
                    }
                    Err(error) => return Err(error),
                }
                if open.table.holds(&row.binding()) {
                    named.insert(row.slot);
                }
            }
            drop(writer);
        }
        verified.without_subscription = open.keys_without_subscription(&named)?;
        let indexes = open.db.check_indexes()?;
        // An index entry is written before its row and deleted after it. So the check waits for a
        // running change.
        let writer = open.writer();
        verified.lost_entries = open.db.lost(&indexes)?;
        drop(writer);
        (verified.templates, verified.broken_templates) = open.check_templates()?;
        verified.unindexed =
            2_usize.saturating_mul(rows_seen).saturating_sub(indexes.ids + indexes.robots);
        Ok(verified)
    }
}

impl StoreInner {
    /// Counts the texts that are readable and the same on the disk and in memory; names the others.
    fn check_templates(&self) -> Result<(usize, Vec<String>), StoreError> {
        let _nobody_changes_them = self.writer();
        let (kept, registry) = (self.kept_templates()?, self.registry.now());
        let whole = |one: &Template| {
            registry.texts(&one.name).any(|(on_shelf, broken)| on_shelf == one && broken.is_none())
        };
        let broken: Vec<_> = kept.iter().filter(|one| !whole(one)).map(shown).collect();
        let lost = registry.all().filter(|(one, _)| !kept.contains(one)).map(|(one, _)| shown(one));
        Ok((kept.len() - broken.len(), broken.iter().cloned().chain(lost).collect()))
    }

    /// Counts the keys that no row names. `named` are the slots with a row from the first pass.
    fn keys_without_subscription(&self, named: &HashSet<u32>) -> Result<usize, StoreError> {
        let mut count = 0;
        for first in (0..self.table.len()).step_by(RUN) {
            let _writer = self.writer();
            for FoundSlot { at, content } in
                self.table.run(first).map_err(|source| self.unread(source))?
            {
                if let KeySlotContent::Key(slot) = content
                    && !named.contains(&at)
                {
                    // A row may have been added since that pass.
                    let row = self.db.look_up(SubscriptionId::from_bytes(slot.binding.record))?;
                    // It is unknown which key an unreadable row names.
                    let is_named = row
                        .is_some_and(|row| row.map_or(true, |row| row.binding() == slot.binding));
                    count += usize::from(!is_named);
                }
            }
        }
        Ok(count)
    }
}

fn shown(template: &Template) -> String {
    format!("{} for {}", template.name, template.audience)
}
