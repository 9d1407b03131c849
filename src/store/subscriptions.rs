//! The store of subscriptions: adds, lists, opens, removes them. Owns the order in which slot and row are written, so that a crash at any
//! point leaves a subscription whole or gone.
//!
//! | | order | a crash in between |
//! | --- | --- | --- |
//! | add | slot, row | a slot that no row names is erased at the next start |
//! | remove | slot erased, row removed, slot freed | a row without its key is removed at the next start |

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    StoreError,
    cache::PageCache,
    db::Db,
    lock::{self, Lock},
    mask::mask,
    record::Record,
    row::Row,
    slots::{Slot, SlotTable, Slots},
};
use crate::{
    clock::Clock,
    crypto::{DataKey, Keys, MasterKey},
    domain::{
        Endpoint, Mentions, Moment, Platform, RobotId, Secret, Subscription, SubscriptionId, SubscriptionState,
        TopicName,
    },
    fanout::{self, Recipient, Subscriptions, Unreadable},
};

/// How many recipients a page holds for fan-out.
const PAGE: usize = 256;

/// Where the store is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder; made for its owner alone if it is missing.
    pub dir: PathBuf,
}

/// A subscription to be added. The endpoint is checked and normalised.
pub struct NewSubscription {
    /// Its topic.
    pub topic: TopicName,
    /// Its platform.
    pub platform: Platform,
    /// The webhook.
    pub endpoint: Endpoint,
    /// The signing secret.
    pub secret: Option<Secret>,
    /// The robot's keyword.
    pub keyword: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whom every message mentions.
    pub mentions: Mentions,
}

/// What came of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// The subscription.
    pub id: SubscriptionId,
    /// Its robot.
    pub robot: RobotId,
    /// Whether this robot was subscribed to this topic already; then nothing was added or changed.
    pub duplicate: bool,
}

/// Which subscriptions to list.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Only of this topic.
    pub topic: Option<TopicName>,
    /// Only on this platform.
    pub platform: Option<Platform>,
}

/// A subscription as people may see it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its id.
    pub id: SubscriptionId,
    /// Its topic.
    pub topic: TopicName,
    /// Its platform.
    pub platform: Platform,
    /// Its robot.
    pub robot: RobotId,
    /// The webhook, of which only the end is shown.
    pub masked_endpoint: String,
    /// Whether it has a signing secret.
    pub has_secret: bool,
    /// The robot's keyword.
    pub keyword: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whom every message mentions.
    pub mentions: Mentions,
    /// Whether it hears its topic.
    pub state: SubscriptionState,
    /// When it was added.
    pub created_at: Moment,
}

/// Some of the listed subscriptions.
pub struct Page {
    /// The subscriptions, in the order of their ids.
    pub summaries: Vec<Summary>,
    /// After which id the next page begins; nothing if this is the last.
    pub next: Option<SubscriptionId>,
}

/// The open store. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Open>);

struct Open {
    dir: PathBuf,
    keys: Keys,
    db: Db,
    /// Whoever changes the store holds this from the first step to the last.
    slots: Mutex<Slots>,
    table: SlotTable,
    cache: PageCache,
    // The last field: the folder is let go when everything else is closed.
    _lock: Lock,
}

impl Store {
    /// Opens the store, or begins one in an empty or missing folder, and finishes what a crash interrupted. Blocks on the disk.
    pub fn open(settings: &Settings, master: &MasterKey) -> Result<Self, StoreError> {
        let dir = &settings.dir;
        let lock = lock::take(dir)?;
        let keys = Keys::derive(master);
        let db = Db::open(dir)?;
        if !db.belongs_to(keys.check())? {
            return Err(StoreError::WrongKey { dir: dir.clone() });
        }
        let slots = Slots::open(dir, !db.is_empty())?;
        let table = slots.table();
        let open = Open {
            dir: dir.clone(),
            keys,
            db,
            slots: Mutex::new(slots),
            table,
            cache: PageCache::default(),
            _lock: lock,
        };
        open.finish_what_a_crash_interrupted()?;
        Ok(Self(Arc::new(open)))
    }

