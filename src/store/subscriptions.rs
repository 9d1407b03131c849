//! The open store, and the lookups of fan-out in it.
//!
//! Owns the distinction between a replaced, a removed and a damaged subscription.
//!
//! Not here: opening the store (`open.rs`), changes (`write.rs`), listings (`listing.rs`).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;

use super::{
    StoreError, StoreRefusal,
    cache::PageCache,
    crash_points::CrashPoints,
    db::Db,
    key_slot::KeySlot,
    key_slots::{KeySlotTable, KeySlots},
    keyring::{Keyring, Ring},
    lock::Lock,
    rotation_progress::Rotation,
    row::{DamagedRow, SubscriptionRow},
    sealed_fields::SealedFields,
    tombstones::Tombstones,
};
use crate::{
    clock::Clock,
    crypto::Binding,
    domain::{
        Platform, Subscription, SubscriptionId, SubscriptionOptions, SubscriptionState, TopicName,
    },
    fanout::{
        self, FeedPage, FeedPosition, OpenedRecipient, Recipient, SealedSubscription,
        SubscriptionFeed, Subscriptions, SubscriptionsUnavailable, TemplateRegistry,
    },
    port::{PortFuture, at_once, later},
};

/// The number of recipients in a page of fan-out.
const PAGE: usize = 256;

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Store(pub(super) Arc<StoreInner>);

pub(super) struct StoreInner {
    pub(super) dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) ring: ArcSwap<Ring>,
    pub(super) db: Db,
    /// A change holds this lock from its first step to its last.
    pub(super) writer: Mutex<StoreWriter>,
    pub(super) table: KeySlotTable,
    pub(super) cache: PageCache,
    pub(super) crash_points: CrashPoints,
    pub(super) rotation: Rotation,
    pub(super) registry: TemplateRegistry,
    // The last field, so that the folder is unlocked after everything else is closed.
    pub(super) _lock: Lock,
}

/// The parts that a change needs.
pub(super) struct StoreWriter {
    pub(super) slots: KeySlots,
    pub(super) keyring: Keyring,
    pub(super) removed: Tombstones,
}

impl Store {
    /// The folder of the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }
}

impl StoreInner {
    pub(super) fn unseal(&self, row: &SubscriptionRow) -> Result<Option<SealedFields>, StoreError> {
        self.unseal_with(row, KeySlotTable::find)
    }

    /// The same, with a function that finds the key.
    fn unseal_with(
        &self,
        row: &SubscriptionRow,
        find: impl Fn(&KeySlotTable, &Binding) -> io::Result<Option<KeySlot>>,
    ) -> Result<Option<SealedFields>, StoreError> {
        let binding = row.binding();
        let damaged_by =
            |what: String| StoreError::Refused(StoreRefusal::DamagedRecord { id: row.id, what });
        let damaged = || damaged_by("its record does not open with its key".to_owned());
        // The key ring and the slot may be read on two sides of a rotation, but not twice in a row.
        for _ in 0..3 {
            let ring = self.ring.load();
            let found = find(&self.table, &binding).map_err(|source| match source.kind() {
                io::ErrorKind::Other => damaged_by(source.to_string()),
                _ => self.unread(source),
            })?;
            let Some(slot) = found else { return Ok(None) };
            let Some(keys) = ring.of(slot.key) else { continue };
            let key = keys.unwrap_key(&binding, &slot.wrapped).map_err(|_| damaged())?;
            let plain = key.open(&binding, &row.head(), &row.sealed).map_err(|_| damaged())?;
            return SealedFields::decode(&plain).map(Some).map_err(|_| damaged());
        }
        Err(damaged())
    }

    fn recipients(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
    ) -> Result<fanout::RecipientPage, StoreError> {
        let rows = self.db.each_of_topic(topic, after, PAGE)?;
        let next = (rows.len() == PAGE).then(|| rows.last().map(id_of)).flatten();
        let found = rows.len();
        let recipients: Vec<_> = rows.into_iter().filter_map(recipient).collect();
        let has_paused = recipients.len() < found;
        Ok(fanout::RecipientPage { recipients, has_paused, next })
    }

