//! Looks at everything: opens every record, and counts what leads nowhere.

use std::collections::HashSet;

use super::{
    Place, StoreError,
    slot::Content,
    slots::RUN,
    subscriptions::{Open, Store},
};
use crate::domain::{SubscriptionId, Template};

/// At most so many broken subscriptions are named.
const NAMED_MAX: usize = 100;

/// What a look at everything found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many subscriptions open with their keys.
    pub sound: usize,
    /// Which do not, up to a hundred of them.
    pub broken: Vec<SubscriptionId>,
    /// How many rows have no key: removals that were interrupted, or parts of different backups put together.
    pub without_key: usize,
    /// How many keys no subscription names.
    pub without_subscription: usize,
    /// How many entries of the indexes lead to no row.
    pub lost_entries: usize,
    /// How many rows an index does not find.
    pub unindexed: usize,
    /// How many texts of templates are whole.
    pub templates: usize,
    /// Which cannot be read, or are not on the disk what events are given.
    pub broken_templates: Vec<String>,
}

impl Verified {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        *self == Self { sound: self.sound, templates: self.templates, ..Self::default() }
    }

    fn broke(&mut self, id: SubscriptionId) {
        if self.broken.len() < NAMED_MAX {
            self.broken.push(id);
        }
    }
}

impl Store {
    /// Looks at everything. Others may use and change the store meanwhile: what changes is looked at as it was or as it is. Blocks on the
    /// disk, for seconds to minutes.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let (open, mut verified, mut named) = (&self.0, Verified::default(), HashSet::new());
        let mut after: Option<Place> = None;
        let mut rows_seen = 0;
        loop {
            // A change takes hold of the writer, so rows and their keys are seen together.
            let writer = open.writer();
            let rows = open.db.each(after.as_ref(), RUN)?;
            let Some(last) = rows.last() else { break };
            after = Some(Place::of_each(last));
            for row in &rows {
                rows_seen += 1;
                let row = match row {
                    Ok(row) => row,
                    Err(damaged) => {
                        verified.broke(damaged.id);
                        continue;
                    }
                };
                match open.unseal(row) {
                    Ok(Some(_)) => verified.sound += 1,
                    Ok(None) => verified.without_key += 1,
                    Err(StoreError::DamagedRecord { id, .. }) => verified.broke(id),
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
        // Entries are written before their row and removed after it, so a change that goes on is waited for.
        let writer = open.writer();
        verified.lost_entries = open.db.lost(&indexes)?;
        drop(writer);
        (verified.templates, verified.broken_templates) = open.check_templates()?;
        verified.unindexed = 2_usize.saturating_mul(rows_seen).saturating_sub(indexes.ids + indexes.robots);
        Ok(verified)
    }
}

impl Open {
    /// Counts the texts of templates that are on the disk as they are on the shelf and can be read; names the others.
    fn check_templates(&self) -> Result<(usize, Vec<String>), StoreError> {
        let _nobody_changes_them = self.writer();
        let (kept, shelf) = (self.kept_templates()?, self.shelf.now());
        let whole =
            |one: &Template| shelf.texts(&one.name).any(|(on_shelf, broken)| on_shelf == one && broken.is_none());
        let broken: Vec<_> = kept.iter().filter(|one| !whole(one)).map(shown).collect();
        let lost = shelf.all().filter(|(one, _)| !kept.contains(one)).map(|(one, _)| shown(one));
        Ok((kept.len() - broken.len(), broken.iter().cloned().chain(lost).collect()))
    }

    /// Counts keys that no row names, of those that were not named a while ago.
    fn keys_without_subscription(&self, named: &HashSet<u32>) -> Result<usize, StoreError> {
        let mut count = 0;
        for first in (0..self.table.len()).step_by(RUN) {
            let _writer = self.writer();
            for (at, content) in self.table.run(first).map_err(|source| self.unread(source))? {
                if let Content::Key(slot) = content
                    && !named.contains(&at)
                {
                    // Perhaps it was added meanwhile.
                    let row = self.db.look_up(SubscriptionId::from_bytes(slot.binding.record))?;
                    // Which key a row names that cannot be read is not known.
                    let is_named = row.is_some_and(|row| row.map_or(true, |row| row.binding() == slot.binding));
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