    /// Adds a subscription, durable when it returns. The same robot on the same topic again adds nothing. Blocks on the disk.
    pub fn add(&self, new: NewSubscription) -> Result<Added, StoreError> {
        let open = &self.0;
        let mut slots = open.slots();
        let robot = open.keys.robot_id(&new.endpoint);
        if let Some(row) = open.db.of_robot(&new.topic, robot)? {
            if open.table.find(&row.binding()).is_some() {
                return Ok(Added { id: row.id, robot, duplicate: true });
            }
            // Its removal was interrupted by a full disk.
            open.remove_row(&mut slots, &row)?;
        }
        let at = slots.take().map_err(|source| open.unwritten(source))?;
        let row = open.write(&mut slots, at, robot, new).inspect_err(|_| {
            // Whether the row is on the disk is not known. Without its key it is nothing, and the next start removes it.
            if let Err(error) = slots.erase(at) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a slot could not be erased; the next start does"
                );
            }
        })?;
        open.cache.forget();
        Ok(Added { id: row.id, robot, duplicate: false })
    }

    /// One subscription, masked. Blocks on the disk.
    pub fn show(&self, id: SubscriptionId) -> Result<Summary, StoreError> {
        let row = self.0.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        self.0.summary(row)?.ok_or(StoreError::NoSuchSubscription { id })
    }

    /// One page of subscriptions, masked. Blocks on the disk.
    pub fn list(&self, filter: &ListFilter, after: Option<SubscriptionId>, limit: usize) -> Result<Page, StoreError> {
        let (open, mut after, mut summaries) = (&self.0, after, Vec::new());
        loop {
            let rows = match &filter.topic {
                Some(topic) => open.db.of_topic(topic, after, limit)?,
                None => open.db.all(after, limit)?,
            };
            let last = rows.len() < limit;
            for row in rows {
                after = Some(row.id);
                if filter.platform.is_none_or(|platform| platform == row.platform)
                    && let Some(summary) = open.summary(row)?
                {
                    summaries.push(summary);
                    if summaries.len() == limit {
                        return Ok(Page { summaries, next: after });
                    }
                }
            }
            if last {
                return Ok(Page { summaries, next: None });
            }
        }
    }

    /// Removes a subscription. When it returns, no key that opens its endpoint exists any more. Blocks on the disk.
    pub fn remove(&self, id: SubscriptionId) -> Result<(), StoreError> {
        let open = &self.0;
        let mut slots = open.slots();
        let row = open.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        let removed = open.remove_row(&mut slots, &row);
        open.cache.forget();
        removed
    }

    /// Lets a subscription hear its topic, or not. Blocks on the disk.
    pub fn set_state(&self, id: SubscriptionId, state: SubscriptionState) -> Result<(), StoreError> {
        let open = &self.0;
        let _one_at_a_time = open.slots();
        let row = open.db.get(id)?.ok_or(StoreError::NoSuchSubscription { id })?;
        if row.state != state {
            open.db.replace(&Row { state, ..row })?;
            open.cache.forget();
        }
        Ok(())
    }

    /// Where the store is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }
}

impl Open {
    fn write(&self, slots: &mut Slots, at: u32, robot: RobotId, new: NewSubscription) -> Result<Row, StoreError> {
        let NewSubscription { topic, platform, endpoint, secret, keyword, name, mentions } = new;
        let sealing = |_| self.db.damaged("a subscription could not be sealed");
        let plain = Record { endpoint, secret, keyword, name, mentions }
            .encode()
            .map_err(|_| self.db.damaged("a subscription could not be written as JSON"))?;
        let mut row = Row {
            id: SubscriptionId::make(),
            topic,
            platform,
            robot,
            state: SubscriptionState::Active,
            slot: at,
            generation: rand::random(),
            created_at: Clock::System.now(),
            sealed: crate::crypto::SealedRecord(Vec::new()),
        };
        let (binding, key) = (row.binding(), DataKey::generate());
        row.sealed = key.seal(&binding, &row.head(), &plain).map_err(sealing)?;
        let wrapped = self.keys.wrap(&binding, &key).map_err(sealing)?;
        let slot = Slot { binding, key: self.keys.id(), wrapped };
        slots.write(&slot).map_err(|source| self.unwritten(source))?;
        self.db.insert(&row)?;
        Ok(row)
    }

    fn remove_row(&self, slots: &mut Slots, row: &Row) -> Result<(), StoreError> {
        // The slot may be another's by now, if this row's removal was interrupted once before.
        let held = self.table.find(&row.binding()).is_some();
        if held {
            slots.erase(row.slot).map_err(|source| self.unwritten(source))?;
        }
        self.db.remove(row)?;
        if held {
            slots.release(row.slot);
        }
        Ok(())
    }

