//! The sled database: rows, the index from topic to rows, the index from robot to row.
//!
//! Owns transactions and that a change is durable before it is reported. What a row means is `row.rs`.

use std::{
    fs::{self, File},
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sled::{
    Transactional, Tree,
    transaction::{ConflictableTransactionResult, TransactionError, TransactionalTree},
};

use super::{StoreError, lock::sync_folder, row::Row};
use crate::{
    crypto::KeyCheck,
    domain::{RobotId, SubscriptionId, TopicName},
};

/// sled's own cache, in bytes. What is needed often is in `cache.rs`.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How long sled's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// The open database.
pub(super) struct Db {
    db: sled::Db,
    /// id → row.
    rows: Tree,
    /// topic, 0, id → nothing.
    topics: Tree,
    /// topic, 0, robot → id.
    robots: Tree,
    /// A handle of our own on sled's file: sled's flush does not reach the disk by itself.
    file: File,
    dir: PathBuf,
}

/// Either the disk or the content is not as it should be.
type Fault = StoreError;

impl Db {
    /// Opens the database of the store in `dir`, or begins one.
    pub(super) fn open(dir: &Path) -> Result<Self, Fault> {
        let folder = dir.join("db");
        let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
        remove_half_snapshots(&folder).map_err(failed)?;
        let db = match open_sled(&folder) {
            Err(Unopened::Damaged(why)) => {
                // sled reads its log from the beginning if there is no snapshot; that has repaired what was only a broken snapshot.
                tracing::warn!(why, "the store's database does not open; trying without its snapshots");
                set_snapshots_aside(&folder).map_err(failed)?;
                open_sled(&folder)
            }
            opened => opened,
        };
        let db = db.map_err(|error| error.into_store_error(dir))?;
        let tree = |name: &str| db.open_tree(name).map_err(|error| Unopened::from(error).into_store_error(dir));
        let (rows, topics, robots) = (tree("subscriptions")?, tree("topics")?, tree("robots")?);
        let file = File::open(folder.join("db")).map_err(failed)?;
        sync_folder(&folder).and_then(|()| sync_folder(dir)).map_err(failed)?;
        Ok(Self { db, rows, topics, robots, file, dir: dir.to_owned() })
    }

    /// Whether the store belongs to this key. A new store belongs to whoever opens it first.
    pub(super) fn belongs_to(&self, check: KeyCheck) -> Result<bool, Fault> {
        const NAME: &[u8] = b"key check";
        if let Some(found) = self.db.get(NAME).map_err(|error| self.unread(error))? {
            return Ok(found == check.0.as_slice());
        }
        self.db.insert(NAME, &check.0).map_err(|error| self.unwritten(error))?;
        self.db.insert(b"format", &[1]).map_err(|error| self.unwritten(error))?;
        self.sync()?;
        Ok(true)
    }

    /// Whether no subscription was ever added, or all were removed.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row; durable when it returns.
    pub(super) fn insert(&self, row: &Row) -> Result<(), Fault> {
        let (id, bytes) = (row.id.as_bytes(), row.encode());
        self.change(|rows, topics, robots| {
            rows.insert(id, bytes.as_slice())?;
            topics.insert(by_topic(&row.topic, id), &[])?;
            robots.insert(by_topic(&row.topic, row.robot.as_bytes()), id)?;
            Ok(())
        })
    }

    /// Puts a row in place of the one of the same id and topic; durable when it returns.
    pub(super) fn replace(&self, old: &Row, new: &Row) -> Result<(), Fault> {
        let (id, bytes) = (new.id.as_bytes(), new.encode());
        self.change(|rows, _, robots| {
            rows.insert(id, bytes.as_slice())?;
            if old.robot != new.robot {
                robots.remove(by_topic(&old.topic, old.robot.as_bytes()))?;
                robots.insert(by_topic(&new.topic, new.robot.as_bytes()), id)?;
            }
            Ok(())
        })
    }

    /// Removes a row; durable when it returns.
    pub(super) fn remove(&self, row: &Row) -> Result<(), Fault> {
        let id = row.id.as_bytes();
        self.change(|rows, topics, robots| {
            rows.remove(id)?;
            topics.remove(by_topic(&row.topic, id))?;
            robots.remove(by_topic(&row.topic, row.robot.as_bytes()))?;
            Ok(())
        })
    }

    /// The row of that id.
    pub(super) fn get(&self, id: SubscriptionId) -> Result<Option<Row>, Fault> {
        let found = self.rows.get(id.as_bytes()).map_err(|error| self.unread(error))?;
        found.map(|bytes| self.decode(id, &bytes)).transpose()
    }

    /// The row of that robot on that topic.
    pub(super) fn of_robot(&self, topic: &TopicName, robot: RobotId) -> Result<Option<Row>, Fault> {
        let found = self.robots.get(by_topic(topic, robot.as_bytes())).map_err(|error| self.unread(error))?;
        match found.and_then(|id| <[u8; 16]>::try_from(&*id).ok()) {
            Some(id) => self.get(SubscriptionId::from_bytes(id)),
            None => Ok(None),
        }
    }

    /// Up to `limit` rows of a topic, in the order of their ids, beginning with the one after `after`.
    pub(super) fn of_topic(
        &self,
        topic: &TopicName,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Row>, Fault> {
        let prefix = by_topic(topic, &[]);
        let from =
            after.map_or_else(|| Bound::Included(prefix.clone()), |id| Bound::Excluded(by_topic(topic, id.as_bytes())));
        let keys = self.topics.range((from, Bound::Unbounded)).keys();
        let mut found = Vec::new();
        for key in keys {
            let key = key.map_err(|error| self.unread(error))?;
            let Some(id) = key.strip_prefix(prefix.as_slice()) else {
                break;
            };
            let id = <[u8; 16]>::try_from(id).map_err(|_| self.damaged("the index of topics names no id"))?;
            let id = SubscriptionId::from_bytes(id);
            // Removed between the two reads.
            let Some(row) = self.get(id)? else { continue };
            found.push(row);
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// Up to `limit` rows of any topic, in the order of their ids, beginning with the one after `after`.
    pub(super) fn all(&self, after: Option<SubscriptionId>, limit: usize) -> Result<Vec<Row>, Fault> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(*id.as_bytes()));
        let rows = self.rows.range((from, Bound::Unbounded)).take(limit);
        rows.map(|row| {
            let (id, bytes) = row.map_err(|error| self.unread(error))?;
            let id = <[u8; 16]>::try_from(&*id).map_err(|_| self.damaged("a row has no id"))?;
            self.decode(SubscriptionId::from_bytes(id), &bytes)
        })
        .collect()
    }

    fn decode(&self, id: SubscriptionId, bytes: &[u8]) -> Result<Row, Fault> {
        Row::decode(id, bytes)
            .ok_or_else(|| self.damaged(&format!("the row of subscription {id} cannot be read by this version")))
    }

    fn change(
        &self,
        act: impl Fn(&TransactionalTree, &TransactionalTree, &TransactionalTree) -> ConflictableTransactionResult<()>,
    ) -> Result<(), Fault> {
        let trees = (&self.rows, &self.topics, &self.robots);
        trees.transaction(|(rows, topics, robots)| act(rows, topics, robots)).map_err(|error| match error {
            TransactionError::Abort(()) => self.damaged("a change was given up"),
            TransactionError::Storage(error) => self.unwritten(error),
        })?;
        self.sync()
    }

    fn sync(&self) -> Result<(), Fault> {
        self.db.flush().map_err(|error| self.unwritten(error))?;
        let failed = |source| StoreError::Disk { dir: self.dir.clone(), verb: "written", source };
        self.file.sync_data().map_err(failed)
    }

    fn unread(&self, error: sled::Error) -> Fault {
        StoreError::Disk { dir: self.dir.clone(), verb: "read", source: error.into() }
    }

    fn unwritten(&self, error: sled::Error) -> Fault {
        StoreError::Disk { dir: self.dir.clone(), verb: "written", source: error.into() }
    }

    /// Something in the content is not as it was written.
    pub(super) fn damaged(&self, what: &str) -> Fault {
        StoreError::Damaged { dir: self.dir.clone(), what: what.to_owned() }
    }
}

/// A topic holds no zero byte, so no topic's keys lie among another's.
fn by_topic(topic: &TopicName, rest: &[u8]) -> Vec<u8> {
    [topic.as_str().as_bytes(), &[0], rest].concat()
}

enum Unopened {
    Damaged(String),
    Disk(io::Error),
}

impl From<sled::Error> for Unopened {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Disk(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl Unopened {
    fn into_store_error(self, dir: &Path) -> StoreError {
        match self {
            Self::Damaged(what) => StoreError::Damaged { dir: dir.to_owned(), what },
            Self::Disk(source) => StoreError::Disk { dir: dir.to_owned(), verb: "opened", source },
        }
    }
}

/// Opens sled. Its own threads may keep its lock for a moment after it was closed in this process; nobody else can have it, as
/// the folder is locked by us.
fn open_sled(folder: &Path) -> Result<sled::Db, Unopened> {
    let began = Instant::now();
    loop {
        match open_sled_once(folder) {
            Err(Unopened::Disk(error))
                if error.to_string().contains("could not acquire lock") && began.elapsed() < LOCK_PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// sled can panic on what it does not expect in its files.
fn open_sled_once(folder: &Path) -> Result<sled::Db, Unopened> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(Unopened::Damaged("its database cannot be read".to_owned())),
    }
}

/// A snapshot that a crash left half written makes sled refuse to open (its list of snapshots takes it for a whole one). The one before it is
/// still there.
fn remove_half_snapshots(folder: &Path) -> io::Result<()> {
    for path in snapshots(folder)? {
        if path.extension().is_some_and(|end| end == "generating") {
            tracing::warn!(path = %path.display(), "removing a snapshot that was never finished");
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn set_snapshots_aside(folder: &Path) -> io::Result<()> {
    let aside = folder.with_file_name("snapshots-set-aside");
    fs::create_dir_all(&aside)?;
    for path in snapshots(folder)? {
        if let Some(name) = path.file_name() {
            fs::rename(&path, aside.join(name))?;
        }
    }
    Ok(())
}

fn snapshots(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("snap.")) {
            found.push(path);
        }
    }
    Ok(found)
}