    /// The subscription of that id, if it is active.
    fn active(&self, id: SubscriptionId) -> Result<Option<Recipient>, StoreError> {
        let mut found = self.db.look_up(id)?;
        loop {
            let Some(Ok(row)) = &found else { return Ok(found.and_then(recipient)) };
            if self.table.holds(&row.binding()) {
                return Ok(found.and_then(recipient));
            }
            // An update writes the new row before it erases the old key, and a removal erases the
            // key before it deletes the row. So a row that is still the same without its key is
            // being removed.
            let again = self.db.look_up(id)?;
            match &again {
                Some(Ok(new)) if new.binding() == row.binding() => return Ok(None),
                _ => found = again,
            }
        }
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, StoreWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unread(&self, source: std::io::Error) -> StoreError {
        StoreError::Disk { dir: self.dir.clone(), verb: "read", source }
    }

    pub(super) fn unwritten(&self, source: std::io::Error) -> StoreError {
        StoreError::Disk { dir: self.dir.clone(), verb: "written", source }
    }
}

fn id_of(row: &Result<SubscriptionRow, DamagedRow>) -> SubscriptionId {
    match row {
        Ok(row) => row.id,
        Err(damaged) => damaged.id,
    }
}

/// A row as a recipient, or `None` if it is paused. An unreadable row is a recipient too: its
/// deliveries become dead letters, which operators see.
fn recipient(row: Result<SubscriptionRow, DamagedRow>) -> Option<Recipient> {
    let [first, ..] = Platform::ALL;
    match row {
        Ok(row) => (row.state == SubscriptionState::Active).then(|| Recipient {
            subscription: row.id,
            platform: row.platform,
            robot: row.robot,
            options: row.options.clone(),
            sealed: SealedSubscription::new(row),
        }),
        Err(damaged) => damaged.is_active.then(|| Recipient {
            subscription: damaged.id,
            platform: damaged.platform.unwrap_or(first),
            robot: damaged.robot,
            options: SubscriptionOptions::default(),
            sealed: SealedSubscription::new(damaged),
        }),
    }
}

/// A subscription from its row and its record.
pub(super) fn opened(row: &SubscriptionRow, record: SealedFields) -> Subscription {
    Subscription {
        id: row.id,
        topic: row.topic.clone(),
        platform: row.platform,
        robot: row.robot,
        endpoint: record.endpoint,
        secret: record.secret,
        private: record.private,
        state: row.state,
        options: row.options.clone(),
        created_at: row.created_at,
    }
}

impl Subscriptions for Store {
    fn page<'a>(
        &'a self,
        topic: &'a TopicName,
        after: Option<SubscriptionId>,
    ) -> PortFuture<'a, Result<fanout::RecipientPage, SubscriptionsUnavailable>> {
        let place = (topic.clone(), after);
        let version = match self.0.cache.get(&place) {
            Ok(page) => return at_once(Ok(page)),
            Err(version) => version,
        };
        let open = Arc::clone(&self.0);
        later(async move {
            let read = move || open.recipients(&place.0, place.1).map(|page| (page, place));
            let (page, place) = blocking(read).await?;
            self.0.cache.keep(place, &page, version);
            Ok(page)
        })
    }

    fn find(
        &self,
        id: SubscriptionId,
    ) -> PortFuture<'_, Result<Option<Recipient>, SubscriptionsUnavailable>> {
        let open = Arc::clone(&self.0);
        later(blocking(move || open.active(id)))
    }

    fn open<'a>(
        &'a self,
        recipient: &'a Recipient,
    ) -> PortFuture<'a, Result<OpenedRecipient, SubscriptionsUnavailable>> {
        let Some(row) = recipient.sealed.record::<SubscriptionRow>() else {
            let damaged = recipient.sealed.record::<DamagedRow>();
            return at_once(Ok(damaged.map_or(OpenedRecipient::Replaced, |damaged| {
                OpenedRecipient::Damaged(damaged.to_string())
            })));
        };
        // The slot is nearly always in the page cache. Otherwise this thread must not wait for it.
        match self.0.unseal_with(row, KeySlotTable::find_cached) {
            Err(StoreError::Disk { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => {
                let (open, recipient) = (Arc::clone(&self.0), recipient.clone());
                later(blocking(move || open.open_recipient(&recipient)))
            }
            unsealed => at_once(opened_recipient(row, unsealed).map_err(unavailable)),
        }
    }
}

impl SubscriptionFeed for Store {
    fn changes(
        &self,
        since: Option<FeedPosition>,
        limit: usize,
    ) -> PortFuture<'_, Result<FeedPage, SubscriptionsUnavailable>> {
        at_once(Ok(self.0.cache.changes(since, limit)))
    }
}

impl StoreInner {
    fn open_recipient(&self, recipient: &Recipient) -> Result<OpenedRecipient, StoreError> {
        match recipient.sealed.record::<SubscriptionRow>() {
            Some(row) => opened_recipient(row, self.unseal(row)),
            None => Ok(OpenedRecipient::Replaced),
        }
    }
}

fn opened_recipient(
    row: &SubscriptionRow,
    unsealed: Result<Option<SealedFields>, StoreError>,
) -> Result<OpenedRecipient, StoreError> {
    match unsealed {
        Ok(Some(record)) => Ok(OpenedRecipient::Subscription(Box::new(opened(row, record)))),
        Ok(None) => Ok(OpenedRecipient::Replaced),
        Err(StoreError::Refused(StoreRefusal::DamagedRecord { what, .. })) => {
            Ok(OpenedRecipient::Damaged(what))
        }
        Err(error) => Err(error),
    }
}

fn unavailable(error: StoreError) -> SubscriptionsUnavailable {
    SubscriptionsUnavailable(error.into())
}

/// Runs a read in a thread that may block, because sled may read from the disk.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, SubscriptionsUnavailable> {
    match tokio::task::spawn_blocking(read).await {
        Ok(outcome) => outcome.map_err(unavailable),
        Err(panicked) => Err(SubscriptionsUnavailable(panicked.into())),
    }
}