    fn finish_what_a_crash_interrupted(&self) -> Result<(), StoreError> {
        let mut slots = self.slots();
        let (mut named, mut after) = (HashSet::new(), None);
        loop {
            let rows = self.db.all(after, PAGE)?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in rows {
                if !self.table.reaches(row.slot) {
                    return Err(self.db.damaged("the file slots is shorter than its subscriptions need"));
                }
                if self.table.find(&row.binding()).is_some() {
                    named.insert(row.slot);
                } else {
                    tracing::info!(subscription = %row.id, "finishing a removal that was interrupted");
                    self.db.remove(&row)?;
                }
            }
        }
        for binding in self.table.bindings() {
            if !named.contains(&binding.slot) {
                tracing::info!("erasing a key whose subscription was never written");
                slots.erase(binding.slot).map_err(|source| self.unwritten(source))?;
                slots.release(binding.slot);
            }
        }
        Ok(())
    }

    /// A row as people may see it; nothing if its key is gone.
    fn summary(&self, row: Row) -> Result<Option<Summary>, StoreError> {
        Ok(self.unseal(&row)?.map(|record| Summary {
            id: row.id,
            topic: row.topic,
            platform: row.platform,
            robot: row.robot,
            masked_endpoint: mask(&record.endpoint),
            has_secret: record.secret.is_some(),
            keyword: record.keyword,
            name: record.name,
            mentions: record.mentions,
            state: row.state,
            created_at: row.created_at,
        }))
    }

    fn unseal(&self, row: &Row) -> Result<Option<Record>, StoreError> {
        let binding = row.binding();
        let Some(slot) = self.table.find(&binding) else {
            return Ok(None);
        };
        let damaged = || self.db.damaged(&format!("subscription {} does not open with its key", row.id));
        let key = self.keys.unwrap_key(&binding, &slot.wrapped).map_err(|_| damaged())?;
        let plain = key.open(&binding, &row.head(), &row.sealed).map_err(|_| damaged())?;
        Record::decode(&plain).map(Some).map_err(|_| damaged())
    }

    fn recipients(&self, topic: &TopicName, after: Option<SubscriptionId>) -> Result<fanout::Page, StoreError> {
        let rows = self.db.of_topic(topic, after, PAGE)?;
        let next = (rows.len() == PAGE).then(|| rows.last().map(|row| row.id)).flatten();
        Ok(fanout::Page { recipients: rows.into_iter().filter_map(recipient).collect(), next })
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self, source: std::io::Error) -> StoreError {
        StoreError::Disk { dir: self.dir.clone(), verb: "written", source }
    }
}

/// A row as fan-out sees it; nothing if it does not hear its topic.
fn recipient(row: Row) -> Option<Recipient> {
    (row.state == SubscriptionState::Active).then(|| Recipient {
        subscription: row.id,
        platform: row.platform,
        robot: row.robot,
        sealed: Arc::new(row),
    })
}

#[async_trait]
impl Subscriptions for Store {
    async fn page(&self, topic: &TopicName, after: Option<SubscriptionId>) -> Result<fanout::Page, Unreadable> {
        let place = (topic.clone(), after);
        let version = match self.0.cache.get(&place) {
            Ok(page) => return Ok(page),
            Err(version) => version,
        };
        let open = Arc::clone(&self.0);
        let (page, place) = blocking(move || open.recipients(&place.0, place.1).map(|page| (page, place))).await?;
        self.0.cache.keep(place, &page, version);
        Ok(page)
    }

    async fn find(&self, id: SubscriptionId) -> Result<Option<Recipient>, Unreadable> {
        let open = Arc::clone(&self.0);
        blocking(move || open.db.get(id)).await.map(|row| row.and_then(recipient))
    }

    fn open(&self, recipient: &Recipient) -> Result<Option<Subscription>, Unreadable> {
        let Some(row) = recipient.sealed.downcast_ref::<Row>() else {
            return Ok(None);
        };
        let record = self.0.unseal(row).map_err(|error| Unreadable(error.into()))?;
        Ok(record.map(|record| Subscription {
            id: row.id,
            topic: row.topic.clone(),
            platform: row.platform,
            robot: row.robot,
            endpoint: record.endpoint,
            secret: record.secret,
            keyword: record.keyword,
            name: record.name,
            mentions: record.mentions,
            state: row.state,
            created_at: row.created_at,
        }))
    }
}

/// sled may read from the disk, so it is asked on a thread that may block.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Unreadable> {
    match tokio::task::spawn_blocking(read).await {
        Ok(outcome) => outcome.map_err(|error| Unreadable(error.into())),
        Err(panicked) => Err(Unreadable(panicked.into())),
    }
}
